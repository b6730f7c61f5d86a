"""What goes wrong between driver, host and escrow, each at the level of the service."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy.exc import OperationalError

from api.errors import BadInput
from charging.desk import SessionState, SessionView
from charging.errors import (
    ChargerBusy,
    ChargerOffline,
    FundsMissing,
    OrderUsed,
    TariffChanged,
    WrongState,
)
from charging.escrow_words import record_words, session_words
from charging.journal import Journal
from charging.orders import charger_id_of
from charging.tariffs import ChargeTariff
from ledger.chain import escrow, settlement_token
from ledger.chain.abi import encode_call
from ledger.chain.wallet import Wallet
from ledger.errors import BadSignature
from tests.api.test_charging_faults import closed_with, cost_of, played, refunded
from tests.charging_world import (
    DEPOSIT,
    POINT,
    REGISTER_WH,
    WALLET_MICRO,
    ChargingWorld,
)

T = TypeVar("T")
HOST = "account:2"
STRANGER = Wallet((77).to_bytes(32))


async def ends(world: ChargingWorld, view: SessionView) -> SessionView:
    """Waits until a session has ended; there is patience for what is owed again."""
    async with asyncio.timeout(40):
        while True:
            async for seen in world.runtime.desk.follow(view.session_id):
                view = seen
            return view


async def in_the_end(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


# Orders.


def test_of_two_orders_for_one_charger_at_once_one_is_busy(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        drivers = [await world.driver(7), await world.driver(8)]
        outcomes = await asyncio.gather(
            *(world.place(driver) for driver in drivers), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == [
            "ChargerBusy",
            "SessionView",
        ]
        (view,) = [outcome for outcome in outcomes if isinstance(outcome, SessionView)]
        await world.until(view.session_id, SessionState.OPEN)
        with pytest.raises(ChargerBusy):
            await world.place(drivers[0] if view.driver == drivers[1].address else drivers[1])
        held = sorted(world.held_micro(driver.address) for driver in drivers)
        assert held == [WALLET_MICRO - DEPOSIT, WALLET_MICRO]

    played(tmp_path, scenario)


def test_an_order_that_is_sent_again_and_again_is_one_session(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        order = world.order(driver)
        signature = world.sign(driver, order)
        permit = world.permit(driver, order.deposit_micro)
        desk = world.runtime.desk
        placed = await asyncio.gather(*(desk.place(order, signature, permit) for _ in range(5)))
        assert [is_new for _, is_new in placed].count(True) == 1
        view = await world.until(placed[0][0].session_id, SessionState.OPEN)
        await desk.stop(view.session_id)
        view = await refunded(world, view)
        again, is_new = await desk.place(order, signature, permit)
        assert (again.session_id, again.state, is_new) == (
            view.session_id,
            SessionState.CANCELLED,
            False,
        )
        # The same nonce under another order is used up.
        with pytest.raises(OrderUsed):
            await world.place(driver, nonce=order.nonce, deposit_micro=DEPOSIT + 1)
        await refunded(world, view)

    played(tmp_path, scenario)


def test_an_order_that_expires_while_the_chain_takes_nothing_fails_and_costs_nothing(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        world.chain.takes_nothing = False
        driver = await world.driver()
        world.chain.takes_nothing = True
        view = await world.place(driver)
        world.clock.pass_s(700)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.OPENING
        assert world.runtime.problems() == ["charging: sending: chain_unavailable"]
        world.chain.takes_nothing = False
        view = await ends(world, view)
        assert (view.state, view.reason) == (
            SessionState.FAILED,
            "ChargingEscrow_OrderExpired",
        )
        assert world.held_micro(driver.address) == WALLET_MICRO
        await in_the_end(lambda: world.runtime.problems() == [])
        view = await world.opened(driver)  # The charger is free again.
        assert view.state is SessionState.OPEN

    played(tmp_path, scenario)


def test_an_order_that_is_stopped_before_it_is_open_is_refunded_once_it_is(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        world.chain.takes_nothing = True
        view = await world.place(driver)
        view = await world.runtime.desk.stop(view.session_id)
        assert view.state is SessionState.OPENING
        world.chain.takes_nothing = False
        await refunded(world, await ends(world, view))
        assert world.link.asked == []

    played(tmp_path, scenario)


def test_a_permit_that_somebody_brought_to_the_token_before_us_is_as_good(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        world.chain.takes_nothing = True
        order = world.order(driver)
        permit = world.permit(driver, order.deposit_micro)
        view, _ = await world.runtime.desk.place(order, world.sign(driver, order), permit)
        signature = permit.signature
        arguments = [
            driver.address,
            world.community.contracts.escrow,
            order.deposit_micro,
            permit.deadline_s,
            signature[64],
            signature[:32],
            signature[32:64],
        ]
        data = encode_call("SettlementToken", "permit", arguments)
        await world.send(STRANGER, world.community.contracts.token, data)
        world.chain.takes_nothing = False
        view = await world.until(view.session_id, SessionState.OPEN)
        assert world.held_micro(driver.address) == WALLET_MICRO - DEPOSIT

    played(tmp_path, scenario)


def test_a_wallet_that_is_emptied_before_the_opening_fails_and_nothing_is_taken(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        world.chain.takes_nothing = True
        view = await world.place(driver)
        data = settlement_token.transfer(STRANGER.address, WALLET_MICRO - 1)
        await world.send(driver, world.community.contracts.token, data)
        world.chain.takes_nothing = False
        view = await ends(world, view)
        assert (view.state, view.paid_micro, view.refunded_micro) == (
            SessionState.FAILED,
            None,
            None,
        )
        assert view.reason == "ERC20InsufficientBalance"
        assert world.held_micro(driver.address) == 1
        assert world.escrow_micro() == (0, 0)
        assert world.link.asked == []

    played(tmp_path, scenario)


def test_a_second_permit_waits_for_the_first_deposit(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        world.chain.takes_nothing = True
        first = await world.place(driver)
        other = charger_id_of(POINT, 2)
        with pytest.raises(FundsMissing):
            await world.place(driver, charger_id=other)
        world.chain.takes_nothing = False
        await world.until(first.session_id, SessionState.OPEN)
        second = await world.place(driver, charger_id=other)
        await world.until(second.session_id, SessionState.OPEN)

    played(tmp_path, scenario)


def test_an_order_at_a_tariff_that_has_changed_is_refused(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        with pytest.raises(TariffChanged):
            await world.place(await world.driver(), tariff=ChargeTariff(energy_per_kwh=1))

    played(tmp_path, scenario)


@pytest.mark.parametrize("steps", range(1, 14))
def test_an_order_whose_request_is_given_up_at_any_point_is_a_session_or_none(
    tmp_path: Path, steps: int
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        order = world.order(driver)
        signature, permit = world.sign(driver, order), world.permit(driver, DEPOSIT)
        desk = world.runtime.desk
        placing = asyncio.ensure_future(desk.place(order, signature, permit))
        for _ in range(steps):  # Each lets it come to its next wait, and perhaps beyond.
            await asyncio.sleep(0.0005 * steps)
        placing.cancel()
        outcome = (await asyncio.gather(placing, return_exceptions=True))[0]
        assert isinstance(outcome, asyncio.CancelledError | tuple)
        view, _ = await desk.place(order, signature, permit)  # The driver's page asks again.
        view = await world.until(view.session_id, SessionState.OPEN)
        assert world.held_micro(driver.address) == WALLET_MICRO - DEPOSIT
        _, is_new = await desk.place(order, signature, permit)
        assert not is_new

    played(tmp_path, scenario)


# Top-ups.


def test_a_second_top_up_waits_for_the_first(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        view, transaction_id = await world.begun(driver)
        world.chain.takes_nothing = True
        await world.top_up(driver, view.session_id, 1_000_000)
        with pytest.raises(WrongState, match="another top-up is on its way"):
            await world.top_up(driver, view.session_id, 2_000_000)
        world.chain.takes_nothing = False
        await deposit_is(world, view, DEPOSIT + 1_000_000)
        await world.top_up(driver, view.session_id, 2_000_000)
        await deposit_is(world, view, DEPOSIT + 3_000_000)
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)
        with pytest.raises(WrongState, match="has not stopped"):
            await world.top_up(driver, view.session_id, 1_000_000)

    played(tmp_path, scenario)


async def deposit_is(world: ChargingWorld, view: SessionView, deposit_micro: int) -> None:
    async with asyncio.timeout(30):
        while (await world.runtime.desk.view(view.session_id)).deposit_micro != deposit_micro:
            await asyncio.sleep(0.02)


def test_a_top_up_that_reaches_the_chain_before_the_close_is_refunded_with_the_rest(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        view, transaction_id = await world.begun(driver)
        world.clock.pass_s(600)
        world.chain.takes_nothing = True
        await world.top_up(driver, view.session_id, 1_000_000)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        world.chain.takes_nothing = False
        view = await closed_with(world, await ends(world, view), 1_000)
        assert view.deposit_micro == DEPOSIT + 1_000_000

    played(tmp_path, scenario)


def test_a_top_up_that_comes_after_the_close_takes_nothing(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        view, transaction_id = await world.begun(driver)
        world.clock.pass_s(600)
        world.chain.takes_nothing = True
        await world.top_up(driver, view.session_id, 1_000_000)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        session = await world.session(view)
        assert session.record is not None
        assert session.record_signature is not None
        # Anybody may bring the record; whoever does is faster than we are.
        data = escrow.close(
            session_words(session), record_words(session.record), session.record_signature
        )
        await world.send(STRANGER, world.community.contracts.escrow, data)
        world.chain.takes_nothing = False
        view = await closed_with(world, await ends(world, view), 1_000)
        assert view.deposit_micro == DEPOSIT
        await world.rounds()
        await closed_with(world, view, 1_000)

    played(tmp_path, scenario)


# Hosts and the registrar.


def test_a_record_that_the_escrow_refuses_is_cancelled_and_refunded_in_full(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        chargers = world.runtime.book.chargers
        charger = chargers[view.charger_id]
        chargers[view.charger_id] = replace(charger, record_key=STRANGER)  # Another than it was.
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        view = await refunded(world, await ends(world, view))
        assert view.reason == "record refused: ChargingEscrow_BadSignature"

    played(tmp_path, scenario, found=("is signed by",))


def test_a_charger_with_another_record_key_than_ours_gets_no_orders(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        charger_id = charger_id_of(POINT, 1)
        host = world.runtime.book.require(charger_id).host
        arguments = [charger_id, host, STRANGER.address, 11_000]
        await world.act("registrar", encode_call("ChargingEscrow", "change", arguments))
        with pytest.raises(ChargerOffline, match="another record key"):
            await world.place(await world.driver())

    played(tmp_path, scenario)


def test_a_contract_wallet_is_asked_whether_it_stands_by_an_order(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        contracts = world.community.contracts
        driver = await world.driver()
        order = replace(world.order(driver), driver=contracts.token)  # Code, and no wallet.
        with pytest.raises(BadSignature):
            await world.runtime.desk.place(order, bytes(65), None)
        with pytest.raises(BadSignature, match="does not stand by"):
            await world.runtime.desk.place(order, bytes(64), None)

    played(tmp_path, scenario)


def test_a_host_that_takes_the_right_to_open_away_gets_no_more_orders_and_is_paid(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        service = world.community.keys.wallet("charging").address
        await world.act(HOST, escrow.set_delegate(service, allowed=False))
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)  # Anybody may bring a record.
        with pytest.raises(ChargerOffline, match="has not let this service"):
            await world.place(await world.driver(8))

    played(tmp_path, scenario)


def test_a_cancellation_that_the_host_does_not_allow_is_made_once_it_does(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        service = world.community.keys.wallet("charging").address
        await world.act(HOST, escrow.set_delegate(service, allowed=False))
        await world.runtime.desk.stop(view.session_id)
        await world.until(view.session_id, SessionState.STOPPING)
        await asyncio.sleep(1)
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.STOPPING
        await world.act(HOST, escrow.set_delegate(service, allowed=True))
        await refunded(world, await ends(world, view))

    played(tmp_path, scenario)


@pytest.mark.parametrize("is_pending", [False, True])
def test_a_register_that_the_registrar_resets_counts_from_the_next_opening(
    tmp_path: Path, is_pending: bool
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)
        reset = escrow.reset_register(charger_id_of(POINT, 1), 12)
        second = await world.driver(8)
        if is_pending:  # Between order and opening.
            world.chain.takes_nothing = True
            view = await world.place(second)
            registrar = world.community.keys.wallet("registrar")
            await world.send(registrar, world.community.contracts.escrow, reset)
            world.chain.takes_nothing = False
        else:
            await world.act("registrar", reset)
            view = await world.place(second)
        view = await world.until(view.session_id, SessionState.OPEN)
        world.clock.pass_s(5)
        reply = await world.starts(view, 12)
        world.clock.pass_s(600)
        await world.stops(reply.transaction_id, 12 + 500)
        view = await world.until(view.session_id, SessionState.CLOSED)
        assert view.paid_micro == cost_of(500)
        session = await world.session(view)
        assert session.record is not None
        assert (session.record.start_wh, session.record.stop_wh) == (12, 512)

    # In the market a meter that is swapped is another meter: it takes no register that falls.
    played(tmp_path, scenario)


def test_a_session_that_the_driver_reclaimed_is_known_as_such(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        view = await world.opened(driver)
        service = world.community.keys.wallet("charging").address
        await world.act(HOST, escrow.set_delegate(service, allowed=False))
        await world.runtime.desk.stop(view.session_id)
        await world.until(view.session_id, SessionState.STOPPING)
        world.clock.pass_s(4 * 86_400 + 60)
        data = escrow.reclaim(session_words(await world.session(view)))
        await world.send(driver, world.community.contracts.escrow, data)
        view = await ends(world, view)
        assert (view.state, view.refunded_micro) == (SessionState.RECLAIMED, DEPOSIT)
        assert world.held_micro(driver.address) == WALLET_MICRO

    played(tmp_path, scenario)


# What is behind it.


@pytest.mark.parametrize(
    "cursor", ["", "x", "-1", "1.0", " 1", "١", "1e3", "9" * 40, "0x1", "1\n", "None"]
)
def test_a_cursor_that_no_list_gave_is_bad_input(tmp_path: Path, cursor: str) -> None:
    async def scenario(world: ChargingWorld) -> None:
        with pytest.raises(BadInput) as refused:
            await world.runtime.desk.sessions_of(None, limit=2, before=cursor)
        assert refused.value.field == "cursor"
        assert await world.runtime.desk.sessions_of(None, limit=2, before="5") == ([], None)

    played(tmp_path, scenario)


def test_what_is_wrong_is_told_by_codes_that_name_no_place(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        world.chain.is_down = True
        await in_the_end(lambda: world.runtime.problems() != [])
        await world.rounds()
        assert world.runtime.problems() == [
            "charging: chain: chain_unavailable",
            "charging: sending: chain_unavailable",
        ]
        world.chain.is_down = False
        await in_the_end(lambda: world.runtime.problems() == [])

    played(tmp_path, scenario)


def test_a_database_that_fails_for_a_while_holds_up_nobody_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(600)
        store = world.runtime._store
        run, fails = store.run, [True]

        def failing(work: Callable[[Any], T]) -> T:
            if fails:
                for forget in store.on_failure:
                    forget()
                raise OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked"))
            return run(work)

        monkeypatch.setattr(store, "run", failing)
        with pytest.raises(OperationalError):
            await world.measures(transaction_id, REGISTER_WH + 500)
        await in_the_end(lambda: "charging: sessions: storage_failed" in world.runtime.problems())
        await in_the_end(lambda: "charging: chain: storage_failed" in world.runtime.problems())
        fails.clear()
        await world.measures(transaction_id, REGISTER_WH + 500)
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)
        await in_the_end(lambda: world.runtime.problems() == [])

    played(tmp_path, scenario)


def test_a_journal_that_is_closed_keeps_nobody_waiting() -> None:
    class Nowhere:
        def run(self, work: Callable[[Any], T]) -> T:
            return work(None)

    async def scenario() -> None:
        with Journal(Nowhere()) as journal:
            assert await journal.write(lambda _: 1) == 1
        with pytest.raises(asyncio.CancelledError):
            await journal.write(lambda _: 2)

    asyncio.run(scenario())


def test_a_stop_while_the_charger_may_have_begun_waits_for_what_it_tells(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        await world.rounds()
        world.link.online = False  # It took the start, and its connection broke.
        await world.runtime.desk.stop(view.session_id)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.OPEN
        world.clock.pass_s(120)
        reply = await world.starts(view)
        world.clock.pass_s(60)
        await world.stops(reply.transaction_id, REGISTER_WH + 150)
        await closed_with(world, view, 150)

    played(tmp_path, scenario)
