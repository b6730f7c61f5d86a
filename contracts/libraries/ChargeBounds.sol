// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title What a charge record may say, whoever signed it.
/// @dev Everything is computed in 256 bits from values of 64, so nothing overflows; nothing is
/// subtracted that was not compared before.
library ChargeBounds {
    /* CONSTANTS */

    uint256 internal constant SESSION_S_MAX = 1 days; // from the opening to the last stop
    uint256 internal constant CLOSABLE_S = 4 days; // from the opening to the last close
    uint256 internal constant EARLY_S_MAX = 300; // a charger's clock may be behind the chain's
    uint64 internal constant REGISTER_WH_MAX = 10 ** 12;
    uint64 internal constant POWER_W_MAX = 10 ** 7;
    uint256 private constant ENERGY_WH_SLACK = 100; // registers are read in whole Wh, clocks in seconds
    uint256 private constant HOUR_S = 3_600;

    /* FUNCTIONS */

    /// @notice The time must lie in the session's, and in the past.
    /// @return durationS From start to stop; idling is part of it.
    function requireTimes(IChargingEscrow.ChargeRecord memory record, uint64 openedAt)
        internal
        view
        returns (uint64 durationS)
    {
        unchecked {
            (uint64 startedAt, uint64 stoppedAt) = (record.startedAt, record.stoppedAt);
            if (startedAt + EARLY_S_MAX < openedAt) {
                revert IChargingEscrow.ChargingEscrow_StartsBeforeOpening(
                    startedAt, openedAt - EARLY_S_MAX
                );
            }
            if (stoppedAt < startedAt) {
                revert IChargingEscrow.ChargingEscrow_StopsBeforeStart(startedAt, stoppedAt);
            }
            uint256 latest = openedAt + SESSION_S_MAX;
            if (latest > block.timestamp) latest = block.timestamp;
            if (stoppedAt > latest) {
                revert IChargingEscrow.ChargingEscrow_StopsTooLate(stoppedAt, latest);
            }
            durationS = stoppedAt - startedAt;
            if (record.idleS > durationS) {
                revert IChargingEscrow.ChargingEscrow_IdleTooLong(record.idleS, durationS);
            }
        }
    }

    /// @notice The register must go on from where it was, and no faster than the power allows.
    /// @param lastWh The charger's register before.
    /// @param powerW The session's.
    function requireEnergy(
        IChargingEscrow.ChargeRecord memory record,
        uint64 durationS,
        uint64 lastWh,
        uint64 powerW
    ) internal pure returns (uint64 energyWh) {
        unchecked {
            (uint64 startWh, uint64 stopWh) = (record.startWh, record.stopWh);
            if (startWh < lastWh) {
                revert IChargingEscrow.ChargingEscrow_RegisterRanBackwards(lastWh, startWh);
            }
            if (stopWh < startWh) {
                revert IChargingEscrow.ChargingEscrow_RegisterRanBackwards(startWh, stopWh);
            }
            requireRegister(stopWh);
            energyWh = stopWh - startWh;
            uint256 energyWhMax = uint256(powerW) * durationS / HOUR_S + ENERGY_WH_SLACK;
            if (energyWh > energyWhMax) {
                revert IChargingEscrow.ChargingEscrow_MoreThanPower(energyWh, energyWhMax);
            }
        }
    }

    function requireRegister(uint64 registerWh) internal pure {
        if (registerWh > REGISTER_WH_MAX) {
            revert IChargingEscrow.ChargingEscrow_RegisterOutOfRange(registerWh, REGISTER_WH_MAX);
        }
    }

    function requirePower(uint64 powerW) internal pure {
        if (powerW == 0 || powerW > POWER_W_MAX) {
            revert IChargingEscrow.ChargingEscrow_PowerOutOfRange(powerW, POWER_W_MAX);
        }
    }
}
