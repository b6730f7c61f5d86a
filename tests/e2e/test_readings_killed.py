"""`serve` and its workers killed with SIGKILL while meters send: what was acknowledged is there.

`KILLS` of the environment asks for more kills than CI takes.
"""

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.config import config_of
from api.jobs.audit import audit
from api.jobs.community import Community, open_community
from api.jobs.create import create_community, meter_key
from api.jobs.evidence import evidence_of
from ledger.units import Hash32, from_unix_s
from metering.readings import MeterId, Reading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.api.community_worlds import START_S, document, quiet
from tests.e2e.fork_server import KILLED, ForkServer, fork_server
from tests.engines import postgres_server, postgres_url  # noqa: F401 (fixture)
from tests.ports import free_port

KILLS = int(os.environ.get("KILLS", "3"))
WORKERS_KILLED = 0.5  # So often it is a worker, too, that dies, a moment before the service.
SENDERS, BATCH = 3, 25
PATIENCE_S = 120
LABELS = ["one", "two", "three"]
WORKER = "api.jobs.taking.worker"
PRELOADED = ("api.app", "api.serving", "api.jobs.charging.runtime", "uvicorn", "uvloop")


@dataclass
class Street:
    """A community on the disk, what its meters have sent, and how far the killing is."""

    home: Path
    port: int
    workers: int
    acknowledged: list[int] = field(default_factory=list)  # Numbers of batches.
    kills: int = 0
    is_over: bool = False  # Enough: meters send no more.
    worker_ids: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Meters:
    """Meters with their keys, and how many batches they have made."""

    by_label: dict[str, tuple[MeterId, bytes]]
    domain: Hash32
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _taking: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, community: Community) -> "Meters":
        found = {
            each.label: (each.meter_id, community.keys.secret(meter_key(each.label)))
            for each in community.readings.meters()
            if each.label in LABELS
        }
        return cls(by_label=found, domain=community.reading_domain)

    def next_batch(self) -> tuple[int, dict[str, Any]]:
        """Readings of all meters, at seconds that no other batch has."""
        with self._taking:
            number = next(self._numbers)
        items = []
        for second in range(number * BATCH, (number + 1) * BATCH):
            for meter_id, key in self.by_label.values():
                reading = Reading(
                    meter_id=meter_id,
                    taken_at=from_unix_s(START_S + second),
                    import_wh=second,
                    export_wh=0,
                )
                items.append(to_json(sign_reading(reading, key, self.domain)))
        return number, {"readings": items}


def send_all(street: Street, meters: Meters) -> None:
    """A gateway: keeps a batch until it is acknowledged, then takes the next one."""
    while not street.is_over:
        number, batch = meters.next_batch()
        send(street, batch)
        street.acknowledged.append(number)


def send(street: Street, batch: dict[str, Any]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < ends_s
        with suppress(httpx2.TransportError):
            answer = httpx2.post(street.url + "/v1/readings", json=batch, timeout=30)
            if answer.status_code == 200:
                found = answer.json()
                assert found["rejected"] == []
                assert found["accepted"] + found["duplicates"] == len(batch["readings"])
                return
            assert answer.status_code == 503, answer.text
        time.sleep(0.05)


def children_of(process_id: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(") ")[2].split()[1]) == process_id:
                found.append(int(path.parent.name))
    return found


def is_worker(process_id: int) -> bool:
    with suppress(OSError):
        return WORKER.encode() in Path(f"/proc/{process_id}/cmdline").read_bytes()
    return False


def serve_and_kill(
    street: Street, server: ForkServer, gateways: Sequence[threading.Thread]
) -> None:
    """The service lives until it has acknowledged something, and a moment longer."""
    words = (
        *("serve", "--port", street.port, "--workers", street.workers),
        *("--data-dir", street.home),
    )
    moments = random.Random(street.workers)

    def until_at_work() -> None:
        before, ends_s = len(street.acknowledged), time.monotonic() + PATIENCE_S
        while len(street.acknowledged) == before:
            assert time.monotonic() < ends_s
            time.sleep(0.01)
        fronts = children_of(server._process.pid)
        workers = [each for front in fronts for each in children_of(front) if is_worker(each)]
        street.worker_ids.update(workers)
        if workers and moments.random() < WORKERS_KILLED:
            time.sleep(moments.uniform(0, 0.2))
            os.kill(moments.choice(workers), signal.SIGKILL)

    while street.kills < KILLS:
        code = server.run(*words, kill_after_s=moments.uniform(0, 1), once=until_at_work)
        assert code == KILLED, server.printed()
        street.kills += 1
    street.is_over = True  # What is on its way then goes to the last one.
    server.run(*words, kill_after_s=0, once=lambda: [each.join(PATIENCE_S) for each in gateways])
    assert not any(each.is_alive() for each in gateways)


@pytest.fixture(params=["postgresql", "sqlite"])
def street(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Street:
    workers = 0
    if request.param == "postgresql":
        workers = 2
        url = postgres_url(request.getfixturevalue("postgres_server"))
        monkeypatch.setenv("WATTLEDGER_DATABASE_URL", url)
    return Street(home=tmp_path / "data", port=free_port(), workers=workers)


@pytest.mark.timeout(600)
def test_no_acknowledged_reading_is_lost_and_none_is_kept_twice(
    street: Street, tmp_path: Path
) -> None:
    config = config_of(document(LABELS), "test")
    with closing(create_community(street.home, config, progress=quiet)) as community:
        meters = Meters.of(community)
    gateways = [threading.Thread(target=send_all, args=(street, meters)) for _ in range(SENDERS)]
    for gateway in gateways:
        gateway.start()
    with fork_server(tmp_path, *PRELOADED) as server:
        serve_and_kill(street, server, gateways)
        assert "Traceback" not in server.printed()
    check(street)


def check(street: Street) -> None:
    """All that was acknowledged, once; workers ended with their service."""
    with open_community(street.home) as community:
        known = {each.meter_id: each.label for each in community.readings.meters()}
        kept = community.readings.versions(
            known, from_at=from_unix_s(START_S), until_at=from_unix_s(START_S + 10**8)
        )
        assert {each.version for each in kept} == {1}
        seconds = {
            (known[each.signed.reading.meter_id], each.signed.reading.import_wh) for each in kept
        }
        acknowledged = {
            (label, number * BATCH + place)
            for number in street.acknowledged
            for label in LABELS
            for place in range(BATCH)
        }
        assert acknowledged <= seconds
        assert len(seconds) == len(kept)
        report = audit(community.chain, evidence_of(community), progress=quiet)
        assert report.discrepancies == []
    ends_s = time.monotonic() + 20
    while any(map(is_worker, street.worker_ids)):
        assert time.monotonic() < ends_s
        time.sleep(0.1)
    assert len(street.worker_ids) >= street.workers * KILLS // 2
    print(f"{street.kills} kills, {len(street.acknowledged)} requests acknowledged")
