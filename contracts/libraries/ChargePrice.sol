// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title What a charge costs, by the tariff that its driver signed.
library ChargePrice {
    /* CONSTANTS */

    uint256 private constant HOUR_S = 3_600;
    uint256 private constant WH_PER_KWH = 1_000;

    /* FUNCTIONS */

    /// @notice The cost in micro-tokens, rounded down once, and never more than the deposit.
    /// @dev Nothing overflows: every input is below 2^64, so no product of three is above
    /// 2^64 * 2^64 * 3600 < 2^140, and the sum of four numbers below 2^140 is far below 2^256. The
    /// result is at most the deposit, so it fits into 64 bits.
    /// @param timeS Time without idling.
    function costMicro(
        IChargingEscrow.Tariff calldata tariff,
        uint64 energyWh,
        uint64 timeS,
        uint64 idleS,
        uint64 depositMicro
    ) internal pure returns (uint64) {
        unchecked {
            uint256 energy = uint256(energyWh) * tariff.energyPerKwh * HOUR_S;
            uint256 time =
                (uint256(timeS) * tariff.timePerHour + uint256(idleS) * tariff.idlePerHour)
                    * WH_PER_KWH;
            uint256 cost = tariff.startFee + (energy + time) / (HOUR_S * WH_PER_KWH);
            return cost < depositMicro ? uint64(cost) : depositMicro;
        }
    }
}
