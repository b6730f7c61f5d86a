"""Several requests in one transaction are judged as one after the other, on the whole series."""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ledger.errors import LedgerError
from ledger.units import to_unix_s
from metering.intake import VERSIONS_MAX, StoredVersion, judge_meter
from metering.meters import MeterBook
from metering.readings import MeterId, Reading
from metering.store import ReadingStore
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)
from tests.meter_worlds import LATER, NOON, checked, meter, reading, term

METERS = [meter(number) for number in range(1, 4)]
BOOK = MeterBook([term(each) for each in METERS])
# Close together, and days apart: what lies between far ones is not looked at.
INSTANTS_S = [*range(0, 3_600, 900), *range(172_800, 176_400, 900), 400_000, 400_001, 900_000]


@pytest.fixture
def store(engine: Engine) -> ReadingStore:  # noqa: F811
    store = ReadingStore(engine)
    store.create_tables()
    return store


class Shelves:
    """The plain way: each request by itself, each meter on everything that is known of it."""

    def __init__(self) -> None:
        self.rows: defaultdict[MeterId, list[StoredVersion]] = defaultdict(list)

    def take(self, request: Sequence[Reading]) -> object:
        accepted = duplicates = 0
        rejected: dict[int, LedgerError] = {}
        for meter_id in METERS:
            mine = {i: each for i, each in enumerate(request) if each.meter_id == meter_id}
            rows = sorted(self.rows[meter_id], key=lambda row: (row.taken_s, row.version))
            verdict = judge_meter(mine, rows, BOOK.terms_of_meter(meter_id))
            for index, version in verdict.accepted:
                self.rows[meter_id].append(
                    StoredVersion(
                        taken_s=to_unix_s(mine[index].taken_at),
                        version=version,
                        import_wh=mine[index].import_wh,
                        export_wh=mine[index].export_wh,
                    )
                )
            accepted += len(verdict.accepted)
            duplicates += len(verdict.duplicates)
            rejected |= verdict.rejected
        return outcome(accepted, duplicates, [(i, rejected[i].code) for i in sorted(rejected)])


def outcome(accepted: int, duplicates: int, rejected: list[tuple[int, str]]) -> object:
    return accepted, duplicates, rejected


def request_of(moments: random.Random) -> list[Reading]:
    return [
        reading(
            NOON + timedelta(seconds=(taken_s := moments.choice(INSTANTS_S))),
            # Mostly a line, now and then too high or too low.
            taken_s // 900 * 50 + moments.choice([0, 0, 0, 1, 40, 3_000, -30, 10**7]) + 100,
            moments.choice([0, 0, 7]),
            meter_id=moments.choice(METERS),
        )
        for _ in range(moments.randrange(1, 8))
    ]


@pytest.mark.parametrize("seed", range(6))
def test_several_requests_at_once_are_judged_as_one_after_the_other(
    store: ReadingStore, seed: int
) -> None:
    moments, shelves, codes = random.Random(seed), Shelves(), set()
    for _ in range(12):
        requests = [request_of(moments) for _ in range(moments.randrange(1, 5))]
        batches = [checked(*each, book=BOOK) for each in requests]
        results = store.take_each(batches, book=BOOK, now_at=LATER, accepted_at=LATER)
        for request, result in zip(requests, results, strict=True):
            rejected = [(each.position, each.code) for each in result.rejected]
            found = outcome(result.accepted, result.duplicates, rejected)
            assert found == shelves.take(request)
            codes.update(code for _, code in rejected)
    kept = store.versions(METERS, from_at=NOON, until_at=LATER)
    assert len(kept) == sum(map(len, shelves.rows.values()))
    assert codes == {"register_decreased", "register_jump"}


def test_an_instant_has_no_more_versions_than_anybody_can_look_at(store: ReadingStore) -> None:
    rows = [reading(NOON, wh) for wh in range(VERSIONS_MAX + 5)]
    first = store.take(checked(*rows, book=BOOK), book=BOOK, now_at=LATER, accepted_at=LATER)
    assert first.accepted == VERSIONS_MAX
    assert {each.code for each in first.rejected} == {"too_many_versions"}
    again = store.take(checked(*rows[-5:], book=BOOK), book=BOOK, now_at=LATER, accepted_at=LATER)
    assert [each.code for each in again.rejected] == ["too_many_versions"] * 5
    other = reading(NOON + timedelta(seconds=1), VERSIONS_MAX)
    more = store.take(checked(other, book=BOOK), book=BOOK, now_at=LATER, accepted_at=LATER)
    assert more.accepted == 1
