// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../../../contracts/interfaces/IEnergyMarket.sol";
import {Periods} from "../../../contracts/libraries/Periods.sol";
import {Forge} from "../Forge.sol";

/// @notice The state machine behind external functions, with {EnergyMarketState-_finalRuns} beside it.
contract Turns {
    using Periods for Periods.Progress;

    Periods.Schedule private _schedule;
    Periods.Progress private _progress;
    mapping(uint64 periodStart => uint32 count) private _revisions;

    function start(
        Periods.Schedule calldata schedule,
        Periods.Progress calldata progress,
        uint64 periodStart,
        uint32 revisions
    ) external {
        (_schedule, _progress) = (schedule, progress);
        _revisions[periodStart] = revisions;
    }

    /// @notice As `settle`: its turn, then final.
    function settle(IEnergyMarket.Proposal calldata proposal) external {
        Periods.Progress memory progress = _progress;
        progress.requireTurn(_schedule, proposal, finalRuns(proposal.periodStart));
        _close(progress, proposal.periodStart, proposal.run);
    }

    /// @notice As `propose`.
    function propose(IEnergyMarket.Proposal calldata proposal) external {
        Periods.Progress memory progress = _progress;
        progress.requireTurn(_schedule, proposal, finalRuns(proposal.periodStart));
        progress.open(proposal.periodStart, proposal.run);
        _progress = progress;
    }

    /// @notice As `finalize`.
    function finalize(uint64 periodStart, uint32 run) external {
        Periods.Progress memory progress = _progress;
        progress.requireReady(_schedule, periodStart, run);
        _close(progress, periodStart, run);
    }

    function finalRuns(uint64 periodStart) public view returns (uint32) {
        Periods.Progress memory progress = _progress;
        if (!progress.isSettled(_schedule, periodStart)) return 0;
        return 1 + _revisions[periodStart];
    }

    function nextPeriodStart() external view returns (uint64) {
        return _progress.nextPeriodStart;
    }

    function _close(Periods.Progress memory progress, uint64 periodStart, uint32 run) private {
        if (run > 0) _revisions[periodStart] = run;
        progress.close(_schedule, run);
        _progress = progress;
    }
}

/// @notice Proofs, by halmos: wherever a community stands, a run that was applied is not applied again.
contract RunProofs is Forge {
    /// @dev The period's length is a number here, because remainders by an unknown are hard to prove.
    uint256 private constant PERIOD_S = 86_400;

    Turns private turns;

    function setUp() public {
        turns = new Turns();
    }

    function check_settled_run_is_not_settled_again(
        Periods.Progress memory progress,
        IEnergyMarket.Proposal memory proposal,
        uint32 revisions,
        uint64 laterS
    ) public {
        _stand(progress, proposal.periodStart, revisions);
        IEnergyMarket.Proposal memory again = _again(proposal, laterS);
        if (!_done(abi.encodeCall(turns.settle, (proposal)))) return;
        assert(turns.finalRuns(proposal.periodStart) == proposal.run + 1);
        vm.warp(block.timestamp + laterS);
        assert(!_done(abi.encodeCall(turns.settle, (again))));
        assert(!_done(abi.encodeCall(turns.propose, (again))));
        assert(!_done(abi.encodeCall(turns.finalize, (again.periodStart, again.run))));
    }

    function check_finalized_run_is_not_finalized_again(
        Periods.Progress memory progress,
        uint64 periodStart,
        uint32 run,
        uint32 revisions,
        uint64 laterS
    ) public {
        _stand(progress, periodStart, revisions);
        // What pends was proposed when it was its turn.
        vm.assume(progress.periodStart == periodStart && progress.run == run);
        vm.assume(run > 0 || periodStart == progress.nextPeriodStart);
        vm.assume(run == turns.finalRuns(periodStart));
        if (!_done(abi.encodeCall(turns.finalize, (periodStart, run)))) return;
        assert(turns.finalRuns(periodStart) == run + 1);
        vm.warp(block.timestamp + laterS);
        assert(!_done(abi.encodeCall(turns.finalize, (periodStart, run))));
    }

    /// @dev Run 0 moves on by exactly one period; a revision leaves the order of periods alone.
    function check_periods_have_no_gaps(
        Periods.Progress memory progress,
        IEnergyMarket.Proposal memory proposal,
        uint32 revisions
    ) public {
        _stand(progress, proposal.periodStart, revisions);
        if (!_done(abi.encodeCall(turns.settle, (proposal)))) return;
        uint256 next = uint256(progress.nextPeriodStart) + (proposal.run == 0 ? PERIOD_S : 0);
        assert(turns.nextPeriodStart() == next);
        if (proposal.run == 0) assert(proposal.periodStart == progress.nextPeriodStart);
        else assert(proposal.periodStart < progress.nextPeriodStart);
    }

    /* INTERNAL */

    /// @dev Any standing that a community can have: instants below 2^47, far beyond any block time.
    function _stand(Periods.Progress memory progress, uint64 periodStart, uint32 revisions)
        private
    {
        vm.assume(progress.nextPeriodStart < 2 ** 47 && progress.proposedAt < 2 ** 47);
        vm.assume(progress.nextPeriodStart % PERIOD_S == 0);
        vm.assume(revisions < 2 ** 31 && block.timestamp < 2 ** 47);
        turns.start(
            Periods.Schedule({
                firstPeriodStart: 0, periodS: PERIOD_S, disputePeriodS: 600, finalizeWithinS: 3_600
            }),
            progress,
            periodStart,
            revisions
        );
    }

    function _again(IEnergyMarket.Proposal memory proposal, uint64 laterS)
        private
        pure
        returns (IEnergyMarket.Proposal memory again)
    {
        vm.assume(laterS < 2 ** 47);
        again = IEnergyMarket.Proposal({
            periodStart: proposal.periodStart,
            run: proposal.run,
            cutoffAt: proposal.cutoffAt,
            statementsRoot: proposal.statementsRoot,
            totalsHash: proposal.totalsHash
        });
    }

    function _done(bytes memory call) private returns (bool done) {
        (done,) = address(turns).call(call);
    }
}
