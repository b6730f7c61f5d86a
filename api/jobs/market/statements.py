"""An account's statements, window by window and added up: one set of figures for every screen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from api.errors import NotFound
from api.jobs.following import Told
from api.jobs.market.books import Books
from api.jobs.market.periods import PeriodsDesk
from api.jobs.market.provisional import ProvisionalBooks
from api.jobs.market.spans import begins_s, days_of, month_after, months_of, spans_of, sums_of
from api.jobs.market.views import PeriodState, Span, StatementLine, Sums, WindowLine
from api.jobs.meter_book import meters_of
from api.jobs.statements import statement_of
from ledger.bills import window_bill
from ledger.history import MarketHistory
from ledger.merkle import StandardTree
from ledger.statement_reads_store import RunKey
from ledger.statements import Statement
from ledger.units import AccountId, from_unix_s
from ledger.words import StatementRow, WindowPrice, WindowTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """An account's period, from a run or from readings so far."""

    run: int | None
    state: PeriodState
    rows: Sequence[StatementRow]
    prices: Sequence[WindowPrice]
    totals: Sequence[WindowTotals]
    heard_through_s: int


class StatementsDesk:
    """Says what accounts did and what it came to. Its methods wait: call them in a thread."""

    def __init__(self, books: Books, provisional: ProvisionalBooks, periods: PeriodsDesk) -> None:
        self._books = books
        self._provisional = provisional
        self._periods = periods
        self._residual = books.community.rules.residual.value

    # Statements.

    def list(
        self, account: int, limit: int, before: RunKey | None = None
    ) -> Sequence[StatementLine]:
        """An account's statements, the latest period and run first; those before a key."""

        def question(told: Told) -> dict[RunKey, StatementLine]:
            keys = _final_keys(told.market, account, before)[-limit:]
            return {key: self._line_of(told, account, key) for key in reversed(keys)}

        lines = self._books.ask(question)
        amounts = self._books.reads.amounts(account, lines)
        return [
            replace(
                line,
                amount_nano=amounts[key].amount_nano,
                applied_before_nano=amounts[key].applied_before_nano,
                shortfall_nano=amounts[key].shortfall_nano,
            )
            for key, line in lines.items()
            if key in amounts
        ]

    def statement(self, account: int, period_start_s: int, run: int | None = None) -> Statement:
        """One statement, by default the period's last.

        Raises:
            NotFound: there is no such final run, or the account has no statement in it.
        """
        final = self._books.ask(
            lambda told: {
                each.run: each.final_tx for each in told.market.final_runs(period_start_s)
            }
        )
        key = (period_start_s, max(final, default=0) if run is None else run)
        stored_run = self._books.reads.runs([key]).get(key) if key[1] in final else None
        stored = self._books.reads.statements(account, [key]).get(key)
        if stored_run is None or stored is None:
            raise NotFound(rule="the account has no statement of this period and run")
        book = self._books.ask(lambda told: told.book)
        tree = StandardTree(self._books.reads.leaves(key))
        return statement_of(
            self._books.community,
            book,
            replace(stored_run, final_tx=final[key[1]]),
            stored,
            tree.proof(account),
        )

    def _line_of(self, told: Told, account: int, key: RunKey) -> StatementLine:
        run = told.market.runs[key]
        return StatementLine(
            period_start_s=key[0],
            run=key[1],
            final_at=None if run.final_at_s is None else from_unix_s(run.final_at_s),
            amount_nano=0,
            applied_before_nano=0,
            shortfall_nano=0,
            meters=meters_of(told.book, self._books.schedule, account, key[0]),
            transaction=run.final_tx,
        )

    # Windows.

    def lines(
        self, account: int, from_s: int, until_s: int, *, settled_only: bool = False
    ) -> Sequence[WindowLine]:
        """An account's windows that begin in `[from_s, until_s)` and have begun, in order.

        Args:
            settled_only: leaves out what is not final.
        """
        periods, now_s = list(self._books.periods_of(from_s, until_s)), self._books.now_s()
        found = self._settled(account, periods, final_only=settled_only)
        if not settled_only:
            found |= self._unsettled(account, [each for each in periods if each not in found])
        return [
            line
            for period_start_s, windows in sorted(found.items())
            if windows is not None
            for line in self._lines(account, period_start_s, windows)
            if from_s <= line.start_s < until_s and line.start_s <= now_s
        ]

    def _settled(
        self, account: int, periods: Iterable[int], *, final_only: bool
    ) -> dict[int, _Windows | None]:
        """What runs say of these periods; None where the account's rows are not there any more."""
        books = self._books
        shown = books.shown(periods)
        if final_only:
            shown = {at: each for at, each in shown.items() if each.state is PeriodState.FINAL}
        stored = books.stored(shown.values())
        rows = books.reads.statements(account, [shown[each].key for each in stored])
        found: dict[int, _Windows | None] = {}
        for period_start_s, run in stored.items():
            own = rows.get(shown[period_start_s].key)
            found[period_start_s] = None
            if own is not None and own.result.rows:
                found[period_start_s] = _Windows(
                    run=run.run,
                    state=shown[period_start_s].state,
                    rows=own.result.rows,
                    prices=run.prices,
                    totals=run.totals,
                    heard_through_s=books.schedule.period_end(period_start_s),
                )
        return found

    def _unsettled(self, account: int, periods: Sequence[int]) -> dict[int, _Windows | None]:
        """What readings so far say of these periods; none of an account that was not there."""
        provisional, states = self._provisional.of(periods), self._periods.states(periods)
        return {
            period_start_s: _Windows(
                run=None,
                state=states[period_start_s],
                rows=found.rows_of(account),
                prices=found.prices,
                totals=found.totals,
                heard_through_s=found.heard_of_account_s.get(
                    AccountId(account), self._books.schedule.period_end(period_start_s)
                ),
            )
            for period_start_s, found in provisional.items()
            if account < len(found.row_words)
        }

    @staticmethod
    def sums(lines: Iterable[WindowLine]) -> Sums:
        """All that windows come to."""
        return sums_of(lines)

    def days(
        self, account: int, from_date: date, until_date: date, zone: ZoneInfo
    ) -> Sequence[Span]:
        """Local days from one date to the day before another; days to come are empty."""
        return self._spans(account, days_of(from_date, until_date), until_date, zone)

    def months(
        self, account: int, from_date: date, until_date: date, zone: ZoneInfo
    ) -> Sequence[Span]:
        """The whole local months in which those days lie."""
        months = months_of(from_date, until_date)
        return self._spans(account, months, month_after(months[-1]) if months else until_date, zone)

    def _spans(
        self, account: int, first_days: Sequence[date], end: date, zone: ZoneInfo
    ) -> Sequence[Span]:
        if not first_days:
            return []
        lines = self.lines(account, begins_s(first_days[0], zone), begins_s(end, zone))
        return list(spans_of(lines, first_days, end, zone))

    def _lines(self, account: int, period_start_s: int, windows: _Windows) -> Iterator[WindowLine]:
        columns = zip(windows.rows, windows.prices, windows.totals, strict=True)
        window_s = self._books.schedule.window_s
        for place, (row, price, totals) in enumerate(columns):
            start_s = period_start_s + place * window_s
            yield WindowLine(
                start_s=start_s,
                period_start_s=period_start_s,
                row=row,
                price=price,
                bill=window_bill(account, row, price, totals, self._residual),
                run=windows.run,
                state=windows.state,
                is_known=start_s + window_s <= windows.heard_through_s,
            )


def _final_keys(history: MarketHistory, account: int, before: RunKey | None) -> Sequence[RunKey]:
    """Periods and runs in which an account has a statement, in order."""
    return sorted(
        key
        for key in history.final_order
        if (before is None or key < before) and account < len(history.runs[key].deltas_nano)
    )
