"""What the desks read from: the chain's word on each period, and the tables behind it.

Reading waits for nobody: on SQLite it has a connection of its own, which sees what is committed and
takes no lock, so that a page does not stand in line with the meters.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Engine

from api.jobs.community import Community
from api.jobs.following import Told
from api.jobs.market.views import PeriodState
from ledger.history import MarketHistory, Run
from ledger.periods import Schedule
from ledger.settlement_store import StoredRun
from ledger.statement_reads_store import RunKey, StatementReads
from ledger.store import open_engine
from ledger.units import Hash32
from metering.meter_reads_store import MeterReads
from metering.store import ReadingStore

Answer = TypeVar("Answer")
STATES: Final = {
    "proposed": PeriodState.PROPOSED,
    "final": PeriodState.FINAL,
    "cancelled": PeriodState.CANCELLED,
    "lapsed": PeriodState.LAPSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The run whose figures a period shows: its last final one, else the one that waits."""

    period_start_s: int
    run: int
    state: PeriodState
    statements_root: Hash32
    final_tx: Hash32 | None
    final_at_s: int | None

    @property
    def key(self) -> RunKey:
        """Period and run."""
        return self.period_start_s, self.run


class Books:
    """Reads for all desks of one community."""

    def __init__(self, community: Community) -> None:
        self.community = community
        self._own_engine = _engine_to_read(community.engine)
        engine = self._own_engine or community.engine
        self.reads = StatementReads(engine)
        self.readings = ReadingStore(engine)
        self.meters = MeterReads(engine)

    @property
    def schedule(self) -> Schedule:
        """The market's time grid."""
        return self.community.schedule

    def now_s(self) -> int:
        """The community's time."""
        return self.community.now_s()

    def ask(self, question: Callable[[Told], Answer]) -> Answer:
        """What the contracts' events say, while nobody tells more."""
        return self.community.ask(question)

    def periods_of(self, from_s: int, until_s: int) -> range:
        """Starts of the periods that have begun and meet `[from_s, until_s)`."""
        schedule = self.schedule
        first_s = max(schedule.period_start_of(from_s), schedule.first_period_start_s)
        return range(first_s, min(until_s, self.now_s() + 1), schedule.period_s)

    def shown(self, periods: Iterable[int]) -> dict[int, Shown]:
        """Of each period the run to show, where there is one."""
        now_s = self.now_s()

        def question(told: Told) -> dict[int, Shown]:
            found = ((each, shown_run(told.market, each)) for each in periods)
            return {
                period_start_s: _shown(run, self.schedule, now_s)
                for period_start_s, run in found
                if run is not None
            }

        shown = self.ask(question)
        return {
            period_start_s: each
            for period_start_s, each in shown.items()
            if each.state in {PeriodState.FINAL, PeriodState.PROPOSED}
        }

    def stored(self, shown: Iterable[Shown]) -> dict[int, StoredRun]:
        """What is kept of these runs; what the chain committed to otherwise is left out."""
        by_key = {each.key: each for each in shown}
        return {
            key[0]: run
            for key, run in self.reads.runs(by_key).items()
            if run.statements_root == by_key[key].statements_root
        }

    def close(self) -> None:
        """Gives the connections back."""
        if self._own_engine is not None:
            self._own_engine.dispose()


def shown_run(history: MarketHistory, period_start_s: int) -> Run | None:
    """The last final run, else the first one as it waits."""
    final = history.final_runs(period_start_s)
    return final[-1] if final else history.runs.get((period_start_s, 0))


def state_of_run(run: Run, schedule: Schedule, now_s: int) -> PeriodState:
    """Where a run is; one that nobody finalized in its time has lapsed, though nobody said so."""
    lapses_s = run.proposed_at_s + schedule.dispute_period_s + schedule.finalize_within_s
    if run.state == "proposed" and now_s > lapses_s:
        return PeriodState.LAPSED
    return STATES[run.state]


def _shown(run: Run, schedule: Schedule, now_s: int) -> Shown:
    return Shown(
        period_start_s=run.period_start_s,
        run=run.run,
        state=state_of_run(run, schedule, now_s),
        statements_root=run.statements_root,
        final_tx=run.final_tx,
        final_at_s=run.final_at_s,
    )


def _engine_to_read(engine: Engine) -> Engine | None:
    """SQLite's writers hold off readers of their own connections; elsewhere they do not."""
    if engine.url.get_backend_name() != "sqlite":
        return None
    return open_engine(engine.url.render_as_string(hide_password=False), read_only=True)
