"""A community's clock as simulated charge points look at it."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from api.clock import Clock

SLEPT_S_MIN: Final = 0.01


class PointClock:
    """The same time, at the same speed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_at(self) -> datetime:
        """Aware, UTC."""
        return self._clock.now()

    async def sleep_until(self, at: datetime) -> None:
        """Waits; an instant that has passed takes no time."""
        while (left := at - self._clock.now()) > timedelta(0):
            await asyncio.sleep(max(left.total_seconds() / self._clock.speed, SLEPT_S_MIN))

    async def reach(self, at: datetime) -> None:
        """Waits: this time is nobody's to move."""
        await self.sleep_until(at)
