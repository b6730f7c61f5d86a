// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";
import {ChargeBounds} from "./ChargeBounds.sol";

/// @title What is remembered of a charger: three slots.
library Chargers {
    /* TYPES */

    struct State {
        address host; // slot 0; zero: not registered
        uint40 lastWh; // slot 0; at most 10^12 < 2^40
        uint56 creditMicro; // slot 0
        address recordKey; // slot 1
        uint32 powerW; // slot 1; at most 10^7
        bytes32 session; // slot 2; hash of the open session; zero while the charger is free
    }

    /* FUNCTIONS */

    /// @notice The host; refuses chargers that are not registered.
    function known(State storage charger, bytes32 chargerId) internal view returns (address host) {
        host = charger.host;
        if (host == address(0)) revert IChargingEscrow.ChargingEscrow_UnknownCharger(chargerId);
    }

    function requireFree(State storage charger, bytes32 chargerId) internal view {
        if (charger.session != 0) revert IChargingEscrow.ChargingEscrow_ChargerBusy(chargerId);
    }

    function free(State storage charger) internal {
        charger.session = 0;
    }

    function register(
        State storage charger,
        bytes32 chargerId,
        address host,
        address recordKey,
        uint64 powerW,
        uint64 lastWh
    ) internal {
        // Check.
        if (charger.host != address(0)) {
            revert IChargingEscrow.ChargingEscrow_ChargerKnown(chargerId);
        }
        ChargeBounds.requireRegister(lastWh);

        // Effects. The register is at most 10^12, so the cast keeps everything.
        charger.lastWh = uint40(lastWh);
        emit IChargingEscrow.RegisterReset(chargerId, 0, lastWh);
        _set(charger, chargerId, host, recordKey, powerW);
    }

    /// @return creditMicro What the host that is replaced had earned; zero if it stays.
    function change(
        State storage charger,
        bytes32 chargerId,
        address host,
        address recordKey,
        uint64 powerW
    ) internal returns (uint64 creditMicro) {
        if (known(charger, chargerId) != host) {
            creditMicro = charger.creditMicro;
            charger.creditMicro = 0;
        }
        _set(charger, chargerId, host, recordKey, powerW);
    }

    function resetRegister(State storage charger, bytes32 chargerId, uint64 toWh) internal {
        // Check.
        known(charger, chargerId);
        requireFree(charger, chargerId);
        ChargeBounds.requireRegister(toWh);

        // Effects. The register is at most 10^12, so the cast keeps everything.
        uint64 fromWh = charger.lastWh;
        charger.lastWh = uint40(toWh);
        emit IChargingEscrow.RegisterReset(chargerId, fromWh, toWh);
    }

    /// @notice Takes over the register of a closed session, and what it paid, if the session's host is
    /// still the charger's and the sum fits.
    /// @dev The register was compared with its maximum, and the sum is here, so the casts keep everything.
    /// @return credited False: the register is taken over, the payment is not.
    function credit(State storage charger, address host, uint64 paidMicro, uint64 stopWh)
        internal
        returns (bool credited)
    {
        uint256 creditMicro = uint256(charger.creditMicro) + paidMicro;
        credited = charger.host == host && creditMicro <= type(uint56).max;
        charger.lastWh = uint40(stopWh);
        if (credited) charger.creditMicro = uint56(creditMicro);
    }

    /* INTERNAL */

    function _set(
        State storage charger,
        bytes32 chargerId,
        address host,
        address recordKey,
        uint64 powerW
    ) private {
        // Check.
        if (host == address(0) || recordKey == address(0)) {
            revert IChargingEscrow.ChargingEscrow_ZeroAddress();
        }
        ChargeBounds.requirePower(powerW);

        // Effects. The power is at most 10^7, so the cast keeps everything.
        charger.host = host;
        charger.recordKey = recordKey;
        charger.powerW = uint32(powerW);
        emit IChargingEscrow.ChargerRegistered(chargerId, host, recordKey, powerW);
    }
}
