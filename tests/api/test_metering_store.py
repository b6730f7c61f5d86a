"""The store of readings, the same on SQLite and on PostgreSQL."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from metering.intake import IntakeResult, Verdict, judge_meter
from metering.meters import MeterBook
from metering.readings import Reading
from metering.series import Series
from metering.store import Meter, ReadingStore, Stretch
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)
from tests.meter_worlds import HOUR, LATER, NOON, checked, meter, reading, term

BOOK = MeterBook([term(meter(number)) for number in range(1, 6)])


@pytest.fixture
def store(engine: Engine) -> ReadingStore:  # noqa: F811 (the fixture)
    opened = ReadingStore(engine)
    opened.create_tables()
    return opened


def at(hours: int, import_wh: int, export_wh: int = 0, number: int = 1) -> Reading:
    return reading(NOON + hours * HOUR, import_wh, export_wh, meter_id=meter(number))


def take(store: ReadingStore, *rows: Reading, accepted_at: datetime = LATER) -> IntakeResult:
    return store.take(checked(*rows, book=BOOK), book=BOOK, now_at=LATER, accepted_at=accepted_at)


def columns(series: Series) -> list[tuple[int, int, int]]:
    return [
        ((row.taken_at - NOON) // HOUR, row.import_wh, row.export_wh) for row in series.readings()
    ]


def known(
    store: ReadingStore, first: int, last: int, cutoff_at: datetime | None = None
) -> list[tuple[int, int, int]]:
    found = store.series(
        [meter(1)], from_at=NOON + first * HOUR, until_at=NOON + last * HOUR, cutoff_at=cutoff_at
    )
    return columns(found[meter(1)]) if found else []


def test_an_empty_store_knows_nothing(store: ReadingStore) -> None:
    assert store.count() == 0
    assert known(store, 0, 9) == []
    assert store.known_stretches() == {}
    assert store.touched_since(NOON) == []
    assert store.versions([meter(1)], from_at=NOON, until_at=LATER) == []
    assert take(store) == IntakeResult(accepted=0, duplicates=0, rejected=())


def test_the_same_request_twice_is_all_duplicates(store: ReadingStore) -> None:
    rows = [at(hour, hour, 0, number) for hour in range(4) for number in (1, 2, 3)]
    assert take(store, *rows) == IntakeResult(accepted=12, duplicates=0, rejected=())
    assert take(store, *rows) == IntakeResult(accepted=0, duplicates=12, rejected=())
    assert store.count() == 12


def test_refused_rows_have_their_index_and_the_others_are_kept(store: ReadingStore) -> None:
    result = take(
        store, at(0, 10), at(1, 5), at(0, 1, 0, 9), at(2, 20), at(10_000, 30), at(1, 10**9)
    )
    assert result.accepted == 2
    assert [(each.position, each.code) for each in result.rejected] == [
        (1, "register_decreased"),
        (2, "unknown_meter"),
        (4, "time_in_future"),
        (5, "register_jump"),
    ]
    assert known(store, 0, 9) == [(0, 10, 0), (2, 20, 0)]


def test_later_requests_are_judged_on_what_is_stored_around_them(store: ReadingStore) -> None:
    take(store, at(0, 100), at(10, 200))
    result = take(store, at(-1, 101), at(5, 99), at(7, 150), at(8, 201), at(11, 199))
    assert [(each.position, each.code) for each in result.rejected] == [
        (0, "register_decreased"),
        (1, "register_decreased"),
        (3, "register_decreased"),
        (4, "register_decreased"),
    ]
    assert known(store, -5, 20) == [(0, 100, 0), (7, 150, 0), (10, 200, 0)]


def test_every_version_is_kept_and_the_last_accepted_one_counts(store: ReadingStore) -> None:
    first_at, second_at, third_at = (LATER + day * timedelta(days=1) for day in range(3))
    take(store, at(0, 10), at(1, 20), accepted_at=first_at)
    take(store, at(1, 30), accepted_at=second_at)
    take(store, at(1, 20), at(1, 40), at(2, 50), accepted_at=third_at)
    assert store.count() == 5
    assert known(store, 0, 9, first_at - timedelta(seconds=1)) == []
    assert known(store, 0, 9, first_at) == [(0, 10, 0), (1, 20, 0)]
    assert known(store, 0, 9, second_at) == [(0, 10, 0), (1, 30, 0)]
    assert (
        known(store, 0, 9, third_at) == known(store, 0, 9) == [(0, 10, 0), (1, 40, 0), (2, 50, 0)]
    )
    versions = store.versions([meter(1)], from_at=NOON + HOUR, until_at=NOON + HOUR)
    assert [(each.signed.reading.import_wh, each.version) for each in versions] == [
        (20, 1),
        (30, 2),
        (40, 3),
    ]
    assert [each.accepted_at for each in versions] == [first_at, second_at, third_at]
    early = store.versions([meter(1)], from_at=NOON, until_at=LATER, cutoff_at=second_at)
    assert len(early) == 3


def test_a_kept_reading_still_carries_the_signature_that_it_came_with(store: ReadingStore) -> None:
    batch = checked(at(0, 10, 20), book=BOOK)
    store.take(batch, book=BOOK, now_at=LATER, accepted_at=LATER)
    kept = store.versions([meter(1)], from_at=NOON, until_at=NOON)
    assert [each.signed for each in kept] == list(batch.signed)


def test_a_series_has_one_neighbour_on_each_side_of_its_range(store: ReadingStore) -> None:
    take(store, *(at(hour, hour) for hour in (0, 2, 4, 6, 8)))
    assert [row[0] for row in known(store, 4, 4)] == [2, 4, 6]
    assert [row[0] for row in known(store, 3, 5)] == [2, 4, 6]
    assert [row[0] for row in known(store, 5, 5)] == [4, 6]
    assert [row[0] for row in known(store, 9, 20)] == [8]
    assert [row[0] for row in known(store, -9, -5)] == [0]


def test_a_neighbour_that_was_not_known_at_the_cutoff_is_none(store: ReadingStore) -> None:
    take(store, at(0, 0), at(6, 6), accepted_at=LATER)
    take(store, at(2, 2), at(4, 4), accepted_at=LATER + HOUR)
    assert [row[0] for row in known(store, 3, 3, LATER)] == [0, 6]
    assert [row[0] for row in known(store, 3, 3)] == [2, 4]


def test_series_of_many_meters_come_each_by_itself(store: ReadingStore) -> None:
    take(store, *(at(hour, 10 * number + hour, 0, number) for number in (3, 1) for hour in (0, 1)))
    found = store.series([meter(1), meter(2), meter(3)], from_at=NOON, until_at=NOON + HOUR)
    assert sorted(found) == [meter(1), meter(3)]
    assert columns(found[meter(3)]) == [(0, 30, 0), (1, 31, 0)]


def test_stretches_go_from_the_first_to_the_last_reading_known(store: ReadingStore) -> None:
    take(store, at(1, 1), at(3, 3), at(2, 2, 0, 2), accepted_at=LATER)
    take(store, at(0, 0), at(5, 5), accepted_at=LATER + HOUR)
    assert store.known_stretches(cutoff_at=LATER) == {
        meter(1): stretch(1, 1, 3),
        meter(2): stretch(2, 2, 2),
    }
    assert store.known_stretches()[meter(1)] == stretch(1, 0, 5)


def stretch(number: int, first: int, last: int) -> Stretch:
    return Stretch(meter_id=meter(number), first_at=NOON + first * HOUR, last_at=NOON + last * HOUR)


def test_new_readings_touch_what_lies_between_their_neighbours(store: ReadingStore) -> None:
    take(store, *(at(hour, hour) for hour in (0, 4, 8, 12, 16, 20)), accepted_at=LATER)
    take(store, at(2, 2), at(16, 17), at(0, 5, 0, 2), accepted_at=LATER + HOUR)
    assert store.touched_since(LATER) == [stretch(1, 0, 4), stretch(1, 12, 20), stretch(2, 0, 0)]
    assert store.touched_since(LATER + HOUR) == []
    assert store.touched_since(NOON, cutoff_at=LATER) == [stretch(1, 0, 20)]


def test_new_readings_at_the_ends_touch_up_to_their_only_neighbour(store: ReadingStore) -> None:
    take(store, at(4, 4), at(6, 6), accepted_at=LATER)
    take(store, at(0, 0), at(9, 9), accepted_at=LATER + HOUR)
    assert store.touched_since(LATER) == [stretch(1, 0, 4), stretch(1, 6, 9)]


def test_meters_keep_their_names_whoever_comes_first(store: ReadingStore) -> None:
    take(store, at(0, 1, 0, 2))
    store.add_meters([Meter(meter_id=meter(1), label="one"), Meter(meter_id=meter(2), label="two")])
    store.add_meters([Meter(meter_id=meter(1)), Meter(meter_id=meter(2), label="two")])
    assert store.meters() == [
        Meter(meter_id=meter(1), label="one"),
        Meter(meter_id=meter(2), label="two"),
    ]
    take(store, at(1, 2, 0, 2))
    assert store.count() == 2


def test_a_name_stands_for_one_meter(store: ReadingStore) -> None:
    store.add_meters([Meter(meter_id=meter(1), label="one")])
    with pytest.raises(IntegrityError):
        store.add_meters([Meter(meter_id=meter(2), label="one")])


def test_two_intakes_at_once_keep_each_reading_once(store: ReadingStore) -> None:
    rows = [at(hour, hour, 0, number) for hour in range(50) for number in (1, 2, 3)]
    results: list[IntakeResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(take(store, *rows))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result.accepted for result in results) == store.count() == 150
    assert sum(result.duplicates for result in results) == 450


class DiskIsFullError(Exception):
    """Something that nobody foresaw."""


def test_what_fails_in_the_middle_leaves_nothing_behind(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.reading_rows_store.METERS_PER_QUERY", 1)
    judged = []

    def fail_on_the_second(candidates: Mapping[int, Reading], *others: Any) -> Verdict:
        judged.append(candidates)
        if len(judged) > 1:
            raise DiskIsFullError
        return judge_meter(candidates, *others)

    monkeypatch.setattr("metering.intake.judge_meter", fail_on_the_second)
    with pytest.raises(DiskIsFullError):
        take(store, at(0, 1, 0, 1), at(0, 1, 0, 2))
    assert store.count() == 0
    assert store.meters() == []
