"""Charges on a real node that changes its mind: what a reorg drops is undone, and done again."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from api.config import config_of
from api.datadir import DataDir
from api.jobs.community import ROLES, Community, open_parts, stored_config
from api.jobs.create import create_community, trial_keys
from charging.desk import SessionState, SessionView
from ledger.chain.jsonrpc import Endpoint
from ledger.chain.rpc import RpcChain
from ledger.units import Hash32, from_unix_s, to_unix_s
from tests.api.community_worlds import quiet
from tests.api.test_charging_faults import cost_of
from tests.chain.anvil import CHAIN_ID, anvil, url_of
from tests.chain.node import Node
from tests.charging_world import (
    DEPOSIT,
    REGISTER_WH,
    WALLET_MICRO,
    ChargingWorld,
    Clock,
    TroubledChain,
    charging_document,
)
from tests.ports import free_port

ETHER_WEI = 10**18
DAY_S = 86_400


@dataclass
class OwnNode(Node):
    """A node, and where it listens."""

    url: str


Scenario = Callable[[ChargingWorld, OwnNode], Awaitable[None]]


class TimedChain(TroubledChain):
    """Its next block has the test's time: a reorg makes anvil forget that time has passed."""

    clock: Clock
    node: OwnNode

    def send_raw(self, raw: bytes) -> Hash32:
        next_s = max(to_unix_s(self.clock()), self.head().timestamp_s + 1)
        self.node.ask("evm_setNextBlockTimestamp", next_s)
        return super().send_raw(raw)


@pytest.fixture
def node() -> Iterator[OwnNode]:
    port = free_port()
    with (
        anvil(port, "--timestamp", str(int(time.time()) - DAY_S)),
        closing(RpcChain.connect(url_of(port), expected_chain_id=CHAIN_ID)) as chain,
        closing(Endpoint(url_of(port), 20.0)) as endpoint,
    ):
        yield OwnNode(chain=chain, endpoint=endpoint, url=url_of(port))


def made(path: Path, node: OwnNode, *, confirmations: int) -> Community:
    """A community on the node, whose roles have gas."""
    config = config_of(
        charging_document(
            chain={
                "rpc": node.url,
                "chain_id": CHAIN_ID,
                "confirmations": confirmations,
            },
            market={
                "first_period_start": from_unix_s(
                    to_unix_s(datetime.now().astimezone()) // DAY_S * DAY_S
                ),
                "window_s": 3_600,
                "period_windows": 24,
            },
        ),
        "test",
    )
    directory = DataDir(path)
    directory.create(config.model_dump_json())
    keys = directory.keys()
    names = [*ROLES, *trial_keys(config)]
    keys.make(names)
    for name in ROLES:
        give_gas(node, keys.wallet(name).address)
    for account in range(3):
        give_gas(node, keys.wallet(f"account:{account}").address)
    if confirmations:  # Blocks come by themselves, as on any node in use.
        node.ask("anvil_setIntervalMining", 1)
    return create_community(path, config, progress=quiet)


def give_gas(node: OwnNode, address: bytes) -> None:
    node.ask("anvil_setBalance", "0x" + address.hex(), hex(ETHER_WEI))


def played(path: Path, node: OwnNode, scenario: Scenario, *, confirmations: int = 0) -> None:
    """Plays a scenario, and audits what it leaves."""
    made(path, node, confirmations=confirmations).close()
    node.ask("anvil_setIntervalMining", 0)
    node.ask("evm_setAutomine", True)

    async def play() -> None:
        directory = DataDir(path)
        community = open_parts(directory, stored_config(directory))
        inner = community.chain
        community.chain = chain = TimedChain(inner)
        chain.clock, chain.node = Clock(from_unix_s(inner.head().timestamp_s)), node
        try:
            world = ChargingWorld(community, chain.clock)
            async with world.runtime:
                await scenario(world, node)
                await world.rounds()
                assert await asyncio.to_thread(world.audited) == []
        finally:
            community.close()
            shutil.rmtree(path)

    asyncio.run(play())


async def state_is(world: ChargingWorld, view: SessionView, state: SessionState) -> SessionView:
    async with asyncio.timeout(30):
        while (view := await world.runtime.desk.view(view.session_id)).state is not state:
            await asyncio.sleep(0.05)
    return view


def starts_asked(world: ChargingWorld) -> int:
    return len([asked for asked in world.link.asked if asked[0] == "start"])


async def paid_once(world: ChargingWorld, view: SessionView, energy_wh: int) -> None:
    """Closed, and every micro-token is where it belongs."""
    view = await state_is(world, view, SessionState.CLOSED)
    assert (view.energy_wh, view.paid_micro) == (energy_wh, cost_of(energy_wh))
    assert view.refunded_micro == view.deposit_micro - cost_of(energy_wh)
    assert world.held_micro(view.driver) == WALLET_MICRO - cost_of(energy_wh)
    held_micro, owed_micro = world.escrow_micro()
    assert held_micro == owed_micro == cost_of(energy_wh)


def test_a_session_whose_opening_is_dropped_is_opening_again_and_no_other_charge_starts(
    node: OwnNode, tmp_path: Path
) -> None:
    async def scenario(world: ChargingWorld, node: OwnNode) -> None:
        driver = await world.driver()
        view = await world.place(driver, valid_until_s=2**40)
        view = await state_is(world, view, SessionState.OPEN)
        world.chain.takes_nothing = True
        node.reorg(1)
        view = await state_is(world, view, SessionState.OPENING)
        assert (view.opened_at, view.open_tx) == (None, None)
        assert world.held_micro(driver.address) == WALLET_MICRO
        asked = starts_asked(world)
        world.clock.pass_s(120)
        await world.rounds()
        assert starts_asked(world) == asked
        world.chain.takes_nothing = False
        view = await state_is(world, view, SessionState.OPEN)
        world.clock.pass_s(5)
        reply = await world.starts(view)
        world.clock.pass_s(600)
        await world.stops(reply.transaction_id, REGISTER_WH + 1_000)
        await paid_once(world, view, 1_000)

    played(tmp_path / "street", node, scenario)


def test_a_charge_whose_opening_is_dropped_goes_on_and_is_paid_once(
    node: OwnNode, tmp_path: Path
) -> None:
    async def scenario(world: ChargingWorld, node: OwnNode) -> None:
        view = await world.place(await world.driver(), valid_until_s=2**40)
        view = await state_is(world, view, SessionState.OPEN)
        world.clock.pass_s(5)
        reply = await world.starts(view)
        world.chain.takes_nothing = True
        node.reorg(1)
        await state_is(world, view, SessionState.OPENING)
        world.clock.pass_s(60)
        live = await world.measures(reply.transaction_id, REGISTER_WH + 150)
        assert live.accepted
        assert [asked for asked in world.link.asked if asked[0] == "stop"] == []
        world.chain.takes_nothing = False
        await state_is(world, view, SessionState.CHARGING)
        world.clock.pass_s(900)
        await world.stops(reply.transaction_id, REGISTER_WH + 2_650)
        # What was told before the deposit was there for good is where the charge begins.
        await paid_once(world, view, 2_500)

    played(tmp_path / "street", node, scenario)


def test_a_close_that_is_dropped_is_made_again_and_pays_once(node: OwnNode, tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld, node: OwnNode) -> None:
        view = await world.place(await world.driver(), valid_until_s=2**40)
        view = await state_is(world, view, SessionState.OPEN)
        world.clock.pass_s(5)
        reply = await world.starts(view)
        world.clock.pass_s(600)
        await world.stops(reply.transaction_id, REGISTER_WH + 1_500)
        await paid_once(world, view, 1_500)
        world.chain.takes_nothing = True
        node.reorg(1)
        view = await state_is(world, view, SessionState.STOPPING)
        assert (view.paid_micro, view.refunded_micro, view.close_tx) == (None, None, None)
        assert world.held_micro(view.driver) == WALLET_MICRO - DEPOSIT
        world.chain.takes_nothing = False
        await paid_once(world, view, 1_500)

    played(tmp_path / "street", node, scenario)


def test_an_opening_and_a_close_that_are_dropped_long_after_are_both_made_again(
    node: OwnNode, tmp_path: Path
) -> None:
    async def scenario(world: ChargingWorld, node: OwnNode) -> None:
        view = await world.place(await world.driver(), valid_until_s=2**40)
        view = await state_is(world, view, SessionState.OPEN)
        world.clock.pass_s(5)
        reply = await world.starts(view)
        world.clock.pass_s(600)
        await world.stops(reply.transaction_id, REGISTER_WH + 1_500)
        await paid_once(world, view, 1_500)
        world.chain.takes_nothing = True
        node.reorg(2)
        await state_is(world, view, SessionState.STOPPING)
        assert world.held_micro(view.driver) == WALLET_MICRO
        world.clock.pass_s(1_000)  # More than a charge may begin before its opening.
        world.chain.takes_nothing = False
        # All of it was told before the deposit was there for good: nothing is proved.
        await paid_once(world, view, 0)

    played(tmp_path / "street", node, scenario)


def test_with_confirmations_a_charge_starts_and_ends_once_both_are_deep_enough(
    node: OwnNode, tmp_path: Path
) -> None:
    async def scenario(world: ChargingWorld, node: OwnNode) -> None:
        view = await mined_driver(world, node)
        await world.rounds(3)
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.OPENING
        assert world.link.asked == []
        node.reorg(1)  # Nobody noticed anything.
        await world.rounds(3)
        node.mine(2)
        view = await state_is(world, view, SessionState.OPEN)
        world.clock.pass_s(5)
        reply = await world.starts(view)
        world.clock.pass_s(600)
        await world.stops(reply.transaction_id, REGISTER_WH + 1_500)
        await world.rounds(3)
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.STOPPING
        node.reorg(1)
        await world.rounds(3)
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.STOPPING
        node.mine(3)
        await paid_once(world, view, 1_500)
        assert starts_asked(world) == 1

    async def mined_driver(world: ChargingWorld, node: OwnNode) -> SessionView:
        node.ask("anvil_setIntervalMining", 1)
        driver = await world.driver()
        node.ask("anvil_setIntervalMining", 0)
        node.ask("evm_setAutomine", True)
        return await world.place(driver, valid_until_s=2**40)

    played(tmp_path / "street", node, scenario, confirmations=2)
