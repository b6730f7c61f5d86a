"""The time that a charge point lives in: real, faster than real, or told by a script."""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from charging.simulator.errors import BadPointSetting

SPEED_MAX: Final = 100_000


class Clock(Protocol):
    """What a charge point needs of time."""

    def now_at(self) -> datetime:
        """Aware, UTC."""
        ...

    async def sleep_until(self, at: datetime) -> None:
        """Waits until it is `at`: heartbeats and meter intervals."""
        ...

    async def reach(self, at: datetime) -> None:
        """Comes to the time that a script states: waits for it, or makes it so."""
        ...


class RunningClock:
    """Time that passes by itself, `speed` times as fast as real time."""

    def __init__(self, *, speed: int = 1, start_at: datetime | None = None) -> None:
        if not 1 <= speed <= SPEED_MAX:
            raise BadPointSetting(field="speed", rule=f"a whole number from 1 to {SPEED_MAX}")
        self._speed = speed
        self._start_at = start_at or datetime.now(UTC)
        self._start_ns = time.monotonic_ns()

    def now_at(self) -> datetime:
        """The start plus what has passed, in whole microseconds."""
        passed_us = (time.monotonic_ns() - self._start_ns) * self._speed // 1_000
        return self._start_at + timedelta(microseconds=passed_us)

    async def sleep_until(self, at: datetime) -> None:
        """Waits; an instant that has passed takes no time."""
        while (left := at - self.now_at()) > timedelta(0):
            await asyncio.sleep(left.total_seconds() / self._speed)

    async def reach(self, at: datetime) -> None:
        """Waits."""
        await self.sleep_until(at)


class ScriptClock:
    """Time that stands still until a script moves it, and never runs backwards."""

    def __init__(self, start_at: datetime) -> None:
        self._now_at = start_at
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now_at(self) -> datetime:
        """Where the script is."""
        return self._now_at

    async def sleep_until(self, at: datetime) -> None:
        """Waits until a script has moved time to `at`."""
        if at <= self._now_at:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at, next(self._order), woken))
        await woken

    async def reach(self, at: datetime) -> None:
        """Moves time to `at`, waking who slept until then in the order of their times."""
        while self._sleepers and self._sleepers[0][0] <= at:
            wake_at, _, woken = heapq.heappop(self._sleepers)
            self._now_at = max(self._now_at, wake_at)
            if not woken.done():
                woken.set_result(None)
                await asyncio.sleep(0)
        self._now_at = max(self._now_at, at)
        await asyncio.sleep(0)
