"""An account now: its money as the chain has it, how long that lasts, its limits and meters."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.errors import NotFound
from api.jobs.following import Told
from api.jobs.market.books import Books
from api.jobs.market.cover import DAY_S, DAYS_LOOKED_AT, outlook_of
from api.jobs.market.statements import StatementsDesk
from api.jobs.market.views import AccountView, LimitsView, MeterView, PeriodState, WindowLine
from api.jobs.meter_book import CALENDAR_ENDS_S
from api.jobs.people.names import Names
from ledger.chain.market import MarketReader
from ledger.history import AccountLimits, MarketHistory
from ledger.units import (
    LIMIT_PER_KWH_MAX,
    AccountId,
    Address,
    from_unix_s,
    to_unix_s,
)
from metering.meter_reads_store import Interval, Place
from metering.meters import MeterBook, MeterTerm
from metering.readings import MeterId
from metering.store import KeptReading

ALL_TIME: Final[Interval] = (0, 2**40)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnChain:
    """What the events say of an account."""

    owner: Address
    balance_nano: int
    pending_nano: int
    requested_at_s: int
    requested_micro: int
    cover_nano: int
    next_cover_nano: int
    grid_import_per_kwh: int
    limits: tuple[LimitsView, ...]
    book: MeterBook


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSight:
    """What of a meter's readings somebody may see: those of the time it was theirs."""

    meter_id: MeterId
    intervals: tuple[Interval, ...]


class AccountsDesk:
    """Says what accounts have. Its methods wait: call them in a thread."""

    def __init__(self, books: Books, statements: StatementsDesk) -> None:
        self._books = books
        self._statements = statements
        self._names = Names(books.community)

    def sight_of(self, meter_id: MeterId, owner: Address) -> MeterSight:
        """What an owner of accounts may see of a meter: from its first register to its last.

        Raises:
            NotFound: nobody registered the meter.
        """

        def question(told: Told) -> tuple[Interval, ...]:
            terms = told.book.terms_of_meter(meter_id)
            if not terms:
                raise NotFound(rule="there is no such meter")
            return tuple(
                _interval_of(term)
                for term in terms
                if term.account < told.market.account_count
                and told.market.owners[term.account] == owner
            )

        return MeterSight(meter_id=meter_id, intervals=self._books.ask(question))

    def readings(
        self, sight: MeterSight, *, from_s: int, until_s: int, after: Place, limit: int
    ) -> list[KeptReading]:
        """A page of what may be seen of a meter in `[from_s, until_s)`: all versions."""
        intervals = [
            (max(first_s, from_s), min(last_s, until_s - 1)) for first_s, last_s in sight.intervals
        ]
        return self._books.meters.page(sight.meter_id, intervals, after=after, limit=limit)

    def account(self, account: int) -> AccountView:
        """An account now.

        Raises:
            NotFound: there is no such account.
            ChainUnavailable: the chain does not answer.
        """
        books = self._books
        now_s = books.now_s()
        running_s = max(books.schedule.period_start_of(now_s), books.schedule.first_period_start_s)
        next_s = books.schedule.period_end(running_s)
        on_chain = books.ask(lambda told: _on_chain(told, account, running_s, next_s))
        from_s = running_s - DAYS_LOOKED_AT * DAY_S
        lines = self._statements.lines(account, from_s, now_s + 1)
        before = [line for line in lines if line.start_s < running_s]
        known = [line for line in before if line.is_known]
        unsettled_nano = sum(
            line.amount_nano
            for line in before
            if line.state not in {PeriodState.FINAL, PeriodState.PROPOSED}
        )
        waiting_nano = on_chain.pending_nano + unsettled_nano
        outlook = outlook_of(
            cover_nano=on_chain.cover_nano + waiting_nano,
            next_cover_nano=on_chain.next_cover_nano + waiting_nano,
            imports_wh=self._imports_wh(lines),
            amount_nano=sum(line.amount_nano for line in known),
            seconds=len(known) * books.schedule.window_s,
            grid_import_per_kwh=on_chain.grid_import_per_kwh,
        )
        requested_at_s = on_chain.requested_at_s if on_chain.requested_micro else None
        delay_s = books.community.rules.withdrawal_delay_s
        return AccountView(
            account=AccountId(account),
            owner=on_chain.owner,
            name=self._names.name(AccountId(account)),
            balance_nano=on_chain.balance_nano,
            pending_nano=on_chain.pending_nano,
            unsettled_nano=unsettled_nano,
            requested_micro=on_chain.requested_micro,
            requested_at=None if requested_at_s is None else from_unix_s(requested_at_s),
            withdrawable_at=(
                None if requested_at_s is None else from_unix_s(requested_at_s + delay_s)
            ),
            cover_nano=on_chain.cover_nano,
            next_cover_nano=on_chain.next_cover_nano,
            needed_nano=outlook.needed_nano,
            spent_per_day_nano=outlook.spent_per_day_nano,
            lasts_days=outlook.lasts_days,
            is_covered=outlook.is_covered,
            warning=outlook.warning,
            limits=on_chain.limits,
            nonces=self._next_nonces(account),
            meters=self._meters_of(on_chain.book, account, now_s),
        )

    def _imports_wh(self, lines: Sequence[WindowLine]) -> Counter[int]:
        imports_wh: Counter[int] = Counter()
        for line in lines:
            imports_wh[self._books.schedule.period_start_of(line.start_s)] += line.row.import_wh
        return imports_wh

    def _next_nonces(self, account: int) -> tuple[int, int]:
        community = self._books.community
        reader = MarketReader(community.chain, community.contracts.market)
        return reader.limits_nonce(account) + 1, reader.withdrawal_nonce(account) + 1

    def _meters_of(self, book: MeterBook, account: int, now_s: int) -> tuple[MeterView, ...]:
        terms = [
            term
            for term in book.terms_of_account(AccountId(account))
            if term.valid_until is None or to_unix_s(term.valid_until) > now_s
        ]
        summaries = self._books.meters.summaries(term.meter_id for term in terms)
        return tuple(
            MeterView(
                meter_id=term.meter_id,
                label=summary.label if summary else None,
                meter_class=term.meter_class.value,
                limit_w=term.limit_w,
                valid_from=term.valid_from,
                valid_until=term.valid_until,
                last_reading_at=summary.last_at if summary else None,
                readings=summary.readings if summary else 0,
            )
            for term in terms
            for summary in [summaries.get(term.meter_id)]
        )


def _on_chain(told: Told, account: int, running_s: int, next_s: int) -> _OnChain:
    history = told.market
    owner = _owner(history, account)
    requested_at_s, requested_micro = history.request_at(account)
    return _OnChain(
        owner=owner,
        balance_nano=history.balances_nano[account],
        pending_nano=_pending_nano(history, account),
        requested_at_s=requested_at_s,
        requested_micro=requested_micro,
        cover_nano=history.cover_nano(account, running_s),
        next_cover_nano=history.cover_nano(account, next_s),
        grid_import_per_kwh=history.tariff_at(running_s).grid_import_per_kwh,
        limits=tuple(map(_limits_view, history.limits_from(account, running_s))),
        book=told.book,
    )


def _interval_of(term: MeterTerm) -> Interval:
    _, last_s = ALL_TIME
    ends_s = last_s if term.valid_until is None else to_unix_s(term.valid_until)
    return to_unix_s(term.valid_from), ends_s


def _owner(history: MarketHistory, account: int) -> Address:
    if not 0 <= account < history.account_count:
        raise NotFound(rule="there is no such account")
    return history.owners[account]


def _pending_nano(history: MarketHistory, account: int) -> int:
    if history.pending is None:
        return 0
    deltas_nano = history.runs[history.pending].deltas_nano
    return deltas_nano[account] if account < len(deltas_nano) else 0


def _limits_view(limits: AccountLimits) -> LimitsView:
    no_limit = limits.max_buy_per_kwh == LIMIT_PER_KWH_MAX
    return LimitsView(
        # The market takes any number of seconds; the calendar ends before.
        effective_from=from_unix_s(min(limits.effective_from_s, CALENDAR_ENDS_S)),
        max_buy_per_kwh=None if no_limit else limits.max_buy_per_kwh,
        min_sell_per_kwh=limits.min_sell_per_kwh,
    )
