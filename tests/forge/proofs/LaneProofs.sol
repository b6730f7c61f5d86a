// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DeltaWords} from "../../../contracts/libraries/DeltaWords.sol";
import {Forge} from "../Forge.sol";
import {Lanes} from "../Lanes.sol";
import {Plain} from "../Plain.sol";

/// @notice Proofs, by halmos, for all inputs: settling equals plain integers, account by account.
/// @dev In two parts that meet in `_passes`, which is the test of {LaneBalances} written plainly.
///
/// *What the loop computes.* `check_run_*`: six words, from any balances, with any deltas, so that the
/// first word, a full turn of the loop and a word left over all take part. If the test passes, each
/// word becomes `old + d`; if a word makes it fail, the run reverts. `check_cap_*`: with any cap.
///
/// *What that means.* `check_step_*`: the test passes exactly if every account stays within its
/// bounds and its cap and the deltas sum to zero, and then every account has what it had plus its
/// delta. Said of one word more, it is the induction that takes this to 2,048 words.
contract LaneProofs is Forge {
    uint256 private constant ABOVE_MAX = DeltaWords.ONES * (2 ** 64 - 2 ** 51);
    uint256 private constant WORDS = 6;
    uint256 private constant MEMBER_CAP_NANO = 6 * 10 ** 9;
    uint256 private constant SUPPLIER_CAP_NANO = 5 * 10 ** 10;

    Lanes private lanes;

    function setUp() public {
        lanes = new Lanes();
    }

    /* WHAT THE LOOP COMPUTES */

    function check_run_that_passes_adds_every_word(uint256[6] memory old, uint256[6] memory deltas)
        public
    {
        vm.assume(_passes(old, deltas));
        _applyTo(old, deltas);
        for (uint256 i = 0; i < WORDS; ++i) {
            assert(lanes.word(i) == _plus(old[i], deltas[i]));
        }
    }

    function check_run_reverts_for_word_0(uint256 old, uint256 d) public {
        _revertsFor(0, old, d);
    }

    function check_run_reverts_for_word_1(uint256 old, uint256 d) public {
        _revertsFor(1, old, d);
    }

    function check_run_reverts_for_word_2(uint256 old, uint256 d) public {
        _revertsFor(2, old, d);
    }

    function check_run_reverts_for_word_3(uint256 old, uint256 d) public {
        _revertsFor(3, old, d);
    }

    function check_run_reverts_for_word_4(uint256 old, uint256 d) public {
        _revertsFor(4, old, d);
    }

    function check_run_reverts_for_word_5(uint256 old, uint256 d) public {
        _revertsFor(5, old, d);
    }

    /// @dev No product of a cap overflows in {LaneBalances}; `_payHolds` takes it from here, because a
    /// division of 256 bits is hopeless in bits and easy in integers.
    /// @custom:halmos --solver-command "python tests/forge/integers.py"
    function check_cap_products_do_not_overflow(uint256 capNano) public pure {
        vm.assume(capNano <= Plain.BALANCE_NANO_MAX);
        assert(_productsFit(capNano));
    }

    /// @dev Account 0 pays account 1, any amount from any balances.
    function check_cap_of_accounts_0_and_1(uint64 have0, uint64 have1, uint64 nano, uint256 capNano)
        public
    {
        _payHolds(0, have0, have1, nano, 0, capNano);
    }

    function check_cap_of_members(uint64 have2, uint64 have3, uint64 nano, uint256 capNano) public {
        _payHolds(2, have2, have3, nano, capNano, 0);
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
    function _revertsFor(uint256 position, uint256 old, uint256 d) private {
        uint256[6] memory olds;
        uint256[6] memory deltas;
        (olds[position], deltas[position]) = (old, d);
        vm.assume(old & ABOVE_MAX == 0);
        vm.assume(!_passes(olds, deltas));
        try this.applyTo(olds, deltas) {
            assert(false);
        } catch {}
    }

    /// @notice Applies a run to balances.
    function applyTo(uint256[6] memory old, uint256[6] memory deltas) external {
        _applyTo(old, deltas);
    }

    function _applyTo(uint256[6] memory old, uint256[6] memory deltas) private {
        uint256[] memory words = new uint256[](WORDS);
        for (uint256 i = 0; i < WORDS; ++i) {
            words[i] = deltas[i];
            lanes.setWord(i, old[i]);
        }
        lanes.applyRun(words, MEMBER_CAP_NANO, SUPPLIER_CAP_NANO);
    }

    /// @dev The three tests of {LaneBalances}, over words.
    function _passes(uint256[6] memory old, uint256[6] memory deltas) private pure returns (bool) {
        uint256 ceiling = DeltaWords.BIAS + DeltaWords.ONES * MEMBER_CAP_NANO;
        uint256 seen = _plus(old[0], deltas[0]);
        uint256 sum = deltas[0];
        uint256 within =
            _plus(deltas[0], ceiling + (SUPPLIER_CAP_NANO - MEMBER_CAP_NANO) * (1 + 2 ** 64));
        for (uint256 i = 1; i < WORDS; ++i) {
            seen |= _plus(old[i], deltas[i]);
            sum = _plus(sum, deltas[i]);
            within &= _plus(deltas[i], ceiling);
        }
        int256 sumNano;
        unchecked {
            sumNano = DeltaWords.lane(sum, 0) + DeltaWords.lane(sum, 1) + DeltaWords.lane(sum, 2)
                + DeltaWords.lane(sum, 3);
        }
        bool bounded = _and(seen & ABOVE_MAX == 0, within & DeltaWords.BIAS == DeltaWords.BIAS);
        return _and(bounded, sumNano == 0);
    }

    /// @dev One account pays the next: exactly if it has that much, may pay it, and the next has room.
    function _payHolds(
        uint256 from,
        uint64 have,
        uint64 haveNext,
        uint64 nano,
        uint256 memberCapNano,
        uint256 supplierCapNano
    ) private {
        vm.assume(_and(have <= Plain.BALANCE_NANO_MAX, haveNext <= Plain.BALANCE_NANO_MAX));
        vm.assume(nano <= Plain.BALANCE_NANO_MAX);
        // Proved for all caps by check_cap_products_do_not_overflow; a larger one is clipped.
        vm.assume(_or(memberCapNano > Plain.BALANCE_NANO_MAX, _productsFit(memberCapNano)));
        vm.assume(_or(supplierCapNano > Plain.BALANCE_NANO_MAX, _productsFit(supplierCapNano)));
        lanes.setWord(0, _plus(uint256(have) << (64 * from), uint256(haveNext) << (64 * from + 64)));
        uint256[] memory words = new uint256[](1);
        unchecked {
            words[0] = (uint256(nano) << (64 * from + 64)) - (uint256(nano) << (64 * from));
        }
        bool fair = _and(nano <= have, uint256(haveNext) + nano <= Plain.BALANCE_NANO_MAX);
        fair = _and(fair, nano <= (from == 0 ? supplierCapNano : memberCapNano));

        bool settled;
        try lanes.applyRun(words, memberCapNano, supplierCapNano) {
            settled = true;
        } catch {}
        assert(settled == fair);
        if (!settled) return;
        assert(lanes.get(from) == uint256(have) - nano);
        assert(lanes.get(from + 1) == uint256(haveNext) + nano);
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

    /// @dev `&&` would split every path in two.
    function _and(bool a, bool b) private pure returns (bool both) {
        assembly {
            both := and(a, b)
        }
    }

    function _or(bool a, bool b) private pure returns (bool either) {
        assembly {
            either := or(a, b)
        }
    }

    /// @dev As the compiler asks it, of the three products in {LaneBalances}.
    function _productsFit(uint256 capNano) private pure returns (bool) {
        bool ceiling = _productFits(DeltaWords.ONES, capNano);
        bool members = _productFits(capNano, 2 ** 128 + 2 ** 192);
        bool suppliers = _productFits(capNano, 1 + 2 ** 64);
        return _and(ceiling, _and(members, suppliers));
    }

    function _productFits(uint256 a, uint256 b) private pure returns (bool fits) {
        assembly {
            fits := or(iszero(a), eq(b, div(mul(a, b), a)))
        }
    }

    function _assumeWithin(int256 x, int256 limit) private pure {
        vm.assume(_and(x > -limit, x < limit));
    }
}
