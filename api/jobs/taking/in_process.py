"""Readings taken in by threads of the service's own process."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from queue import SimpleQueue
from threading import Thread
from typing import Final, Self

from api.errors import Internal
from api.jobs.community import Community
from api.jobs.taking.answers import Outcome, problem_in
from api.jobs.taking.books import books_of
from api.jobs.taking.groups import Queue, Waiting, serve_groups
from api.jobs.taking.taker import Moment, Taker
from api.loops import LoopState
from ledger.errors import LedgerError
from ledger.units import from_unix_s

THREADS: Final = 2  # While one waits for the disk, the other checks signatures.
log = logging.getLogger(__name__)


class InProcess:
    """Takes readings in while it is open."""

    def __init__(self, community: Community, *, meter_readings_per_minute: int) -> None:
        self._community = community
        self._books = books_of(community)
        self._taker = Taker(
            community.readings,
            community.reading_domain,
            meter_readings_per_minute=meter_readings_per_minute,
        )
        self._queue: Queue = SimpleQueue()
        self._last_at: datetime | None = None
        self._problem: str | None = None
        self._threads = [
            Thread(target=serve_groups, args=(self._queue, self._take), name="readings")
            for _ in range(THREADS)
        ]

    async def __aenter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._books.close()

    def put(self, waiting: Waiting) -> None:
        """As the protocol says."""
        self._queue.put(waiting)

    def state(self) -> LoopState:
        """As the protocol says."""
        return LoopState(name="readings", last_round_at=self._last_at, problem=self._problem)

    def _take(self, group: Sequence[Waiting]) -> Sequence[Outcome]:
        """In a thread."""
        now_at = self._community.system_now()
        try:
            book = self._books.newest()
        except LedgerError as error:
            self._problem = error.code
            return [error for _ in group]
        except Exception:  # Nobody would take readings in any more if this thread ended.
            log.exception("the book of meters could not be read")
            self._problem = Internal.code
            return [Internal() for _ in group]
        accepted_at = from_unix_s(max(each.accepted_at_s for each in group))
        moment = Moment(book=book, now_at=now_at, accepted_at=accepted_at)
        outcomes = self._taker.take([each.body for each in group], moment)
        self._last_at, self._problem = now_at, problem_in(outcomes)
        return outcomes
