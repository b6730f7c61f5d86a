// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DeltaWords} from "../../../contracts/libraries/DeltaWords.sol";
import {Forge} from "../Forge.sol";
import {Lanes} from "../Lanes.sol";
import {Plain} from "../Plain.sol";

/// @notice Proofs, by halmos, for all inputs: settling equals plain integers, account by account.
/// @dev In two parts that meet in `_passes`, which is the test of {LaneBalances} written plainly.
///
/// *What the loop computes.* `check_run_*`: eight words, from any balances, with any deltas and caps,
/// so that the first word, a full turn of the loop and the words left over all take part. If the
/// test passes, each word becomes `old + d`; if a word makes it fail, the run reverts.
///
/// *What that means.* `check_step_*`: the test passes exactly if every account stays within its
/// bounds and its cap and the deltas sum to zero, and then every account has what it had plus its
/// delta. Said of one word more, it is the induction that takes this to 2,048 words.
contract LaneProofs is Forge {
    uint256 private constant ABOVE_MAX = DeltaWords.ONES * (2 ** 64 - 2 ** 51);
    uint256 private constant WORDS = 8;

    Lanes private lanes;

    function setUp() public {
        lanes = new Lanes();
    }

    /* WHAT THE LOOP COMPUTES */

    function check_run_that_passes_adds_every_word(
        uint256[8] memory old,
        uint256[8] memory deltas,
        uint64 memberCapNano,
        uint64 supplierCapNano
    ) public {
        vm.assume(_passes(old, deltas, memberCapNano, supplierCapNano));
        _applyTo(old, deltas, memberCapNano, supplierCapNano);
        for (uint256 i = 0; i < WORDS; ++i) assert(lanes.word(i) == _plus(old[i], deltas[i]));
    }

    function check_run_reverts_for_word_0(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(0, old, d, m, s);
    }

    function check_run_reverts_for_word_1(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(1, old, d, m, s);
    }

    function check_run_reverts_for_word_2(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(2, old, d, m, s);
    }

    function check_run_reverts_for_word_3(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(3, old, d, m, s);
    }

    function check_run_reverts_for_word_4(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(4, old, d, m, s);
    }

    function check_run_reverts_for_word_5(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(5, old, d, m, s);
    }

    function check_run_reverts_for_word_6(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(6, old, d, m, s);
    }

    function check_run_reverts_for_word_7(uint256 old, uint256 d, uint64 m, uint64 s) public {
        _revertsFor(7, old, d, m, s);
    }

    /* WHAT THAT MEANS, WORD BY WORD */

    /// @dev A word of deltas means, for every account, exactly what happened to the account.
    function check_step_word_means_the_change_of_each_lane(uint256 old, uint256 d) public pure {
        vm.assume(old & ABOVE_MAX == 0);
        uint256 word = _plus(old, d);
        vm.assume(word & ABOVE_MAX == 0);
        for (uint256 k = 0; k < 4; ++k) {
            int256 change = int256(Plain.balance(word, k)) - int256(Plain.balance(old, k));
            assert(DeltaWords.lane(d, k) == change);
        }
    }

    /// @dev And the other way round: a run that is right leaves no bit where the test looks.
    function check_step_fair_word_passes(uint256 old, uint256 d) public pure {
        vm.assume(old & ABOVE_MAX == 0);
        for (uint256 k = 0; k < 4; ++k) {
            int256 deltaNano = DeltaWords.lane(d, k);
            int256 newNano = int256(Plain.balance(old, k)) + deltaNano;
            vm.assume(_and(newNano >= 0, newNano <= int256(Plain.BALANCE_NANO_MAX)));
        }
        assert(_plus(old, d) & ABOVE_MAX == 0);
    }

    /// @dev The lane sums stay readable while they are below 2^62, which 2^11 words cannot leave.
    function check_step_lane_sums_add_up(uint256 sum, uint256 d) public pure {
        uint256 both = _plus(sum, d);
        for (uint256 k = 0; k < 4; ++k) {
            _assumeWithin(DeltaWords.lane(sum, k), 2 ** 62 - 2 ** 51);
            _assumeWithin(DeltaWords.lane(d, k), 2 ** 51);
        }
        for (uint256 k = 0; k < 4; ++k) {
            assert(DeltaWords.lane(both, k) == DeltaWords.lane(sum, k) + DeltaWords.lane(d, k));
        }
    }

    /// @dev Bit 63 of `d + 2^63 + cap` is the sign of `delta + cap`, with no carry between lanes.
    function check_step_ceiling_bit_is_the_cap(uint256 d, uint64[4] memory capsNano) public pure {
        uint256 ceiling = DeltaWords.BIAS;
        for (uint256 k = 0; k < 4; ++k) {
            vm.assume(capsNano[k] < 2 ** 51);
            _assumeWithin(DeltaWords.lane(d, k), 2 ** 51);
            ceiling += uint256(capsNano[k]) << (64 * k);
        }
        uint256 within = _plus(d, ceiling);
        for (uint256 k = 0; k < 4; ++k) {
            bool payable_ = DeltaWords.lane(d, k) >= -int256(uint256(capsNano[k]));
            assert((within >> (64 * k + 63)) & 1 == (payable_ ? 1 : 0));
        }
    }

    /* READING AND WRITING A LANE */

    function check_lane_reads_back_what_was_written(int64[4] memory deltasNano) public pure {
        uint256 word;
        for (uint256 k = 0; k < 4; ++k) {
            unchecked {
                word += uint256(int256(deltasNano[k])) << (64 * k);
            }
        }
        for (uint256 k = 0; k < 4; ++k) {
            assert(DeltaWords.lane(word, k) == deltasNano[k]);
        }
    }

    function check_every_word_has_one_reading(uint256 word) public pure {
        uint256 again;
        for (uint256 k = 0; k < 4; ++k) {
            int256 deltaNano = DeltaWords.lane(word, k);
            assert(deltaNano >= -(2 ** 63));
            assert(deltaNano < 2 ** 63);
            unchecked {
                again += uint256(deltaNano) << (64 * k);
            }
        }
        assert(again == word);
    }

    function check_credit_moves_one_lane(uint256 old, uint64 amountNano) public {
        vm.assume(old & ABOVE_MAX == 0);
        for (uint256 account = 0; account < 4; ++account) {
            if (Plain.balance(old, account) + amountNano > Plain.BALANCE_NANO_MAX) continue;
            lanes.setWord(0, old);
            lanes.credit(account, amountNano);
            _onlyMoved(old, account, int256(uint256(amountNano)));
        }
    }

    function check_debit_moves_one_lane(uint256 old, uint64 amountNano) public {
        vm.assume(old & ABOVE_MAX == 0);
        for (uint256 account = 0; account < 4; ++account) {
            if (Plain.balance(old, account) < amountNano) continue;
            lanes.setWord(0, old);
            lanes.debit(account, amountNano);
            _onlyMoved(old, account, -int256(uint256(amountNano)));
        }
    }

    /* INTERNAL */

    /// @dev One word from any balances with any deltas; the other accounts have and owe nothing, so
    /// that the search for the culprit has few ways to go.
    function _revertsFor(
        uint256 position,
        uint256 old,
        uint256 d,
        uint64 memberCapNano,
        uint64 supplierCapNano
    ) private {
        uint256[8] memory olds;
        uint256[8] memory deltas;
        (olds[position], deltas[position]) = (old, d);
        vm.assume(old & ABOVE_MAX == 0);
        vm.assume(!_passes(olds, deltas, memberCapNano, supplierCapNano));
        try this.applyTo(olds, deltas, memberCapNano, supplierCapNano) {
            assert(false);
        } catch {}
    }

    /// @notice Applies a run to balances.
    function applyTo(
        uint256[8] memory old,
        uint256[8] memory deltas,
        uint64 memberCapNano,
        uint64 supplierCapNano
    ) external {
        _applyTo(old, deltas, memberCapNano, supplierCapNano);
    }

    function _applyTo(
        uint256[8] memory old,
        uint256[8] memory deltas,
        uint64 memberCapNano,
        uint64 supplierCapNano
    ) private {
        uint256[] memory words = new uint256[](WORDS);
        for (uint256 i = 0; i < WORDS; ++i) {
            words[i] = deltas[i];
            lanes.setWord(i, old[i]);
        }
        lanes.applyRun(words, memberCapNano, supplierCapNano);
    }

    /// @dev The three tests of {LaneBalances}, over words.
    function _passes(
        uint256[8] memory old,
        uint256[8] memory deltas,
        uint64 memberCapNano,
        uint64 supplierCapNano
    ) private pure returns (bool) {
        uint256 member = _least(memberCapNano, Plain.BALANCE_NANO_MAX);
        uint256 supplier = _least(supplierCapNano, Plain.BALANCE_NANO_MAX);
        uint256 ceiling = DeltaWords.BIAS + DeltaWords.ONES * member;
        uint256 seen;
        uint256 sum;
        uint256 within = type(uint256).max;
        for (uint256 i = 0; i < WORDS; ++i) {
            seen |= _plus(old[i], deltas[i]);
            sum = _plus(sum, deltas[i]);
            within &= i > 0
                ? _plus(deltas[i], ceiling)
                : _plus(
                    deltas[i],
                    DeltaWords.BIAS + supplier + (supplier << 64) + (member << 128) + (member << 192)
                );
        }
        int256 sumNano = DeltaWords.lane(sum, 0) + DeltaWords.lane(sum, 1) + DeltaWords.lane(sum, 2)
            + DeltaWords.lane(sum, 3);
        bool bounded =
            _and(seen & ABOVE_MAX == 0, within & DeltaWords.BIAS == DeltaWords.BIAS);
        return _and(bounded, sumNano == 0);
    }

    function _onlyMoved(uint256 old, uint256 account, int256 deltaNano) private view {
        for (uint256 a = 0; a < 4; ++a) {
            int256 expectedNano =
                int256(Plain.balance(old, a)) + (a == account ? deltaNano : int256(0));
            assert(int256(lanes.get(a)) == expectedNano);
        }
    }

    function _plus(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            return a + b;
        }
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    /// @dev `&&` would split every path in two.
    function _and(bool a, bool b) private pure returns (bool both) {
        assembly {
            both := and(a, b)
        }
    }

    function _assumeWithin(int256 x, int256 limit) private pure {
        vm.assume(_and(x > -limit, x < limit));
    }
}
