"""Which run is due next, and when: first runs in order, then revisions, oldest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from api.jobs.community import Community
from api.jobs.forgetting.erasures_store import Erasure, erasures
from api.jobs.meter_book import heard_through_s
from ledger.history import MarketHistory
from ledger.units import from_unix_s, to_unix_s
from metering.meters import MeterBook
from metering.reading_rows_store import ALWAYS_S

REVISED_THROUGH = "revised_through_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRun:
    """A run, the time at which it is proposed, and what is known then."""

    period_start_s: int
    run: int
    at_s: int
    cutoff_at_s: int


class DueRuns:
    """What is due in one community, up to an instant.

    Where time may be moved, it is moved to when a run is due; else a run waits.
    """

    def __init__(self, community: Community, *, until_s: int | None, moves_time: bool) -> None:
        self._community = community
        self._follows_data = community.config.chain.clock == "data"
        self._moves_time = moves_time
        self._until_s = until_s
        self._dirty: set[int] | None = None  # Final periods that readings have touched since.
        self._looked_through_s = 0  # Up to what was accepted by then.

    def find(self, history: MarketHistory, book: MeterBook) -> Iterator[DueRun]:
        """What is due, the first thing first; the caller takes what it can propose."""
        again = self._to_be_made_again(history)
        if again is not None:
            yield from self._due(*again, self._free_from_s(history))
            return
        next_s = self._next_period_s(history)
        if self._has_data(next_s):
            complete_at_s = self._complete_at_s(next_s, book)
            due_s = self._community.schedule.due_at(next_s, complete_at_s)
            yield from self._due(next_s, 0, due_s)
        revision_s = history.last_revision_at_s
        earliest_s = revision_s + self._community.schedule.period_s if revision_s else 0
        for period_start_s in self._revisable(history):
            yield from self._due(
                period_start_s, len(history.final_runs(period_start_s)), earliest_s
            )

    def settled(self, period_start_s: int) -> None:
        """Notes that a period's last run covers all that is known of it."""
        if self._dirty is not None:
            self._dirty.discard(period_start_s)

    def note_nothing_left(self) -> None:
        """Remembers, when no revision is left, that readings up to the last cutoff are settled."""
        store = self._community.settlements
        through = str(min(store.latest_cutoff_s(), self._looked_through_s))
        if self._dirty == set() and store.facts().get(REVISED_THROUGH) != through:
            with self._community.engine.begin() as connection:
                store.set_facts(connection, [(REVISED_THROUGH, through)])

    def first_runs_left(self) -> int:
        """How many first runs there are to settle, for a progress bar."""
        next_s = self._next_period_s(self._community.refresh())
        last_s = self._last_reading_s() if self._until_s is None else self._until_s
        return max(0, -((next_s - last_s) // self._community.schedule.period_s))

    def periods_behind(self) -> int:
        """How many periods are over by the clock, and have not been settled once."""
        over_s = self._community.now_s()
        if self._follows_data:
            over_s = min(over_s, self._last_reading_s())
        next_s = self._next_period_s(self._community.refresh())
        return max(0, (over_s - next_s) // self._community.schedule.period_s)

    def _due(self, period_start_s: int, run: int, due_s: int) -> Iterator[DueRun]:
        now_s = self._community.now_s()
        if self._moves_time:
            at_s = cutoff_at_s = max(now_s + 1, due_s)
            is_due = self._until_s is None or at_s <= self._until_s
        else:
            at_s, cutoff_at_s = now_s, self._cutoff_s()
            limit_s = cutoff_at_s if self._until_s is None else min(cutoff_at_s, self._until_s)
            is_due = due_s <= limit_s
        if is_due:
            yield DueRun(period_start_s=period_start_s, run=run, at_s=at_s, cutoff_at_s=cutoff_at_s)

    def _cutoff_s(self) -> int:
        """The latest cutoff that is surely past for us and for the chain."""
        return min(self._community.now_s() - 1, self._community.next_block_from_s())

    def _known_until(self) -> datetime | None:
        """What is accepted later does not count for a run that is begun now."""
        return None if self._moves_time else from_unix_s(self._cutoff_s())

    # First runs.

    def _to_be_made_again(self, history: MarketHistory) -> tuple[int, int] | None:
        """A run that was cancelled, or is pending and not ours to finish any more."""
        if history.pending is not None:
            return history.pending
        for key, run in history.runs.items():
            if run.state in {"cancelled", "lapsed"}:
                return key
        return None

    def _free_from_s(self, history: MarketHistory) -> int:
        """When a proposal that nobody finalizes lapses."""
        if history.pending is None:
            return 0
        schedule = self._community.schedule
        proposed_at_s = history.runs[history.pending].proposed_at_s
        return proposed_at_s + schedule.dispute_period_s + schedule.finalize_within_s + 1

    def _next_period_s(self, history: MarketHistory) -> int:
        schedule = self._community.schedule
        first_runs = sum(run == 0 for _, run in history.final_order)
        return schedule.first_period_start_s + first_runs * schedule.period_s

    def _has_data(self, period_start_s: int) -> bool:
        """Whether a demo's data reach into a period; any other clock goes on by itself."""
        return not self._follows_data or period_start_s < self._last_reading_s()

    def _last_reading_s(self) -> int:
        stretches = self._community.readings.known_stretches().values()
        return max((to_unix_s(stretch.last_at) for stretch in stretches), default=0)

    def _complete_at_s(self, period_start_s: int, book: MeterBook) -> int | None:
        stretches = self._community.readings.known_stretches(cutoff_at=self._known_until())
        end_s = self._community.schedule.period_end(period_start_s)
        heard_s = heard_through_s(book, stretches, period_start_s, end_s)
        return end_s if heard_s >= end_s else None

    # Revisions.

    def _revisable(self, history: MarketHistory) -> list[int]:
        """Final periods that readings have touched since, and shortfalls that can be collected."""
        if self._dirty is None:
            self._dirty = self._touched(history)
        return sorted(filter(self._is_whole, self._dirty | self._collectable(history)))

    def _is_whole(self, period_start_s: int) -> bool:
        """Whether nothing was erased that a revision of this period would be made from."""
        end_s = self._community.schedule.period_end(period_start_s)
        return not any(each.meets(period_start_s, end_s) for each in self._erasures)

    @cached_property
    def _erasures(self) -> Sequence[Erasure]:
        return erasures(self._community.engine)

    def _touched(self, history: MarketHistory) -> set[int]:
        known_until, store = self._known_until(), self._community.settlements
        # What came in up to a cutoff is all there; what is newer may be on its way just now.
        self._looked_through_s = ALWAYS_S if known_until is None else store.latest_cutoff_s()
        cutoffs: dict[int, int] = {}  # Of each period's last run.
        for period_start_s, run in history.final_order:
            cutoffs[period_start_s] = history.runs[(period_start_s, run)].cutoff_at_s
        if not cutoffs:
            return set()
        noted_s = int(store.facts().get(REVISED_THROUGH, "0"))
        since_s = max(noted_s, min(cutoffs.values()))
        schedule = self._community.schedule
        touched: set[int] = set()
        for stretch in self._community.readings.touched_since(
            from_unix_s(since_s), cutoff_at=known_until
        ):
            start_s = schedule.period_start_of(to_unix_s(stretch.first_at) - 1)
            stop_s = to_unix_s(stretch.last_at) + 1
            touched.update(range(start_s, stop_s, schedule.period_s))
        return touched & cutoffs.keys()

    def _collectable(self, history: MarketHistory) -> set[int]:
        """Periods with a shortfall that its account could pay in full by now."""
        now_s, delay_s = self._community.now_s(), self._community.rules.withdrawal_delay_s
        last = dict(history.final_order)
        return {
            period_start_s
            for period_start_s, run in last.items()
            for account, missing_nano in history.runs[(period_start_s, run)].shortfalls_nano.items()
            if history.available_nano(account, at_s=now_s, withdrawal_delay_s=delay_s)
            >= missing_nano
        }
