"""What a run is planned from, and why a plan can be impossible (DESIGN §2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ledger import clearing
from ledger.clearing.keys import Keys, Priorities
from ledger.errors import LedgerError
from ledger.periods import Schedule
from ledger.units import FIRST_MEMBER, LIMIT_PER_KWH_MAX, AccountId


@dataclass(eq=False, kw_only=True)
class SupplierCannotPay(LedgerError):
    """Account 0 has too little for this run; the period stays due until it deposits."""

    code: ClassVar[str] = "supplier_cannot_pay"
    period_start_s: int
    run: int
    needed_nano: int
    available_nano: int
    missing_nano: int


@dataclass(eq=False, kw_only=True)
class DebitCapExceeded(LedgerError):
    """A run would take more from an account than the contract allows at once."""

    code: ClassVar[str] = "debit_cap_exceeded"
    period_start_s: int
    run: int
    account: int
    debit_nano: int
    debit_max_nano: int


@dataclass(eq=False, kw_only=True)
class BalanceTooLarge(LedgerError):
    """A run would take an account's balance above what a lane holds; it must withdraw first."""

    code: ClassVar[str] = "balance_too_large"
    period_start_s: int
    run: int
    account: int
    balance_nano: int
    balance_nano_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCell:
    """One account's import and export in one window, in Wh."""

    import_wh: int
    export_wh: int
    estimated: bool


NO_FLOW = FlowCell(import_wh=0, export_wh=0, estimated=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a market fixes for all its periods."""

    volume_rule: clearing.VolumeRule
    price_rule: clearing.PriceRule
    residual: clearing.Residual
    auction_k_bps: int
    keys: Keys
    priorities: Priorities
    debit_max_wh: int
    supplier_debit_max_nano: int
    withdrawal_delay_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What the chain says of one account when a run is planned, in nano."""

    applied_nano: int  # Deltas that earlier runs of the period really applied.
    available_nano: int  # Balance less a matured withdrawal request.
    balance_nano: int
    cover_nano: int
    max_buy_per_kwh: int = LIMIT_PER_KWH_MAX
    min_sell_per_kwh: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices of the period's windows in micro-tokens per kWh."""

    grid_import_per_kwh: int
    grid_export_per_kwh: int
    local_fee_per_kwh: int
    fixed_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which run of which period is planned, with what is known."""

    schedule: Schedule
    rules: Rules
    tariff: Tariff
    period_start_s: int
    run: int
    cutoff_at_s: int
    accounts: Sequence[AccountState]  # Dense from account 0: everybody enrolled.
    flows: Mapping[AccountId, Sequence[FlowCell]]  # K cells for each account that has meters.


def flows_of_enrolled(
    flows: Mapping[AccountId, Sequence[FlowCell]], account_count: int
) -> dict[AccountId, Sequence[FlowCell]]:
    """The flows that a run is about: a meter of an account that is not there yet counts nothing.

    A registrar may name any account, and an audit looks at runs from before the last one joined.
    """
    return {account: cells for account, cells in flows.items() if account < account_count}


def debit_max_of(assignment: Assignment, account: int) -> int:
    """The contract's debit cap of an account for this run, in nano."""
    rules = assignment.rules
    if account < FIRST_MEMBER:
        return rules.supplier_debit_max_nano
    member_nano = (
        assignment.schedule.period_windows
        * rules.debit_max_wh
        * assignment.tariff.grid_import_per_kwh
    )
    return member_nano if assignment.run == 0 else 2 * member_nano
