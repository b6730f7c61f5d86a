"""A charge from deposit to refund, over the real store, journal and chain."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete

from charging.desk import SessionFilter, SessionState
from charging.orders import SessionId
from charging.store import SESSION, ChargingStore
from charging.tariffs import ChargeTariff, cost_micro_down
from ledger.chain.escrow import EscrowReader
from ledger.units import to_unix_s
from tests.charging_world import (
    DEPOSIT,
    POINT,
    REGISTER_WH,
    TARIFF,
    WALLET_MICRO,
    charging_world,
)


def test_a_driver_pays_for_the_kwh_and_gets_the_rest_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with charging_world(tmp_path / "street") as world:
            driver = await world.driver()
            view = await world.place(driver)
            assert view.state is SessionState.OPENING
            view = await world.until(view.session_id, SessionState.OPEN)
            assert world.held_micro(driver.address) == WALLET_MICRO - DEPOSIT
            while not world.link.asked:
                await asyncio.sleep(0.02)
            assert world.link.asked[0][0] == "start"
            reply = await world.starts(view)
            assert reply.accepted
            world.clock.pass_s(1_800)
            live = await world.measures(reply.transaction_id, REGISTER_WH + 5_000)
            assert live.cost_micro == 350_000 + 5 * 390_000
            world.clock.pass_s(1_800)
            await world.stops(reply.transaction_id, REGISTER_WH + 10_123)
            view = await world.until(view.session_id, SessionState.CLOSED)
            cost = cost_micro_down(ChargeTariff(**TARIFF), energy_wh=10_123, time_s=3_600, idle_s=0)
            assert (view.paid_micro, view.refunded_micro) == (cost, DEPOSIT - cost)
            assert world.held_micro(driver.address) == WALLET_MICRO - cost
            reader = EscrowReader(world.community.chain, world.community.contracts.escrow)
            charger = reader.charger_of(view.charger_id)
            assert (charger.credit_micro, charger.last_wh) == (cost, REGISTER_WH + 10_123)
            receipt = await world.runtime.desk.receipt(view.session_id)
            assert receipt["energy_wh"] == 10_123
            assert receipt["paid_micro"] == str(cost)
            income = await world.runtime.desk.income_of(view.host)
            assert {each.charge_point_id for each in income.chargers} == {POINT}
            assert [each.sessions for each in income.chargers if each.paid_micro] == [1]
            assert (income.energy_wh, income.paid_micro) == (10_123, cost)
            assert (income.credit_micro, income.claimable_micro) == (cost, 0)
            later = SessionFilter(created_from_s=to_unix_s(view.created_at) + 1)
            assert (await world.runtime.desk.income_of(view.host, later)).paid_micro == 0
            assert (await world.runtime.desk.income_of(driver.address)).chargers == ()

    asyncio.run(run())


def test_what_a_charger_calls_a_driver_cannot_be_made_of_anything_public(tmp_path: Path) -> None:
    async def run() -> None:
        async with charging_world(tmp_path / "street") as world:
            driver = await world.driver()
            order = world.order(driver)
            signed = order, world.sign(driver, order), world.permit(driver, order.deposit_micro)
            view, _ = await world.runtime.desk.place(*signed)
            token = (await world.session(view)).id_token
            assert re.fullmatch("[A-Z2-7]{20}", token)
            # The same order again keeps it: the charger may have heard it.
            await world.runtime.desk.place(*signed)
            assert (await world.session(view)).id_token == token
            store = world.runtime.desk._store
            with pytest.raises(Undone):
                store.run(lambda open_: again_elsewhere(store, open_, view.session_id, token))

    asyncio.run(run())


class Undone(Exception):
    """Nothing of the transaction is kept."""


def again_elsewhere(
    store: ChargingStore, connection: Connection, session_id: SessionId, token: str
) -> None:
    """The very same session, stored where it was never heard of, has another token."""
    known = store.session(connection, session_id)
    assert known is not None
    connection.execute(delete(SESSION).where(SESSION.c.session_id == session_id))
    stored = store.add_session(connection, replace(known, id_token=""))
    assert stored.id_token not in {"", token}
    raise Undone


def test_near_the_end_of_its_deposit_a_charge_is_limited_before_it_is_stopped(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with charging_world(tmp_path / "street") as world:
            driver = await world.driver()
            view = await world.place(driver, deposit_micro=2_000_000)
            view = await world.until(view.session_id, SessionState.OPEN)
            reply = await world.starts(view)
            register_wh, limited = REGISTER_WH, []
            for _ in range(400):
                world.clock.pass_s(10)
                register_wh += 30  # 10.8 kW.
                await world.measures(reply.transaction_id, register_wh)
                await world.runtime._attendant.round()
                await asyncio.sleep(0)
                limited = [asked[1] for asked in world.link.asked if asked[0] == "limit"]
                if any(asked[0] == "stop" for asked in world.link.asked):
                    break
            assert limited
            assert all(0 < limit_w < 11_000 for limit_w in limited)
            await world.stops(reply.transaction_id, register_wh)
            view = await world.until(view.session_id, SessionState.CLOSED)
            assert view.paid_micro is not None
            assert view.paid_micro < 2_000_000

    asyncio.run(run())
