"""Real revised readings: a first release with gaps, then the same hours published again."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from metering.intake import IntakeResult
from metering.meters import MeterBook
from metering.readings import Reading
from metering.registers_csv import RegistersFile, read_registers
from metering.store import ReadingStore
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)
from tests.meter_worlds import HOUR, LATER, checked, meter, term

DATA = Path(__file__).parents[1] / "data"
ROWS = 2_646
GAPS = 83
BOOK = MeterBook([term(limit_w=30_000)])


@pytest.fixture
def store(engine: Engine) -> ReadingStore:  # noqa: F811 (the fixture)
    opened = ReadingStore(engine)
    opened.create_tables()
    return opened


def file_of(name: str) -> RegistersFile:
    with (DATA / f"konstanz_house4_{name}.csv").open("rb") as source:
        return read_registers(source)


def readings_of(name: str) -> list[Reading]:
    readings, _, unknown = file_of(name).readings(lambda _: meter(1))
    assert not unknown
    return readings


def take(store: ReadingStore, rows: list[Reading], hours_later: int) -> IntakeResult:
    accepted_at = LATER + hours_later * HOUR
    batch = checked(*rows, book=BOOK)
    return store.take(batch, book=BOOK, now_at=accepted_at, accepted_at=accepted_at)


def test_the_first_release_has_83_gaps_and_the_revised_one_replaces_every_instant(
    store: ReadingStore,
) -> None:
    first, revised = readings_of("first_release_with_gaps"), readings_of("revised_release")
    assert file_of("first_release_with_gaps").estimated == GAPS
    assert file_of("revised_release").estimated == 0
    assert take(store, first, 0) == IntakeResult(accepted=ROWS - GAPS, duplicates=0, rejected=())
    assert take(store, revised, 1) == IntakeResult(accepted=ROWS, duplicates=0, rejected=())
    assert store.count() == 2 * ROWS - GAPS
    span = {"from_at": revised[0].taken_at, "until_at": revised[-1].taken_at}
    assert store.series([meter(1)], **span)[meter(1)].readings() == revised
    assert store.series([meter(1)], **span, cutoff_at=LATER)[meter(1)].readings() == first
    (touched,) = store.touched_since(LATER)
    assert (touched.first_at, touched.last_at) == (span["from_at"], span["until_at"])


def test_both_releases_again_are_duplicates_and_change_nothing(store: ReadingStore) -> None:
    first, revised = readings_of("first_release_with_gaps"), readings_of("revised_release")
    take(store, first, 0)
    take(store, revised, 1)
    again = IntakeResult(accepted=0, duplicates=ROWS - GAPS, rejected=())
    assert take(store, first, 2) == again
    span = {"from_at": revised[0].taken_at, "until_at": revised[-1].taken_at}
    assert store.series([meter(1)], **span)[meter(1)].readings() == revised
