"""What is known at a cutoff never changes, however many take readings in meanwhile."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from ledger.store import open_engine
from ledger.units import from_unix_s, to_unix_s
from metering.freeze_store import hold_freeze
from metering.meters import MeterBook
from metering.readings import MeterId
from metering.store import ReadingStore
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)
from tests.meter_worlds import HOUR, LATER, NOON, checked, meter, reading, term

METERS = [meter(number) for number in range(1, 9)]
BOOK = MeterBook([term(each) for each in METERS])
SECOND = timedelta(seconds=1)
TAKERS, CUTOFFS = 3, 12


@pytest.fixture
def store(engine: Engine) -> ReadingStore:  # noqa: F811
    store = ReadingStore(engine)
    store.create_tables()
    return store


def take(store: ReadingStore, meter_id: MeterId, number: int, accepted_at: datetime) -> None:
    rows = checked(reading(NOON + number * SECOND, number, meter_id=meter_id), book=BOOK)
    assert store.take(rows, book=BOOK, now_at=LATER, accepted_at=accepted_at).accepted == 1


def accepted(store: ReadingStore) -> list[datetime]:
    kept = store.versions(METERS, from_at=NOON, until_at=LATER)
    return [each.accepted_at for each in kept]


def test_what_comes_after_a_freeze_is_accepted_after_it_whatever_the_clock_says(
    store: ReadingStore,
) -> None:
    take(store, METERS[0], 0, LATER)
    store.freeze(LATER + HOUR)
    take(store, METERS[0], 1, LATER)
    take(store, METERS[0], 2, LATER + 2 * HOUR)
    assert accepted(store) == [LATER, LATER + HOUR + SECOND, LATER + 2 * HOUR]


def test_a_freeze_never_goes_back(store: ReadingStore) -> None:
    store.freeze(LATER + HOUR)
    store.freeze(LATER)
    take(store, METERS[0], 1, LATER)
    assert accepted(store) == [LATER + HOUR + SECOND]


def test_a_freeze_is_made_or_not_with_its_transaction(
    store: ReadingStore,
    engine: Engine,  # noqa: F811
) -> None:
    connection = engine.connect()
    transaction = connection.begin()
    store.freeze(LATER + HOUR, connection)
    transaction.rollback()
    connection.close()
    take(store, METERS[0], 1, LATER)
    assert accepted(store) == [LATER]


def test_a_freeze_waits_for_what_is_being_taken_in(
    store: ReadingStore,
    engine: Engine,  # noqa: F811
) -> None:
    frozen = threading.Event()

    def freeze() -> None:
        store.freeze(LATER)
        frozen.set()

    thread = threading.Thread(target=freeze)
    with engine.begin() as connection:
        hold_freeze(connection)
        thread.start()
        assert not frozen.wait(0.3)
    thread.join()
    assert frozen.is_set()


@pytest.fixture
def stores(store: ReadingStore, database_url: str) -> Iterator[list[ReadingStore]]:  # noqa: F811
    """As of two processes: each has an engine of its own."""
    engines = [open_engine(database_url) for _ in range(2)]
    yield [ReadingStore(each) for each in engines]
    for each in engines:
        each.dispose()


def test_what_is_known_at_a_cutoff_never_changes_while_others_take_readings_in(
    store: ReadingStore, stores: list[ReadingStore]
) -> None:
    """Their clocks stand still, or are wrong: it is the freeze that orders things."""
    ended = threading.Event()

    def take_in(place: int) -> int:
        number = 0
        while not ended.is_set():
            number += 1
            behind_at = LATER + (number % 3 - 1) * SECOND
            take(stores[place % 2], METERS[place], number, behind_at)
            time.sleep(0.005)  # SQLite's lock goes to whoever asks at the right moment.
        return number

    known: dict[int, int] = {}
    with ThreadPoolExecutor(TAKERS) as pool:
        taking = [pool.submit(take_in, place) for place in range(TAKERS)]
        for cutoff_s in range(to_unix_s(LATER), to_unix_s(LATER) + CUTOFFS):
            store.freeze(from_unix_s(cutoff_s))
            known[cutoff_s] = known_at(store, cutoff_s)
            time.sleep(0.01)
        ended.set()
        taken = sum(each.result() for each in taking)
    assert {cutoff_s: known_at(store, cutoff_s) for cutoff_s in known} == known
    assert store.count() == taken
    assert len(set(known.values())) > 5  # They were at it all the while.


def known_at(store: ReadingStore, cutoff_s: int) -> int:
    cutoff_at = from_unix_s(cutoff_s)
    return len(store.versions(METERS, from_at=NOON, until_at=LATER, cutoff_at=cutoff_at))
