// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";

/// @title Four signed amounts to a word, and the root that commits to many words.
/// @notice Word i carries the amounts of accounts 4i to 4i+3 as `sum of delta_k * 2^(64k)`, modulo
/// 2^256: a word is an ordinary sum of signed numbers, not four fields put side by side. A negative
/// lane therefore borrows from the lane above it.
/// @dev How one lane is read back. Add 2^63 to every lane: `word + BIAS` is the sum of
/// `(delta_k + 2^63) * 2^(64k)`. For lanes in [-2^63, 2^63) each bracket lies in [0, 2^64), so
/// nothing is carried or borrowed any more and the brackets *are* the four 64-bit fields. Since the
/// fields of a word are unique, every word has exactly one reading with lanes in that range.
library DeltaWords {
    /* CONSTANTS */

    uint256 internal constant LANES = 4;
    uint256 internal constant LANE_BITS = 64;
    uint256 internal constant LANE_MASK = 2 ** 64 - 1;

    /// @dev 1 in each lane.
    uint256 internal constant ONES = 1 + 2 ** 64 + 2 ** 128 + 2 ** 192;

    /// @dev 2^63 in each lane.
    uint256 internal constant BIAS = ONES << 63;

    uint256 internal constant CHUNK_WORDS = 8;

    /* FUNCTIONS */

    /// @notice The signed amount in one lane of a word.
    /// @param position 0 to 3.
    function lane(
        uint256 word,
        uint256 position
    ) internal pure returns (int256) {
        unchecked {
            return int256(((word + BIAS) >> (LANE_BITS * position)) & LANE_MASK) - 2 ** 63;
        }
    }

    /// @notice Number of words for so many accounts.
    function wordsFor(
        uint256 accounts
    ) internal pure returns (uint256) {
        return (accounts + LANES - 1) / LANES;
    }

    /// @notice Refuses deltas that are not one word for four accounts, or use a lane beyond the last.
    /// @dev The unused lanes of the last word are zero exactly if their biased fields are 2^63.
    function requireShape(
        uint256[] calldata deltas,
        uint256 accounts
    ) internal pure {
        uint256 expected = wordsFor(accounts);
        if (deltas.length != expected) {
            revert IEnergyMarket.EnergyMarket_WrongDeltaCount(deltas.length, expected);
        }
        unchecked {
            uint256 last = deltas[expected - 1];
            uint256 used = accounts - LANES * (expected - 1);
            // A shift by 256, when all four are used, leaves zero on both sides.
            if ((last + BIAS) >> (LANE_BITS * used) != BIAS >> (LANE_BITS * used)) {
                revert IEnergyMarket.EnergyMarket_UnusedLanes(last, used);
            }
        }
    }

    /// @notice Merkle root over the hashes of chunks of eight words, the last one zero-padded. A pair
    /// is hashed as keccak256(left || right); an odd node moves up unchanged.
    function root(
        uint256[] calldata deltas
    ) internal pure returns (bytes32) {
        unchecked {
            uint256 count = (deltas.length + CHUNK_WORDS - 1) / CHUNK_WORDS;
            bytes32[] memory level = new bytes32[](count);
            for (uint256 i = 0; i < count; ++i) {
                level[i] = _chunkHash(deltas, i * CHUNK_WORDS);
            }
            while (count > 1) {
                uint256 pairs = count / 2;
                for (uint256 i = 0; i < pairs; ++i) {
                    level[i] = Hashes.efficientKeccak256(level[2 * i], level[2 * i + 1]);
                }
                if (count % 2 == 1) level[pairs] = level[count - 1];
                count -= pairs;
            }
            return level[0];
        }
    }

    /* INTERNAL */

    /// @dev Hashes eight words of calldata in free memory. What lies beyond the array is replaced by
    /// zeros: reading past the end of the calldata gives zeros.
    function _chunkHash(
        uint256[] calldata deltas,
        uint256 first
    ) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(5, sub(deltas.length, first))
            if gt(size, 256) { size := 256 }
            calldatacopy(free, add(deltas.offset, shl(5, first)), size)
            if lt(size, 256) {
                calldatacopy(add(free, size), calldatasize(), sub(256, size))
            }
            hash := keccak256(free, 256)
        }
    }
}
