"""The settlement loop of a service: windows close on the clock and periods settle by themselves.

It runs in a thread of its own, because a run waits for its confirmations. What is begun is in the
database before it is sent, so it can be stopped at any point and is taken up at the next start:
after days off it settles one period after the other, while everything else is served.
"""

import asyncio
import logging
import math
import threading
from typing import Final, Self

from api.errors import StorageFailed
from api.jobs.community import Community
from api.jobs.opening import database_failures_named
from api.jobs.settle import Settled, SettlementFailed, SettlementLoop
from api.loops import Loop, LoopState, code_of, problems_of
from ledger.chain.errors import ChainUnavailable
from ledger.errors import LedgerError
from ledger.outbox_states import IntentUnsettled, State
from ledger.units import from_unix_s, to_rfc3339

PACE_S: Final = 5.0  # Between two looks at what is due.
PACE_S_MIN: Final = 0.1
LOOKS: Final = 4  # While a period lasts, and while a proposal can be finalized.
BACK_OFF_S_MAX: Final = 300.0  # A run that is refused or cannot be paid is tried so rarely at last.
OUTAGE_BACK_OFF_S_MAX: Final = 30.0  # Of chain or database.
STOP_WITHIN_S: Final = 3.0
log = logging.getLogger(__name__)


class _Ending(Exception):
    """The service ends; whatever waits stops waiting."""


class Settling:
    """Settles what is due while it is open."""

    def __init__(self, community: Community, *, pace_s: float = PACE_S) -> None:
        self._community = community.beside(pause=self._pause)
        self._pace_s = min(pace_s, _pace_s_max(community))
        self._ending = threading.Event()
        self._loop = Loop("settlement")
        self._alarm: LedgerError | None = None  # The problem, if money is missing for what is due.
        self._logged = ""
        self._thread = threading.Thread(target=self._run, name="settling", daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._ending.set()
        await asyncio.to_thread(self._thread.join, STOP_WITHIN_S)
        if self._thread.is_alive():  # A node that says nothing, mostly.
            log.warning("settlement: is cut off at work, and taken up at the next start")

    def state(self) -> LoopState:
        """How this loop is."""
        return self._loop.state()

    def problems(self) -> list[str]:
        """What holds the settlement up now, in one line each; empty when all is well."""
        return problems_of([self.state()])

    # The thread.

    def _run(self) -> None:
        failures = 0
        while not self._ending.is_set():
            problem: Exception | None
            try:
                problem = self._settle()
            except Exception as error:  # noqa: BLE001 (one round's trouble ends no service)
                problem = error
            self._loop.passed(self._said(problem))
            failures = 0 if problem is None else failures + 1
            self._ending.wait(self._wait_s(problem, failures))

    def _settle(self) -> LedgerError | None:
        """Settles until nothing is due; what went wrong, or why something due is not proposed."""
        loop = SettlementLoop(self._community, may_move_time=False)
        try:
            with database_failures_named(self._community.database):
                for settled in loop.run():
                    self._settled(loop, settled)
                    if self._ending.is_set():
                        break
        except _Ending:
            return None
        except LedgerError as problem:
            if isinstance(problem, IntentUnsettled) and problem.state == State.MINED:
                return None  # It takes its confirmations, and is taken up next time.
            return problem
        self._alarm = loop.alarm
        return loop.alarm

    def _settled(self, loop: SettlementLoop, settled: Settled) -> None:
        self._loop.works()
        start = to_rfc3339(from_unix_s(settled.period_start_s))
        behind = loop.periods_behind()
        more = f", {behind} more are over" if behind else ""
        log.info("settled period %s run %d%s", start, settled.run, more)

    def _said(self, problem: Exception | None) -> str | None:
        """A problem as everybody may read it: files, addresses and endpoints are for the log."""
        if problem is not None and str(problem) != self._logged:
            is_known = isinstance(problem, LedgerError)
            log.warning("settlement: %s", problem, exc_info=None if is_known else problem)
        self._logged = "" if problem is None else str(problem)
        if problem is None:
            return None
        if not isinstance(problem, LedgerError):
            return code_of(problem)
        is_about_the_market = problem is self._alarm or isinstance(problem, SettlementFailed)
        return str(problem) if is_about_the_market else problem.code

    def _wait_s(self, problem: Exception | None, failures: int) -> float:
        is_outage = isinstance(problem, ChainUnavailable | StorageFailed)
        most_s = OUTAGE_BACK_OFF_S_MAX if is_outage else BACK_OFF_S_MAX
        return min(self._pace_s * (1 << min(failures, 16)), max(most_s, self._pace_s))

    def _pause(self, seconds: float) -> None:
        self._loop.works()
        if self._ending.wait(seconds):
            raise _Ending


def _pace_s_max(community: Community) -> float:
    """Real seconds between two looks at most: in fast time a proposal would lapse between them."""
    speed = community.clock.speed
    if speed == 1:
        return math.inf  # Nothing is asked of a chain that may be away just now.
    schedule = community.schedule
    spans_s = [schedule.period_s, schedule.finalize_within_s or schedule.period_s]
    return max(PACE_S_MIN, min(spans_s) / speed / LOOKS)
