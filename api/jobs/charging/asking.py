"""Questions to chargers that are under way: each once at a time, and waited for by nobody."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

log = logging.getLogger(__name__)


class Asking:
    """Runs what asks chargers, beside everything else."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    def ask(self, key: Hashable, question: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Asks, unless the same is being asked already."""
        if key in self._tasks:
            return
        task = asyncio.ensure_future(question())
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._answered(key, done))

    def close(self) -> None:
        """Stops waiting for answers."""
        for task in list(self._tasks.values()):
            task.cancel()

    def _answered(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        del self._tasks[key]
        if not task.cancelled() and task.exception() is not None:
            # What is still owed is found by the next round, and asked again.
            log.warning("a charger could not be asked", exc_info=task.exception())
