"""What the market says to people, as values: one set of figures for routes, files and pages.

Energies are Wh, prices micro-tokens per kWh, amounts nano or micro as their names say.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from ledger.bills import WindowBill
from ledger.statements import StatementMeter
from ledger.units import AccountId, Address, Hash32
from ledger.words import StatementRow, WindowPrice


class PeriodState(StrEnum):
    """Where a period is on its way to money (INTERFACES §3)."""

    OPEN = "open"  # It runs, or its readings are awaited.
    DUE = "due"
    PROPOSED = "proposed"
    FINAL = "final"
    CANCELLED = "cancelled"  # Until it is proposed again.
    LAPSED = "lapsed"  # The same.


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a period has come."""

    state: PeriodState
    run: int | None  # Its last one.


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One community figure, and whether so many stand behind it that strangers may see it."""

    energy_wh: int
    is_open: bool  # See `cells.py`.


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """One window of the community; what no run says yet is computed from readings so far."""

    start_s: int
    period_start_s: int
    run: int | None  # Whose figures these are; None: provisional.
    state: PeriodState  # `final` or `proposed` where a run says it, else its period's.
    price: WindowPrice
    imported: Cell
    exported: Cell
    traded: Cell
    estimated: int  # Accounts of which a register at an end was computed, not read.
    is_complete: bool  # Every meter has been heard since its end; true of what a run says.


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run of a period, as the chain has it."""

    run: int
    state: PeriodState
    proposed_at: datetime | None
    final_at: datetime | None
    cutoff_at: datetime
    statements_root: Hash32
    windows_hash: Hash32
    deltas_root: Hash32
    proposal_tx: Hash32 | None
    final_tx: Hash32 | None
    gas_used: int | None
    shortfall_nano: int  # Over all accounts.
    prices: tuple[WindowPrice, ...]  # As published.


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodView:
    """One period, and its runs in order."""

    start_s: int
    end_s: int
    state: PeriodState  # Of its last run.
    runs: tuple[RunView, ...]

    @property
    def prices(self) -> tuple[WindowPrice, ...]:
        """Of its last run; empty while there is none."""
        return self.runs[-1].prices if self.runs else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsView:
    """Price limits that are in force, or will be."""

    effective_from: datetime
    max_buy_per_kwh: int | None  # None: no limit.
    min_sell_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterView:
    """A meter of an account now."""

    meter_id: bytes
    label: str | None
    meter_class: str
    limit_w: int
    valid_from: datetime
    valid_until: datetime | None
    last_reading_at: datetime | None
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account's money and meters now."""

    account: AccountId
    owner: Address
    name: str | None  # As far as it is known here.
    balance_nano: int
    pending_nano: int  # What a proposal that waits would change.
    unsettled_nano: int  # What the periods before this one will change, by readings so far.
    requested_micro: int  # Asked to be paid out.
    requested_at: datetime | None
    withdrawable_at: datetime | None
    cover_nano: int  # For the period that runs.
    next_cover_nano: int  # For the one after it, as far as it is known now.
    needed_nano: int  # What the period that runs is expected to need: see `cover.py`.
    spent_per_day_nano: int  # What went out less what came in, of the days before; 0 if none.
    lasts_days: int | None  # The cover at that rate; None: it does not shrink.
    is_covered: bool
    warning: str | None  # A stable code: `cover_low`, `cover_lost`; None: all is well.
    limits: tuple[LimitsView, ...]  # In force first, then those to come.
    nonces: tuple[int, int]  # The next one for PriceLimits, and for Withdrawal.
    meters: tuple[MeterView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLine:
    """One window of one account, with everything that makes up its amount."""

    start_s: int
    period_start_s: int
    row: StatementRow
    price: WindowPrice
    bill: WindowBill
    run: int | None  # Whose figures these are; None: provisional.
    state: PeriodState  # As of a window.
    is_known: bool  # The account's meters have been heard since its end; true of what a run says.

    @property
    def amount_nano(self) -> int:
        """What the window moves, as the market counts it."""
        return self.bill.amount_nano

    @property
    def grid_only_nano(self) -> int:
        """The same energy at this window's grid tariff alone."""
        return self.bill.grid_only_nano

    @property
    def saved_nano(self) -> int:
        """How much better off than with the grid's tariff alone."""
        return self.bill.saved_nano


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """An account's windows, added up."""

    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    bought_nano: int  # Paid to neighbours, the local fee in it.
    sold_nano: int  # Received from neighbours.
    from_grid_nano: int  # Paid for the rest; 0 where the supplier bills it.
    to_grid_nano: int  # Received for the rest.
    amount_nano: int
    grid_only_nano: int
    windows: int
    estimated: int  # Windows.
    uncovered: int
    provisional: int  # Windows that are not final.

    @property
    def saved_nano(self) -> int:
        """How much better off than with the grid's tariff alone."""
        return self.amount_nano - self.grid_only_nano


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of local time with its sums: a day, a month."""

    start_at: datetime
    end_at: datetime
    day: date  # Its first day, local.
    sums: Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One statement in an account's list."""

    period_start_s: int
    run: int
    final_at: datetime | None
    amount_nano: int
    applied_before_nano: int
    shortfall_nano: int
    meters: tuple[StatementMeter, ...]
    transaction: Hash32 | None
