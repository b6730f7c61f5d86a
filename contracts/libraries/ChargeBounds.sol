// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title What a charge record may say, whoever signed it.
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
    function requireTimes(IChargingEscrow.ChargeRecord calldata record, uint256 openedAt)
        internal
        view
    {
        if (record.startedAt + EARLY_S_MAX < openedAt) {
            revert IChargingEscrow.ChargingEscrow_StartsBeforeOpening(
                record.startedAt, openedAt - EARLY_S_MAX
            );
        }
        if (record.stoppedAt < record.startedAt) {
            revert IChargingEscrow.ChargingEscrow_StopsBeforeStart(
                record.startedAt, record.stoppedAt
            );
        }
        uint256 latest = openedAt + SESSION_S_MAX;
        if (latest > block.timestamp) latest = block.timestamp;
        if (record.stoppedAt > latest) {
            revert IChargingEscrow.ChargingEscrow_StopsTooLate(record.stoppedAt, latest);
        }
        uint64 durationS = record.stoppedAt - record.startedAt;
        if (record.idleS > durationS) {
            revert IChargingEscrow.ChargingEscrow_IdleTooLong(record.idleS, durationS);
        }
    }

    /// @notice The register must go on from where it was, and no faster than the power allows.
    /// @param lastWh The charger's register before.
    /// @param powerW The session's.
    function requireEnergy(
        IChargingEscrow.ChargeRecord calldata record,
        uint64 lastWh,
        uint256 powerW
    ) internal pure {
        if (record.startWh < lastWh) {
            revert IChargingEscrow.ChargingEscrow_RegisterRanBackwards(lastWh, record.startWh);
        }
        if (record.stopWh < record.startWh) {
            revert IChargingEscrow.ChargingEscrow_RegisterRanBackwards(
                record.startWh, record.stopWh
            );
        }
        requireRegister(record.stopWh);
        uint64 energyWh = record.stopWh - record.startWh;
        uint256 durationS = record.stoppedAt - record.startedAt;
        uint256 energyWhMax = powerW * durationS / HOUR_S + ENERGY_WH_SLACK;
        if (energyWh > energyWhMax) {
            revert IChargingEscrow.ChargingEscrow_MoreThanPower(energyWh, energyWhMax);
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
