"""A neighbourhood for one night: its homes, chargers and drivers, and the faults that befall it."""

import asyncio
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from api.config import CommunityConfig, config_of
from api.jobs.community import Community, open_community
from api.jobs.create import create_community, meter_key
from charging.simulator.point import ChargePoint
from ledger.chain.wallet import Wallet
from ledger.units import from_unix_s
from metering.readings import Reading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.api.community_worlds import START_S, quiet
from tests.e2e import night_chain
from tests.e2e.charging_service import CHAIN_ID, Driver, charger_section
from tests.e2e.fork_server import KILLED, ForkServer
from tests.e2e.night_clock import NightClock
from tests.e2e.test_serve_killed import driver_of
from tests.ports import free_port

HOUR_S, DAY_S, WINDOW_S = 3_600, 86_400, 900
HOMES = ("a", "b", "c", "d")
POINTS = {"CP1": "1.6", "CP2": "2.0.1"}
PASSWORD = "0123456789"
POWER_W = 22_000
DEPOSIT_MICRO = 10**9
EVENING_S = 600  # Before the first window.
DAY_SPEED = 60  # Quicker than blocks come: the chain is not to be ahead of its clock.
STARTS_IN_A_LIFE = 2
STARTS_KILLED = 0.25  # So often it is killed before it serves anybody.
PATIENCE_S = 300
Rows = dict[str, list[tuple[int, int, int]]]  # Of each meter: instant, import, export.


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """How long it lasts, how fast it passes at most, and how much goes wrong."""

    hours: int
    speed: int
    kills: int
    dispute_s: int
    finalize_s: int
    confirmations: int
    seed: int

    @property
    def end_s(self) -> int:
        return START_S + self.hours * HOUR_S

    def config(self, **chain: Any) -> CommunityConfig:
        """Of the community, on any chain."""
        document: dict[str, object] = {
            "chain": chain,
            "market": {
                "first_period_start": from_unix_s(START_S),
                "window_s": WINDOW_S,
                "period_windows": HOUR_S // WINDOW_S,
                "grace_s": HOUR_S // 2,
                "dispute_period_s": self.dispute_s,
                "finalize_within_s": self.finalize_s,
                "debit_max_wh": 1_000_000,
            },
            "supplier": {"name": "Supplier", "deposit_micro": DEPOSIT_MICRO},
            "accounts": [
                {"name": "Host", "deposit_micro": DEPOSIT_MICRO},
                *({"name": name, "deposit_micro": DEPOSIT_MICRO} for name in HOMES),
            ],
            "meters": [
                {"label": name, "account": account, "limit_w": 20_000}
                for account, name in enumerate(HOMES, start=3)
            ],
            "chargers": [charger_section(name, PASSWORD, power_w=POWER_W) for name in POINTS],
        }
        return config_of(document, "night")

    def registers(self) -> Rows:
        """What the homes' meters show at every boundary of a window, and one window more."""
        drawn = random.Random(self.seed)
        rows: Rows = {}
        for number, name in enumerate(HOMES):
            import_wh, export_wh = 1_000 * number, 500 * number
            rows[name] = []
            for at_s in range(START_S, self.end_s + WINDOW_S + 1, WINDOW_S):
                rows[name].append((at_s, import_wh, export_wh))
                import_wh += drawn.randrange(0, 900)
                export_wh += drawn.randrange(0, 1_200) if number % 2 else 0
        return rows


@dataclass
class World:
    """The community on the disk, the clock, and how far the night is."""

    night: Night
    home: Path
    chain_home: Path
    clock: NightClock
    port: int
    chain_port: int
    drivers: dict[str, Driver] = field(default_factory=dict)
    points: dict[str, ChargePoint] = field(default_factory=dict)
    sessions: list[str] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    has_fallen: threading.Event = field(default_factory=threading.Event)
    start_took_s: float = 0.0  # Of the service, in real seconds.
    kills: int = 0
    starts_refused: int = 0
    posts_failed: int = 0
    readings_sent: int = 0
    is_done: bool = False  # All that was begun has ended.
    has_failed: bool = False
    told: list[str] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(init=False)  # The charge points'.
    _chain: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def note(self, line: str) -> None:
        """Keeps what happened, with its time in the night."""
        self.told.append(f"{self.clock.now():%d %H:%M}  {line}")
        print(self.told[-1], flush=True)

    @property
    def speed(self) -> int:
        """Of the clock, as chargers ask it."""
        return self.clock.speed

    def now(self) -> datetime:
        """What time it is, by day and by night."""
        return self.clock.now()

    @property
    def life_s(self) -> float:
        """Real seconds that the service lives on average until it is killed."""
        return self.night.hours * HOUR_S / self.clock.speed / self.night.kills

    @property
    def is_morning(self) -> bool:
        """Whether the last period is over."""
        return self.clock.now_s() >= self.night.end_s

    def fall(self) -> None:
        """Night falls; a machine that takes long to start a service gets a longer one."""
        self.kill_chain()
        life_s = STARTS_IN_A_LIFE * self.start_took_s + 0.5
        speed = int(self.night.hours * HOUR_S / self.night.kills / life_s)
        speed = max(1, min(self.night.speed, speed))
        self.clock = NightClock.starting(START_S - EVENING_S, speed=speed)
        self.switch_chain_on()
        self.note(f"night falls, {speed} times as fast; a start takes {self.start_took_s:.1f} s")
        self.has_fallen.set()

    def sleep_until(self, unix_s: int) -> None:
        """Waits, unless something has gone wrong that no night should bring."""
        while self.clock.now_s() < unix_s:
            if self.has_failed:
                raise AssertionError("another of its parts has failed")
            left_s = (unix_s - self.clock.now_s()) / self.clock.speed
            time.sleep(min(max(left_s, 0.005), 0.5))

    def switch_chain_on(self) -> None:
        self._chain = night_chain.started(self.chain_home, self.chain_port, self.clock)

    def kill_chain(self) -> None:
        if self._chain is not None:
            night_chain.kill(self._chain)
            self._chain = None


@contextmanager
def world_of(night: Night, path: Path) -> Iterator[World]:
    """A community by day, made on a chain that is a process of its own from then on."""
    world = World(
        night=night,
        home=path / "data",
        chain_home=path / "chain",
        clock=NightClock.starting(START_S - DAY_S // 2, speed=DAY_SPEED),
        port=free_port(),
        chain_port=free_port(),
    )
    community = create_community(world.home, night.config(clock="data"), progress=quiet)
    try:
        for number, name in enumerate(POINTS, start=1):
            wallet = Wallet((7_000 + number).to_bytes(32))
            world.drivers[name] = driver_of(community, world.url, wallet)
    finally:
        community.close()
    community.directory.chain_path.rename(world.chain_home)
    config = night.config(
        rpc=f"http://127.0.0.1:{world.chain_port}",
        chain_id=CHAIN_ID,
        confirmations=night.confirmations,
    )
    community.directory.config_path.write_text(config.model_dump_json())
    world.switch_chain_on()
    try:
        yield world
    finally:
        world.kill_chain()


# Homes.


def send_readings(world: World) -> None:
    """Every home's readings, some late and some twice, each again until it is acknowledged."""
    drawn = random.Random(world.night.seed + 1)
    with open_community(world.home, read_only=True) as community:
        waiting = [
            (send_s, json_of(community, name, row))
            for name, rows in world.night.registers().items()
            for row in rows
            for send_s in _send_times(row[0], drawn)
        ]
    waiting.sort(key=lambda each: each[0], reverse=True)
    world.has_fallen.wait(PATIENCE_S)
    with httpx2.Client(timeout=10) as client:
        while waiting:
            world.sleep_until(waiting[-1][0])
            body = [waiting.pop()[1]]
            while waiting and waiting[-1][0] <= world.clock.now_s():
                body.append(waiting.pop()[1])
            post(world, client, body)


def _send_times(taken_s: int, drawn: random.Random) -> list[int]:
    """Mostly soon; one in eight hours late; one in ten is sent again."""
    late_s = drawn.randrange(0, 2 * HOUR_S) if drawn.random() < 1 / 8 else drawn.randrange(0, 200)
    times = [taken_s + late_s]
    if drawn.random() < 1 / 10:
        times.append(taken_s + late_s + drawn.randrange(0, HOUR_S))
    return times


def json_of(community: Community, name: str, row: tuple[int, int, int]) -> dict[str, object]:
    """A signed reading."""
    meters = {each.label: each.meter_id for each in community.readings.meters()}
    reading = Reading(
        meter_id=meters[name],
        taken_at=from_unix_s(row[0]),
        import_wh=row[1],
        export_wh=row[2],
    )
    secret = community.keys.secret(meter_key(name))
    return to_json(sign_reading(reading, secret, community.reading_domain))


def post(world: World, client: httpx2.Client, readings: list[dict[str, object]]) -> None:
    """Until it is answered that all are kept."""
    ends_s = time.monotonic() + PATIENCE_S
    while True:
        with suppress(httpx2.TransportError):
            answer = client.post(world.url + "/v1/readings", json={"readings": readings})
            if answer.status_code == 200:
                assert answer.json()["rejected"] == []
                world.readings_sent += len(readings)
                return
            assert answer.status_code in (429, 503), answer.text
        assert time.monotonic() < ends_s
        world.posts_failed += 1
        time.sleep(0.1)


# Faults.


def kill_and_restart(world: World, server: ForkServer, drawn: random.Random) -> None:
    """The service is killed again and again, and at last stopped in order."""
    words = ("serve", "--port", world.port, "--data-dir", world.home)
    _evening(world, server, words)
    while not world.is_done and (world.kills < world.night.kills or not world.is_morning):
        life_s = drawn.uniform(0, 2 * world.life_s)
        if drawn.random() < STARTS_KILLED:
            code = server.run(*words, kill_after_s=drawn.uniform(0, 1), clock=world.clock)
        else:
            code = server.run(
                *words,
                kill_after_s=life_s,
                once=lambda: served(world, 3 * world.start_took_s),
                clock=world.clock,
            )
        world.kills += code == KILLED
        if code != KILLED:  # It found no chain or no database.
            world.starts_refused += 1
            assert code == 1, server.printed()
            time.sleep(0.3)
    world.note(f"killed {world.kills} times, and left alone from now on")

    def lives_on() -> None:
        served(world, PATIENCE_S)
        wait_for(lambda: world.is_done)

    code = server.run(
        *words, kill_after_s=0.0, kill_with=signal.SIGTERM, once=lives_on, clock=world.clock
    )
    assert code == 0, server.printed()


def _evening(world: World, server: ForkServer, words: Sequence[object]) -> None:
    """The first life, by day: chargers connect, drivers sign in, and then night falls."""

    def live() -> None:
        began_s = time.monotonic()
        served(world, PATIENCE_S)
        world.start_took_s = time.monotonic() - began_s
        wait_for(lambda: len(world.points) == len(POINTS) == len(world.signed_in))

    code = server.run(*words, kill_after_s=0.0, once=live, clock=world.clock)
    assert code == KILLED, server.printed()
    world.fall()


def served(world: World, within_s: float) -> None:
    """Until somebody listens, or for so long."""
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        with suppress(httpx2.TransportError):
            httpx2.get(world.url + "/healthz", timeout=2)
            return
        time.sleep(0.05)


def befall(world: World, at_s: int, fault: Callable[[], None]) -> None:
    """A fault, at its time."""
    world.has_fallen.wait(PATIENCE_S)
    world.sleep_until(at_s)
    fault()


def wait_for(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Until it holds."""
    ends_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.05)
