"""Waiting for something to become true, without polling."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from charging.simulator.clock import Clock


class Changes:
    """Who waits looks again whenever somebody tells that something has changed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds; no time passes if it holds already."""
        while not holds():
            await self._next.wait()

    async def until_or_at(self, holds: Callable[[], bool], clock: Clock, at: datetime) -> None:
        """Waits until it holds or the clock shows `at`, whichever comes first."""
        waits = [
            asyncio.ensure_future(self.until(holds)),
            asyncio.ensure_future(clock.sleep_until(at)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
