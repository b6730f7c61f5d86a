"""The loops behind a service: when each last came round, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api.clock import SystemClock
from api.errors import Internal
from ledger.errors import LedgerError

STALLS_AFTER_S: Final = 180  # Longer than a loop rests, or works without saying so.


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """One loop as it is now; its problem is a code or words that everybody may read."""

    name: str
    last_round_at: datetime | None  # Real time; None: it has not come round yet.
    problem: str | None

    @property
    def line(self) -> str:
        """In one line."""
        return self.name if self.problem is None else f"{self.name}: {self.problem}"


class Loop:
    """Keeps one loop's state; whoever runs the loop tells it of every round."""

    def __init__(self, name: str, *, stalls_after_s: int = STALLS_AFTER_S) -> None:
        self._name = name
        self._stalls_after = timedelta(seconds=stalls_after_s)
        self._clock = SystemClock()
        self._begun_at = self._clock.now()
        self._round_at: datetime | None = None
        self._alive_at = self._begun_at
        self._problem: str | None = None

    def passed(self, problem: str | None = None) -> None:
        """A round is over, with what went wrong in it."""
        self._problem = problem
        self._round_at = self._alive_at = self._clock.now()

    def works(self) -> None:
        """A round that takes long goes on."""
        self._alive_at = self._clock.now()

    @property
    def problem(self) -> str | None:
        """What was wrong in the last round."""
        return self._problem

    def state(self) -> LoopState:
        """As it is now; one that does not come round any more has that for its problem."""
        problem, still = self._problem, self._clock.now() - self._alive_at
        if problem is None and still > self._stalls_after:
            problem = f"no round for {still // timedelta(seconds=1)} s"
        return LoopState(name=self._name, last_round_at=self._round_at, problem=problem)


def problems_of(states: Sequence[LoopState]) -> list[str]:
    """A line for each loop with a problem; empty when all is well."""
    return [state.line for state in states if state.problem is not None]


def code_of(problem: BaseException) -> str:
    """What everybody may know of a failure; of one that nobody foresaw the rest is in the log."""
    return problem.code if isinstance(problem, LedgerError) else Internal.code
