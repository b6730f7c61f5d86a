// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../../../contracts/interfaces/IChargingEscrow.sol";
import {ChargePrice} from "../../../contracts/libraries/ChargePrice.sol";
import {ChargeTypes} from "../../../contracts/libraries/ChargeTypes.sol";
import {Chargers} from "../../../contracts/libraries/Chargers.sol";
import {UsedNonces} from "../../../contracts/libraries/UsedNonces.sol";
import {Forge} from "../Forge.sol";

/// @notice The escrow's libraries behind external functions, and the same by the book beside them.
contract EscrowParts {
    using Chargers for Chargers.State;
    using UsedNonces for UsedNonces.Bits;

    Chargers.State private _charger;
    UsedNonces.Bits private _nonces;

    /* HASHES */

    function orderHashes(IChargingEscrow.ChargeOrder calldata order)
        external
        pure
        returns (bytes32 given, bytes32 expected)
    {
        bytes32 tariffType = keccak256(
            "Tariff(uint64 energyPerKwh,uint64 startFee,uint64 timePerHour,uint64 idlePerHour)"
        );
        bytes32 orderType = keccak256(
            "ChargeOrder(address driver,bytes32 chargerId,uint64 depositMicro,Tariff tariff,uint64 validUntil,uint256 nonce)Tariff(uint64 energyPerKwh,uint64 startFee,uint64 timePerHour,uint64 idlePerHour)"
        );
        given = ChargeTypes.hash(order);
        expected = keccak256(
            abi.encode(
                orderType,
                order.driver,
                order.chargerId,
                order.depositMicro,
                keccak256(abi.encode(tariffType, order.tariff)),
                order.validUntil,
                order.nonce
            )
        );
    }

    function recordHashes(IChargingEscrow.ChargeRecord calldata record)
        external
        pure
        returns (bytes32 given, bytes32 expected)
    {
        bytes32 recordType = keccak256(
            "ChargeRecord(bytes32 sessionId,uint64 startWh,uint64 stopWh,uint64 startedAt,uint64 stoppedAt,uint64 idleS,bytes32 evidenceHash)"
        );
        given = ChargeTypes.hash(record);
        expected = keccak256(abi.encode(recordType, record));
    }

    function sessionHashes(bytes32 sessionId, IChargingEscrow.Session calldata session)
        external
        pure
        returns (bytes32 given, bytes32 opened, bytes32 expected)
    {
        given = ChargeTypes.sessionHash(sessionId, session);
        opened = ChargeTypes.sessionHash(
            sessionId,
            session.host,
            session.recordKey,
            session.powerW,
            session.openedAt,
            session.depositMicro
        );
        expected = keccak256(
            abi.encode(
                sessionId,
                session.host,
                session.recordKey,
                session.powerW,
                session.openedAt,
                session.depositMicro
            )
        );
    }

    /* MONEY */

    function costMicro(
        IChargingEscrow.Tariff calldata tariff,
        uint64 energyWh,
        uint64 timeS,
        uint64 idleS,
        uint64 depositMicro
    ) external pure returns (uint64) {
        return ChargePrice.costMicro(tariff, energyWh, timeS, idleS, depositMicro);
    }

    function setCharger(Chargers.State calldata charger) external {
        _charger = charger;
    }

    function credit(address host, uint64 paidMicro, uint64 stopWh) external returns (bool) {
        return _charger.credit(host, paidMicro, stopWh);
    }

    function charger() external view returns (Chargers.State memory) {
        return _charger;
    }

    /* NONCES */

    function use(address driver, uint256 nonce) external {
        _nonces.use(driver, nonce);
    }

    function isUsed(address driver, uint256 nonce) external view returns (bool) {
        return _nonces.isUsed(driver, nonce);
    }
}

/// @notice Proofs, by halmos, for all inputs, of what the escrow is put together from.
contract EscrowProofs is Forge {
    EscrowParts private parts;

    function setUp() public {
        parts = new EscrowParts();
    }

    /* HASHES: COPIED CALLDATA IS ENCODED DATA */

    function check_order_hash_is_that_of_its_encoding(IChargingEscrow.ChargeOrder memory order)
        public
        view
    {
        (bytes32 given, bytes32 expected) = parts.orderHashes(order);
        assert(given == expected);
    }

    function check_record_hash_is_that_of_its_encoding(IChargingEscrow.ChargeRecord memory record)
        public
        view
    {
        (bytes32 given, bytes32 expected) = parts.recordHashes(record);
        assert(given == expected);
    }

    function check_session_hash_is_that_of_its_encoding(
        bytes32 sessionId,
        IChargingEscrow.Session memory session
    ) public view {
        (bytes32 given, bytes32 opened, bytes32 expected) = parts.sessionHashes(sessionId, session);
        assert(given == expected);
        assert(opened == expected);
    }

    /* MONEY: DEPOSIT = PAID + REFUNDED */

    function check_paid_and_refunded_are_the_deposit(
        IChargingEscrow.Tariff memory tariff,
        uint64 energyWh,
        uint64 timeS,
        uint64 idleS,
        uint64 depositMicro
    ) public view {
        uint64 paidMicro = parts.costMicro(tariff, energyWh, timeS, idleS, depositMicro);
        uint64 refundedMicro;
        unchecked {
            refundedMicro = depositMicro - paidMicro; // as the escrow does it
        }
        assert(uint256(paidMicro) + refundedMicro == depositMicro);
    }

    /// @dev Products of numbers below 2^64 stay below 2^128: the bound from which
    /// {ChargePrice-costMicro} argues that nothing overflows.
    function check_price_of_energy_or_time_is_below_2_to_the_128(uint64 quantity, uint64 price)
        public
        pure
    {
        uint256 product;
        unchecked {
            product = uint256(quantity) * price;
        }
        assert(product < 2 ** 128);
    }

    /// @dev And with that, no step of the formula leaves 256 bits: checked arithmetic, no panic.
    function check_cost_formula_never_overflows(
        uint128 energy,
        uint128 time,
        uint128 idling,
        uint64 startFee
    ) public pure {
        uint256 sum = uint256(energy) * 3_600 + (uint256(time) + idling) * 1_000;
        assert(startFee + sum / 3_600_000 < 2 ** 128);
    }

    /* A CHARGER'S SLOT */

    function check_credit_changes_what_it_should_and_loses_nothing(
        Chargers.State memory before,
        address host,
        uint64 paidMicro,
        uint64 stopWh
    ) public {
        vm.assume(stopWh <= 10 ** 12);
        parts.setCharger(before);
        bool credited = parts.credit(host, paidMicro, stopWh);
        Chargers.State memory afterwards = parts.charger();
        uint256 sumMicro = uint256(before.creditMicro) + paidMicro;
        bool fits = sumMicro < 2 ** 56;
        assert(credited == (fits && host == before.host));
        assert(afterwards.creditMicro == (credited ? sumMicro : before.creditMicro));
        assert(afterwards.lastWh == stopWh);
        assert(afterwards.host == before.host);
        assert(afterwards.recordKey == before.recordKey);
        assert(afterwards.powerW == before.powerW);
        assert(afterwards.session == before.session);
    }

    /* NONCES */

    function check_nonce_is_used_once_and_no_other_with_it(
        address driver,
        uint256 nonce,
        address otherDriver,
        uint256 other
    ) public {
        vm.assume(driver != otherDriver || nonce != other);
        parts.use(otherDriver, other);
        assert(!parts.isUsed(driver, nonce));
        parts.use(driver, nonce);
        assert(parts.isUsed(driver, nonce));
        assert(parts.isUsed(otherDriver, other));
        try parts.use(driver, nonce) {
            assert(false);
        } catch {}
    }
}
