"""Requests that wait at the same time are taken in together: one transaction, one write to disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from api.jobs.taking.answers import Outcome

GROUP_BYTES_MAX: Final = 2**20  # Some 3,000 readings: nobody waits long for the others.
GROUP_REQUESTS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waiting:
    """A request, and where its answer goes."""

    body: bytes
    accepted_at_s: int  # The community's time when it came.
    answer: Callable[[Outcome], None]


Queue = SimpleQueue[Waiting | None]  # None: no more are coming.


def serve_groups(queue: Queue, take: Callable[[Sequence[Waiting]], Sequence[Outcome]]) -> None:
    """Answers what waits, until no more are coming."""
    while (first := queue.get()) is not None:
        group, is_last = _group_of(first, queue)
        for waiting, outcome in zip(group, take(group), strict=True):
            waiting.answer(outcome)
        if is_last:
            break
    queue.put(None)  # For the thread beside this one.


def _group_of(first: Waiting, queue: Queue) -> tuple[list[Waiting], bool]:
    """What waits by now, in order of arrival, and whether that was the last of it."""
    group, size = [first], len(first.body)
    while size < GROUP_BYTES_MAX and len(group) < GROUP_REQUESTS_MAX:
        try:
            waiting = queue.get_nowait()
        except Empty:
            return group, False
        if waiting is None:
            return group, True
        group.append(waiting)
        size += len(waiting.body)
    return group, False
