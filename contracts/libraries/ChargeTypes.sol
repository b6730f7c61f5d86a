// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../interfaces/IChargingEscrow.sol";

/// @title Hashes of the escrow's typed data (EIP-712 `hashStruct`), and of an open session.
///
/// @dev ## Why the calldata is hashed as it stands
///
/// These structs have fields of fixed size only, so in calldata each is a row of words, in the order
/// of its declaration, exactly as `abi.encode` writes it: copying a row is encoding it, at a third of
/// the gas. The one difference is a field with bits beyond its type. `abi.encode` refuses it; here it is
/// hashed with these bits. That opens nothing: a session's hash was made of values without such bits,
/// so it does not match; and what the escrow uses of an order, a record or a top-up it reads as a
/// Solidity field, which refuses them. Tests and halmos compare each hash with `abi.encode`.
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

    function hash(IChargingEscrow.ChargeOrder calldata order)
        internal
        pure
        returns (bytes32 structHash)
    {
        (bytes32 orderType, bytes32 tariffType) = (ORDER_TYPEHASH, TARIFF_TYPEHASH);
        assembly ("memory-safe") {
            // Words of an order: driver, chargerId, depositMicro, four of the tariff, validUntil, nonce.
            let free := mload(0x40)
            mstore(free, tariffType)
            calldatacopy(add(free, 0x20), add(order, 0x60), 0x80)
            let tariffHash := keccak256(free, 0xa0)
            mstore(free, orderType)
            calldatacopy(add(free, 0x20), order, 0x60)
            mstore(add(free, 0x80), tariffHash)
            calldatacopy(add(free, 0xa0), add(order, 0xe0), 0x40)
            structHash := keccak256(free, 0xe0)
        }
    }

    function hash(IChargingEscrow.ChargeRecord calldata record)
        internal
        pure
        returns (bytes32 structHash)
    {
        bytes32 recordType = RECORD_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, recordType)
            calldatacopy(add(free, 0x20), record, 0xe0) // seven words
            structHash := keccak256(free, 0x100)
        }
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

    /// @notice The same of a session as it is given.
    function sessionHash(bytes32 sessionId, IChargingEscrow.Session calldata session)
        internal
        pure
        returns (bytes32 hash_)
    {
        assembly ("memory-safe") {
            // Behind the nine words of its order: host, recordKey, powerW, openedAt, depositMicro.
            let free := mload(0x40)
            mstore(free, sessionId)
            calldatacopy(add(free, 0x20), add(session, 0x120), 0xa0)
            hash_ := keccak256(free, 0xc0)
        }
    }
}
