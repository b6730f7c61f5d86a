// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {Forge} from "./Forge.sol";
import {ILanes} from "./ILanes.sol";
import {Plain} from "./Plain.sol";

/// @notice Settlements of 1 to 40 words against one plain number an account.
contract LaneBalancesTest is Forge {
    uint256 private constant MAX_NANO = 2 ** 51 - 1;

    ILanes private lanes;
    uint256 private seed;

    function setUp() public {
        lanes = ILanes(vm.deployCode("Lanes.sol", ""));
    }

    function testFuzz_settling_equals_plain_integers(
        uint256 seed_,
        uint256 wordCount,
        uint256 memberCapNano,
        uint256 supplierCapNano
    ) public {
        seed = seed_;
        uint256 accounts = 4 * bound(wordCount, 1, 40);
        (int256[] memory oldNano, int256[] memory deltasNano) = _balancedRun(accounts);
        if (_next() % 2 == 0) _spoil(oldNano, deltasNano);
        (memberCapNano, supplierCapNano) = (_cap(memberCapNano), _cap(supplierCapNano));

        bytes memory reason = _plainVerdict(oldNano, deltasNano, memberCapNano, supplierCapNano);
        uint256[] memory oldWords = Plain.encode(oldNano);
        for (uint256 i = 0; i < oldWords.length; ++i) {
            lanes.setWord(i, oldWords[i]);
        }
        if (reason.length > 0) vm.expectRevert(reason);
        lanes.applyRun(Plain.encode(deltasNano), memberCapNano, supplierCapNano);

        for (uint256 a = 0; a < accounts; ++a) {
            int256 expectedNano = oldNano[a] + (reason.length > 0 ? int256(0) : deltasNano[a]);
            assertEq(lanes.get(a), uint256(expectedNano), "balance");
        }
        assertEq(lanes.word(oldWords.length), 0, "the word behind the last");
    }

    function testFuzz_any_words_settle_only_if_the_plain_rules_allow(
        uint256[3] memory old,
        uint256[3] memory deltas,
        uint256 capNano
    ) public {
        uint256[] memory words = new uint256[](3);
        int256[] memory oldNano = new int256[](12);
        int256[] memory deltasNano = new int256[](12);
        for (uint256 a = 0; a < 12; ++a) {
            (uint256 i, uint256 k) = (a / 4, a % 4);
            old[i] &= ~(uint256(2 ** 64 - 2 ** 51) << (64 * k));
            oldNano[a] = int256(Plain.balance(old[i], k));
        }
        for (uint256 i = 0; i < 3; ++i) {
            words[i] = deltas[i];
            lanes.setWord(i, old[i]);
        }
        for (uint256 a = 0; a < 12; ++a) {
            deltasNano[a] = lanes.lane(words[a / 4], a % 4);
        }

        vm.expectRevert(_plainVerdict(oldNano, deltasNano, capNano, capNano));
        lanes.applyRun(words, capNano, capNano);
    }

    function testFuzz_credit_and_debit_move_one_account(uint256 old, uint256 account, uint256 nano)
        public
    {
        account = bound(account, 0, 8_191);
        uint256 k = account % 4;
        for (uint256 i = 0; i < 4; ++i) {
            old &= ~(uint256(2 ** 64 - 2 ** 51) << (64 * i));
        }
        lanes.setWord(account / 4, old);
        nano = bound(nano, 0, MAX_NANO - Plain.balance(old, k));

        lanes.credit(account, nano);
        assertEq(lanes.get(account), Plain.balance(old, k) + nano, "after the credit");
        lanes.debit(account, nano);
        assertEq(lanes.word(account / 4), old, "there and back");
    }

    /// @dev Lane sums above 2^64 would wrap around and make money: a cap at 2^63 would not do.
    function test_a_lane_sum_that_wraps_around_is_refused() public {
        uint256[] memory deltas = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            deltas[i] = 2 ** 62;
        }
        vm.expectRevert(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_BalanceTooLarge.selector, 0, 2 ** 62, MAX_NANO
            )
        );
        lanes.applyRun(deltas, MAX_NANO, MAX_NANO);
    }

    /* INTERNAL */

    /// @dev Balances in bounds and deltas that everybody can pay and that sum to zero: mostly.
    function _balancedRun(uint256 accounts)
        private
        returns (int256[] memory oldNano, int256[] memory deltasNano)
    {
        oldNano = new int256[](accounts);
        deltasNano = new int256[](accounts);
        for (uint256 a = 0; a < accounts; ++a) {
            oldNano[a] = int256(_someNano(MAX_NANO));
        }
        for (uint256 a = 1; a < accounts; ++a) {
            // From the account before to this one, or the other way round.
            int256 roomNano = int256(MAX_NANO) - oldNano[a] - deltasNano[a];
            int256 haveNano = oldNano[a - 1] + deltasNano[a - 1];
            uint256 mostNano = uint256(roomNano < haveNano ? roomNano : haveNano);
            int256 nano = int256(_someNano(mostNano));
            deltasNano[a - 1] -= nano;
            deltasNano[a] += nano;
        }
    }

    /// @dev One account gets another delta, mostly just beyond a limit.
    function _spoil(int256[] memory oldNano, int256[] memory deltasNano) private {
        uint256 a = _next() % deltasNano.length;
        uint256 kind = _next() % 5;
        if (kind == 0) deltasNano[a] = -oldNano[a] - 1;
        else if (kind == 1) deltasNano[a] = int256(MAX_NANO) - oldNano[a] + 1;
        else if (kind == 2) deltasNano[a] += 1;
        else if (kind == 3) deltasNano[a] = int256(int64(uint64(_next())));
        else deltasNano[a] = -(2 ** 63);
    }

    /// @dev The rules, one account at a time; empty if the run is right.
    function _plainVerdict(
        int256[] memory oldNano,
        int256[] memory deltasNano,
        uint256 memberCapNano,
        uint256 supplierCapNano
    ) private pure returns (bytes memory) {
        int256 sumNano;
        for (uint256 a = 0; a < deltasNano.length; ++a) {
            int256 newNano = oldNano[a] + deltasNano[a];
            uint256 capNano = a < 2 ? supplierCapNano : memberCapNano;
            if (capNano > MAX_NANO) capNano = MAX_NANO;
            if (newNano > int256(MAX_NANO)) {
                return abi.encodeWithSelector(
                    IEnergyMarket.EnergyMarket_BalanceTooLarge.selector, a, newNano, MAX_NANO
                );
            }
            if (newNano < 0) {
                return abi.encodeWithSelector(
                    IEnergyMarket.EnergyMarket_Overdrawn.selector, a, -deltasNano[a], oldNano[a]
                );
            }
            if (deltasNano[a] < -int256(capNano)) {
                return abi.encodeWithSelector(
                    IEnergyMarket.EnergyMarket_AboveDebitCap.selector, a, -deltasNano[a], capNano
                );
            }
            sumNano += deltasNano[a];
        }
        if (sumNano == 0) return "";
        return abi.encodeWithSelector(IEnergyMarket.EnergyMarket_Unbalanced.selector, sumNano);
    }

    /// @dev Often one of the ends, else anything between.
    function _someNano(uint256 max) private returns (uint256) {
        uint256 kind = _next() % 8;
        if (kind == 0) return 0;
        if (kind == 1) return max;
        if (kind == 2) return max > 0 ? 1 : 0;
        return bound(_next(), 0, max);
    }

    function _cap(uint256 x) private returns (uint256) {
        return _next() % 3 == 0 ? bound(x, 0, MAX_NANO) : bound(x, MAX_NANO - 1, type(uint256).max);
    }

    function _next() private returns (uint256) {
        seed = uint256(keccak256(abi.encode(seed)));
        return seed;
    }
}
