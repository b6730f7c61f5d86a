"""One run of one period, from flows to what is published: pure, exact, the same every time.

The plan is a function of flows, limits, cover, tariff, what earlier runs applied, and what each
account has available (DESIGN §2). Everything that is hashed is in it; nothing is read or sent.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ledger import clearing
from ledger.assignment import (
    Assignment,
    BalanceTooLarge,
    DebitCapExceeded,
    SupplierCannotPay,
    Tariff,
    debit_max_of,
)
from ledger.errors import OutOfRange
from ledger.merkle import StandardTree
from ledger.statements import AMOUNT_NANO_MAX
from ledger.units import (
    BALANCE_NANO_MAX,
    LIMIT_PER_KWH_MAX,
    SUPPLIER,
    AccountId,
    Hash32,
)
from ledger.words import (
    StatementRow,
    WindowPrice,
    WindowTotals,
    delta_words,
    deltas_root,
    prices_hash,
    rows_hash,
    statement_leaf,
    totals_hash,
    windows_hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountResult:
    """What one account's statement says."""

    rows: tuple[StatementRow, ...]
    amount_nano: int
    applied_before_nano: int
    shortfall_nano: int
    salt: Hash32

    @property
    def delta_nano(self) -> int:
        """What this run moves on the account."""
        return self.amount_nano - self.applied_before_nano + self.shortfall_nano


@dataclass(frozen=True, kw_only=True)
class SettlementPlan:
    """Everything that a run publishes and keeps."""

    period_start_s: int
    run: int
    cutoff_at_s: int
    prices: tuple[WindowPrice, ...]
    totals: tuple[WindowTotals, ...]
    totals_salt: Hash32
    results: tuple[AccountResult, ...]  # Dense from account 0.

    @cached_property
    def leaves(self) -> tuple[Hash32, ...]:
        """Statement leaves, in account order."""
        return tuple(
            statement_leaf(
                account=account,
                period_start_s=self.period_start_s,
                run=self.run,
                rows=rows_hash(result.rows),
                amount_nano=result.amount_nano,
                salt=result.salt,
            )
            for account, result in enumerate(self.results)
        )

    @cached_property
    def tree(self) -> StandardTree:
        """The statements' tree."""
        return StandardTree(self.leaves)

    @cached_property
    def deltas(self) -> tuple[int, ...]:
        """Delta words, four accounts each."""
        return tuple(delta_words([result.delta_nano for result in self.results]))

    @cached_property
    def deltas_root(self) -> Hash32:
        """Root over the delta words."""
        return deltas_root(self.deltas)

    @cached_property
    def totals_hash(self) -> Hash32:
        """Salted hash of the community's sums."""
        return totals_hash(self.totals, self.totals_salt)

    @cached_property
    def windows_hash(self) -> Hash32:
        """Hash of prices and sums."""
        return windows_hash(prices_hash(self.prices), self.totals_hash)

    @property
    def shorts(self) -> list[tuple[int, int]]:
        """Accounts that cannot pay in full, with what is left out."""
        return [
            (account, result.shortfall_nano)
            for account, result in enumerate(self.results)
            if account != SUPPLIER and result.shortfall_nano
        ]

    @property
    def moves_nothing(self) -> bool:
        """Whether no account's balance changes."""
        return not any(result.delta_nano for result in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSalts:
    """What hides a run's rows and sums from whoever only sees the chain."""

    accounts: Sequence[Hash32]  # Of each leaf, dense from account 0.
    totals: Hash32


def derive_salts(secret: bytes, assignment: Assignment) -> RunSalts:
    """A run's salts, derived from a secret that never leaves the service."""
    market = (assignment.period_start_s, assignment.run)
    return RunSalts(
        accounts=[
            derive_salt(secret, "statement", account, *market)
            for account in range(len(assignment.accounts))
        ],
        totals=derive_salt(secret, "totals", *market),
    )


def derive_salt(secret: bytes, purpose: str, *parts: int) -> Hash32:
    """One salt: HMAC-SHA256 of its name under the secret."""
    name = ":".join([purpose, *map(str, parts)])
    return Hash32(hmac.new(secret, name.encode(), hashlib.sha256).digest())


def uncovered_accounts(assignment: Assignment) -> frozenset[AccountId]:
    """Accounts whose cover is less than the period's import at the grid's price (DESIGN §2)."""
    price = assignment.tariff.grid_import_per_kwh
    return frozenset(
        account
        for account, cells in assignment.flows.items()
        if assignment.accounts[account].cover_nano < sum(c.import_wh for c in cells) * price
    )


def plan(assignment: Assignment, secret: bytes) -> SettlementPlan:
    """A run's plan with salts derived from the service's secret; see `plan_salted`."""
    return plan_salted(assignment, derive_salts(secret, assignment))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodClearing:
    """All windows of a period cleared: what neighbours traded, before anything is netted."""

    prices: tuple[WindowPrice, ...]
    totals: tuple[WindowTotals, ...]
    rows: tuple[tuple[StatementRow, ...], ...]  # Dense from account 0.
    amounts_nano: tuple[int, ...]  # The same.


def clear_period(assignment: Assignment) -> PeriodClearing:
    """Clears every window of a period.

    Raises:
        LedgerError: a window cannot be cleared (see ledger/clearing).
    """
    uncovered = uncovered_accounts(assignment)
    windows = range(assignment.schedule.period_windows)
    cleared = [_clear_window(assignment, window, uncovered) for window in windows]
    return PeriodClearing(
        prices=tuple(_window_price(assignment.tariff, window) for window in cleared),
        totals=tuple(_window_totals(window) for window in cleared),
        rows=tuple(_rows(assignment, cleared, uncovered)),
        amounts_nano=tuple(_amounts_nano(assignment, cleared)),
    )


def plan_salted(assignment: Assignment, salts: RunSalts) -> SettlementPlan:
    """Clears every window of a period and nets the run against what was applied before.

    Raises:
        SupplierCannotPay: account 0's balance does not suffice.
        DebitCapExceeded, BalanceTooLarge: the contract would refuse.
        LedgerError: a window cannot be cleared (see ledger/clearing).
    """
    cleared = clear_period(assignment)
    shortfalls_nano = _shortfalls_nano(assignment, cleared.amounts_nano)
    results = tuple(
        AccountResult(
            rows=cleared.rows[account],
            amount_nano=cleared.amounts_nano[account],
            applied_before_nano=state.applied_nano,
            shortfall_nano=shortfalls_nano[account],
            salt=salts.accounts[account],
        )
        for account, state in enumerate(assignment.accounts)
    )
    _check_bounds(assignment, results)
    return SettlementPlan(
        period_start_s=assignment.period_start_s,
        run=assignment.run,
        cutoff_at_s=assignment.cutoff_at_s,
        prices=cleared.prices,
        totals=cleared.totals,
        totals_salt=salts.totals,
        results=results,
    )


def _clear_window(
    assignment: Assignment, window: int, uncovered: frozenset[AccountId]
) -> clearing.Clearing:
    rules, tariff = assignment.rules, assignment.tariff
    flows = []
    limits = []
    for account, cells in assignment.flows.items():
        cell, state = cells[window], assignment.accounts[account]
        flows.append(
            clearing.Flow(account=account, import_wh=cell.import_wh, export_wh=cell.export_wh)
        )
        if state.max_buy_per_kwh != LIMIT_PER_KWH_MAX or state.min_sell_per_kwh:
            limits.append(
                clearing.Limits(
                    account=account,
                    max_buy_per_kwh=state.max_buy_per_kwh,
                    min_sell_per_kwh=state.min_sell_per_kwh,
                )
            )
    problem = clearing.Problem(
        flows=tuple(flows),
        limits=tuple(limits),
        uncovered=uncovered,
        tariff=clearing.Tariff(
            grid_import_per_kwh=tariff.grid_import_per_kwh,
            grid_export_per_kwh=tariff.grid_export_per_kwh,
            local_fee_per_kwh=tariff.local_fee_per_kwh,
        ),
        volume_rule=rules.volume_rule,
        price_rule=rules.price_rule,
        residual=rules.residual,
        keys=rules.keys,
        priorities=rules.priorities,
        price_per_kwh=(
            tariff.fixed_per_kwh if rules.price_rule == clearing.PriceRule.FIXED else None
        ),
        auction_k_bps=rules.auction_k_bps,
    )
    return clearing.clear(problem)


def _rows(
    assignment: Assignment,
    cleared: Sequence[clearing.Clearing],
    uncovered: frozenset[AccountId],
) -> list[tuple[StatementRow, ...]]:
    empty = StatementRow(import_wh=0, export_wh=0)
    rows: list[list[StatementRow]] = [[] for _ in assignment.accounts]
    for window, clearing_result in enumerate(cleared):
        for row in clearing_result.rows:
            rows[row.account].append(
                StatementRow(
                    import_wh=row.import_wh,
                    export_wh=row.export_wh,
                    bought_wh=row.bought_wh,
                    sold_wh=row.sold_wh,
                    estimated=assignment.flows[row.account][window].estimated,
                    uncovered=row.account in uncovered,
                )
            )
    return [tuple(own) if own else (empty,) * len(cleared) for own in rows]


def _amounts_nano(assignment: Assignment, cleared: Sequence[clearing.Clearing]) -> list[int]:
    amounts_nano = [0] * len(assignment.accounts)
    for window in cleared:
        amounts_nano[0] += window.supplier_delta_nano
        amounts_nano[1] += window.operator_delta_nano
        columns = window.columns
        for account, delta_nano in zip(columns.account, columns.delta_nano, strict=True):
            amounts_nano[account] += delta_nano
    return amounts_nano


def _shortfalls_nano(assignment: Assignment, amounts_nano: Sequence[int]) -> list[int]:
    """What each account cannot pay now; account 0 pays it for them until a later run."""
    shortfalls_nano = [0] * len(amounts_nano)
    for account, state in enumerate(assignment.accounts[1:], start=1):
        due_nano = state.applied_nano - amounts_nano[account]
        if due_nano > state.available_nano:
            shortfalls_nano[account] = due_nano - state.available_nano
    shortfalls_nano[0] = -sum(shortfalls_nano)
    return shortfalls_nano


def _check_bounds(assignment: Assignment, results: Sequence[AccountResult]) -> None:
    facts = {"period_start_s": assignment.period_start_s, "run": assignment.run}
    supplier, needed_nano = assignment.accounts[0], -results[0].delta_nano
    if needed_nano > supplier.available_nano:
        raise SupplierCannotPay(
            **facts,
            needed_nano=needed_nano,
            available_nano=supplier.available_nano,
            missing_nano=needed_nano - supplier.available_nano,
        )
    for account, (state, result) in enumerate(zip(assignment.accounts, results, strict=True)):
        if abs(result.amount_nano) > AMOUNT_NANO_MAX:
            raise OutOfRange(
                field=f"amount_nano of account {account}",
                value=result.amount_nano,
                value_min=-AMOUNT_NANO_MAX,
                value_max=AMOUNT_NANO_MAX,
            )
        debit_max_nano = debit_max_of(assignment, account)
        if -result.delta_nano > debit_max_nano:
            raise DebitCapExceeded(
                **facts,
                account=account,
                debit_nano=-result.delta_nano,
                debit_max_nano=debit_max_nano,
            )
        balance_nano = state.balance_nano + result.delta_nano
        if balance_nano > BALANCE_NANO_MAX:
            raise BalanceTooLarge(
                **facts,
                account=account,
                balance_nano=balance_nano,
                balance_nano_max=BALANCE_NANO_MAX,
            )


def _window_price(tariff: Tariff, window: clearing.Clearing) -> WindowPrice:
    return WindowPrice(
        local_per_kwh=window.local_per_kwh,
        local_fee_per_kwh=tariff.local_fee_per_kwh,
        grid_import_per_kwh=tariff.grid_import_per_kwh,
        grid_export_per_kwh=tariff.grid_export_per_kwh,
    )


def _window_totals(window: clearing.Clearing) -> WindowTotals:
    return WindowTotals(
        import_wh=window.import_wh,
        export_wh=window.export_wh,
        traded_wh=window.traded_wh,
        uncovered_import_wh=window.uncovered_import_wh,
        eligible_import_wh=window.eligible_import_wh,
        eligible_export_wh=window.eligible_export_wh,
    )
