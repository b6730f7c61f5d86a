// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../../contracts/interfaces/IChargingEscrow.sol";
import {EscrowWorld} from "./EscrowWorld.sol";
import {MoodyToken} from "./Tokens.sol";

/// @notice What the escrow has to remember, in the plainest words, and whose every token unit is.
abstract contract EscrowModel is EscrowWorld {
    uint256 internal constant CHARGERS = 4;
    uint256 internal constant DRIVERS = 3;
    uint256 internal constant HOSTS = 2;

    struct Mine {
        address host; // zero: not registered
        uint256 key;
        uint64 powerW;
        uint64 lastWh;
        uint256 creditMicro;
        bool open;
    }

    Mine[CHARGERS] internal mine;
    IChargingEscrow.Session[CHARGERS] internal sessions; // of a charger, now or before
    mapping(address who => uint256) internal owedMicro;
    mapping(address who => uint256) internal walletMicro;
    mapping(address who => mapping(uint256 nonce => bool)) internal used;
    mapping(address host => bool) internal delegated; // to the stranger
    address[] internal people;
    uint256 internal donatedMicro;
    uint256 internal nextNonce = 1;

    /// @notice How often what happened: open, topUp, close, owed, cancel, reclaim, payHost, claim,
    /// claimTo, skipped, changed under an open session.
    uint256[11] public happened;

    constructor() {
        found();
        for (uint256 i = 0; i < DRIVERS; ++i) {
            people.push(driver(i));
            vm.prank(driver(i));
            token.approve(address(escrow), type(uint256).max);
        }
        for (uint256 i = 0; i < HOSTS; ++i) {
            people.push(host(i));
        }
        people.push(stranger);
    }

    /* WHAT MUST HOLD */

    function requireSame() public view {
        uint256 sumMicro = donatedMicro;
        for (uint256 i = 0; i < CHARGERS; ++i) {
            IChargingEscrow.Charger memory charger = escrow.chargerOf(chargerId(i));
            assertTrue(charger.host == mine[i].host, "host");
            assertEq(charger.creditMicro, mine[i].creditMicro, "credit");
            assertEq(charger.lastWh, mine[i].lastWh, "register");
            bytes32 expected = mine[i].open ? sessionHash(sessions[i]) : bytes32(0);
            assertTrue(charger.session == expected, "session");
            sumMicro += mine[i].creditMicro;
            if (mine[i].open) sumMicro += sessions[i].depositMicro;
        }
        for (uint256 i = 0; i < people.length; ++i) {
            assertEq(escrow.claimableOf(people[i]), owedMicro[people[i]], "owed");
            assertEq(token.balanceOf(people[i]), walletMicro[people[i]], "wallet");
            sumMicro += owedMicro[people[i]];
        }
        assertEq(token.balanceOf(address(escrow)), sumMicro, "no unit more, and none less");
    }

    /// @notice Whatever happened: everything that is open can be ended now, by the host alone and
    /// without it, and then everybody has everything and nothing is left.
    function requireAllEnd() public {
        for (uint256 way = 0; way < 2; ++way) {
            uint256 state = vm.snapshotState();
            for (uint256 i = 0; i < CHARGERS; ++i) {
                if (mine[i].open) _end(i, way == 0);
            }
            for (uint256 i = 0; i < CHARGERS; ++i) {
                if (escrow.chargerOf(chargerId(i)).creditMicro > 0) escrow.payHost(chargerId(i));
            }
            for (uint256 i = 0; i < people.length; ++i) {
                if (escrow.claimableOf(people[i]) > 0) escrow.claim(people[i]);
            }
            assertEq(token.balanceOf(address(escrow)), donatedMicro, "nothing is left");
            vm.revertToState(state);
        }
    }

    function _end(uint256 i, bool byHost) private {
        IChargingEscrow.Session memory session = sessions[i];
        uint256 before = token.balanceOf(session.order.driver);
        uint64 paidMicro;
        if (byHost) {
            vm.prank(mine[i].host);
            escrow.cancel(session);
        } else if (nowS() > session.openedAt + CLOSABLE_S) {
            vm.prank(session.order.driver);
            escrow.reclaim(session);
        } else {
            IChargingEscrow.ChargeRecord memory record = recordOf(session);
            record.stopWh = record.startWh;
            (record.stoppedAt, record.idleS) = (record.startedAt, 0);
            (paidMicro,) = escrow.close(closingOf(session, record, _keyOf(session.recordKey)));
            assertEq(paidMicro, cost(session.order.tariff, 0, 0, 0, session.depositMicro), "paid");
        }
        uint256 afterwards = token.balanceOf(session.order.driver);
        assertEq(afterwards + paidMicro, before + session.depositMicro, "the driver's");
    }

    /* WHAT HAS HAPPENED */

    function _keyOf(address signer) internal pure returns (uint256) {
        return signer == vm.addr(recordKey(0)) ? recordKey(0) : recordKey(1);
    }

    function _pushed(address to, uint256 micro) internal {
        if (micro == 0) return;
        bool refused =
            token.mood() == MoodyToken.Mood.refuses || token.mood() == MoodyToken.Mood.returnsFalse;
        if (refused) {
            owedMicro[to] += micro;
            ++happened[3];
        } else {
            walletMicro[to] += micro;
        }
    }

    /// @dev The register goes on; the session's host is paid where it still is the charger's.
    function _closed(uint256 i, IChargingEscrow.ChargeRecord memory record) internal {
        IChargingEscrow.Session memory session = sessions[i];
        uint256 timeS = record.stoppedAt - record.startedAt - record.idleS;
        uint256 paidMicro = cost(
            session.order.tariff,
            record.stopWh - record.startWh,
            timeS,
            record.idleS,
            session.depositMicro
        );
        if (mine[i].host == session.host) mine[i].creditMicro += paidMicro;
        else owedMicro[session.host] += paidMicro;
        (mine[i].open, mine[i].lastWh) = (false, record.stopWh);
        _pushed(session.order.driver, session.depositMicro - paidMicro);
        ++happened[2];
    }

    /// @dev The rules of a record, one after the other.
    function _mayClose(uint256 i, IChargingEscrow.ChargeRecord memory record)
        internal
        view
        returns (bool)
    {
        IChargingEscrow.Session memory session = sessions[i];
        uint256 opened = session.openedAt;
        if (!mine[i].open || nowS() > opened + CLOSABLE_S) return false;
        if (record.sessionId != digest(orderHash(session.order))) return false;
        if (record.startedAt < opened - 300 || record.stoppedAt < record.startedAt) return false;
        if (record.stoppedAt > nowS() || record.stoppedAt > opened + DAY_S) return false;
        uint256 durationS = record.stoppedAt - record.startedAt;
        if (record.idleS > durationS || record.startWh < mine[i].lastWh) return false;
        if (record.stopWh < record.startWh || record.stopWh > REGISTER_WH_MAX) return false;
        uint256 energyWh = record.stopWh - record.startWh;
        return energyWh <= session.powerW * durationS / 3_600 + 100;
    }
}
