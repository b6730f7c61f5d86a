"""What one window costs and brings one account, part by part, and what neighbours saved it.

The parts are those of INTERFACES §5's amount and add up to it. Beside them stands the same energy
at the grid's tariff, and only what the amount counts: what the supplier bills by himself, all of
the residual where that is `external` and the import of an uncovered row, is the same with
neighbours and without, so it is in neither.
"""

from dataclasses import dataclass

from ledger.statements import operator_amount_nano, supplier_amount_nano
from ledger.units import GRID_OPERATOR, SUPPLIER
from ledger.words import StatementRow, WindowPrice, WindowTotals

SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBill:
    """One window in nano; what is paid and what is received are both positive."""

    bought_nano: int = 0  # Paid to neighbours, the local fee in it.
    sold_nano: int = 0  # Received from neighbours; of account 1, the fees.
    from_grid_nano: int = 0  # Paid for the rest; 0 where the supplier bills it.
    to_grid_nano: int = 0  # Received for the rest; of account 0, for less what it pays.
    grid_only_nano: int = 0  # The same energy at this window's grid tariff alone.

    @property
    def amount_nano(self) -> int:
        """INTERFACES §5's amount of this window."""
        return self.sold_nano - self.bought_nano + self.to_grid_nano - self.from_grid_nano

    @property
    def saved_nano(self) -> int:
        """`bought*(gridImport − local − fee) + sold*(local − gridExport)`: never below zero."""
        return self.amount_nano - self.grid_only_nano


def window_bill(
    account: int, row: StatementRow, price: WindowPrice, totals: WindowTotals, residual: str
) -> WindowBill:
    """An account's window; accounts 0 and 1 have no row, and go by the totals."""
    if account == SUPPLIER:
        amount_nano = supplier_amount_nano([totals], [price], residual)
        return WindowBill(to_grid_nano=amount_nano, grid_only_nano=amount_nano)
    if account == GRID_OPERATOR:
        amount_nano = operator_amount_nano([totals], [price])
        return WindowBill(sold_nano=amount_nano, grid_only_nano=amount_nano)
    return member_bill(row, price, residual)


def member_bill(row: StatementRow, price: WindowPrice, residual: str) -> WindowBill:
    """A member's window."""
    is_settled = residual == SETTLED
    rest_in_wh = row.import_wh - row.bought_wh if is_settled and not row.uncovered else 0
    rest_out_wh = row.export_wh - row.sold_wh if is_settled else 0
    return WindowBill(
        bought_nano=row.bought_wh * (price.local_per_kwh + price.local_fee_per_kwh),
        sold_nano=row.sold_wh * price.local_per_kwh,
        from_grid_nano=rest_in_wh * price.grid_import_per_kwh,
        to_grid_nano=rest_out_wh * price.grid_export_per_kwh,
        grid_only_nano=(row.sold_wh + rest_out_wh) * price.grid_export_per_kwh
        - (row.bought_wh + rest_in_wh) * price.grid_import_per_kwh,
    )
