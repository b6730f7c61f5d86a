"""Processes of their own that take readings in: started, given work, and started again.

A request whose worker dies is given to another one, once: what the dead one had kept by then is
found as duplicates. Requests wait here, where there are few of them at each worker at a time, so
that a worker that is slow or dead holds nobody else's up.
"""

import asyncio
import itertools
import logging
import sys
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self, cast

from api.clock import SystemClock
from api.errors import Overloaded
from api.jobs.community import Community
from api.jobs.taking.answers import problem_in
from api.jobs.taking.books import books_of
from api.jobs.taking.groups import Waiting
from api.jobs.taking.wire import (
    HEAD,
    Kind,
    Setup,
    book_frame,
    outcome_of,
    setup_frame,
    take_frame,
)
from api.loops import LoopState, code_of
from ledger.errors import LedgerError
from metering.meters import MeterBook

AT_ONE_BYTES: Final = 2**20  # Given to a worker at a time: what it can take in together.
AT_ONE_REQUESTS: Final = 64
TRIES: Final = 2
BOOK_EVERY_S: Final = 1.0
PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 5.0  # Before a worker is started again.
LIVES_S: Final = 10.0  # Who lived so long is started again at once.
STOP_WITHIN_S: Final = 10
MODULE: Final = "api.jobs.taking.worker"
log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class _Job:
    """A request on its way."""

    number: int
    waiting: Waiting
    tries: int = 0


@dataclass(eq=False, kw_only=True)
class _Hand:
    """A worker, and what it was given."""

    process: asyncio.subprocess.Process
    source: asyncio.StreamReader
    sink: asyncio.StreamWriter
    is_ready: bool = False
    jobs: dict[int, _Job] = field(default_factory=dict)
    load: int = 0  # Bytes.

    @property
    def has_room(self) -> bool:
        return self.is_ready and self.load < AT_ONE_BYTES and len(self.jobs) < AT_ONE_REQUESTS

    def say(self, words: bytes) -> None:
        if not self.sink.is_closing():
            self.sink.write(words)


class Crew:
    """So many workers, while it is open; lives in one event loop."""

    def __init__(self, community: Community, *, count: int, meter_readings_per_minute: int) -> None:
        self._books = books_of(community)
        self._setup = Setup(
            database_url=community.engine.url.render_as_string(hide_password=False),
            chain_id=community.config.chain.chain_id,
            registry=community.contracts.registry,
            meter_readings_per_minute=meter_readings_per_minute,
        )
        self._count = count
        self._clock = SystemClock()
        self._numbers = itertools.count(1)
        self._jobs: deque[_Job] = deque()
        self._hands: list[_Hand] = []
        self._book: MeterBook | None = None
        self._book_words = b""
        self._book_problem: str | None = None
        self._work_problem: str | None = None
        self._last_at: datetime | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_ending = False

    async def __aenter__(self) -> Self:
        await self._look_into_the_book()
        self._tasks = [asyncio.create_task(self._keep_one()) for _ in range(self._count)]
        self._tasks.append(asyncio.create_task(self._keep_the_book()))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._is_ending = True
        *keepers, watcher = self._tasks
        watcher.cancel()
        for hand in self._hands:
            hand.sink.close()  # It answers what it has, and ends.
        _, late = await asyncio.wait(keepers, timeout=STOP_WITHIN_S)
        for hand in self._hands:
            log.warning("a worker did not end in time")
            hand.process.kill()
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._jobs:
            job.waiting.answer(Overloaded())
        self._books.close()

    def put(self, waiting: Waiting) -> None:
        """As the protocol says."""
        self._jobs.append(_Job(number=next(self._numbers), waiting=waiting))
        self._hand_out()

    def state(self) -> LoopState:
        """As the protocol says."""
        missing = self._count - sum(hand.is_ready for hand in self._hands)
        absence = f"{missing} of {self._count} workers are not there" if missing else None
        return LoopState(
            name="readings",
            last_round_at=self._last_at,
            problem=absence or self._book_problem or self._work_problem,
        )

    def process_ids(self) -> list[int]:
        """Of the workers that are there, for whoever watches them."""
        return [hand.process.pid for hand in self._hands]

    # Work.

    def _hand_out(self) -> None:
        while self._jobs:
            free = [hand for hand in self._hands if hand.has_room]
            if not free:
                return
            hand, job = min(free, key=lambda each: each.load), self._jobs.popleft()
            hand.jobs[job.number] = job
            hand.load += len(job.waiting.body)
            hand.say(take_frame(job.number, job.waiting.accepted_at_s, job.waiting.body))

    def _answered(self, hand: _Hand, number: int, payload: bytes) -> None:
        job = hand.jobs.pop(number)
        hand.load -= len(job.waiting.body)
        outcome = outcome_of(payload)
        self._last_at, self._work_problem = self._clock.now(), problem_in([outcome])
        job.waiting.answer(outcome)
        self._hand_out()

    def _give_back(self, hand: _Hand) -> None:
        """A worker is gone: what it had goes to another, ahead of what came later."""
        for job in reversed(hand.jobs.values()):
            job.tries += 1
            if job.tries < TRIES:
                self._jobs.appendleft(job)
            else:
                job.waiting.answer(Overloaded())
        self._hand_out()

    # The workers.

    async def _keep_one(self) -> None:
        """Keeps one worker at work until the end."""
        loop, pause_s = asyncio.get_running_loop(), PAUSE_S_MIN
        while not self._is_ending:
            began_s = loop.time()
            try:
                hand = await self._started()
            except OSError as error:  # No memory or no process to be had: later, perhaps.
                log.error("a worker could not be started: %s", error)  # noqa: TRY400 (no fault)
                await asyncio.sleep(PAUSE_S_MAX)
                continue
            if self._is_ending:
                hand.sink.close()
            try:
                await self._listen(hand)
            finally:
                self._hands.remove(hand)
                self._give_back(hand)
            code = await hand.process.wait()
            if not self._is_ending:
                log.error("a worker ended with %d, and is started again", code)
                is_steady = loop.time() - began_s > LIVES_S
                pause_s = PAUSE_S_MIN if is_steady else min(2 * pause_s, PAUSE_S_MAX)
                await asyncio.sleep(pause_s)

    async def _started(self) -> _Hand:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        hand = _Hand(
            process=process,
            source=cast("asyncio.StreamReader", process.stdout),
            sink=cast("asyncio.StreamWriter", process.stdin),
        )
        self._hands.append(hand)
        hand.say(setup_frame(self._setup))
        hand.say(self._book_words)
        return hand

    async def _listen(self, hand: _Hand) -> None:
        """Until it has nothing more to say."""
        try:
            while True:
                kind, number, length = HEAD.unpack(await hand.source.readexactly(HEAD.size))
                payload = await hand.source.readexactly(length)
                if kind == Kind.ANSWER:
                    self._answered(hand, number, payload)
                elif kind == Kind.READY:
                    hand.is_ready = True
                    self._hand_out()
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    # The book of meters.

    async def _keep_the_book(self) -> None:
        while True:
            await asyncio.sleep(BOOK_EVERY_S)
            await self._look_into_the_book()

    async def _look_into_the_book(self) -> None:
        """Tells the workers what is new in it."""
        try:
            book = await asyncio.to_thread(self._books.newest)
        except LedgerError as problem:
            self._book_problem = problem.code
            return
        except Exception as fault:  # (what is known of the meters goes on being true)
            log.exception("the meters' book could not be read")
            self._book_problem = code_of(fault)
            return
        self._book_problem = None
        if book is not self._book:
            self._book, self._book_words = book, book_frame(book)
            for hand in self._hands:
                hand.say(self._book_words)
