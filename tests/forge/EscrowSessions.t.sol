// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChargingEscrow} from "../../contracts/interfaces/IChargingEscrow.sol";
import {EscrowWorld} from "./EscrowWorld.sol";
import {MoodyToken, Wallet} from "./Tokens.sol";

contract NoRegistry {
    address public registrar;
}

/// @notice Sessions from opening to refund, and every reason for which a call is refused.
contract EscrowSessionsTest is EscrowWorld {
    uint64 private constant PAID = 5_433_333;

    function setUp() public {
        found();
        register(0);
        fund(driver(0), 10 * DEPOSIT);
    }

    /* OPENING */

    function testFuzz_a_session_is_its_hash_and_its_deposit(uint64 micro, uint256 nonce) public {
        micro = uint64(bound(micro, 1, type(uint64).max));
        fund(driver(1), micro);
        IChargingEscrow.ChargeOrder memory order = orderOf(0, 1, micro, nonce);
        IChargingEscrow.Session memory session = openBy(host(0), order, driverKey(1));
        assertEq(token.balanceOf(address(escrow)), micro, "deposit");
        assertTrue(escrow.chargerOf(chargerId(0)).session == sessionHash(session), "hash");
        assertTrue(escrow.sessionHashOf(session) == sessionHash(session), "view");
        assertTrue(escrow.sessionIdOf(order) == digest(orderHash(order)), "id");
        assertTrue(escrow.isNonceUsed(driver(1), nonce), "nonce");
        assertTrue(!escrow.isNonceUsed(driver(1), nonce ^ 1), "no other nonce");
    }

    function test_an_opening_is_refused_for_every_reason() public {
        IChargingEscrow.ChargeOrder memory order = orderOf(7, 0, DEPOSIT, 1);
        _refusedOpening(
            host(0),
            order,
            _one(IChargingEscrow.ChargingEscrow_UnknownCharger.selector, uint256(chargerId(7)))
        );
        order = orderOf(0, 0, DEPOSIT, 1);
        _refusedOpening(
            stranger,
            order,
            abi.encodeWithSelector(
                IChargingEscrow.ChargingEscrow_NotHost.selector, chargerId(0), stranger
            )
        );
        order.validUntil = uint64(nowS()) - 1;
        _refusedOpening(
            host(0),
            order,
            _one(IChargingEscrow.ChargingEscrow_OrderExpired.selector, order.validUntil)
        );
        order = orderOf(0, 0, 0, 1);
        _refusedOpening(host(0), order, _none(IChargingEscrow.ChargingEscrow_ZeroDeposit.selector));
        order = orderOf(0, 1, DEPOSIT, 1);
        _refusedOpening(
            host(0),
            order,
            _one(IChargingEscrow.ChargingEscrow_BadSignature.selector, uint160(driver(1)))
        );
        openBy(host(0), orderOf(0, 0, DEPOSIT, 1), driverKey(0));
        order = orderOf(0, 0, DEPOSIT, 2);
        _refusedOpening(
            host(0),
            order,
            _one(IChargingEscrow.ChargingEscrow_ChargerBusy.selector, uint256(chargerId(0)))
        );
        register(1);
        order = orderOf(1, 0, DEPOSIT, 1);
        _refusedOpening(
            host(0),
            order,
            abi.encodeWithSelector(IChargingEscrow.ChargingEscrow_NonceUsed.selector, driver(0), 1)
        );
    }

    function test_a_delegate_opens_and_cancels_until_it_is_dismissed() public {
        vm.prank(host(0));
        escrow.setDelegate(stranger, true);
        assertTrue(escrow.isDelegate(host(0), stranger), "delegate");
        IChargingEscrow.Session memory session =
            openBy(stranger, orderOf(0, 0, DEPOSIT, 1), driverKey(0));
        vm.prank(stranger);
        escrow.cancel(session);
        vm.prank(host(0));
        escrow.setDelegate(stranger, false);
        bytes memory reason = abi.encodeWithSelector(
            IChargingEscrow.ChargingEscrow_NotHost.selector, chargerId(0), stranger
        );
        _refusedOpening(stranger, orderOf(0, 0, DEPOSIT, 2), reason);
    }

    function test_code_at_the_drivers_address_signs_too_and_its_key_still_does() public {
        Wallet wallet = new Wallet();
        vm.etch(driver(0), address(wallet).code);
        IChargingEscrow.ChargeOrder memory order = orderOf(0, 0, DEPOSIT, 1);
        _refusedOpening(
            host(0),
            order,
            99,
            _one(IChargingEscrow.ChargingEscrow_BadSignature.selector, uint160(driver(0)))
        );

        // EIP-7702: the code says no to everything, the key's signature counts.
        IChargingEscrow.Session memory session = openBy(host(0), order, driverKey(0));
        vm.prank(host(0));
        escrow.cancel(session);

        // ERC-1271: the code accepts what is no signature at all.
        order = orderOf(0, 0, DEPOSIT, 2);
        Wallet(driver(0)).accept(digest(orderHash(order)));
        vm.prank(host(0));
        escrow.open(order, "yes", noPermit());
        assertEq(token.balanceOf(address(escrow)), DEPOSIT, "deposit");
    }

    function test_a_permit_is_enough_even_if_somebody_brought_it_before() public {
        for (uint256 i = 0; i < 2; ++i) {
            token.mint(driver(1), DEPOSIT);
            IChargingEscrow.ChargeOrder memory order = orderOf(0, 1, DEPOSIT, i);
            IChargingEscrow.Permit memory permit = permitOf(1, DEPOSIT);
            bytes memory signature = signed(driverKey(1), orderHash(order));
            if (i == 1) _bringToToken(driver(1), permit);
            IChargingEscrow.Session memory session = sessionOf(order);
            vm.prank(host(0));
            escrow.open(order, signature, permit);
            vm.prank(host(0));
            escrow.cancel(session);
        }
        assertEq(token.balanceOf(driver(1)), 2 * DEPOSIT, "all back");
    }

    function test_a_token_that_does_not_bring_exactly_the_deposit_opens_nothing() public {
        IChargingEscrow.ChargeOrder memory order = orderOf(0, 0, DEPOSIT, 1);
        bytes memory signature = signed(driverKey(0), orderHash(order));
        for (uint8 mood = 1; mood < 6; ++mood) {
            token.feel(MoodyToken.Mood(mood));
            vm.prank(host(0));
            (bool done,) =
                address(escrow).call(abi.encodeCall(escrow.open, (order, signature, noPermit())));
            assertTrue(!done, "refused");
        }
        assertEq(token.balanceOf(address(escrow)), 0, "nothing");
        assertTrue(escrow.chargerOf(chargerId(0)).session == 0, "free");
    }

    /* TOPPING UP */

    function test_a_top_up_adds_and_is_refused_for_every_reason() public {
        IChargingEscrow.Session memory session = _opened(1);
        IChargingEscrow.TopUp memory addition = topUpOf(session, 7, 2);
        _topUp(session, addition, driverKey(0), "");
        _topUp(
            session,
            addition,
            driverKey(0),
            _one(IChargingEscrow.ChargingEscrow_NotOpen.selector, uint256(addition.sessionId))
        );
        session.depositMicro += 7;
        _topUp(
            session,
            addition,
            driverKey(0),
            abi.encodeWithSelector(IChargingEscrow.ChargingEscrow_NonceUsed.selector, driver(0), 2)
        );
        addition.nonce = 3;
        _topUp(
            session,
            addition,
            recordKey(0),
            _one(IChargingEscrow.ChargingEscrow_BadSignature.selector, uint160(driver(0)))
        );
        addition.addMicro = 0;
        _topUp(
            session,
            addition,
            driverKey(0),
            _none(IChargingEscrow.ChargingEscrow_ZeroDeposit.selector)
        );
        addition.addMicro = type(uint64).max;
        uint256 sum = uint256(type(uint64).max) + session.depositMicro;
        _topUp(
            session,
            addition,
            driverKey(0),
            _two(IChargingEscrow.ChargingEscrow_DepositTooLarge.selector, sum, type(uint64).max)
        );
        bytes32 id = addition.sessionId;
        addition.sessionId = 0;
        _topUp(
            session,
            addition,
            driverKey(0),
            _two(IChargingEscrow.ChargingEscrow_WrongSession.selector, uint256(id), 0)
        );
        addition = topUpOf(session, 1, 3);
        vm.warp(session.openedAt + DAY_S + 1);
        bytes memory over = _two(
            IChargingEscrow.ChargingEscrow_SessionOver.selector,
            uint256(id),
            session.openedAt + DAY_S
        );
        _topUp(session, addition, driverKey(0), over);
        vm.warp(session.openedAt + DAY_S);
        _topUp(session, addition, driverKey(0), "");
        assertEq(token.balanceOf(address(escrow)), DEPOSIT + 8, "deposits");
    }

    /* CLOSING */

    function test_closing_pays_credits_and_refunds() public {
        IChargingEscrow.Session memory session = _opened(1);
        IChargingEscrow.ChargeRecord memory record = recordOf(session);
        vm.warp(record.stoppedAt);
        uint256 before = token.balanceOf(driver(0));
        vm.expectEmit(address(escrow));
        emit IChargingEscrow.SessionClosed(
            record.sessionId,
            chargerId(0),
            record.startWh,
            record.stopWh,
            PAID,
            DEPOSIT - PAID,
            record.evidenceHash
        );
        (uint64 paid, uint64 refunded) = escrow.close(closingOf(session, record, recordKey(0)));
        assertEq(paid, PAID, "paid");
        assertEq(refunded, DEPOSIT - PAID, "refunded");
        assertEq(token.balanceOf(driver(0)), before + refunded, "to the driver");
        IChargingEscrow.Charger memory charger = escrow.chargerOf(chargerId(0));
        assertEq(charger.creditMicro, PAID, "credit");
        assertEq(charger.lastWh, record.stopWh, "register");
        assertTrue(charger.session == 0, "free");

        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_NotOpen.selector, uint256(record.sessionId))
        );
        escrow.close(closingOf(session, record, recordKey(0)));
        vm.prank(stranger);
        assertEq(escrow.payHost(chargerId(0)), PAID, "paid out");
        assertEq(token.balanceOf(host(0)), PAID, "to the host");
        vm.expectRevert(_none(IChargingEscrow.ChargingEscrow_NothingOwed.selector));
        escrow.payHost(chargerId(0));
    }

    function testFuzz_paid_and_refunded_are_the_deposit(
        IChargingEscrow.Tariff memory prices,
        uint64 micro,
        uint64 energyWh,
        uint64 durationS,
        uint64 idleS
    ) public {
        micro = uint64(bound(micro, 1, type(uint64).max));
        durationS = uint64(bound(durationS, 0, DAY_S));
        idleS = uint64(bound(idleS, 0, durationS));
        energyWh = uint64(bound(energyWh, 0, uint256(POWER_W) * durationS / 3_600 + 100));
        fund(driver(1), micro);
        IChargingEscrow.ChargeOrder memory order = orderOf(0, 1, micro, 0);
        order.tariff = prices;
        IChargingEscrow.Session memory session = openBy(host(0), order, driverKey(1));
        IChargingEscrow.ChargeRecord memory record = recordOf(session);
        record.stopWh = record.startWh + energyWh;
        (record.stoppedAt, record.idleS) = (session.openedAt + durationS, idleS);
        vm.warp(record.stoppedAt);
        (uint64 paid, uint64 refunded) = escrow.close(closingOf(session, record, recordKey(0)));
        assertEq(paid, cost(prices, energyWh, durationS - idleS, idleS, micro), "cost");
        assertEq(uint256(paid) + refunded, micro, "all of it");
        assertEq(token.balanceOf(driver(1)), refunded, "to the driver");
        uint256 keptMicro = escrow.chargerOf(chargerId(0)).creditMicro + escrow.claimableOf(host(0));
        assertEq(keptMicro, paid, "for the host");
    }

    function testFuzz_the_view_says_what_a_charge_costs(
        IChargingEscrow.Tariff memory prices,
        uint64 energyWh,
        uint64 timeS,
        uint64 idleS,
        uint64 micro
    ) public view {
        uint256 expected = cost(prices, energyWh, timeS, idleS, micro);
        assertEq(escrow.costMicro(prices, energyWh, timeS, idleS, micro), expected, "cost");
    }

    function test_a_closing_is_refused_for_every_reason() public {
        IChargingEscrow.Session memory session = _opened(1);
        uint64 opened = session.openedAt;
        vm.warp(opened + 3_600);

        IChargingEscrow.ChargeRecord memory record = recordOf(session);
        bytes32 id = record.sessionId;
        record.sessionId = 0;
        _close(
            session,
            record,
            _two(IChargingEscrow.ChargingEscrow_WrongSession.selector, uint256(id), 0)
        );
        record = recordOf(session);
        bytes memory reason =
            _one(IChargingEscrow.ChargingEscrow_BadSignature.selector, uint160(session.recordKey));
        vm.expectRevert(reason);
        escrow.close(closingOf(session, record, driverKey(0)));
        record.startedAt = opened - 301;
        _close(
            session,
            record,
            _two(
                IChargingEscrow.ChargingEscrow_StartsBeforeOpening.selector,
                opened - 301,
                opened - 300
            )
        );
        (record.startedAt, record.stoppedAt) = (opened + 5, opened + 4);
        _close(
            session,
            record,
            _two(IChargingEscrow.ChargingEscrow_StopsBeforeStart.selector, opened + 5, opened + 4)
        );
        record.stoppedAt = opened + 3_601;
        _close(
            session,
            record,
            _two(
                IChargingEscrow.ChargingEscrow_StopsTooLate.selector, opened + 3_601, opened + 3_600
            )
        );
        record.stoppedAt = opened + 3_600;
        record.idleS = 3_596;
        _close(
            session, record, _two(IChargingEscrow.ChargingEscrow_IdleTooLong.selector, 3_596, 3_595)
        );
        record = recordOf(session);
        record.startWh = FIRST_WH - 1;
        _close(
            session,
            record,
            _two(
                IChargingEscrow.ChargingEscrow_RegisterRanBackwards.selector, FIRST_WH, FIRST_WH - 1
            )
        );
        (record.startWh, record.stopWh) = (FIRST_WH + 1, FIRST_WH);
        _close(
            session,
            record,
            _two(
                IChargingEscrow.ChargingEscrow_RegisterRanBackwards.selector, FIRST_WH + 1, FIRST_WH
            )
        );
        (record.startWh, record.stopWh) = (REGISTER_WH_MAX, REGISTER_WH_MAX + 1);
        _close(
            session,
            record,
            _two(
                IChargingEscrow.ChargingEscrow_RegisterOutOfRange.selector,
                REGISTER_WH_MAX + 1,
                REGISTER_WH_MAX
            )
        );
        (record.startWh, record.stopWh) = (FIRST_WH, FIRST_WH + POWER_W + 101);
        _close(
            session,
            record,
            _two(
                IChargingEscrow.ChargingEscrow_MoreThanPower.selector, POWER_W + 101, POWER_W + 100
            )
        );

        vm.warp(opened + 2 * DAY_S);
        record = recordOf(session);
        record.stoppedAt = opened + DAY_S + 1;
        _close(
            session,
            record,
            _two(
                IChargingEscrow.ChargingEscrow_StopsTooLate.selector,
                opened + DAY_S + 1,
                opened + DAY_S
            )
        );
        vm.warp(opened + CLOSABLE_S + 1);
        _close(
            session,
            recordOf(session),
            _two(IChargingEscrow.ChargingEscrow_TooLate.selector, uint256(id), opened + CLOSABLE_S)
        );
        vm.warp(opened + CLOSABLE_S);
        _close(session, recordOf(session), "");
    }

    function test_a_push_without_gas_is_no_push_at_all() public {
        IChargingEscrow.Session memory session = _opened(1);
        vm.warp(session.openedAt + 3_600);
        IChargingEscrow.Closing memory closing = closingOf(session, recordOf(session), recordKey(0));
        (bool done, bytes memory answer) =
            address(escrow).call{gas: 110_000}(abi.encodeCall(escrow.close, (closing)));
        assertTrue(!done, "refused");
        assertTrue(
            bytes4(answer) == IChargingEscrow.ChargingEscrow_NotEnoughGas.selector, "for its gas"
        );
        escrow.close(closing);
    }

    function test_what_cannot_be_pushed_is_owed() public {
        IChargingEscrow.Session memory session = _opened(1);
        vm.warp(session.openedAt + 3_600);
        token.feel(MoodyToken.Mood.refuses);
        escrow.close(closingOf(session, recordOf(session), recordKey(0)));
        assertEq(escrow.claimableOf(driver(0)), DEPOSIT - PAID, "owed");
        token.feel(MoodyToken.Mood.plain);

        session = _opened(2);
        token.feel(MoodyToken.Mood.returnsFalse);
        vm.prank(host(0));
        escrow.cancel(session);
        assertEq(escrow.claimableOf(driver(0)), 2 * DEPOSIT - PAID, "owed");
        token.feel(MoodyToken.Mood.plain);

        uint256 before = token.balanceOf(driver(0));
        vm.prank(stranger);
        assertEq(escrow.claim(driver(0)), 2 * DEPOSIT - PAID, "claimed");
        assertEq(token.balanceOf(driver(0)), before + 2 * DEPOSIT - PAID, "to the driver");
        vm.expectRevert(_none(IChargingEscrow.ChargingEscrow_NothingOwed.selector));
        escrow.claim(driver(0));
    }

    function test_what_is_owed_goes_where_its_owner_wants() public {
        IChargingEscrow.Session memory session = _opened(1);
        token.feel(MoodyToken.Mood.refuses);
        vm.prank(host(0));
        escrow.cancel(session);
        token.feel(MoodyToken.Mood.plain);
        address[2] memory nowhere = [address(0), address(escrow)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(
                _one(IChargingEscrow.ChargingEscrow_BadRecipient.selector, uint160(nowhere[i]))
            );
            vm.prank(driver(0));
            escrow.claimTo(nowhere[i]);
        }
        vm.expectRevert(_none(IChargingEscrow.ChargingEscrow_NothingOwed.selector));
        vm.prank(stranger);
        escrow.claimTo(stranger);
        vm.prank(driver(0));
        assertEq(escrow.claimTo(address(0xCAFE)), DEPOSIT, "claimed");
        assertEq(token.balanceOf(address(0xCAFE)), DEPOSIT, "there");
    }

    function test_a_batch_skips_what_is_over_and_fails_for_what_is_wrong() public {
        IChargingEscrow.Closing[] memory closings = new IChargingEscrow.Closing[](3);
        IChargingEscrow.Session memory session;
        for (uint256 i = 0; i < 3; ++i) {
            if (i > 0) register(i);
            session = openBy(host(0), orderOf(i, 0, DEPOSIT, i), driverKey(0));
            closings[i] = closingOf(session, recordOf(session), recordKey(0));
        }
        vm.warp(nowS() + 3_600);
        closings[2].signature = "";
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_BadSignature.selector, uint160(session.recordKey))
        );
        escrow.closeMany(closings);
        closings[2] = closings[0];
        vm.expectEmit(address(escrow));
        emit IChargingEscrow.CloseSkipped(closings[0].record.sessionId);
        escrow.closeMany(closings);
        assertEq(token.balanceOf(address(escrow)), DEPOSIT + 2 * PAID, "two are closed");

        closings = new IChargingEscrow.Closing[](65);
        vm.expectRevert(_two(IChargingEscrow.ChargingEscrow_TooManyClosings.selector, 65, 64));
        escrow.closeMany(closings);

        closings = new IChargingEscrow.Closing[](1);
        closings[0] = closingOf(session, recordOf(session), recordKey(0));
        vm.warp(session.openedAt + CLOSABLE_S + 1);
        vm.expectEmit(address(escrow));
        emit IChargingEscrow.CloseSkipped(closings[0].record.sessionId);
        escrow.closeMany(closings);
    }

    /* OTHER ENDS */

    function test_a_session_is_cancelled_or_reclaimed_by_whom_it_may_be() public {
        IChargingEscrow.Session memory session = _opened(1);
        bytes32 id = digest(orderHash(session.order));
        vm.expectRevert(
            abi.encodeWithSelector(
                IChargingEscrow.ChargingEscrow_NotHost.selector, chargerId(0), driver(0)
            )
        );
        vm.prank(driver(0));
        escrow.cancel(session);
        vm.expectRevert(
            abi.encodeWithSelector(
                IChargingEscrow.ChargingEscrow_NotDriver.selector, driver(0), host(0)
            )
        );
        vm.prank(host(0));
        escrow.reclaim(session);
        vm.warp(session.openedAt + CLOSABLE_S);
        vm.expectRevert(
            _two(
                IChargingEscrow.ChargingEscrow_TooEarly.selector,
                uint256(id),
                session.openedAt + CLOSABLE_S + 1
            )
        );
        vm.prank(driver(0));
        escrow.reclaim(session);
        vm.warp(nowS() + 1);
        vm.prank(driver(0));
        escrow.reclaim(session);
        assertEq(token.balanceOf(driver(0)), 10 * DEPOSIT, "everything");
        vm.expectRevert(_one(IChargingEscrow.ChargingEscrow_NotOpen.selector, uint256(id)));
        vm.prank(host(0));
        escrow.cancel(session);
    }

    function test_a_new_host_may_cancel_and_the_old_one_keeps_its_credit() public {
        IChargingEscrow.Session memory session = _opened(1);
        vm.warp(session.openedAt + 3_600);
        escrow.close(closingOf(session, recordOf(session), recordKey(0)));
        session = _opened(2);
        vm.prank(registrar);
        escrow.change(chargerId(0), host(1), vm.addr(recordKey(1)), 1);
        assertEq(escrow.claimableOf(host(0)), PAID, "owed");
        assertEq(escrow.chargerOf(chargerId(0)).creditMicro, 0, "no credit");
        uint256 state = vm.snapshotState();
        vm.prank(host(1));
        escrow.cancel(session);
        vm.revertToState(state);

        vm.warp(session.openedAt + 3_600);
        escrow.close(closingOf(session, recordOf(session), recordKey(0)));
        assertEq(escrow.claimableOf(host(0)), 2 * PAID, "owed");
        assertEq(escrow.chargerOf(chargerId(0)).creditMicro, 0, "not the new host's");
    }

    function test_a_credit_that_does_not_fit_is_owed() public {
        uint64[2] memory micros = [uint64(2 ** 56 - 1), type(uint64).max];
        for (uint256 i = 0; i < 2; ++i) {
            fund(driver(1), micros[i]);
            IChargingEscrow.ChargeOrder memory order = orderOf(0, 1, micros[i], i);
            order.tariff.startFee = type(uint64).max;
            IChargingEscrow.Session memory session = openBy(host(0), order, driverKey(1));
            vm.warp(session.openedAt + 3_600);
            escrow.close(closingOf(session, recordOf(session), recordKey(0)));
        }
        assertEq(escrow.chargerOf(chargerId(0)).creditMicro, 2 ** 56 - 1, "fits");
        assertEq(escrow.claimableOf(host(0)), type(uint64).max, "does not");
        assertEq(escrow.chargerOf(chargerId(0)).lastWh, FIRST_WH + 20_000, "register");
    }

    function test_a_nonce_is_voided_once() public {
        vm.prank(driver(0));
        escrow.voidNonce(5);
        vm.expectRevert(
            abi.encodeWithSelector(IChargingEscrow.ChargingEscrow_NonceUsed.selector, driver(0), 5)
        );
        vm.prank(driver(0));
        escrow.voidNonce(5);
        assertTrue(!escrow.isNonceUsed(stranger, 5), "the caller's own");
    }

    /* CHARGERS */

    function test_what_an_escrow_is_made_of() public {
        assertTrue(escrow.token() == address(token), "token");
        assertTrue(escrow.registry() == registry, "registry");
        address odd = address(new MoodyToken(18));
        vm.expectRevert(_two(IChargingEscrow.ChargingEscrow_WrongDecimals.selector, 18, 6));
        vm.deployCode("ChargingEscrow.sol", abi.encode(odd, registry));
        address none = address(new NoRegistry());
        vm.expectRevert(_none(IChargingEscrow.ChargingEscrow_ZeroAddress.selector));
        vm.deployCode("ChargingEscrow.sol", abi.encode(address(token), none));
    }

    function test_a_registration_is_refused_for_every_reason() public {
        address key = vm.addr(recordKey(0));
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_NotRegistrar.selector, uint160(address(this)))
        );
        escrow.register(chargerId(1), host(0), key, 1, 0);
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_NotRegistrar.selector, uint160(address(this)))
        );
        escrow.change(chargerId(0), host(0), key, 1);
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_NotRegistrar.selector, uint160(address(this)))
        );
        escrow.resetRegister(chargerId(0), 1);

        vm.startPrank(registrar);
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_ChargerKnown.selector, uint256(chargerId(0)))
        );
        escrow.register(chargerId(0), host(0), key, 1, 0);
        vm.expectRevert(_none(IChargingEscrow.ChargingEscrow_ZeroAddress.selector));
        escrow.register(chargerId(1), address(0), key, 1, 0);
        vm.expectRevert(_none(IChargingEscrow.ChargingEscrow_ZeroAddress.selector));
        escrow.change(chargerId(0), host(0), address(0), 1);
        vm.expectRevert(_two(IChargingEscrow.ChargingEscrow_PowerOutOfRange.selector, 0, 10 ** 7));
        escrow.register(chargerId(1), host(0), key, 0, 0);
        vm.expectRevert(
            _two(IChargingEscrow.ChargingEscrow_PowerOutOfRange.selector, 10 ** 7 + 1, 10 ** 7)
        );
        escrow.change(chargerId(0), host(0), key, 10 ** 7 + 1);
        vm.expectRevert(
            _two(
                IChargingEscrow.ChargingEscrow_RegisterOutOfRange.selector,
                REGISTER_WH_MAX + 1,
                REGISTER_WH_MAX
            )
        );
        escrow.register(chargerId(1), host(0), key, 1, REGISTER_WH_MAX + 1);
        vm.expectRevert(
            _two(
                IChargingEscrow.ChargingEscrow_RegisterOutOfRange.selector,
                REGISTER_WH_MAX + 1,
                REGISTER_WH_MAX
            )
        );
        escrow.resetRegister(chargerId(0), REGISTER_WH_MAX + 1);
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_UnknownCharger.selector, uint256(chargerId(1)))
        );
        escrow.change(chargerId(1), host(0), key, 1);
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_UnknownCharger.selector, uint256(chargerId(1)))
        );
        escrow.resetRegister(chargerId(1), 1);
        escrow.resetRegister(chargerId(0), REGISTER_WH_MAX);
        assertEq(escrow.chargerOf(chargerId(0)).lastWh, REGISTER_WH_MAX, "reset");
        vm.stopPrank();

        _opened(1);
        vm.expectRevert(
            _one(IChargingEscrow.ChargingEscrow_ChargerBusy.selector, uint256(chargerId(0)))
        );
        vm.prank(registrar);
        escrow.resetRegister(chargerId(0), 0);
    }

    /* INTERNAL */

    function _none(bytes4 selector) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function _one(bytes4 selector, uint256 fact) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, fact);
    }

    function _two(bytes4 selector, uint256 first, uint256 second)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(selector, first, second);
    }

    function _opened(uint256 nonce) private returns (IChargingEscrow.Session memory) {
        return openBy(host(0), orderOf(0, 0, DEPOSIT, nonce), driverKey(0));
    }

    function _refusedOpening(
        address by,
        IChargingEscrow.ChargeOrder memory order,
        bytes memory reason
    ) private {
        _refusedOpening(by, order, driverKey(0), reason);
    }

    function _refusedOpening(
        address by,
        IChargingEscrow.ChargeOrder memory order,
        uint256 key,
        bytes memory reason
    ) private {
        bytes memory signature = signed(key, orderHash(order));
        vm.expectRevert(reason);
        vm.prank(by);
        escrow.open(order, signature, noPermit());
    }

    function _topUp(
        IChargingEscrow.Session memory session,
        IChargingEscrow.TopUp memory addition,
        uint256 key,
        bytes memory reason
    ) private {
        bytes memory signature = signed(key, topUpHash(addition));
        if (reason.length > 0) vm.expectRevert(reason);
        vm.prank(stranger);
        escrow.topUp(session, addition, signature, noPermit());
    }

    function _close(
        IChargingEscrow.Session memory session,
        IChargingEscrow.ChargeRecord memory record,
        bytes memory reason
    ) private {
        IChargingEscrow.Closing memory closing = closingOf(session, record, recordKey(0));
        if (reason.length > 0) vm.expectRevert(reason);
        vm.prank(stranger);
        escrow.close(closing);
    }

    function _bringToToken(address payer, IChargingEscrow.Permit memory permit) private {
        bytes memory raw = permit.signature;
        (bytes32 r, bytes32 s) = (bytes32(0), bytes32(0));
        assembly {
            r := mload(add(raw, 32))
            s := mload(add(raw, 64))
        }
        token.permit(payer, address(escrow), DEPOSIT, permit.deadline, uint8(raw[64]), r, s);
    }
}
