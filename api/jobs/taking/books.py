"""The book of meters as it is known by now, for whoever takes readings in."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from api.jobs.community import Community
from api.jobs.opening import database_failures_named
from ledger.errors import LedgerError
from metering.meters import MeterBook

LOOK_EVERY_S: Final = 0.2
PATIENCE_S: Final = 0.5  # With a chain that is slow to answer, where there is an older book.


class Books:
    """Follows the registry, a few times a second at most; may be asked by several threads.

    Meters go on being heard while the chain does not answer, by what it said last, and nobody waits
    for it: looks are made in a thread of their own.
    """

    def __init__(self, look: Callable[[], MeterBook]) -> None:
        """`look` asks chain and database."""
        self._look_up = look
        self._guard = threading.Lock()
        self._looking = ThreadPoolExecutor(1, "meter-book")
        self._look: Future[MeterBook] | None = None
        self._looked_s = 0.0
        self._book: MeterBook | None = None

    def newest(self) -> MeterBook:
        """Raises ChainUnavailable, StorageFailed: there is none yet."""
        now_s = time.monotonic()
        with self._guard:
            look, book = self._look, self._book
            if look is None or (look.done() and now_s - self._looked_s >= LOOK_EVERY_S):
                look = self._look = self._looking.submit(self._looked_up)
                self._looked_s = now_s
            patience_s = max(0.0, self._looked_s + PATIENCE_S - now_s)
        if book is None:
            return look.result()
        try:
            return look.result(patience_s)
        except (TimeoutError, LedgerError):
            return book

    def close(self) -> None:
        """No more is asked."""
        self._looking.shutdown(wait=False)

    def _looked_up(self) -> MeterBook:
        self._book = book = self._look_up()
        return book


def books_of(community: Community) -> Books:
    """The book of a community's meters."""

    def look() -> MeterBook:
        with database_failures_named(community.database):
            return community.book()

    return Books(look)
