"""A charge whose service dies between any two durable changes comes to the very same end.

Each life of the service lasts for so many changes of database and chain; then the next one opens
what the last one left, and driver and charger repeat what was not acknowledged.
"""

import asyncio
import itertools
import shutil
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from charging.desk import ENDED, SessionState, SessionView
from charging.orders import ChargeOrder, TopUp
from charging.points import (
    MeterSample,
    SampledValue,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from ledger.chain.wallet import Wallet
from tests.api.test_charging_faults import cost_of
from tests.charging_world import (
    DEPOSIT,
    POINT,
    REGISTER_WH,
    WALLET_MICRO,
    ChargingWorld,
    Clock,
    charging_world,
)
from tests.power_cuts import PowerCut, power

ENERGY_WH = 9_000
TOP_UP_MICRO = 1_000_000
STEP = timedelta(seconds=900)
LIVES_MAX = 300


@dataclass
class Charge:
    """One driver and one charger, who each repeat what they have to say until they are heard."""

    driver: Wallet
    order: ChargeOrder
    clock: Clock
    heard: int = 0  # Messages that were acknowledged.
    transaction_id: str = ""
    messages: list[TransactionEvent] = field(default_factory=list)

    async def go_on(self, world: ChargingWorld) -> SessionView:
        """Comes to the end, if the power lasts."""
        desk = world.runtime.desk
        signature = world.sign(self.driver, self.order)
        permit = world.permit(self.driver, self.order.deposit_micro)
        session_id = self.order.session_id(world.runtime.escrow_side.separator)
        view, _ = await desk.place(self.order, signature, permit)
        if view.state is SessionState.OPENING:
            view = await world.until(session_id, SessionState.OPEN, SessionState.CHARGING)
        if not self.messages:
            self.clock.pass_s(30)
            self.messages = self._messages((await world.session(view)).id_token)
        while self.heard < len(self.messages):
            if self.heard == 3:
                await self._top_up(world, view)
            await self._say(world, self.messages[self.heard])
        return await world.until(session_id, *ENDED)

    async def _say(self, world: ChargingWorld, message: TransactionEvent) -> None:
        told = replace(message, received_at=self.clock(), transaction_id=self.transaction_id)
        reply = await world.runtime.sink.take(told)
        assert reply.accepted
        self.transaction_id = reply.transaction_id
        self.heard += 1
        self.clock.now_at += STEP

    async def _top_up(self, world: ChargingWorld, view: SessionView) -> None:
        top_up = TopUp(session_id=view.session_id, add_micro=TOP_UP_MICRO, nonce=99)
        signature = self.driver.sign_digest(top_up.digest(world.runtime.escrow_side.separator))
        permit = world.permit(self.driver, TOP_UP_MICRO)
        await world.runtime.desk.top_up(top_up, signature, permit)
        async with asyncio.timeout(30):
            while view.deposit_micro == DEPOSIT:
                view = await world.runtime.desk.view(view.session_id)
                await asyncio.sleep(0.01)

    def _messages(self, token: str) -> list[TransactionEvent]:
        begun_at = self.clock()

        def said(step: int) -> dict[str, Any]:
            return {
                "charge_point_id": POINT,
                "message_id": f"m{step}",
                "received_at": begun_at,
                "transaction_id": "",
                "at": begun_at + step * STEP,
            }

        def sample(step: int) -> MeterSample:
            value = SampledValue(text=str(REGISTER_WH + 2_000 * step), unit="Wh")
            return MeterSample(taken_at=begun_at + step * STEP, values=(value,))

        return [
            TransactionStarted(
                **said(0), connector_id=1, id_token=token, meter_start_text=str(REGISTER_WH)
            ),
            *(
                TransactionUpdated(**said(step), connector_id=1, samples=(sample(step),))
                for step in (1, 2, 3)
            ),
            TransactionEnded(
                **said(4), connector_id=None, meter_stop_text=str(REGISTER_WH + ENERGY_WH)
            ),
        ]


async def one_life(
    charge: Charge, path: Path, writes: int | None
) -> tuple[SessionView | None, int]:
    """The session's end, if the service lived to see it, and how many changes it made."""
    view = None
    with power(writes) as supply:
        try:
            async with charging_world(path, clock=charge.clock) as world:
                view = await charge.go_on(world)
        except PowerCut:
            assert supply.is_cut
        return view, supply.changes


async def check(charge: Charge, path: Path) -> None:
    """Everything is as if nothing had happened."""
    async with charging_world(path, clock=charge.clock) as world:
        await world.rounds()
        (view,) = (await world.runtime.desk.sessions_of(None, limit=9, before=None))[0]
        assert view.state is SessionState.CLOSED
        assert (view.energy_wh, view.deposit_micro) == (ENERGY_WH, DEPOSIT + TOP_UP_MICRO)
        assert view.paid_micro == cost_of(ENERGY_WH)
        assert view.refunded_micro == view.deposit_micro - view.paid_micro
        assert world.held_micro(charge.driver.address) == WALLET_MICRO - view.paid_micro
        assert world.escrow_micro() == (view.paid_micro, view.paid_micro)
        # Open, top-up and close: a fourth transaction would be one too many.
        service = world.community.keys.wallet("charging").address
        assert world.chain.nonce(service) == 3
        number = int(charge.transaction_id)
        kept = world.runtime._store.run(
            lambda open_: world.runtime._store.messages.events_of(open_, number)
        )
        assert len(kept) == len(charge.messages)
        assert await asyncio.to_thread(world.audited) == []


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Wallet]:
    """A community whose driver has tokens."""
    path = tmp_path_factory.mktemp("base") / "street"

    async def make() -> Wallet:
        async with charging_world(path) as world:
            return await world.driver()

    return path, asyncio.run(make())


def charge_at(base: tuple[Path, Wallet], path: Path) -> Charge:
    """A charge in a fresh copy."""
    shutil.copytree(base[0], path)

    async def make() -> Charge:
        async with charging_world(path) as world:
            driver = base[1]
            order = world.order(driver, valid_until_s=2**40)
            return Charge(driver=driver, order=order, clock=world.clock)

    return asyncio.run(make())


def test_a_service_that_dies_after_each_of_its_changes_brings_the_charge_to_its_end(
    base: tuple[Path, Wallet], tmp_path: Path
) -> None:
    path = tmp_path / "street"
    charge = charge_at(base, path)
    for lives in itertools.count(1):
        view, _ = asyncio.run(one_life(charge, path, 1))
        if view is not None:
            break
        assert lives < LIVES_MAX, "it never gets to its end"
    assert lives > 15
    asyncio.run(check(charge, path))


@pytest.mark.parametrize("writes", range(1, 41, 3))
def test_a_service_that_dies_once_at_any_change_brings_the_charge_to_its_end(
    base: tuple[Path, Wallet], tmp_path: Path, writes: int
) -> None:
    path = tmp_path / "street"
    charge = charge_at(base, path)
    view, changes = asyncio.run(one_life(charge, path, writes))
    if view is None:
        assert changes == writes
        view, _ = asyncio.run(one_life(charge, path, None))
    assert view is not None
    asyncio.run(check(charge, path))
