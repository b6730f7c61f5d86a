"""The market's periods: where each is on its way to money, and its runs as the chain has them."""

from collections.abc import Iterable
from dataclasses import replace

from api.errors import NotFound
from api.jobs.following import Told
from api.jobs.market.books import Books, state_of_run
from api.jobs.market.views import PeriodState, PeriodView, RunView, Standing
from api.jobs.meter_book import heard_through_s
from ledger.history import MarketHistory, Run
from ledger.units import from_unix_s, to_unix_s
from ledger.words import WindowPrice


class PeriodsDesk:
    """Says how periods are settled. Its methods wait: call them in a thread."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def periods(self, limit: int, before_s: int | None = None) -> list[PeriodView]:
        """Periods that have begun, the latest first; those that begin before an instant."""
        until_s = self._books.now_s() + 1
        if before_s is not None:
            until_s = min(until_s, before_s)
        begun = self._books.periods_of(0, until_s)
        return self._views(list(reversed(begun[-limit:])))

    def period(self, start_s: int) -> PeriodView:
        """One period.

        Raises:
            NotFound: none begins there, or it has not begun.
        """
        if start_s not in self._books.periods_of(0, self._books.now_s() + 1):
            raise NotFound(rule="no period has begun at this instant")
        return self._views([start_s])[0]

    def states(self, periods: Iterable[int]) -> dict[int, PeriodState]:
        """Where these periods are: by their last runs, else by what has been heard of them."""
        standings = self.standings(periods)
        return {period_start_s: each.state for period_start_s, each in standings.items()}

    def standings(self, periods: Iterable[int]) -> dict[int, Standing]:
        """The same with their last runs."""
        wanted, now_s, schedule = list(periods), self._books.now_s(), self._books.schedule

        def question(told: Told) -> dict[int, Standing]:
            last = ((each, _runs(told.market, each)[-1:]) for each in wanted)
            return {
                period_start_s: Standing(state=state_of_run(run, schedule, now_s), run=run.run)
                for period_start_s, runs in last
                for run in runs
            }

        standings = self._books.ask(question)
        rest = self._due_or_open([each for each in wanted if each not in standings])
        for period_start_s, state in rest.items():
            standings[period_start_s] = Standing(state=state, run=None)
        return standings

    def _due_or_open(self, periods: list[int]) -> dict[int, PeriodState]:
        if not periods:
            return {}
        books, schedule, now_s = self._books, self._books.schedule, self._books.now_s()
        book, stretches = books.ask(lambda told: told.book), books.readings.known_stretches()
        last_s = max((to_unix_s(each.last_at) for each in stretches.values()), default=0)
        follows_data = books.community.config.chain.clock == "data"
        states = {}
        for period_start_s in periods:
            end_s = schedule.period_end(period_start_s)
            is_complete = heard_through_s(book, stretches, period_start_s, end_s) >= end_s
            due_s = schedule.due_at(period_start_s, end_s if is_complete else None)
            # Where time follows the data, a period without any is still to come.
            is_due = due_s <= now_s and not (follows_data and period_start_s >= last_s)
            states[period_start_s] = PeriodState.DUE if is_due else PeriodState.OPEN
        return states

    def _views(self, periods: list[int]) -> list[PeriodView]:
        now_s = self._books.now_s()

        def question(told: Told) -> list[PeriodView]:
            return [self._view(told.market, each, now_s) for each in periods]

        views = self._books.ask(question)
        states = self._due_or_open([view.start_s for view in views if not view.runs])
        stored = self._books.reads.runs(
            (view.start_s, run.run) for view in views for run in view.runs
        )
        return [
            replace(
                view,
                state=states.get(view.start_s, view.state),
                runs=tuple(
                    replace(run, gas_used=stored[view.start_s, run.run].gas_used)
                    if (view.start_s, run.run) in stored
                    else run
                    for run in view.runs
                ),
            )
            for view in views
        ]

    def _view(self, history: MarketHistory, period_start_s: int, now_s: int) -> PeriodView:
        schedule, runs = self._books.schedule, _runs(history, period_start_s)
        return PeriodView(
            start_s=period_start_s,
            end_s=schedule.period_end(period_start_s),
            state=state_of_run(runs[-1], schedule, now_s) if runs else PeriodState.OPEN,
            runs=tuple(_run_view(run, state_of_run(run, schedule, now_s)) for run in runs),
        )


def _runs(history: MarketHistory, period_start_s: int) -> list[Run]:
    runs: list[Run] = []
    while (run := history.runs.get((period_start_s, len(runs)))) is not None:
        runs.append(run)
    return runs


def _run_view(run: Run, state: PeriodState) -> RunView:
    return RunView(
        run=run.run,
        state=state,
        proposed_at=from_unix_s(run.proposed_at_s),
        final_at=None if run.final_at_s is None else from_unix_s(run.final_at_s),
        cutoff_at=from_unix_s(run.cutoff_at_s),
        statements_root=run.statements_root,
        windows_hash=run.windows_hash,
        deltas_root=run.deltas_root,
        proposal_tx=run.proposal_tx,
        final_tx=run.final_tx,
        gas_used=None,
        shortfall_nano=sum(run.shortfalls_nano.values()),
        prices=tuple(map(WindowPrice.of_word, run.prices)),
    )
