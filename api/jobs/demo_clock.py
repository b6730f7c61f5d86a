"""The demo's time: it stands still while anybody is at work, and then goes to whatever is next."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime


class DemoClock:
    """Virtual time for actors of one event loop; a `Clock` of the simulated charge points.

    An actor says with `reach` when it goes on. Once all of them wait, time goes to the earliest and
    that one alone works: so a week passes in seconds, in the order in which it happened.
    """

    def __init__(self, start_at: datetime) -> None:
        self._now_at = start_at
        self._order = itertools.count()
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._actors = 0

    def __call__(self) -> datetime:
        """Aware, UTC."""
        return self._now_at

    def now_at(self) -> datetime:
        """The same."""
        return self._now_at

    async def sleep_until(self, at: datetime) -> None:  # noqa: ARG002 (a Clock's signature)
        """Heartbeats and patience are not played: a sleeper is only ever woken to end."""
        await asyncio.get_running_loop().create_future()

    async def reach(self, at: datetime) -> None:
        """Waits until it is `at`, and until nobody else is at work."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (at, next(self._order), turn))
        self._go_on()
        await turn

    @asynccontextmanager
    async def actor(self) -> AsyncIterator[None]:
        """Somebody whom time waits for; all of them are there before the first one waits."""
        try:
            yield
        finally:
            self._actors -= 1
            self._go_on()

    def expect(self, actors: int) -> None:
        """So many actors are going to be there."""
        self._actors += actors

    def _go_on(self) -> None:
        if self._waiting and len(self._waiting) >= self._actors:
            at, _, turn = heapq.heappop(self._waiting)
            self._now_at = max(self._now_at, at)
            turn.set_result(None)
