"""A night without anyone watching: whatever fails in it, the morning's results are a calm night's.

Homes send their readings late and twice, cars charge, and meanwhile the service is killed, its
chain is gone for an hour, its database is restarted, a charger loses its connection. Three hours
of it are for every day; `WATTLEDGER_NIGHT=full` is the whole night, with a hundred kills.
"""

import asyncio
import os
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.jobs.community import Community, open_community
from api.jobs.create import create_community
from api.jobs.due import REVISED_THROUGH
from api.jobs.intake import import_registers
from api.jobs.settle import SettlementLoop
from charging.store import ChargingStore
from ledger.chain.embedded import EmbeddedChain
from ledger.units import from_unix_s
from tests.api.community_worlds import START_S, quiet
from tests.chain.endpoint import endpoint
from tests.e2e.fork_server import ForkServer, fork_server
from tests.e2e.night_cars import chargers, drive
from tests.e2e.night_world import (
    HOMES,
    HOUR_S,
    POINTS,
    Night,
    Rows,
    World,
    befall,
    kill_and_restart,
    send_readings,
    wait_for,
    world_of,
)
from tests.e2e.registers import line, write
from tests.engines import postgres_server, postgres_url  # noqa: F401 (a fixture)
from tests.hand_clock import HandClock

SEED = int(os.environ.get("WATTLEDGER_NIGHT_SEED", "20160601"))
SHORT = Night(hours=3, speed=450, kills=10, dispute_s=0, finalize_s=0, confirmations=0, seed=SEED)
FULL = Night(
    hours=24, speed=144, kills=100, dispute_s=60, finalize_s=1_740, confirmations=1, seed=SEED
)
PRELOADED = ("api.app", "api.serving", "api.jobs.charging.runtime", "uvicorn", "uvloop", "psycopg")
# Of each period and account: its rows in Wh, whether it was covered, and its amount.
Results = dict[tuple[int, int], tuple[list[tuple[int, ...]], int]]


@pytest.fixture
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A PostgreSQL for the night, whose URL the service is given; None: it is SQLite's."""
    try:
        server = request.getfixturevalue("postgres_server")
    except pytest.skip.Exception as why:
        print(f"no PostgreSQL, so no database is restarted in this night: {why}")
        return None
    monkeypatch.setenv("WATTLEDGER_DATABASE_URL", postgres_url(server))
    return server


@pytest.mark.timeout(3_600)
def test_a_night_of_faults_ends_as_a_calm_one(
    database: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    night = FULL if os.environ.get("WATTLEDGER_NIGHT") == "full" else SHORT
    print(f"WATTLEDGER_NIGHT_SEED={night.seed} tells this night again")
    # A charger that was refused ever again comes back in a second, not in half a minute.
    monkeypatch.setattr("charging.simulator.link.RETRY_DOUBLINGS", 2)
    began_s = time.monotonic()
    with fork_server(tmp_path, *PRELOADED) as server, world_of(night, tmp_path) as world:
        assert server.run("clear", "--help") == 0  # It has everything imported.
        print(f"{time.monotonic() - began_s:.1f} s until the evening")
        live(world, server, database)
        print(f"{time.monotonic() - began_s:.1f} s until the morning")
        with morning(world, monkeypatch) as community:
            print(f"{time.monotonic() - began_s:.1f} s until all is settled")
            code = server.run("audit", "--data-dir", world.home)
            assert code == 0, server.printed()[-2_000:]
            check_sessions(world, community)
            metered = readings_of(community)
            found = results_of(community, night)
        assert "Traceback" not in server.printed()
        print(
            f"{world.kills} kills, {world.starts_refused} starts refused, "
            f"{world.readings_sent} readings acknowledged, {world.posts_failed} posts failed, "
            f"{len(world.sessions)} sessions"
        )
    sent = night.registers()
    assert {name: metered[name] for name in HOMES} == sent
    monkeypatch.undo()
    expected = calm_results(tmp_path, night, metered)
    assert found == expected


def live(world: World, server: ForkServer, database: Any) -> None:
    """All of it at once, until what was begun has ended."""
    night = world.night
    killing = partial(kill_and_restart, world, server, random.Random(night.seed + 2))
    living = [
        partial(send_readings, world),
        *(
            partial(drive, world, name, random.Random(night.seed + 3 + number))
            for number, name in enumerate(POINTS)
        ),
        *(partial(befall, world, *each) for each in faults_of(world, database).items()),
    ]

    async def play() -> None:
        world.loop = asyncio.get_running_loop()
        world.loop.set_default_executor(ThreadPoolExecutor(len(living) + 4))
        behind = [asyncio.to_thread(killing), chargers(world)]
        async with asyncio.TaskGroup() as tasks:
            for each in behind:
                tasks.create_task(each)
            try:
                await asyncio.gather(*(asyncio.to_thread(_told, world, each) for each in living))
                while world.kills < night.kills:
                    await asyncio.sleep(0.1)
            finally:
                world.is_done = True

    asyncio.run(play())


def _told(world: World, part: Callable[[], None]) -> None:
    """What goes wrong with the test itself is seen at once."""
    try:
        part()
    except BaseException:
        world.has_failed = True
        traceback.print_exc()
        raise


def faults_of(world: World, database: Any) -> Mapping[int, Callable[[], None]]:
    """What goes wrong besides kills, and when: drawn from the seed."""
    night, drawn = world.night, random.Random(world.night.seed + 9)
    down_s = START_S + drawn.randrange(HOUR_S // 2, (night.hours - 2) * HOUR_S)
    lost_s = START_S + drawn.randrange(HOUR_S // 2, (night.hours - 1) * HOUR_S)
    faults: dict[int, Callable[[], None]] = {
        down_s: partial(_chain_down, world),
        down_s + HOUR_S: partial(_chain_up, world),
        lost_s: partial(_lose, world, "CP1"),
    }
    if database is not None:
        restart_s = START_S + drawn.randrange(HOUR_S // 2, (night.hours - 1) * HOUR_S)
        faults[restart_s] = partial(_restart, world, database)
    return faults


def _chain_down(world: World) -> None:
    world.note("the chain is gone")
    world.kill_chain()


def _chain_up(world: World) -> None:
    world.switch_chain_on()
    world.note("the chain is back")


def _lose(world: World, name: str) -> None:
    """For an hour; when it comes back it tells what happened meanwhile."""
    wait_for(lambda: name in world.points)
    world.note(f"{name} loses its connection")
    asyncio.run_coroutine_threadsafe(world.points[name].go_offline(), world.loop).result()
    world.sleep_until(world.clock.now_s() + HOUR_S)
    world.note(f"{name} connects again")
    asyncio.run_coroutine_threadsafe(world.points[name].go_online(), world.loop)


def _restart(world: World, database: Any) -> None:
    world.note("the database stops")
    database.stop()
    time.sleep(0.5)
    database.ensure_postgres_running()
    world.note("the database is back")


# The morning.


@contextmanager
def morning(world: World, patch: pytest.MonkeyPatch) -> Iterator[Community]:
    """Nobody serves any more; hour after hour passes at once, until no revision is left."""
    world.kill_chain()
    clock = HandClock(world.clock.now())
    patch.setattr("api.jobs.community.clock_of", lambda *_: clock)
    with (
        EmbeddedChain.open(world.chain_home, clock=clock.now) as chain,
        endpoint(chain, world.chain_port),
        open_community(world.home) as community,
    ):

        def block(_: float) -> None:
            chain.mine()

        community.pause = block
        store = community.settlements
        while True:
            for settled in SettlementLoop(community, may_move_time=False).run():
                start_at = from_unix_s(settled.period_start_s)
                world.note(f"settled {start_at:%d %H:%M} run {settled.run}")
            if store.facts().get(REVISED_THROUGH) == str(store.latest_cutoff_s()):
                break
            # A proposal lapses if nobody finalizes it in time.
            is_proposed = store.open_run() is not None
            clock.pass_s(world.night.dispute_s + 60 if is_proposed else HOUR_S)
            chain.mine()
        yield community


def check_sessions(world: World, community: Community) -> None:
    """Every session has ended and cost what its charger measured, to the Wh."""
    store = ChargingStore(community.engine)
    sessions = store.run(lambda open_: store.page(open_, None, limit=10_000, before=None))
    assert {"0x" + each.session_id.hex() for each in sessions} == set(world.sessions)
    assert {each.state.value for each in sessions} == {"closed"}
    charged_wh = {
        charge.id_token.upper(): charge.energy_wh
        for point in world.points.values()
        for charge in point.transactions
    }
    assert len(sessions) >= len(POINTS)
    for each in sessions:
        assert each.record is not None
        assert each.record.energy_wh == charged_wh[each.id_token]
        assert each.deposit_micro == (each.paid_micro or 0) + (each.refunded_micro or 0)


def readings_of(community: Community) -> Rows:
    """The last version of everything that meters said, chargers' among them."""
    labels = {each.meter_id: each.label or "" for each in community.readings.meters()}
    far_at = from_unix_s(START_S + 400 * 24 * HOUR_S)
    series = community.readings.series(labels, from_at=from_unix_s(START_S), until_at=far_at)
    return {
        labels[meter_id]: list(
            zip(
                *(column.tolist() for column in (each.taken_s, each.import_wh, each.export_wh)),
                strict=True,
            )
        )
        for meter_id, each in series.items()
    }


def results_of(community: Community, night: Night) -> Results:
    """What came of each period for each account, by its last run."""
    history, store = community.refresh(), community.settlements
    last = {start_s: run for start_s, run in history.final_order if start_s < night.end_s}
    assert sorted(last) == list(range(START_S, night.end_s, HOUR_S))
    results: Results = {}
    for start_s, run in last.items():
        for each in store.statements(start_s, run):
            rows: list[tuple[int, ...]] = [
                (row.import_wh, row.export_wh, row.bought_wh, row.sold_wh, int(row.uncovered))
                for row in each.result.rows
            ]
            results[start_s, int(each.account)] = (rows, each.result.amount_nano)
    return results


def calm_results(path: Path, night: Night, metered: Rows) -> Results:
    """The same readings, all of them there before the first period is settled, and no fault."""
    lines = [line(name, *row) for name, rows in metered.items() for row in rows]
    config = night.config(clock="data")
    community = create_community(path / "calm", config, progress=quiet)
    try:
        report = import_registers(community, write(path / "calm.csv", lines))
        assert (len(report.rejected), report.accepted) == (0, len(lines))
        list(SettlementLoop(community).run())
        return results_of(community, night)
    finally:
        community.close()
