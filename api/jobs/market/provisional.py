"""Periods that no run says anything of yet: cleared as they would be by what is known now.

Nothing is written. What was computed is kept until something new is known, and then for a time in
proportion to what it cost: a large community is computed anew less often than a small one.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.jobs.following import Told
from api.jobs.market.books import Books
from api.jobs.market.cells import WindowCells, cells_so_far
from api.jobs.meter_book import heard_through_s
from api.jobs.planning import assignment_of, flows_of_book
from ledger.assignment import Assignment, FlowCell
from ledger.settlement import clear_period
from ledger.units import AccountId, from_unix_s
from ledger.words import StatementRow, WindowPrice, WindowTotals, pack, unpack
from metering.meters import MeterBook
from metering.readings import MeterId
from metering.series import WindowGrid
from metering.store import Stretch

KEPT: Final = 400  # Periods.
REST: Final = 10  # Computing takes at most every so manieth second.
Flows = Mapping[AccountId, Sequence[FlowCell]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """One period, cleared by what is known."""

    prices: tuple[WindowPrice, ...]
    totals: tuple[WindowTotals, ...]
    row_words: tuple[bytes, ...]  # Dense from account 0, as in a statement.
    amounts_nano: tuple[int, ...]  # The same.
    cells: tuple[WindowCells, ...]
    heard_through_s: int  # Every meter has been heard up to then.
    heard_of_account_s: Mapping[AccountId, int]  # The same of each account that has meters.

    def rows_of(self, account: int) -> list[StatementRow]:
        """One account's rows."""
        return [StatementRow.of_word(word) for word in unpack(self.row_words[account])]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    known: object  # What it was computed from, by name.
    good_until: float  # On the monotonic clock.
    found: Provisional


class ProvisionalBooks:
    """Clears what is not settled, for all desks."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._guard = threading.Lock()  # Who waits finds it computed.

    def of(self, periods: Iterable[int]) -> dict[int, Provisional]:
        """These periods, by their starts."""
        wanted = list(periods)
        if not wanted:
            return {}
        with self._guard:
            known = self._known()
            missing = [each for each in wanted if not self._is_good(each, known)]
            for run in _in_rows(missing, self._books.schedule.period_s):
                self._compute(run, known)
            found = {each: self._kept[each].found for each in wanted}
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found

    def _known(self) -> object:
        told = self._books.ask(lambda told: (told.block_number, told.block_hash))
        return told, self._books.meters.last_accepted()

    def _is_good(self, period_start_s: int, known: object) -> bool:
        kept = self._kept.get(period_start_s)
        if kept is None or (kept.known != known and time.monotonic() > kept.good_until):
            return False
        self._kept.move_to_end(period_start_s)
        return True

    def _compute(self, periods: Sequence[int], known: object) -> None:
        """Clears consecutive periods; their readings are read together."""
        began = time.monotonic()
        books = self._books
        book = books.ask(lambda told: told.book)
        stretches = books.readings.known_stretches()
        flows = self._flows(book, periods)
        found = {
            period_start_s: self._clear(period_start_s, own, book, stretches)
            for period_start_s, own in zip(periods, flows, strict=True)
        }
        ended = time.monotonic()
        good_until = ended + REST * (ended - began)
        for period_start_s, each in found.items():
            self._kept[period_start_s] = _Kept(known=known, good_until=good_until, found=each)
            self._kept.move_to_end(period_start_s)

    def _flows(self, book: MeterBook, periods: Sequence[int]) -> list[Flows]:
        schedule = self._books.schedule
        windows = schedule.period_windows
        grid = WindowGrid(
            start_at=from_unix_s(periods[0]),
            window_s=schedule.window_s,
            count=windows * len(periods),
        )
        series = self._books.readings.series(
            book.meters(), from_at=grid.start_at, until_at=grid.end_at
        )
        whole = flows_of_book(book, series, grid)
        return [
            {account: cells[first : first + windows] for account, cells in whole.items()}
            for first in range(0, grid.count, windows)
        ]

    def _clear(
        self,
        period_start_s: int,
        flows: Flows,
        book: MeterBook,
        stretches: Mapping[MeterId, Stretch],
    ) -> Provisional:
        books, schedule, now_s = self._books, self._books.schedule, self._books.now_s()

        def question(told: Told) -> Assignment:
            return assignment_of(
                books.community,
                told.market,
                flows,
                period_start_s=period_start_s,
                run=0,
                at_s=now_s,
                cutoff_at_s=now_s,
            )

        cleared = clear_period(books.ask(question))
        row_words = tuple(pack(row.word for row in rows) for rows in cleared.rows)
        end_s = schedule.period_end(period_start_s)
        return Provisional(
            prices=cleared.prices,
            totals=cleared.totals,
            row_words=row_words,
            amounts_nano=cleared.amounts_nano,
            cells=tuple(cells_so_far(row_words, schedule.period_windows)),
            heard_through_s=heard_through_s(book, stretches, period_start_s, end_s),
            heard_of_account_s={
                account: heard_through_s(book, stretches, period_start_s, end_s, account=account)
                for account in book.accounts()
            },
        )


def _in_rows(periods: Sequence[int], step_s: int) -> list[list[int]]:
    """Periods in stretches without a gap."""
    rows: list[list[int]] = []
    for period_start_s in sorted(periods):
        if rows and rows[-1][-1] + step_s == period_start_s:
            rows[-1].append(period_start_s)
        else:
            rows.append([period_start_s])
    return rows
