// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../contracts/interfaces/IEnergyMarket.sol";
import {Plain} from "./Plain.sol";
import {MarketWorld} from "./MarketWorld.sol";

/// @notice Proposals, runs and what they may not be.
contract MarketSettlementTest is MarketWorld {
    uint64 private constant MICRO = 100_000_000;

    function setUp() public {
        foundPlain();
        for (uint32 a = 0; a < ACCOUNTS; ++a) {
            give(a, MICRO);
        }
        vm.warp(FIRST + PERIOD_S);
    }

    /* THE STATE MACHINE */

    function test_a_period_is_proposed_disputed_and_final() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        vm.expectEmit(address(market));
        emit IEnergyMarket.Proposed(
            FIRST,
            0,
            run.proposal.cutoffAt,
            run.proposal.statementsRoot,
            windowsHash(run),
            Plain.root(run.deltas)
        );
        propose(run);
        assertTrue(market.commitmentOf(FIRST, 0) == commitment(run), "commitment");
        IEnergyMarket.Pending memory pending = market.pending();
        assertTrue(pending.state == IEnergyMarket.PendingState.proposed, "proposed");
        assertEq(pending.periodStart, FIRST, "period");
        assertEq(pending.proposedAt, nowS(), "since");
        assertEq(market.finalRuns(FIRST), 0, "not final");

        uint256 disputeEndsAt = nowS() + DISPUTE_S;
        vm.warp(disputeEndsAt - 1);
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_DisputeOpen.selector, disputeEndsAt)
        );
        finalize(run);
        vm.warp(disputeEndsAt);
        vm.expectEmit(address(market));
        emit IEnergyMarket.Finalized(FIRST, 0);
        vm.prank(stranger);
        finalize(run);
        assertEq(market.balanceOf(2), 100_000_000_000 - 5_000, "payer");
        assertEq(market.balanceOf(3), 100_000_000_000 + 5_000, "payee");
        assertEq(market.nextPeriodStart(), FIRST + PERIOD_S, "next");
        assertEq(market.finalRuns(FIRST), 1, "final");

        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotPending.selector, FIRST, 0));
        finalize(run);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotNextPeriod.selector, FIRST, FIRST + PERIOD_S
            )
        );
        propose(run);
    }

    function test_a_lapsed_proposal_is_made_again_first() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        propose(run);
        uint256 lapsesAt = nowS() + DISPUTE_S + FINALIZE_S;
        vm.warp(lapsesAt);
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ProposalPending.selector, FIRST, 0)
        );
        propose(run);
        vm.warp(lapsesAt + 1);
        assertTrue(market.pending().state == IEnergyMarket.PendingState.lapsed, "lapsed");
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_Lapsed.selector, FIRST, 0, lapsesAt)
        );
        finalize(run);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotPending.selector, FIRST, 0));
        vm.prank(operator);
        market.cancel();

        vm.warp(FIRST + 2 * PERIOD_S);
        Run memory other = transferRun(FIRST + PERIOD_S, 0, 2, 3, 1);
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_MustBeMadeAgain.selector, FIRST, 0)
        );
        propose(other);
        vm.expectEmit(address(market));
        emit IEnergyMarket.ProposalLapsed(FIRST, 0);
        proposeAndFinalize(run);
    }

    function test_the_operator_cancels_and_makes_again() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotPending.selector, 0, 0));
        vm.prank(operator);
        market.cancel();
        propose(run);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotOperator.selector, stranger));
        vm.prank(stranger);
        market.cancel();
        vm.prank(operator);
        market.cancel();
        assertTrue(market.pending().state == IEnergyMarket.PendingState.cancelled, "cancelled");
        vm.warp(nowS() + DISPUTE_S);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotPending.selector, FIRST, 0));
        finalize(run);
        proposeAndFinalize(transferRun(FIRST, 0, 3, 2, 7));
        assertEq(market.balanceOf(2), 100_000_000_007, "the second one counts");
    }

    function test_nobody_else_proposes_and_no_other_period_or_time_will_do() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotOperator.selector, stranger));
        vm.prank(stranger);
        market.propose(run.proposal, run.prices, run.deltas, run.shorts);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_DisputePeriodIsNotZero.selector, DISPUTE_S
            )
        );
        settle(run);

        run.proposal.periodStart = FIRST + 1;
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_PeriodUnaligned.selector, FIRST + 1)
        );
        propose(run);
        run.proposal.periodStart = FIRST + PERIOD_S;
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotNextPeriod.selector, FIRST + PERIOD_S, FIRST
            )
        );
        propose(run);
        run.proposal.periodStart = FIRST;
        run.proposal.run = 1;
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotNextRun.selector, FIRST, 1, 0));
        propose(run);

        run.proposal.run = 0;
        run.proposal.cutoffAt = FIRST + PERIOD_S - 1;
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_CutoffOutOfRange.selector,
                FIRST + PERIOD_S - 1,
                FIRST + PERIOD_S,
                nowS()
            )
        );
        propose(run);
        run.proposal.cutoffAt = uint64(nowS()) + 1;
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_CutoffOutOfRange.selector,
                nowS() + 1,
                FIRST + PERIOD_S,
                nowS()
            )
        );
        propose(run);
        vm.warp(FIRST + PERIOD_S - 1);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_PeriodNotEnded.selector, FIRST, FIRST + PERIOD_S
            )
        );
        propose(run);
    }

    /* REVISIONS */

    function test_revisions_follow_one_by_one_at_most_one_a_period_length() public {
        proposeAndFinalize(transferRun(FIRST, 0, 2, 3, 5_000));
        Run memory first = transferRun(FIRST, 1, 3, 2, 2_000);
        proposeAndFinalize(first);
        uint256 appliedAt = nowS();
        assertEq(market.finalRuns(FIRST), 2, "final runs");
        assertEq(market.lastRevisionAt(), appliedAt, "applied at");

        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotNextRun.selector, FIRST, 1, 2));
        propose(first);
        Run memory second = transferRun(FIRST, 2, 3, 2, 1);
        vm.warp(appliedAt + PERIOD_S - 1);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_RevisionTooSoon.selector, appliedAt + PERIOD_S
            )
        );
        propose(second);
        // Run 0 of the next period does not wait for it.
        vm.warp(FIRST + 2 * PERIOD_S);
        proposeAndFinalize(transferRun(FIRST + PERIOD_S, 0, 2, 3, 1));
        vm.warp(appliedAt + PERIOD_S + DISPUTE_S);
        proposeAndFinalize(second);
        assertEq(market.balanceOf(2), 100_000_000_000 - 5_000 + 2_000 - 1 + 1, "sum of runs");
    }

    function test_a_revision_may_take_twice_the_cap() public {
        proposeAndFinalize(transferRun(FIRST, 0, 2, 3, int256(CAP_NANO)));
        proposeAndFinalize(transferRun(FIRST, 1, 3, 2, int256(2 * CAP_NANO)));
        assertEq(market.balanceOf(2), 100_000_000_000 + CAP_NANO, "there and twice back");
    }

    /* WHAT A RUN MAY NOT DO */

    function test_no_account_pays_above_its_cap() public {
        _failsToFinalize(
            transferRun(FIRST, 0, 2, 3, int256(CAP_NANO) + 1),
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_AboveDebitCap.selector, 2, CAP_NANO + 1, CAP_NANO
            )
        );
        int256 nano = int256(uint256(SUPPLIER_CAP_NANO)) + 1;
        _failsToFinalize(
            transferRun(FIRST, 0, 0, 3, nano),
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_AboveDebitCap.selector,
                0,
                uint256(nano),
                SUPPLIER_CAP_NANO
            )
        );
    }

    function test_no_account_goes_below_zero() public {
        vm.prank(operator);
        market.enrol(ACCOUNTS, stranger);
        _failsToFinalize(
            transferRun(FIRST, 0, ACCOUNTS, 3, 1),
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_Overdrawn.selector, ACCOUNTS, 1, 0)
        );
    }

    function test_a_run_sums_to_zero() public {
        int256[] memory deltasNano = new int256[](ACCOUNTS);
        (deltasNano[2], deltasNano[3]) = (-5, 6);
        _failsToFinalize(
            runOf(FIRST, 0, deltasNano),
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_Unbalanced.selector, int256(1))
        );
    }

    function testFuzz_only_what_was_proposed_is_applied(uint256 part, uint256 flip) public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        propose(run);
        vm.warp(nowS() + DISPUTE_S);
        Run memory changed = run;
        uint256 bit = 1 << bound(flip, 0, 254);
        part = part % 4;
        if (part == 0) changed.deltas[bound(flip, 0, 1)] ^= bit;
        if (part == 1) changed.prices[bound(flip, 0, 1)] ^= bit;
        if (part == 2) changed.proposal.statementsRoot ^= bytes32(bit);
        if (part == 3) changed.proposal.cutoffAt ^= uint64(1 << bound(flip, 0, 63));
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_WrongCommitment.selector,
                commitment(changed),
                market.commitmentOf(FIRST, 0)
            )
        );
        finalize(changed);
    }

    /// @dev A root says nothing about zero words at its end. They move nothing either.
    function test_zero_words_more_or_less_change_nothing() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        propose(run);
        vm.warp(nowS() + DISPUTE_S);
        uint256[] memory deltas = new uint256[](8);
        (deltas[0], deltas[1]) = (run.deltas[0], run.deltas[1]);
        run.deltas = deltas;
        uint256[] memory before = balancesNano();
        finalize(run);
        uint256[] memory afterwards = balancesNano();
        (before[2], before[3]) = (before[2] - 5_000, before[3] + 5_000);
        for (uint32 a = 0; a < ACCOUNTS; ++a) {
            assertEq(afterwards[a], before[a], "balance");
        }

        run.deltas = new uint256[](0);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotPending.selector, FIRST, 0));
        finalize(run);
    }

    function test_no_deltas_at_all_match_no_commitment() public {
        Run memory run = runOf(FIRST, 0, new int256[](ACCOUNTS));
        propose(run);
        vm.warp(nowS() + DISPUTE_S);
        run.deltas = new uint256[](0);
        vm.expectPartialRevert(IEnergyMarket.EnergyMarket_WrongCommitment.selector);
        finalize(run);
    }

    function test_deltas_and_prices_have_the_right_number() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        run.deltas = new uint256[](3);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_WrongDeltaCount.selector, 3, 2));
        propose(run);
        run.deltas = new uint256[](2);
        run.deltas[1] = 1 << 192; // lane 3 of word 1: account 7, which is not enrolled
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_UnusedLanes.selector, run.deltas[1], 3
            )
        );
        propose(run);
        run.deltas[1] = 0;
        run.prices = new uint256[](3);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_WrongPriceCount.selector, 3, 2));
        propose(run);
    }

    function testFuzz_a_price_is_the_rules(uint256 localPerKwh, uint256 window) public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        window = bound(window, 0, WINDOWS - 1);
        localPerKwh = bound(localPerKwh, 0, type(uint160).max);
        if (localPerKwh == MID) ++localPerKwh;
        run.prices[window] = pricesOf(localPerKwh)[0];
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_PriceOutOfBounds.selector, window, localPerKwh, MID, MID
            )
        );
        propose(run);

        uint256 word = pricesOf(MID)[0] ^ (1 << bound(localPerKwh, 0, 95));
        run.prices = pricesOf(MID);
        run.prices[window] = word;
        uint256 expected = pricesOf(0)[0];
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_WrongTariff.selector, window, word, expected
            )
        );
        propose(run);
    }

    /* SHORTFALLS */

    function test_a_short_account_pays_exactly_what_is_available() public {
        ask(3, MICRO - 2); // leaves two base units
        vm.warp(nowS() + DELAY_S);
        Run memory run = withShort(transferRun(FIRST, 0, 3, 4, 2_000), 3, 9);
        vm.expectEmit(address(market));
        emit IEnergyMarket.Shortfall(FIRST, 0, 3, 9);
        proposeAndFinalize(run);
        assertEq(market.balanceOf(3), uint256(MICRO - 2) * 1_000, "the request is left");
        assertEq(market.withdraw(3), MICRO - 2, "and paid");
        assertEq(market.balanceOf(3), 0, "nothing left");

        vm.warp(FIRST + 2 * PERIOD_S + DELAY_S);
        ask(4, type(uint64).max);
        vm.warp(nowS() + DELAY_S);
        proposeAndFinalize(withShort(transferRun(FIRST + PERIOD_S, 0, 4, 2, 0), 4, 9));
    }

    function test_a_list_of_shortfalls_that_is_wrong_is_refused() public {
        uint256 haveNano = uint256(MICRO) * 1_000;
        Run memory run = transferRun(FIRST, 0, 3, 4, 5);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_ShortTakesNotAll.selector, 3, int256(-5), haveNano
            )
        );
        propose(withShort(run, 3, 1));
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ShortsOutOfOrder.selector, 0, 0));
        propose(withShort(runOf(FIRST, 0, new int256[](ACCOUNTS)), 0, 1));
        refused(
            abi.encodeWithSelector(IEnergyMarket.EnergyMarket_UnknownAccount.selector, ACCOUNTS)
        );
        propose(withShort(runOf(FIRST, 0, new int256[](ACCOUNTS)), ACCOUNTS, 1));
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ZeroShortfall.selector, 3));
        propose(withShort(runOf(FIRST, 0, new int256[](ACCOUNTS)), 3, 0));

        run = transferRun(FIRST, 0, 3, 4, int256(haveNano));
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_ShortsOutOfOrder.selector, 3, 3));
        propose(withShort(withShort(run, 3, 1), 3, 1));
    }

    /* INTERNAL */

    /// @dev Proposed without complaint, refused when applied, and nobody's balance has moved.
    function _failsToFinalize(Run memory run, bytes memory reason) private {
        uint256 state = vm.snapshotState();
        uint256[] memory before = balancesNano();
        propose(run);
        vm.warp(nowS() + DISPUTE_S);
        refused(reason);
        finalize(run);
        uint256[] memory afterwards = balancesNano();
        for (uint32 a = 0; a < afterwards.length; ++a) {
            assertEq(afterwards[a], before[a], "balance");
        }
        vm.revertToState(state);
    }
}

/// @notice The same where the dispute period is 0: published and applied in one transaction.
contract DirectSettlementTest is MarketWorld {
    function setUp() public {
        foundDirect();
        for (uint32 a = 0; a < ACCOUNTS; ++a) {
            give(a, 100_000_000);
        }
        vm.warp(FIRST + PERIOD_S);
    }

    function test_one_transaction_settles_and_only_once() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        settle(run);
        assertEq(market.balanceOf(3), 100_000_005_000, "payee");
        assertTrue(market.commitmentOf(FIRST, 0) == commitment(run), "commitment");
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_NotNextPeriod.selector, FIRST, FIRST + PERIOD_S
            )
        );
        settle(run);
        settle(transferRun(FIRST, 1, 3, 2, 5_000));
        run = transferRun(FIRST, 2, 3, 2, 5_000);
        refused(
            abi.encodeWithSelector(
                IEnergyMarket.EnergyMarket_RevisionTooSoon.selector, nowS() + PERIOD_S
            )
        );
        settle(run);
    }

    function test_only_the_operator_and_only_in_one_step() public {
        Run memory run = transferRun(FIRST, 0, 2, 3, 5_000);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotOperator.selector, stranger));
        vm.prank(stranger);
        market.settle(run.proposal, run.prices, run.deltas, run.shorts);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_DisputePeriodIsZero.selector));
        propose(run);
        refused(abi.encodeWithSelector(IEnergyMarket.EnergyMarket_NotPending.selector, FIRST, 0));
        finalize(run);
    }

    function testFuzz_a_shortfall_is_paid_by_account_0_and_collected_later(uint64 owedNano) public {
        owedNano = uint64(bound(owedNano, 1, 1_000_000_000));
        ask(2, type(uint64).max);
        vm.warp(nowS() + DELAY_S);
        settle(withShort(transferRun(FIRST, 0, 0, 3, int256(uint256(owedNano))), 2, owedNano));
        assertEq(market.balanceOf(2), 100_000_000_000, "nothing was available");
        vm.prank(member(2));
        market.requestWithdrawal(2, 0);
        settle(transferRun(FIRST, 1, 2, 0, int256(uint256(owedNano))));
        assertEq(market.balanceOf(0), 100_000_000_000, "account 0 has it back");
        assertEq(market.balanceOf(2), 100_000_000_000 - owedNano, "and the member has paid");
    }
}
