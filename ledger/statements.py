"""Statements: one account's rows and its amount for one period and run (INTERFACES §5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.merkle import root_of_proof
from ledger.units import GRID_OPERATOR, SUPPLIER, AccountId, Address, Hash32
from ledger.words import (
    StatementRow,
    WindowPrice,
    WindowTotals,
    prices_hash,
    rows_hash,
    statement_leaf,
    totals_hash,
    windows_hash,
)

FORMAT = "wattledger.statement/1"
AMOUNT_NANO_MAX = 2**63 - 1  # The leaf holds amounts as int64.


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementMeter:
    """A meter whose energy the rows count, and how its readings came to be signed."""

    meter_id: bytes
    meter_class: str  # certified, gateway or imported.


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Everything that one account needs to check one run of one period by itself."""

    chain_id: int
    market: Address
    account: AccountId
    period_start_s: int
    run: int
    window_s: int
    residual: str  # "settled" or "external".
    meters: tuple[StatementMeter, ...] | None  # None where a file leaves them out.
    rows: tuple[StatementRow, ...]
    prices: tuple[WindowPrice, ...]
    totals: tuple[WindowTotals, ...]
    totals_salt: Hash32
    amount_nano: int
    applied_before_nano: int
    shortfall_nano: int
    salt: Hash32
    leaf: Hash32
    proof: tuple[Hash32, ...]
    statements_root: Hash32
    deltas_root: Hash32
    cutoff_at_s: int
    transaction: Hash32

    @property
    def delta_nano(self) -> int:
        """What this run moves on the account."""
        return self.amount_nano - self.applied_before_nano + self.shortfall_nano

    def leaf_computed(self) -> Hash32:
        """The leaf that rows, amount and salt give."""
        return statement_leaf(
            account=self.account,
            period_start_s=self.period_start_s,
            run=self.run,
            rows=rows_hash(self.rows),
            amount_nano=self.amount_nano,
            salt=self.salt,
        )

    def root_computed(self) -> Hash32:
        """The root that leaf and proof give."""
        return root_of_proof(self.leaf, self.proof)

    def windows_hash_computed(self) -> Hash32:
        """The hash that prices and totals give."""
        return windows_hash(prices_hash(self.prices), totals_hash(self.totals, self.totals_salt))

    def amount_computed_nano(self) -> int:
        """The amount that rows, totals and prices give, by the account's own formula."""
        if self.account == SUPPLIER:
            return supplier_amount_nano(self.totals, self.prices, self.residual)
        if self.account == GRID_OPERATOR:
            return operator_amount_nano(self.totals, self.prices)
        return member_amount_nano(self.rows, self.prices, self.residual)


def member_amount_nano(
    rows: Sequence[StatementRow], prices: Sequence[WindowPrice], residual: str
) -> int:
    """`Σ sold*local − bought*(local + fee)`, and the residual at the grid tariff if settled.

    An uncovered row leaves its import to the supplier's own bill.
    """
    amount_nano = 0
    for row, price in zip(rows, prices, strict=True):
        amount_nano += row.sold_wh * price.local_per_kwh
        amount_nano -= row.bought_wh * (price.local_per_kwh + price.local_fee_per_kwh)
        if residual == "settled":
            amount_nano += (row.export_wh - row.sold_wh) * price.grid_export_per_kwh
            if not row.uncovered:
                amount_nano -= (row.import_wh - row.bought_wh) * price.grid_import_per_kwh
    return amount_nano


def supplier_amount_nano(
    totals: Sequence[WindowTotals], prices: Sequence[WindowPrice], residual: str
) -> int:
    """Account 0: sells the residual import, buys the residual export."""
    if residual != "settled":
        return 0
    return sum(
        (total.import_wh - total.uncovered_import_wh - total.traded_wh) * price.grid_import_per_kwh
        - (total.export_wh - total.traded_wh) * price.grid_export_per_kwh
        for total, price in zip(totals, prices, strict=True)
    )


def operator_amount_nano(totals: Sequence[WindowTotals], prices: Sequence[WindowPrice]) -> int:
    """Account 1: the local fee on what was traded."""
    return sum(
        total.traded_wh * price.local_fee_per_kwh
        for total, price in zip(totals, prices, strict=True)
    )
