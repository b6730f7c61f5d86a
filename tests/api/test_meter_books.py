"""The book of meters: new when the chain answers, there when it does not."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from api.jobs.taking.books import LOOK_EVERY_S, Books
from ledger.chain.errors import ChainUnavailable
from metering.meters import MeterBook
from tests.meter_worlds import term

WITHIN_S = 30


class Registry:
    """What is asked for the book; as a node, it may be slow or away."""

    def __init__(self) -> None:
        self.said: Callable[[], MeterBook] = lambda: MeterBook([])

    def book(self) -> MeterBook:
        return self.said()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def books(registry: Registry) -> Iterator[Books]:
    books = Books(registry.book)
    yield books
    books.close()


def away() -> MeterBook:
    raise ChainUnavailable(rule="is away")


def test_a_book_that_changed_is_known_a_moment_later(registry: Registry, books: Books) -> None:
    first, second = MeterBook([]), MeterBook([term()])
    registry.said = lambda: first
    assert books.newest() is first
    registry.said = lambda: second
    time.sleep(LOOK_EVERY_S)
    assert books.newest() is second


def test_without_any_book_the_chains_failure_is_told(registry: Registry, books: Books) -> None:
    registry.said = away
    with pytest.raises(ChainUnavailable):
        books.newest()
    registry.said = lambda: MeterBook([])
    time.sleep(LOOK_EVERY_S)
    assert books.newest().meters() == ()


def test_the_last_book_counts_while_the_chain_is_away(registry: Registry, books: Books) -> None:
    known = books.newest()
    registry.said = away
    for _ in range(3):
        time.sleep(LOOK_EVERY_S)
        assert books.newest() is known


def test_nobody_waits_for_a_chain_that_hangs(registry: Registry, books: Books) -> None:
    known, hangs = books.newest(), threading.Event()

    def hang() -> MeterBook:
        hangs.wait(WITHIN_S)
        return MeterBook([])

    registry.said = hang
    time.sleep(LOOK_EVERY_S)
    began_s = time.monotonic()
    for _ in range(200):  # Only the first one is patient.
        assert books.newest() is known
    assert time.monotonic() - began_s < WITHIN_S / 3
    hangs.set()
    ends_s = time.monotonic() + WITHIN_S
    while books.newest() is known:
        assert time.monotonic() < ends_s
        time.sleep(0.05)
