// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IEnergyMarket} from "../interfaces/IEnergyMarket.sol";
import {Tariffs} from "./Tariffs.sol";

/// @title Which tariff is in force when, and how the next one comes.
library TariffHistory {
    using Checkpoints for Checkpoints.Trace208;

    /* TYPES */

    struct History {
        uint128 last; // slot 0; packed: the newest enacted, which is the one that settlements ask for
        uint48 lastStartsAt; // slot 0
        Checkpoints.Trace208 enacted; // all of them, packed, by the start of their first period
        uint128 next; // slot 2; packed, announced
        uint48 nextStartsAt; // slot 2
        uint48 announcedAt; // slot 2; 0: nothing announced
    }

    /* FUNCTIONS */

    /// @notice The packed tariff in force at an instant.
    function at(History storage history, uint64 instant) internal view returns (uint256) {
        if (instant >= history.lastStartsAt) return history.last;
        return history.enacted.upperLookup(uint48(instant)); // below `lastStartsAt`
    }

    function start(History storage history, IEnergyMarket.Tariff memory tariff, uint64 startsAt)
        internal
    {
        _enact(history, Tariffs.pack(tariff), uint48(startsAt)); // checked by {Configs}
    }

    function announce(
        History storage history,
        IEnergyMarket.Tariff calldata next,
        uint64 startsAt,
        uint256 delayS,
        uint256 periodS
    ) internal {
        // Check.
        uint256 earliestAt = block.timestamp + delayS;
        if (startsAt < earliestAt) {
            revert IEnergyMarket.EnergyMarket_TariffTooSoon(startsAt, earliestAt);
        }
        if (startsAt % periodS != 0 || startsAt > type(uint48).max) {
            revert IEnergyMarket.EnergyMarket_TariffUnaligned(startsAt);
        }
        uint48 lastStartsAt = history.lastStartsAt;
        if (startsAt < lastStartsAt) {
            revert IEnergyMarket.EnergyMarket_TariffOutOfOrder(startsAt, lastStartsAt);
        }

        // Effects.
        history.next = Tariffs.pack(next);
        history.nextStartsAt = uint48(startsAt);
        history.announcedAt = uint48(block.timestamp);
        emit IEnergyMarket.TariffAnnounced(next, startsAt);
    }

    /// @param proposedUntil End of the last period that run 0 was ever proposed for.
    function enact(History storage history, uint256 delayS, uint256 proposedUntil) internal {
        // Check.
        uint256 announcedAt = history.announcedAt;
        if (announcedAt == 0) revert IEnergyMarket.EnergyMarket_NothingAnnounced();
        uint256 earliestAt = announcedAt + delayS;
        if (block.timestamp < earliestAt) revert IEnergyMarket.EnergyMarket_TooEarly(earliestAt);
        uint48 startsAt = history.nextStartsAt;
        if (startsAt < proposedUntil) {
            revert IEnergyMarket.EnergyMarket_TariffTooLate(startsAt, proposedUntil);
        }

        // Effects.
        uint128 next = history.next;
        history.next = 0;
        history.nextStartsAt = 0;
        history.announcedAt = 0;
        _enact(history, next, startsAt);
    }

    /* INTERNAL */

    function _enact(History storage history, uint128 packed, uint48 startsAt) private {
        history.last = packed;
        history.lastStartsAt = startsAt;
        history.enacted.push(startsAt, packed);
        emit IEnergyMarket.TariffEnacted(Tariffs.unpack(packed), startsAt);
    }
}
