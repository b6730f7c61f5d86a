"""A charge from deposit to refund, over the real store, journal and chain."""

import asyncio
from pathlib import Path

from charging.desk import SessionState
from charging.tariffs import ChargeTariff, cost_micro_down
from ledger.chain.escrow import EscrowReader
from tests.charging_world import (
    DEPOSIT,
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

    asyncio.run(run())


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
