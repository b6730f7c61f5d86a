// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../../contracts/interfaces/IChargingEscrow.sol";
import {EscrowModel} from "./EscrowModel.sol";
import {MoodyToken} from "./Tokens.sol";

/// @notice All that anybody may try, in any order: drivers, hosts, delegates, strangers, the registrar,
/// the clock and a token that misbehaves. Each action predicts from the model whether it takes effect.
contract EscrowHandler is EscrowModel {
    /* SESSIONS */

    function open(uint256 seed, uint64 micro, uint8 wrong) external {
        uint256 i = seed % CHARGERS;
        micro = wrong == 1 ? 0 : uint64(bound(micro, 1, 50_000_000));
        IChargingEscrow.ChargeOrder memory order =
            orderOf(i, (seed >> 8) % DRIVERS, micro, wrong == 2 ? nextNonce - 1 : nextNonce);
        order.tariff = _tariff(seed >> 16);
        if (wrong == 3) order.validUntil = uint64(nowS()) - 1;
        address by = wrong == 4 ? stranger : mine[i].host;
        uint256 key = wrong == 5 ? 77 : driverKey((seed >> 8) % DRIVERS);
        _give(order.driver, micro);
        bool expected = mine[i].host != address(0) && !mine[i].open && micro > 0 && wrong != 3
            && wrong != 5 && !used[order.driver][order.nonce];
        if (wrong == 4) expected = expected && delegated[mine[i].host];
        expected = _feel(uint8(seed >> 32), i) && expected;

        IChargingEscrow.Session memory session = sessionOf(order);
        bytes memory call =
            abi.encodeCall(escrow.open, (order, signed(key, orderHash(order)), noPermit()));
        vm.prank(by);
        (bool done,) = address(escrow).call(call);
        _calm();
        assertTrue(done == expected, "opened exactly if both sides want it and the tokens came");
        if (!done) return;
        (sessions[i], mine[i].open) = (session, true);
        _took(order.driver, order.nonce, micro);
        ++happened[0];
    }

    function topUp(uint256 seed, uint64 micro, uint8 wrong) external {
        uint256 i = seed % CHARGERS;
        IChargingEscrow.Session memory session = sessions[i];
        if (session.host == address(0)) return;
        micro = wrong == 1 ? 0 : uint64(bound(micro, 1, 50_000_000));
        IChargingEscrow.TopUp memory addition =
            topUpOf(session, micro, wrong == 2 ? session.order.nonce : nextNonce);
        if (wrong == 3) addition.sessionId = keccak256("another");
        uint256 key = wrong == 5 ? 77 : _driverKeyOf(session.order.driver);
        _give(session.order.driver, micro);
        bool expected = mine[i].open && micro > 0 && wrong != 3 && wrong != 5
            && !used[session.order.driver][addition.nonce] && nowS() <= session.openedAt + DAY_S;
        expected = _feel(uint8(seed >> 32), i) && expected;
        bytes memory call = abi.encodeCall(
            escrow.topUp, (session, addition, signed(key, topUpHash(addition)), noPermit())
        );
        vm.prank(stranger);
        (bool done,) = address(escrow).call(call);
        _calm();
        assertTrue(done == expected, "topped up exactly if the driver wants it and it is not over");
        if (!done) return;
        sessions[i].depositMicro += micro;
        _took(session.order.driver, addition.nonce, micro);
        ++happened[1];
    }

    function close(uint256 seed, uint8 wrong) external {
        uint256 i = seed % CHARGERS;
        if (sessions[i].host == address(0)) return;
        IChargingEscrow.ChargeRecord memory record = _record(i, seed);
        _spoil(record, wrong, seed >> 64);
        uint256 key = wrong == 1 ? driverKey(0) : _keyOf(sessions[i].recordKey);
        bool expected = _mayClose(i, record) && wrong != 1;
        IChargingEscrow.Closing memory closing = closingOf(sessions[i], record, key);
        if (wrong == 2) (closing.session.depositMicro, expected) = (1, false);
        if (wrong == 3) (closing.session.host, expected) = (stranger, false);
        _feelForPush(uint8(seed >> 32), i);
        vm.prank(stranger);
        (bool done,) = address(escrow).call(abi.encodeCall(escrow.close, (closing)));
        assertTrue(done == expected, "closed exactly if the record is within its bounds");
        if (done) _closed(i, record);
        _calm();
    }

    /// @notice All at once, whether they are open, over, too old or in it twice.
    function closeMany(uint256 seed) external {
        IChargingEscrow.Closing[] memory closings = new IChargingEscrow.Closing[](2 * CHARGERS);
        uint256 count;
        for (uint256 k = 0; k < 2 * CHARGERS; ++k) {
            uint256 i = (k + seed % CHARGERS) % CHARGERS;
            if (sessions[i].host == address(0)) continue;
            IChargingEscrow.ChargeRecord memory record = _record(i, seed);
            if (mine[i].open && nowS() <= sessions[i].openedAt + CLOSABLE_S) {
                if (!_mayClose(i, record)) continue;
            }
            closings[count++] = closingOf(sessions[i], record, _keyOf(sessions[i].recordKey));
        }
        assembly {
            mstore(closings, count)
        }
        _feelForPush(uint8(seed >> 32), seed % CHARGERS);
        escrow.closeMany(closings);
        for (uint256 k = 0; k < count; ++k) {
            uint256 i = _charger(closings[k].session.order.chargerId);
            if (_mayClose(i, closings[k].record)) _closed(i, closings[k].record);
            else ++happened[9];
        }
        _calm();
    }

    function cancel(uint256 seed) external {
        uint256 i = seed % CHARGERS;
        IChargingEscrow.Session memory session = sessions[i];
        if (session.host == address(0)) return;
        address by = people[(seed >> 8) % people.length];
        if ((seed >> 16) % 4 > 0) by = (seed >> 16) % 4 == 1 ? session.host : mine[i].host;
        bool acts = by == session.host || by == mine[i].host;
        if (by == stranger) acts = delegated[session.host] || delegated[mine[i].host];
        _feelForPush(uint8(seed >> 32), i);
        vm.prank(by);
        (bool done,) = address(escrow).call(abi.encodeCall(escrow.cancel, (session)));
        assertTrue(done == (acts && mine[i].open), "cancelled exactly by whom it may be");
        if (done) _refunded(i, 4);
        _calm();
    }

    function reclaim(uint256 seed) external {
        uint256 i = seed % CHARGERS;
        IChargingEscrow.Session memory session = sessions[i];
        if (session.host == address(0)) return;
        address by = session.order.driver;
        if ((seed >> 16) % 4 == 0) by = people[(seed >> 8) % people.length];
        bool expected =
            by == session.order.driver && mine[i].open && nowS() > session.openedAt + CLOSABLE_S;
        _feelForPush(uint8(seed >> 32), i);
        vm.prank(by);
        (bool done,) = address(escrow).call(abi.encodeCall(escrow.reclaim, (session)));
        assertTrue(done == expected, "reclaimed exactly by the driver, after four days");
        if (done) _refunded(i, 5);
        _calm();
    }

    function voidNonce(uint256 seed) external {
        address by = driver(seed % DRIVERS);
        uint256 nonce = (seed >> 8) % (nextNonce + 1);
        vm.prank(by);
        (bool done,) = address(escrow).call(abi.encodeCall(escrow.voidNonce, (nonce)));
        assertTrue(done == !used[by][nonce], "voided once");
        used[by][nonce] = true;
        assertTrue(escrow.isNonceUsed(by, nonce), "used");
    }

    /* PAYING OUT */

    function payHost(uint256 seed) external {
        uint256 i = seed % CHARGERS;
        bool pays = _feelForPush(uint8(seed >> 32), i);
        vm.prank(stranger);
        (bool done,) = address(escrow).call(abi.encodeCall(escrow.payHost, (chargerId(i))));
        _calm();
        assertTrue(done == (pays && mine[i].creditMicro > 0), "paid exactly if there is something");
        if (!done) return;
        walletMicro[mine[i].host] += mine[i].creditMicro;
        mine[i].creditMicro = 0;
        ++happened[6];
    }

    function claim(uint256 seed, bool elsewhere) external {
        address owed = people[(seed >> 8) % people.length];
        address to = elsewhere ? stranger : owed;
        bool pays = _feelForPush(uint8(seed >> 32), seed % CHARGERS);
        vm.prank(elsewhere ? owed : stranger);
        (bool done,) = address(escrow)
            .call(
                elsewhere
                    ? abi.encodeCall(escrow.claimTo, (to))
                    : abi.encodeCall(escrow.claim, (owed))
            );
        _calm();
        assertTrue(done == (pays && owedMicro[owed] > 0), "claimed exactly if something is owed");
        if (!done) return;
        walletMicro[to] += owedMicro[owed];
        owedMicro[owed] = 0;
        ++happened[elsewhere ? 8 : 7];
    }

    function donate(uint32 micro) external {
        token.mint(address(escrow), micro);
        donatedMicro += micro;
    }

    /* CHARGERS AND TIME */

    function register(uint256 seed, bool byRegistrar) external {
        uint256 i = seed % CHARGERS;
        uint256 key = recordKey((seed >> 8) % 2);
        address next = host((seed >> 16) % HOSTS);
        uint64 powerW = uint64(1 + (seed >> 24) % 50_000);
        bool known = mine[i].host != address(0);
        uint64 lastWh = known ? mine[i].lastWh : uint64((seed >> 48) % 10 ** 10);
        vm.prank(byRegistrar ? registrar : next);
        (bool done,) = address(escrow)
            .call(
                known
                    ? abi.encodeCall(escrow.change, (chargerId(i), next, vm.addr(key), powerW))
                    : abi.encodeCall(
                        escrow.register, (chargerId(i), next, vm.addr(key), powerW, lastWh)
                    )
            );
        assertTrue(done == byRegistrar, "only the registrar");
        if (!done) return;
        if (known && mine[i].host != next) {
            owedMicro[mine[i].host] += mine[i].creditMicro;
            mine[i].creditMicro = 0;
        }
        if (mine[i].open) ++happened[10];
        (mine[i].host, mine[i].key, mine[i].powerW) = (next, key, powerW);
        mine[i].lastWh = lastWh;
    }

    function reset(uint256 seed, uint64 toWh) external {
        uint256 i = seed % CHARGERS;
        toWh = uint64(bound(toWh, 0, REGISTER_WH_MAX + 1));
        bool expected = mine[i].host != address(0) && !mine[i].open && toWh <= REGISTER_WH_MAX;
        vm.prank(registrar);
        (bool done,) =
            address(escrow).call(abi.encodeCall(escrow.resetRegister, (chargerId(i), toWh)));
        assertTrue(done == expected, "reset exactly while it is free");
        if (done) mine[i].lastWh = toWh;
    }

    function delegate(uint256 seed, bool allowed) external {
        address by = host(seed % HOSTS);
        vm.prank(by);
        escrow.setDelegate(stranger, allowed);
        delegated[by] = allowed;
    }

    /// @notice A while, or to around an instant that matters to a session.
    function wait(uint256 seed) external {
        uint256 i = seed % CHARGERS;
        uint256 to = nowS() + (seed >> 8) % 7_200;
        uint256 opened = sessions[i].openedAt;
        uint256 jitterS = (seed >> 32) % 3;
        if ((seed >> 24) % 4 == 0) to = opened + DAY_S - 1 + jitterS;
        if ((seed >> 24) % 4 == 1) to = opened + CLOSABLE_S - 1 + jitterS;
        if (to > nowS()) vm.warp(to);
    }

    /* INTERNAL */

    function _tariff(uint256 seed) private pure returns (IChargingEscrow.Tariff memory) {
        return IChargingEscrow.Tariff({
            energyPerKwh: uint64(seed % 1_000_000),
            startFee: uint64((seed >> 24) % 1_000_000),
            timePerHour: uint64((seed >> 48) % 1_000_000),
            idlePerHour: uint64((seed >> 72) % 5_000_000)
        });
    }

    /// @dev Within all bounds, if the session is open and not over.
    function _record(uint256 i, uint256 seed)
        private
        view
        returns (IChargingEscrow.ChargeRecord memory record)
    {
        IChargingEscrow.Session memory session = sessions[i];
        uint256 startedAt = session.openedAt - seed % 301;
        uint256 latest = session.openedAt + DAY_S < nowS() ? session.openedAt + DAY_S : nowS();
        uint256 durationS = bound(seed >> 16, 0, latest - startedAt);
        uint256 startWh = mine[i].lastWh + (seed >> 40) % 50;
        if (startWh > REGISTER_WH_MAX) startWh = REGISTER_WH_MAX;
        uint256 mostWh = session.powerW * durationS / 3_600 + 100;
        uint256 energyWh = (seed >> 48) % 3 == 0 ? mostWh : bound(seed >> 56, 0, mostWh);
        if (startWh + energyWh > REGISTER_WH_MAX) energyWh = REGISTER_WH_MAX - startWh;
        record.sessionId = digest(orderHash(session.order));
        (record.startWh, record.stopWh) = (uint64(startWh), uint64(startWh + energyWh));
        record.startedAt = uint64(startedAt);
        record.stoppedAt = uint64(startedAt + durationS);
        record.idleS = uint64(bound(seed >> 80, 0, durationS));
        record.evidenceHash = bytes32(seed);
    }

    /// @dev A little beyond one of the bounds.
    function _spoil(IChargingEscrow.ChargeRecord memory record, uint8 wrong, uint256 by)
        private
        pure
    {
        uint64 off = uint64(1 + by % 3);
        if (wrong == 4) record.startedAt -= 300 + off;
        if (wrong == 5) record.stoppedAt = uint64(START) * 2;
        if (wrong == 6) record.idleS = record.stoppedAt - record.startedAt + off;
        if (wrong == 7 && record.startWh > 60) record.startWh -= 50 + off;
        if (wrong == 8) record.stopWh += uint64(by % 10 ** 13);
        if (wrong == 9) record.sessionId = bytes32(by);
        if (wrong == 10) (record.startWh, record.stopWh) = (record.stopWh, record.startWh);
    }

    function _refunded(uint256 i, uint256 kind) private {
        mine[i].open = false;
        _pushed(sessions[i].order.driver, sessions[i].depositMicro);
        ++happened[kind];
    }

    function _give(address to, uint256 micro) private {
        token.mint(to, micro);
        walletMicro[to] += micro;
    }

    function _took(address from, uint256 nonce, uint256 micro) private {
        walletMicro[from] -= micro;
        used[from][nonce] = true;
        if (nonce == nextNonce) ++nextNonce;
    }

    /// @dev A mood for what comes next.
    /// @return True if a deposit comes as it should.
    function _feel(uint8 mood, uint256 i) private returns (bool) {
        if (mood % 2 == 0) return true;
        token.feel(MoodyToken.Mood(mood % 6));
        if (mood % 5 == 0) _callBack(i);
        return token.mood() == MoodyToken.Mood.plain || token.mood() == MoodyToken.Mood.callsBack;
    }

    /// @return True if tokens go out.
    function _feelForPush(uint8 mood, uint256 i) private returns (bool) {
        if (mood % 4 == 1) token.feel(MoodyToken.Mood.refuses);
        if (mood % 4 == 2) token.feel(MoodyToken.Mood.returnsFalse);
        if (mood % 4 == 3) _callBack(i);
        return mood % 4 == 0 || mood % 4 == 3;
    }

    /// @dev In the middle of a transfer somebody tries to be paid once more.
    function _callBack(uint256 i) private {
        token.callBack(
            address(escrow),
            i % 2 == 0
                ? abi.encodeCall(escrow.payHost, (chargerId(i)))
                : abi.encodeCall(escrow.claim, (sessions[i].order.driver))
        );
    }

    function _calm() private {
        token.feel(MoodyToken.Mood.plain);
    }

    function _charger(bytes32 id) private pure returns (uint256 i) {
        while (chargerId(i) != id) ++i;
    }

    function _driverKeyOf(address who) private pure returns (uint256) {
        for (uint256 i = 0; i < DRIVERS; ++i) {
            if (driver(i) == who) return driverKey(i);
        }
        return 0;
    }
}
