// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";

/// @title Whose turn it is: the state machine of periods, runs and the one pending proposal.
/// @dev none -> proposed -> none (finalized); proposed -> cancelled or lapsed -> proposed (made
/// again). `lapsed` is never stored: it follows from the time.
library Periods {
    /* TYPES */

    /// @notice What the community was created with, in seconds.
    struct Schedule {
        uint256 firstPeriodStart;
        uint256 periodS;
        uint256 disputePeriodS;
        uint256 finalizeWithinS;
    }

    /// @notice Where the community stands. Kept in one word, by {pack}. Every instant is below 2^48:
    /// a block time, the start of a period that has ended, or checked by {Configs}.
    struct Progress {
        uint32 accountCount; // 16 bits: at most 8,192
        uint64 nextPeriodStart; // 48 bits; the first period whose run 0 is not final
        uint64 lastRevisionAt; // 48 bits; 0: never
        uint64 periodStart; // 48 bits; of the pending proposal, as the next three
        uint64 proposedAt; // 48 bits
        uint32 run;
        IEnergyMarket.PendingState state; // 8 bits; never `lapsed`
    }

    /* FUNCTIONS */

    /// @notice The one word; see {Progress} for why nothing is cut off.
    function pack(Progress memory progress) internal pure returns (uint256) {
        return uint256(progress.accountCount) | uint256(progress.nextPeriodStart) << 16
            | uint256(progress.lastRevisionAt) << 64 | uint256(progress.periodStart) << 112
            | uint256(progress.proposedAt) << 160 | uint256(progress.run) << 208
            | uint256(progress.state) << 240;
    }

    function unpack(uint256 word) internal pure returns (Progress memory progress) {
        progress.accountCount = uint16(word);
        progress.nextPeriodStart = uint48(word >> 16);
        progress.lastRevisionAt = uint48(word >> 64);
        progress.periodStart = uint48(word >> 112);
        progress.proposedAt = uint48(word >> 160);
        progress.run = uint32(word >> 208);
        progress.state = IEnergyMarket.PendingState(word >> 240);
    }

    /// @notice The state of the pending proposal now.
    function stateNow(Progress memory progress, Schedule memory schedule)
        internal
        view
        returns (IEnergyMarket.PendingState)
    {
        bool late = progress.state == IEnergyMarket.PendingState.proposed
            && block.timestamp > lapsesAt(progress, schedule);
        return late ? IEnergyMarket.PendingState.lapsed : progress.state;
    }

    function lapsesAt(Progress memory progress, Schedule memory schedule)
        internal
        pure
        returns (uint256)
    {
        return progress.proposedAt + schedule.disputePeriodS + schedule.finalizeWithinS;
    }

    /// @notice Whether a period's run 0 is final: it goes period by period, without gaps.
    function isSettled(Progress memory progress, Schedule memory schedule, uint64 periodStart)
        internal
        pure
        returns (bool)
    {
        return periodStart >= schedule.firstPeriodStart && periodStart < progress.nextPeriodStart
            && periodStart % schedule.periodS == 0;
    }

    /// @notice Refuses a proposal whose turn it is not.
    /// @param finalRuns Number of final runs of the proposal's period.
    function requireTurn(
        Progress memory progress,
        Schedule memory schedule,
        IEnergyMarket.Proposal calldata proposal,
        uint32 finalRuns
    ) internal view {
        (uint64 periodStart, uint32 run) = (proposal.periodStart, proposal.run);

        // Check: nothing is pending, and what was cancelled or lapsed comes first.
        IEnergyMarket.PendingState state = stateNow(progress, schedule);
        if (state == IEnergyMarket.PendingState.proposed) {
            revert IEnergyMarket.EnergyMarket_ProposalPending(progress.periodStart, progress.run);
        }
        bool same = periodStart == progress.periodStart && run == progress.run;
        if (state != IEnergyMarket.PendingState.none && !same) {
            revert IEnergyMarket.EnergyMarket_MustBeMadeAgain(progress.periodStart, progress.run);
        }

        // Check: run 0 goes period by period, run n follows run n-1.
        if (periodStart % schedule.periodS != 0) {
            revert IEnergyMarket.EnergyMarket_PeriodUnaligned(periodStart);
        }
        if (run == 0 && periodStart != progress.nextPeriodStart) {
            revert IEnergyMarket.EnergyMarket_NotNextPeriod(periodStart, progress.nextPeriodStart);
        }
        if (run != finalRuns) {
            revert IEnergyMarket.EnergyMarket_NotNextRun(periodStart, run, finalRuns);
        }

        // Check: the period is over, and only readings that were there by now were used.
        uint256 endsAt = periodStart + schedule.periodS;
        if (block.timestamp < endsAt) {
            revert IEnergyMarket.EnergyMarket_PeriodNotEnded(periodStart, endsAt);
        }
        if (proposal.cutoffAt < endsAt || proposal.cutoffAt > block.timestamp) {
            revert IEnergyMarket.EnergyMarket_CutoffOutOfRange(
                proposal.cutoffAt, endsAt, block.timestamp
            );
        }

        // Check: revisions come at most once a period length, so that debit caps mean something.
        uint256 earliestAt = progress.lastRevisionAt + schedule.periodS;
        if (run > 0 && progress.lastRevisionAt > 0 && block.timestamp < earliestAt) {
            revert IEnergyMarket.EnergyMarket_RevisionTooSoon(earliestAt);
        }
    }

    /// @notice Refuses to finalize what is not pending, too early, or too late.
    function requireReady(
        Progress memory progress,
        Schedule memory schedule,
        uint64 periodStart,
        uint32 run
    ) internal view {
        bool waits = progress.state == IEnergyMarket.PendingState.proposed
            && progress.periodStart == periodStart && progress.run == run;
        if (!waits) revert IEnergyMarket.EnergyMarket_NotPending(periodStart, run);

        uint256 disputeEndsAt = progress.proposedAt + schedule.disputePeriodS;
        if (block.timestamp < disputeEndsAt) {
            revert IEnergyMarket.EnergyMarket_DisputeOpen(disputeEndsAt);
        }
        uint256 endsAt = lapsesAt(progress, schedule);
        if (block.timestamp > endsAt) {
            revert IEnergyMarket.EnergyMarket_Lapsed(periodStart, run, endsAt);
        }
    }

    /// @notice Marks a proposal as pending from now on.
    function open(Progress memory progress, uint64 periodStart, uint32 run) internal view {
        progress.periodStart = periodStart; // has ended, so it fits
        progress.run = run;
        progress.proposedAt = uint64(block.timestamp);
        progress.state = IEnergyMarket.PendingState.proposed;
    }

    /// @notice Records that a run is final and nothing pends.
    function close(Progress memory progress, Schedule memory schedule, uint32 run) internal view {
        if (run == 0) {
            progress.nextPeriodStart += uint64(schedule.periodS);
        } else {
            progress.lastRevisionAt = uint64(block.timestamp);
        }
        progress.periodStart = 0;
        progress.run = 0;
        progress.proposedAt = 0;
        progress.state = IEnergyMarket.PendingState.none;
    }
}
