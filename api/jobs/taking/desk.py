"""The desk that requests with readings come to, whoever takes them in behind it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

from api.errors import Overloaded
from api.jobs.community import Community
from api.jobs.taking.answers import Outcome, TakenAnswer
from api.jobs.taking.crew import Crew
from api.jobs.taking.groups import Waiting
from api.jobs.taking.in_process import InProcess
from api.loops import LoopState
from ledger.errors import LedgerError

METER_READINGS_PER_MINUTE: Final = 100_000  # A year of quarter hours that was missed is 35,040.
HELD_BYTES_MAX: Final = 2**26  # Of all requests that wait: seconds of work.


class Intake(Protocol):
    """Takes in what waits: threads of this process, or processes of their own."""

    def put(self, waiting: Waiting) -> None:
        """Its answer is given later, in whatever thread."""
        ...

    def state(self) -> LoopState:
        """How it fares."""
        ...


class Desk:
    """A `ReadingsDesk`; lives in one event loop."""

    def __init__(self, intake: Intake, now_s: Callable[[], int]) -> None:
        """`now_s`: the community's time."""
        self._intake = intake
        self._now_s = now_s
        self._held_bytes = 0
        self._counts = Counter[str]()

    async def take(self, body: bytes) -> TakenAnswer:
        """As the protocol says."""
        if self._held_bytes + len(body) > HELD_BYTES_MAX:
            raise Overloaded
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            self._held_bytes -= len(body)
            if not answered.done():  # Whoever asked may have given up.
                answered.set_result(outcome)

        def answer(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(settle, outcome)

        waiting = Waiting(body=body, accepted_at_s=self._now_s(), answer=answer)
        self._held_bytes += len(body)
        self._intake.put(waiting)
        outcome = await answered
        if isinstance(outcome, LedgerError):
            raise outcome
        self._counts.update(outcome.counts)
        return outcome

    def counts(self) -> Mapping[str, int]:
        """As the protocol says."""
        return dict(self._counts)

    def state(self) -> LoopState:
        """As the protocol says."""
        return self._intake.state()


@asynccontextmanager
async def open_desk(
    community: Community,
    *,
    workers: int = 0,
    meter_readings_per_minute: int = METER_READINGS_PER_MINUTE,
) -> AsyncIterator[Desk]:
    """A community's desk while it is open.

    Args:
        workers: how many processes take readings in; none: threads of this one.
        meter_readings_per_minute: what one meter may send.
    """
    intake = (
        Crew(community, count=workers, meter_readings_per_minute=meter_readings_per_minute)
        if workers
        else InProcess(community, meter_readings_per_minute=meter_readings_per_minute)
    )
    async with intake:
        yield Desk(intake, community.now_s)
