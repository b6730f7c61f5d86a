// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";
import {DeltaWords} from "./DeltaWords.sol";

/// @title Balances, four to a storage word, and the settlement that moves all of them.
/// @notice Account a lives in word a / 4, lane a % 4: 64 bits, of which a balance uses the low 51.
///
/// @dev ## Why one addition a word is enough
///
/// A settlement does, for every word, `new = old + d` modulo 2^256, and collects three things:
/// `seen`, the OR of all new words; `sum`, the sum of all d; `within`, the AND of all `d + ceiling`.
/// Three tests at the end replace four tests for every account.
///
/// *1. No balance left its bounds.* Every old lane is in [0, 2^51): this holds at the start (all
/// zero) and is kept by everything here. If `seen` has none of the bits 51 to 63 of any lane, every
/// new lane is in [0, 2^51) too. Call the true change of a lane c = new lane - old lane; then
/// |c| < 2^51. The word d equals new - old, which is the sum of c_k * 2^(64k), modulo 2^256: exactly
/// how {DeltaWords} writes the amounts c_k. A word has one reading only with lanes in
/// [-2^63, 2^63), so whatever the proposer had in mind, d *means* c, for every account. No lane has
/// silently borrowed from its neighbour.
///
/// *2. Nothing was made or lost.* `sum` is the sum over the words, so it is the sum of S_k * 2^(64k)
/// where S_k is the sum of the changes in lane k. At most 2^11 words of |c| < 2^51 give
/// |S_k| < 2^62, so `sum` also has one reading only, and {DeltaWords-lane} gives the true S_k. They
/// must add up to zero. (A cap at 2^63 instead of 2^51 would not do: lane sums could wrap around,
/// and money be made of nothing.)
///
/// *3. Nobody pays more than the cap.* `ceiling` holds 2^63 + cap in each lane, cap <= 2^51. Lane k
/// of `d + ceiling` is then c_k + 2^63 + cap, which lies in (0, 2^64): nothing is carried. Its bit
/// 63 is set exactly if c_k >= -cap. The AND keeps the bit only if every account of the lane had it.
///
/// If a test fails, a second and plain pass over the accounts looks for the first culprit. It is
/// also the specification: it finds one exactly when a test fails.
library LaneBalances {
    /* CONSTANTS */

    /// @dev For 8,192 accounts.
    uint256 internal constant WORDS = 2048;

    uint256 internal constant BALANCE_NANO_MAX = 2 ** 51 - 1;

    /// @dev Bits 51 to 63 of each lane.
    uint256 private constant ABOVE_MAX = DeltaWords.ONES * (2 ** 64 - 2 ** 51);

    /* FUNCTIONS */

    /// @notice One balance, in nano.
    function get(uint256[WORDS] storage words, uint256 account) internal view returns (uint256) {
        unchecked {
            uint256 word = words[account / DeltaWords.LANES];
            return (word >> _shift(account)) & DeltaWords.LANE_MASK;
        }
    }

    /// @notice Adds to one balance. The caller has checked that at most 2^51-1 results, so nothing
    /// is carried into the next lane.
    function credit(uint256[WORDS] storage words, uint256 account, uint256 amountNano) internal {
        words[account / DeltaWords.LANES] += amountNano << _shift(account);
    }

    /// @notice Takes from one balance. The caller has checked that it suffices, so nothing is
    /// borrowed from the next lane.
    function debit(uint256[WORDS] storage words, uint256 account, uint256 amountNano) internal {
        words[account / DeltaWords.LANES] -= amountNano << _shift(account);
    }

    /// @notice Applies one run's deltas, or reverts naming the account or the sum that is wrong.
    /// @param deltas As {DeltaWords}, at most `WORDS`.
    /// @param memberCapNano The most that an account from 2 on may pay.
    /// @param supplierCapNano The most that each of the accounts 0 and 1 may pay.
    function applyRun(
        uint256[WORDS] storage words,
        uint256[] calldata deltas,
        uint256 memberCapNano,
        uint256 supplierCapNano
    ) internal {
        (uint256 firstCeiling, uint256 ceiling) = _ceilings(memberCapNano, supplierCapNano);
        (uint256 seen, uint256 sum, uint256 within) = _stream(words, deltas, firstCeiling, ceiling);
        unchecked {
            int256 sumNano = DeltaWords.lane(sum, 0) + DeltaWords.lane(sum, 1)
                + DeltaWords.lane(sum, 2) + DeltaWords.lane(sum, 3);
            bool bounded = seen & ABOVE_MAX == 0 && within & DeltaWords.BIAS == DeltaWords.BIAS;
            if (bounded && sumNano == 0) return;
        }
        _revertWithCulprit(words, deltas, memberCapNano, supplierCapNano);
    }

    /* INTERNAL */

    function _shift(uint256 account) private pure returns (uint256) {
        unchecked {
            return (account % DeltaWords.LANES) * DeltaWords.LANE_BITS;
        }
    }

    /// @dev 2^63 + cap in each lane; in word 0 the lanes 0 and 1 have the suppliers' cap. A cap
    /// above 2^51 binds nobody and is clipped, so that no lane carries.
    function _ceilings(uint256 memberCapNano, uint256 supplierCapNano)
        private
        pure
        returns (uint256 firstCeiling, uint256 ceiling)
    {
        uint256 member = _clip(memberCapNano);
        uint256 supplier = _clip(supplierCapNano);
        ceiling = DeltaWords.BIAS + DeltaWords.ONES * member;
        firstCeiling = DeltaWords.BIAS + supplier * (1 + 2 ** 64) + member * (2 ** 128 + 2 ** 192);
    }

    function _clip(uint256 capNano) private pure returns (uint256) {
        return capNano > BALANCE_NANO_MAX ? BALANCE_NANO_MAX : capNano;
    }

    /// @dev The loop. `words` are contiguous slots, `deltas` contiguous calldata, at least one word.
    /// Four words a turn, because a turn costs about as much as a word; then the up to three left.
    /// What is summed is `d + ceiling`, which is at hand, and the ceilings are taken off again.
    function _stream(
        uint256[WORDS] storage words,
        uint256[] calldata deltas,
        uint256 firstCeiling,
        uint256 ceiling
    ) private returns (uint256 seen, uint256 sum, uint256 within) {
        assembly ("memory-safe") {
            // Word 0 has a ceiling of its own.
            let slot := words.slot
            let at := deltas.offset
            let end := add(at, shl(5, deltas.length))
            let d := calldataload(at)
            seen := add(sload(slot), d)
            sstore(slot, seen)
            within := add(d, firstCeiling)
            sum := sub(d, mul(ceiling, sub(deltas.length, 1)))
            at := add(at, 32)
            slot := add(slot, 1)

            for { let turnsEnd := sub(end, 96) } lt(at, turnsEnd) {} {
                let d0 := calldataload(at)
                let b0 := add(sload(slot), d0)
                sstore(slot, b0)
                let d1 := calldataload(add(at, 32))
                let b1 := add(sload(add(slot, 1)), d1)
                sstore(add(slot, 1), b1)
                let d2 := calldataload(add(at, 64))
                let b2 := add(sload(add(slot, 2)), d2)
                sstore(add(slot, 2), b2)
                let d3 := calldataload(add(at, 96))
                let b3 := add(sload(add(slot, 3)), d3)
                sstore(add(slot, 3), b3)

                seen := or(or(or(or(seen, b0), b1), b2), b3)
                d0 := add(d0, ceiling)
                d1 := add(d1, ceiling)
                d2 := add(d2, ceiling)
                d3 := add(d3, ceiling)
                within := and(and(and(and(within, d0), d1), d2), d3)
                sum := add(add(add(add(sum, d0), d1), d2), d3)
                at := add(at, 128)
                slot := add(slot, 4)
            }
            for {} lt(at, end) {} {
                d := calldataload(at)
                let b := add(sload(slot), d)
                sstore(slot, b)
                seen := or(seen, b)
                d := add(d, ceiling)
                within := and(within, d)
                sum := add(sum, d)
                at := add(at, 32)
                slot := add(slot, 1)
            }
        }
    }

    /// @dev The plain statement of what a run may do; only reached when it did something else. The
    /// words hold the new balances, so the old ones are `new - d`.
    function _revertWithCulprit(
        uint256[WORDS] storage words,
        uint256[] calldata deltas,
        uint256 memberCapNano,
        uint256 supplierCapNano
    ) private view {
        int256 sumNano = 0;
        for (uint256 account = 0; account < DeltaWords.LANES * deltas.length; ++account) {
            uint256 word = deltas[account / DeltaWords.LANES];
            int256 deltaNano = DeltaWords.lane(word, account % DeltaWords.LANES);
            uint256 oldNano;
            unchecked {
                oldNano = words[account / DeltaWords.LANES] - word;
            }
            oldNano = (oldNano >> _shift(account)) & DeltaWords.LANE_MASK;
            uint256 capNano = account < 2 ? supplierCapNano : memberCapNano;
            _requirePayable(uint32(account), deltaNano, oldNano, _clip(capNano));
            sumNano += deltaNano;
        }
        revert IEnergyMarket.EnergyMarket_Unbalanced(sumNano);
    }

    function _requirePayable(uint32 account, int256 deltaNano, uint256 oldNano, uint256 capNano)
        private
        pure
    {
        if (deltaNano >= 0) {
            uint256 newNano = oldNano + uint256(deltaNano);
            if (newNano <= BALANCE_NANO_MAX) return;
            revert IEnergyMarket.EnergyMarket_BalanceTooLarge(account, newNano, BALANCE_NANO_MAX);
        }
        uint256 debitNano = uint256(-deltaNano);
        if (debitNano > oldNano) {
            revert IEnergyMarket.EnergyMarket_Overdrawn(account, debitNano, oldNano);
        }
        if (debitNano > capNano) {
            revert IEnergyMarket.EnergyMarket_AboveDebitCap(account, debitNano, capNano);
        }
    }
}
