// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../../contracts/interfaces/IChargingEscrow.sol";
import {Forge} from "./Forge.sol";
import {MoodyToken} from "./Tokens.sol";

/// @notice An escrow, its registrar, hosts, drivers and chargers; typed data hashed by `abi.encode`.
abstract contract EscrowWorld is Forge {
    uint64 internal constant START = 1_700_000_000;
    uint64 internal constant POWER_W = 22_000;
    uint64 internal constant FIRST_WH = 1_000_000;
    uint64 internal constant REGISTER_WH_MAX = 10 ** 12;
    uint64 internal constant DEPOSIT = 20_000_000;
    uint64 internal constant DAY_S = 86_400;
    uint64 internal constant CLOSABLE_S = 4 * DAY_S;

    string internal constant TARIFF_TYPE =
        "Tariff(uint64 energyPerKwh,uint64 startFee,uint64 timePerHour,uint64 idlePerHour)";
    string internal constant ORDER_TYPE =
        "ChargeOrder(address driver,bytes32 chargerId,uint64 depositMicro,Tariff tariff,uint64 validUntil,uint256 nonce)Tariff(uint64 energyPerKwh,uint64 startFee,uint64 timePerHour,uint64 idlePerHour)";
    string internal constant RECORD_TYPE =
        "ChargeRecord(bytes32 sessionId,uint64 startWh,uint64 stopWh,uint64 startedAt,uint64 stoppedAt,uint64 idleS,bytes32 evidenceHash)";
    string internal constant TOP_UP_TYPE = "TopUp(bytes32 sessionId,uint64 addMicro,uint256 nonce)";

    address internal registrar = address(0xB1);
    address internal stranger = address(0xB2);

    MoodyToken internal token;
    address internal registry;
    IChargingEscrow internal escrow;

    /* THE SITE */

    function found() internal {
        vm.warp(START);
        token = new MoodyToken(6);
        registry = vm.deployCode("MeterRegistry.sol", abi.encode(registrar));
        escrow = IChargingEscrow(
            vm.deployCode("ChargingEscrow.sol", abi.encode(address(token), registry))
        );
    }

    function chargerId(uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode("charger", i));
    }

    function host(uint256 i) internal pure returns (address) {
        return address(uint160(0xA000 + i));
    }

    /// @notice Keys: drivers' from 5000, chargers' from 6000.
    function driverKey(uint256 i) internal pure returns (uint256) {
        return 5_000 + i;
    }

    function recordKey(uint256 i) internal pure returns (uint256) {
        return 6_000 + i;
    }

    function driver(uint256 i) internal pure returns (address) {
        return vm.addr(driverKey(i));
    }

    function register(uint256 i) internal {
        vm.prank(registrar);
        escrow.register(chargerId(i), host(0), vm.addr(recordKey(0)), POWER_W, FIRST_WH);
    }

    function fund(address who, uint256 micro) internal {
        token.mint(who, micro);
        vm.prank(who);
        token.approve(address(escrow), type(uint256).max);
    }

    /* A SESSION */

    function tariff() internal pure returns (IChargingEscrow.Tariff memory) {
        return IChargingEscrow.Tariff({
            energyPerKwh: 450_000, startFee: 350_000, timePerHour: 100_000, idlePerHour: 3_000_000
        });
    }

    function orderOf(uint256 charger, uint256 who, uint64 micro, uint256 nonce)
        internal
        view
        returns (IChargingEscrow.ChargeOrder memory)
    {
        return IChargingEscrow.ChargeOrder({
            driver: driver(who),
            chargerId: chargerId(charger),
            depositMicro: micro,
            tariff: tariff(),
            validUntil: uint64(nowS()) + 100,
            nonce: nonce
        });
    }

    function noPermit() internal pure returns (IChargingEscrow.Permit memory permit) {}

    /// @notice The session that the host opens now with an order.
    function sessionOf(IChargingEscrow.ChargeOrder memory order)
        internal
        view
        returns (IChargingEscrow.Session memory)
    {
        IChargingEscrow.Charger memory charger = escrow.chargerOf(order.chargerId);
        return IChargingEscrow.Session({
            order: order,
            host: charger.host,
            recordKey: charger.recordKey,
            powerW: charger.powerW,
            openedAt: uint64(nowS()),
            depositMicro: order.depositMicro
        });
    }

    function openBy(address by, IChargingEscrow.ChargeOrder memory order, uint256 key)
        internal
        returns (IChargingEscrow.Session memory session)
    {
        session = sessionOf(order);
        bytes memory signature = signed(key, orderHash(order));
        vm.prank(by);
        bytes32 sessionId = escrow.open(order, signature, noPermit());
        assertTrue(sessionId == digest(orderHash(order)), "session id");
    }

    /// @notice 10 kWh in an hour, of which ten minutes are idle.
    function recordOf(IChargingEscrow.Session memory session)
        internal
        view
        returns (IChargingEscrow.ChargeRecord memory)
    {
        uint64 startWh = escrow.chargerOf(session.order.chargerId).lastWh;
        return IChargingEscrow.ChargeRecord({
            sessionId: digest(orderHash(session.order)),
            startWh: startWh,
            stopWh: startWh + 10_000,
            startedAt: session.openedAt,
            stoppedAt: session.openedAt + 3_600,
            idleS: 600,
            evidenceHash: keccak256("evidence")
        });
    }

    function closingOf(
        IChargingEscrow.Session memory session,
        IChargingEscrow.ChargeRecord memory record,
        uint256 key
    ) internal view returns (IChargingEscrow.Closing memory) {
        return IChargingEscrow.Closing({
            session: session, record: record, signature: signed(key, recordHash(record))
        });
    }

    function topUpOf(IChargingEscrow.Session memory session, uint64 micro, uint256 nonce)
        internal
        view
        returns (IChargingEscrow.TopUp memory)
    {
        return IChargingEscrow.TopUp({
            sessionId: digest(orderHash(session.order)), addMicro: micro, nonce: nonce
        });
    }

    /* TYPED DATA, BY THE BOOK */

    function orderHash(IChargingEscrow.ChargeOrder memory order) internal pure returns (bytes32) {
        bytes32 tariffHash = keccak256(abi.encode(keccak256(bytes(TARIFF_TYPE)), order.tariff));
        return keccak256(
            abi.encode(
                keccak256(bytes(ORDER_TYPE)),
                order.driver,
                order.chargerId,
                order.depositMicro,
                tariffHash,
                order.validUntil,
                order.nonce
            )
        );
    }

    function recordHash(IChargingEscrow.ChargeRecord memory record)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(keccak256(bytes(RECORD_TYPE)), record));
    }

    function topUpHash(IChargingEscrow.TopUp memory addition) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(TOP_UP_TYPE)), addition));
    }

    function sessionHash(IChargingEscrow.Session memory session) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                digest(orderHash(session.order)),
                session.host,
                session.recordKey,
                session.powerW,
                session.openedAt,
                session.depositMicro
            )
        );
    }

    function digest(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("Wattledger"),
                keccak256("1"),
                block.chainid,
                address(escrow)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function signed(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest(structHash));
        return abi.encodePacked(r, s, v);
    }

    function permitOf(uint256 who, uint64 micro)
        internal
        view
        returns (IChargingEscrow.Permit memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                driver(who),
                address(escrow),
                uint256(micro),
                token.nonces(driver(who)),
                nowS()
            )
        );
        bytes32 what = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(driverKey(who), what);
        return IChargingEscrow.Permit({deadline: nowS(), signature: abi.encodePacked(r, s, v)});
    }

    /* WHAT A CHARGE COSTS, IN PLAIN WORDS */

    function cost(
        IChargingEscrow.Tariff memory prices,
        uint256 energyWh,
        uint256 timeS,
        uint256 idleS,
        uint256 depositMicro
    ) internal pure returns (uint256) {
        uint256 energy = energyWh * prices.energyPerKwh * 3_600;
        uint256 time = (timeS * prices.timePerHour + idleS * prices.idlePerHour) * 1_000;
        uint256 micro = prices.startFee + (energy + time) / 3_600_000;
        return micro < depositMicro ? micro : depositMicro;
    }
}
