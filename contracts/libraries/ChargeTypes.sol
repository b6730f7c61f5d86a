// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title Hashes of the escrow's typed data (EIP-712 `hashStruct`), and of an open session.
library ChargeTypes {
    /* CONSTANTS */

    bytes32 private constant TARIFF_TYPEHASH = keccak256(
        "Tariff(uint64 energyPerKwh,uint64 startFee,uint64 timePerHour,uint64 idlePerHour)"
    );
    bytes32 private constant ORDER_TYPEHASH = keccak256(
        "ChargeOrder(address driver,bytes32 chargerId,uint64 depositMicro,Tariff tariff,"
        "uint64 validUntil,uint256 nonce)"
        "Tariff(uint64 energyPerKwh,uint64 startFee,uint64 timePerHour,uint64 idlePerHour)"
    );
    bytes32 private constant RECORD_TYPEHASH = keccak256(
        "ChargeRecord(bytes32 sessionId,uint64 startWh,uint64 stopWh,uint64 startedAt,"
        "uint64 stoppedAt,uint64 idleS,bytes32 evidenceHash)"
    );
    bytes32 private constant TOP_UP_TYPEHASH =
        keccak256("TopUp(bytes32 sessionId,uint64 addMicro,uint256 nonce)");

    /* FUNCTIONS */

    function hash(IChargingEscrow.ChargeOrder calldata order) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ORDER_TYPEHASH,
                order.driver,
                order.chargerId,
                order.depositMicro,
                keccak256(abi.encode(TARIFF_TYPEHASH, order.tariff)),
                order.validUntil,
                order.nonce
            )
        );
    }

    function hash(IChargingEscrow.ChargeRecord calldata record) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECORD_TYPEHASH, record));
    }

    function hash(IChargingEscrow.TopUp calldata addition) internal pure returns (bytes32) {
        return keccak256(abi.encode(TOP_UP_TYPEHASH, addition));
    }

    /// @notice What a charger remembers of its open session. The order is in it by its digest.
    function sessionHash(
        bytes32 sessionId,
        address host,
        address recordKey,
        uint64 powerW,
        uint64 openedAt,
        uint64 depositMicro
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(sessionId, host, recordKey, powerW, openedAt, depositMicro));
    }
}
