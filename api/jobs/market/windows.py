"""The community's windows: what a run says of them, else what readings so far give."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from api.jobs.following import Told
from api.jobs.market.books import Books, Shown
from api.jobs.market.cells import NOBODYS, WindowCells, cells_of_runs
from api.jobs.market.periods import PeriodsDesk
from api.jobs.market.provisional import ProvisionalBooks
from api.jobs.market.views import Cell, PeriodState, WindowView
from ledger.units import Hash32
from ledger.words import WindowPrice, WindowTotals

RUNS_KEPT: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """One period's windows."""

    period_start_s: int
    run: int | None
    state: PeriodState
    prices: Sequence[WindowPrice]
    totals: Sequence[WindowTotals]
    cells: Sequence[WindowCells]
    heard_through_s: int


class WindowsDesk:
    """Says what the community did. Its methods wait: call them in a thread."""

    def __init__(self, books: Books, provisional: ProvisionalBooks, periods: PeriodsDesk) -> None:
        self._books = books
        self._provisional = provisional
        self._periods = periods
        self._cells: OrderedDict[Hash32, Sequence[WindowCells]] = OrderedDict()
        self._guard = threading.Lock()

    def windows(self, from_s: int, until_s: int, *, settled_only: bool = False) -> list[WindowView]:
        """Windows that begin in `[from_s, until_s)` and have begun by now, in order.

        Args:
            settled_only: leaves out what is not final.
        """
        periods = list(self._books.periods_of(from_s, until_s))
        now_s = self._books.now_s()
        return [
            window
            for figures in self._figures(periods, settled_only=settled_only)
            for window in self._of_period(figures)
            if from_s <= window.start_s < until_s and window.start_s <= now_s
        ]

    def page(self, from_s: int, until_s: int, *, limit: int) -> list[WindowView]:
        """The first of these windows; what lies behind them is not computed."""
        schedule = self._books.schedule
        from_s = max(from_s, schedule.first_period_start_s)
        first_s = -(-from_s // schedule.window_s) * schedule.window_s
        return self.windows(first_s, min(until_s, first_s + limit * schedule.window_s))

    def settled_stretch(self) -> tuple[int, int]:
        """From the first period's start to the end of the last one that is final."""

        def question(told: Told) -> tuple[int, int]:
            first_s, period_s = (
                self._books.schedule.first_period_start_s,
                self._books.schedule.period_s,
            )
            final = sum(run == 0 for _, run in told.market.final_order)
            return first_s, first_s + final * period_s

        return self._books.ask(question)

    def _figures(self, periods: list[int], *, settled_only: bool) -> Iterator[_Figures]:
        shown = self._books.shown(periods)
        if settled_only:
            shown = {at: each for at, each in shown.items() if each.state is PeriodState.FINAL}
        stored = self._books.stored(shown.values())
        rest = [each for each in periods if each not in stored]
        if settled_only:
            rest = []
        provisional = self._provisional.of(rest)
        states = self._periods.states(rest)
        for period_start_s in periods:
            if period_start_s in stored:
                run = stored[period_start_s]
                yield _Figures(
                    period_start_s=period_start_s,
                    run=run.run,
                    state=shown[period_start_s].state,
                    prices=run.prices,
                    totals=run.totals,
                    cells=self._cells_of(shown[period_start_s]),
                    heard_through_s=self._books.schedule.period_end(period_start_s),
                )
            elif period_start_s in provisional:
                found = provisional[period_start_s]
                yield _Figures(
                    period_start_s=period_start_s,
                    run=None,
                    state=states[period_start_s],
                    prices=found.prices,
                    totals=found.totals,
                    cells=found.cells,
                    heard_through_s=found.heard_through_s,
                )

    def _of_period(self, figures: _Figures) -> Iterator[WindowView]:
        window_s = self._books.schedule.window_s
        for place, (price, totals, cells) in enumerate(
            zip(figures.prices, figures.totals, figures.cells, strict=True)
        ):
            start_s = figures.period_start_s + place * window_s
            # Before everybody has been heard, the sums as they grow would tell who came last.
            is_complete = start_s + window_s <= figures.heard_through_s
            yield WindowView(
                start_s=start_s,
                period_start_s=figures.period_start_s,
                run=figures.run,
                state=figures.state,
                price=price,
                imported=Cell(energy_wh=totals.import_wh, is_open=cells.imported and is_complete),
                exported=Cell(energy_wh=totals.export_wh, is_open=cells.exported and is_complete),
                traded=Cell(energy_wh=totals.traded_wh, is_open=cells.traded and is_complete),
                estimated=cells.estimated,
                is_complete=is_complete,
            )

    def _cells_of(self, shown: Shown) -> Sequence[WindowCells]:
        with self._guard:
            found = self._cells.get(shown.statements_root)
        if found is None:
            period_start_s, last = shown.key
            runs = [self._books.reads.row_words((period_start_s, run)) for run in range(last + 1)]
            windows = self._books.schedule.period_windows
            # Where some were erased nobody can tell any more who stands behind a sum.
            is_whole = all(row_words and all(row_words) for row_words in runs)
            found = cells_of_runs(runs, windows) if is_whole else [NOBODYS] * windows
        with self._guard:
            self._cells[shown.statements_root] = found
            self._cells.move_to_end(shown.statements_root)
            while len(self._cells) > RUNS_KEPT:
                self._cells.popitem(last=False)
        return found
