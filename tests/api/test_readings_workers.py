"""Workers that take readings in: as one process would, when they die and while runs are made."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from api.jobs.community import Community
from api.jobs.create import meter_key
from api.jobs.planning import flows_known
from api.jobs.settling import Settling
from api.jobs.taking import crew as crew_module
from api.jobs.taking.answers import TakenAnswer
from api.jobs.taking.crew import Crew
from api.jobs.taking.desk import Desk, open_desk
from ledger.chain import registry
from ledger.keccak import address_of
from ledger.units import AccountId, from_unix_s
from metering.errors import EmptyFile, TooManyReadings, UnknownFormat
from metering.readings import MeterId, Reading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.api.community_worlds import START_S, community_of, document
from tests.api.test_settling import final_runs, findings, street, until
from tests.engines import postgres_server, postgres_url  # noqa: F401 (fixture)

T = TypeVar("T")
VARIABLE = "WATTLEDGER_DATABASE_URL"
START_AT = from_unix_s(START_S)
SECOND = timedelta(seconds=1)
LABELS = ["one", "two", "three", "four"]


@pytest.fixture(scope="module")
def community(
    postgres_server: Any,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Community]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, postgres_url(postgres_server))
        home = tmp_path_factory.mktemp("workers") / "data"
        with community_of(home, document(LABELS)) as community:
            yield community


@asynccontextmanager
async def crew_of(community: Community, count: int = 2) -> AsyncIterator[tuple[Crew, Desk]]:
    """Workers that are all there, and the desk before them."""
    crew = Crew(community, count=count, meter_readings_per_minute=10**6)
    async with crew:
        await until(lambda: crew.state().problem is None)
        yield crew, Desk(crew, community.now_s)


class Served:
    """A community's crew and desk, in a loop that all tests share: starting them takes its time."""

    def __init__(self, community: Community) -> None:
        self._runner = asyncio.Runner()
        self._opened = crew_of(community)
        self.crew, self.desk = self.run(self._opened.__aenter__())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self._opened.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module")
def served(community: Community) -> Iterator[Served]:
    with closing(Served(community)) as served:
        yield served


def ids(community: Community) -> dict[str, MeterId]:
    return {each.label or "": each.meter_id for each in community.readings.meters()}


def item(
    community: Community,
    label: str,
    second: int,
    import_wh: int,
    export_wh: int = 0,
    *,
    start_s: int = START_S,
) -> dict[str, object]:
    """A reading of one second, signed."""
    reading = Reading(
        meter_id=ids(community)[label],
        taken_at=from_unix_s(start_s + second),
        import_wh=import_wh,
        export_wh=export_wh,
    )
    key = community.keys.secret(meter_key(label))
    return to_json(sign_reading(reading, key, community.reading_domain))


def body(items: Sequence[Any]) -> bytes:
    return json.dumps({"readings": items}).encode()


def kept(community: Community) -> list[tuple[MeterId, int, int, int]]:
    versions = community.readings.versions(
        ids(community).values(), from_at=START_AT, until_at=START_AT + 10**8 * SECOND
    )
    return [
        (
            each.signed.reading.meter_id,
            (each.signed.reading.taken_at - START_AT) // SECOND,
            each.signed.reading.import_wh,
            each.version,
        )
        for each in versions
    ]


def test_workers_answer_as_the_services_own_threads_do(
    community: Community, served: Served
) -> None:
    good = [item(community, label, 10 + place, 100) for place, label in enumerate(LABELS)]
    mixed = [
        good[0],
        {**good[1], "signature": good[0]["signature"]},
        None,
        good[0],
        {**good[2], "meter_id": "0x" + "55" * 32},
        item(community, "four", 14, 99_999_999),
        item(community, "four", 13, 99),
        *good,
    ]

    async def by(desk: Desk) -> Any:
        answer = await desk.take(body(mixed))
        again = await desk.take(body(mixed))
        for wrong, failure in (
            (b"{", UnknownFormat),
            (body([]), EmptyFile),
            (body([0] * 10_001), TooManyReadings),
        ):
            with pytest.raises(failure):
                await desk.take(wrong)
        return json.loads(answer.body), json.loads(again.body), desk.counts()

    async def run() -> None:
        first, again, counts = await by(served.desk)
        assert (first["accepted"], first["duplicates"]) == (5, 2)
        assert [(each["index"], each["code"]) for each in first["rejected"]] == [
            (1, "bad_signature"),
            (2, "bad_row"),
            (4, "unknown_meter"),
            (5, "register_jump"),
        ]
        assert (again["accepted"], again["duplicates"]) == (0, 7)
        assert again["rejected"] == first["rejected"]
        assert counts["accepted"] >= 5
        async with open_desk(community) as threads:
            alone, _, _ = await by(threads)
        assert alone == again

    served.run(run())


def test_many_requests_for_the_same_meters_at_once_keep_each_reading_once(
    community: Community, served: Served
) -> None:
    moments = random.Random(4)
    wanted = {(label, second) for label in LABELS for second in range(1_000, 1_400)}
    items = {each: item(community, each[0], each[1], each[1]) for each in wanted}
    requests = []
    for _ in range(40):
        chosen = moments.sample(sorted(wanted), 60)
        requests.append(body([items[each] for each in chosen]))
    requests.append(body(list(items.values())))

    async def run() -> list[TakenAnswer]:
        return await asyncio.gather(*(served.desk.take(each) for each in requests))

    answers = served.run(run())
    assert sum(each.refused for each in answers) == 0
    assert sum(each.counts["accepted"] for each in answers) == len(wanted)
    found = [each for each in kept(community) if 1_000 <= each[1] < 1_400]
    assert len(found) == len({each[:2] for each in found}) == len(wanted)


def test_a_worker_that_dies_costs_no_reading_and_is_replaced(
    community: Community, served: Served
) -> None:
    crew, desk = served.crew, served.desk

    async def run() -> int:
        killed = 0
        requests = [
            body([item(community, "one", 2_000 + 50 * place + each, 3_000) for each in range(50)])
            for place in range(30)
        ]
        answers = [asyncio.create_task(desk.take(each)) for each in requests]
        for _ in range(3):
            await asyncio.sleep(0.05)
            process_id = crew.process_ids()[0]
            os.kill(process_id, signal.SIGKILL)
            killed += 1
            await until(lambda gone=process_id: gone not in crew.process_ids())  # type: ignore[misc]
            await until(lambda: crew.state().problem is None)
        results = await asyncio.gather(*answers, return_exceptions=True)
        for place, result in enumerate(results):
            if not isinstance(result, TakenAnswer):  # It met two that died: it is sent again.
                results[place] = await desk.take(requests[place])
        assert all(each.refused == 0 for each in results if isinstance(each, TakenAnswer))
        return killed

    assert served.run(run()) == 3
    found = [each for each in kept(community) if 2_000 <= each[1] < 3_500]
    assert len(found) == len({each[:2] for each in found}) == 1_500


def test_a_worker_that_could_not_be_started_is_started_later(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew_module, "PAUSE_S_MAX", 0.1)

    async def run() -> None:
        crew = Crew(community, count=1, meter_readings_per_minute=10**6)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nowhere/python")
            await crew.__aenter__()
            await asyncio.sleep(0.3)
            assert crew.process_ids() == []
        await until(lambda: crew.state().problem is None)
        await crew.__aexit__()

    asyncio.run(run())


def test_a_meter_that_is_registered_meanwhile_is_heard_soon(
    community: Community, served: Served
) -> None:
    meter_id, key = MeterId(b"\x77" * 32), bytes(31) + b"\x77"

    async def run() -> None:
        reading = Reading(meter_id=meter_id, taken_at=START_AT + SECOND, import_wh=1, export_wh=0)
        request = body([to_json(sign_reading(reading, key, community.reading_domain))])
        unknown = await served.desk.take(request)
        assert unknown.counts["unknown_meter"] == 1
        data = registry.begin(
            meter_id=meter_id,
            key=address_of(key),
            account=AccountId(2),
            meter_class=0,
            limit_w=10_000,
            valid_from_s=START_S,
        )
        intent = community.intent(
            "begin:test", data, to=community.contracts.registry, role="registrar"
        )
        await asyncio.to_thread(community.execute, [intent])
        ends_s = time.monotonic() + 10
        while (await served.desk.take(request)).counts["accepted"] == 0:
            assert time.monotonic() < ends_s
            await asyncio.sleep(0.1)

    served.run(run())


def test_a_worker_whose_service_is_gone_before_it_begins_ends_in_peace() -> None:
    words = [sys.executable, "-m", "api.jobs.taking.worker"]
    ended = subprocess.run(words, input=b"", capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_workers_end_with_the_service_and_answer_what_they_have(community: Community) -> None:
    async def run() -> list[int]:
        async with crew_of(community) as (crew, desk):
            answers = [
                asyncio.create_task(desk.take(body([item(community, "two", 4_000 + each, 5_000)])))
                for each in range(20)
            ]
            await asyncio.sleep(0)
            process_ids = crew.process_ids()
        for answer in asyncio.as_completed(answers):
            assert (await answer).counts["accepted"] == 1
        return process_ids

    for process_id in asyncio.run(run()):
        with pytest.raises(ProcessLookupError):
            os.kill(process_id, 0)


# Runs that are planned meanwhile.

# What the street's meters show at these seconds, and may show a little more of.
IMPORT_WH = {5: 1_045, 6: 1_060, 7: 1_065}
EXPORT_WH = {5: 2_040, 6: 2_060, 7: 2_090}
LATE_S = 3  # As long as requests seem to have waited before a worker came to them.


def test_what_comes_in_while_runs_are_planned_is_in_a_later_run_and_the_audit_agrees(
    postgres_server: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, postgres_url(postgres_server))
    with closing(street(tmp_path, period_windows=2)) as community:
        first_s = community.schedule.first_period_start_s
        moments = random.Random(7)

        async def send(desk: Desk, ends_s: float) -> int:
            """New versions and new instants of a period that is settled by now."""
            accepted = 0
            while time.monotonic() < ends_s:
                label, second = moments.choice("ab"), moments.choice(list(IMPORT_WH))
                import_wh = IMPORT_WH[second] + moments.randrange(5)
                export_wh = EXPORT_WH[second] + moments.randrange(4) if label == "b" else 2_000
                sent = item(community, label, second, import_wh, export_wh, start_s=first_s)
                answer = await desk.take(body([sent]))
                assert answer.refused == 0, answer.body
                accepted += answer.counts["accepted"]
                await asyncio.sleep(0.25)
            return accepted

        async def run() -> int:
            async with crew_of(community) as (crew, _), Settling(community, pace_s=0.05):
                await until(lambda: len(final_runs(community)) >= 3)
                desk = Desk(crew, lambda: community.now_s() - LATE_S)
                ends_s = time.monotonic() + 8
                sent = sum(await asyncio.gather(*(send(desk, ends_s) for _ in range(3))))
                await until(lambda: settled_is_known(community))
                return sent

        assert asyncio.run(run()) > 15
        revisions = [run for _, run in final_runs(community) if run]
        assert len(revisions) >= 2
        assert findings(community) == []


def settled_is_known(community: Community) -> bool:
    """Whether the last run of each period says what all readings come to."""
    book, now_s = community.book(), community.now_s()
    last = dict(final_runs(community))
    for period_start_s, run in last.items():
        flows = flows_known(community, book, period_start_s, cutoff_at_s=now_s + LATE_S)
        for statement in community.settlements.statements(period_start_s, run):
            known = flows.get(statement.account, [])
            rows = [(row.import_wh, row.export_wh) for row in statement.result.rows]
            if known and rows != [(cell.import_wh, cell.export_wh) for cell in known]:
                return False
    return True
