"""News of the market for whoever listens: windows close, periods move on. Public facts alone.

One task looks, and wakes the listeners. What was told is kept for a while, so that who was cut off
goes on where they were; who comes new, or too late, is told the latest of each kind.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Self

from api.jobs.following import Told
from api.jobs.market.books import Books
from api.jobs.market.periods import PeriodsDesk
from api.jobs.market.views import PeriodState, Standing
from api.jobs.opening import database_failures_named
from ledger.errors import LedgerError

PACE_S: Final = 1.0
KEPT: Final = 1_000
WINDOWS_AT_ONCE: Final = 200  # Of a clock that jumps, the last ones.
NUMBER_DIGITS: Final = 18
WINDOW: Final = "window"
PERIOD: Final = "period"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketEvent:
    """A window that closed, or a period that moved on."""

    name: str  # `window` or `period`.
    start_s: int
    end_s: int
    period_start_s: int
    standing: Standing | None  # Of a period.


class MarketNews:
    """Looks and tells, while it is open."""

    def __init__(self, books: Books, periods: PeriodsDesk, *, pace_s: float = PACE_S) -> None:
        self._books = books
        self._periods = periods
        self._pace_s = pace_s
        self._boot = secrets.token_hex(4)  # Numbers begin anew with every start.
        self._number = 0
        self._told: deque[tuple[int, MarketEvent]] = deque(maxlen=KEPT)
        self._closed_s = 0  # End of the last window that was told.
        self._standings: dict[int, Standing] = {}  # Of periods that are not final.
        self._final_seen = 0  # Of the history's final runs.
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="market news")
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.leave()
        if self._task is not None:
            await self._task

    def leave(self) -> None:
        """Ends the listeners' streams: the doors are about to close."""
        self._ending.set()
        self._changed.set()

    async def follow(self, last_id: str | None) -> AsyncIterator[tuple[str, MarketEvent]]:
        """Events after the one with this id, with their ids."""
        while not self._told and not self._ending.is_set():
            await self._changed.wait()  # For the first look.
        number = self._number_of(last_id)
        latest = self._latest() if number is None else []
        number = self._number if number is None else number
        for at, event in latest:
            yield self._id_of(at), event
        while not self._ending.is_set():
            changed = self._changed
            news = self._after(number)
            for at, event in news:
                number = at
                yield self._id_of(at), event
            if not news:
                await changed.wait()

    def _id_of(self, number: int) -> str:
        return f"{self._boot}-{number}"

    def _number_of(self, last_id: str | None) -> int | None:
        """Where a listener was; None if that is not known here, or not any more."""
        boot, _, digits = (last_id or "").partition("-")
        if boot != self._boot or not (digits.isascii() and digits.isdecimal()):
            return None
        number = int(digits[:NUMBER_DIGITS])
        oldest = self._told[0][0] if self._told else self._number + 1
        return number if oldest - 1 <= number <= self._number else None

    def _after(self, number: int) -> list[tuple[int, MarketEvent]]:
        newer = takewhile(lambda told: told[0] > number, reversed(self._told))
        return list(newer)[::-1]

    def _latest(self) -> list[tuple[int, MarketEvent]]:
        latest = {event.name: (number, event) for number, event in self._told}
        return sorted(latest.values(), key=lambda pair: pair[0])

    # Looking.

    async def _watch(self) -> None:
        while not self._ending.is_set():
            try:
                news = await asyncio.to_thread(self._look)
            except LedgerError as problem:  # Chain or database: the loops behind say so.
                log.info("market news: %s", problem.code)
            else:
                self._tell(news)
            try:
                await asyncio.wait_for(self._ending.wait(), self._pace_s)
            except TimeoutError:
                continue

    def _tell(self, news: list[MarketEvent]) -> None:
        for event in news:
            self._number += 1
            self._told.append((self._number, event))
        if news:
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    def _look(self) -> list[MarketEvent]:
        now_s = self._books.now_s()
        with database_failures_named(self._books.community.database):
            moved = list(self._periods_moved(now_s))
        return [*self._windows_closed(now_s), *moved]

    def _windows_closed(self, now_s: int) -> Iterator[MarketEvent]:
        schedule = self._books.schedule
        window_s = schedule.window_s
        closed_s = now_s // window_s * window_s
        known_s = max(
            self._closed_s or closed_s - window_s,
            closed_s - WINDOWS_AT_ONCE * window_s,
            schedule.first_period_start_s,
        )
        for start_s in range(known_s, closed_s, window_s):
            yield MarketEvent(
                name=WINDOW,
                start_s=start_s,
                end_s=start_s + window_s,
                period_start_s=schedule.period_start_of(start_s),
                standing=None,
            )
        self._closed_s = max(known_s, closed_s)

    def _periods_moved(self, now_s: int) -> Iterator[MarketEvent]:
        final_seen, touched = self._books.ask(self._touched)
        schedule = self._books.schedule
        running_s = schedule.period_start_of(now_s)
        begun = [running_s] if running_s >= schedule.first_period_start_s else []
        wanted = sorted({*self._standings, *touched, *begun})
        for period_start_s, standing in self._periods.standings(wanted).items():
            if self._standings.get(period_start_s) == standing:
                continue
            if standing.state is PeriodState.FINAL:
                self._standings.pop(period_start_s, None)
            else:
                self._standings[period_start_s] = standing
            yield MarketEvent(
                name=PERIOD,
                start_s=period_start_s,
                end_s=schedule.period_end(period_start_s),
                period_start_s=period_start_s,
                standing=standing,
            )
        self._final_seen = final_seen

    def _touched(self, told: Told) -> tuple[int, set[int]]:
        """How many runs are final, and periods in which the chain has said something new."""
        history, schedule = told.market, self._books.schedule
        final = history.final_order
        if self._final_seen > len(final):  # The chain was told again from its beginning.
            self._final_seen = 0
        first_look = not self._final_seen
        touched = {
            start_s for start_s, _ in (final[-1:] if first_look else final[self._final_seen :])
        }
        if history.pending is not None:
            touched.add(history.pending[0])
        if first_look:
            first_runs = sum(run == 0 for _, run in final)
            next_s = schedule.first_period_start_s + first_runs * schedule.period_s
            touched.update(self._books.periods_of(next_s, self._books.now_s() + 1))
        return len(final), touched
