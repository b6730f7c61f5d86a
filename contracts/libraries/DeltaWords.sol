// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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

    /* FUNCTIONS */

    /// @notice The signed amount in one lane of a word.
    /// @param position 0 to 3.
    function lane(uint256 word, uint256 position) internal pure returns (int256) {
        unchecked {
            return int256(((word + BIAS) >> (LANE_BITS * position)) & LANE_MASK) - 2 ** 63;
        }
    }

    /// @notice Number of words for so many accounts.
    function wordsFor(uint256 accounts) internal pure returns (uint256) {
        return (accounts + LANES - 1) / LANES;
    }

    /// @notice Refuses deltas that are not one word for four accounts, or use a lane beyond the last.
    /// @dev The unused lanes of the last word are zero exactly if their biased fields are 2^63.
    function requireShape(uint256[] calldata deltas, uint256 accounts) internal pure {
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
    /// @dev Works above the free memory pointer and leaves nothing there: first the nodes of the
    /// current level, behind them room for one chunk. A level is hashed in place: node i is written
    /// when nodes 2i and 2i+1 have been read, and 2i >= i.
    /// @param deltas At least one word.
    function root(uint256[] calldata deltas) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let count := shr(3, add(deltas.length, 7))
            let nodes := mload(0x40)
            let end := add(nodes, shl(5, count)) // the room for a chunk
            let at := deltas.offset
            let last := sub(end, 32)
            for { let node := nodes } lt(node, last) { node := add(node, 32) } {
                calldatacopy(end, at, 256)
                mstore(node, keccak256(end, 256))
                at := add(at, 256)
            }

            // The last chunk, padded: what is read behind the end of the calldata is zero.
            let size := sub(add(deltas.offset, shl(5, deltas.length)), at)
            calldatacopy(end, at, size)
            calldatacopy(add(end, size), calldatasize(), sub(256, size))
            mstore(last, keccak256(end, 256))

            for {} gt(count, 1) {} {
                let from := nodes
                let to := nodes
                for { let pairsEnd := add(nodes, shl(6, shr(1, count))) } lt(from, pairsEnd) {} {
                    mstore(to, keccak256(from, 64))
                    from := add(from, 64)
                    to := add(to, 32)
                }
                mstore(to, mload(from)) // the odd node, or what nobody reads
                count := shr(1, add(count, 1))
            }
            hash := mload(nodes)
        }
    }
}
