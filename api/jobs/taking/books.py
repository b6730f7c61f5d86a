"""The book of meters as it is known by now, for whoever takes readings in."""

import threading
import time
from typing import Final

from api.errors import StorageFailed
from api.jobs.community import Community
from api.jobs.opening import database_failures_named
from ledger.chain.errors import ChainUnavailable
from metering.meters import MeterBook

LOOK_EVERY_S: Final = 0.2


class Books:
    """Follows the registry, a few times a second at most; may be asked by several threads.

    Meters go on being heard while the chain does not answer, by what it said last.
    """

    def __init__(self, community: Community) -> None:
        self._community = community
        self._guard = threading.Lock()
        self._book: MeterBook | None = None
        self._looked_s = 0.0

    def newest(self) -> MeterBook:
        """Raises ChainUnavailable, StorageFailed: there is none yet."""
        with self._guard:
            book = self._book
            if book is None or time.monotonic() - self._looked_s >= LOOK_EVERY_S:
                book = self._book = self._looked_up(book)
                self._looked_s = time.monotonic()
            return book

    def _looked_up(self, last: MeterBook | None) -> MeterBook:
        try:
            with database_failures_named(self._community.database):
                return self._community.book()
        except (ChainUnavailable, StorageFailed):
            if last is None:
                raise
            return last
