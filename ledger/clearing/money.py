"""What trades and the residual are worth, to the nano (INTERFACES §5)."""

from dataclasses import dataclass

from ledger.clearing.book import Book
from ledger.clearing.types import Problem, Residual
from ledger.clearing.volumes import Volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Members' amounts in account order, account 0's and account 1's: together zero."""

    delta_nano: list[int]
    supplier_delta_nano: int
    operator_delta_nano: int


def amounts(price_per_kwh: int, problem: Problem, book: Book, volumes: Volumes) -> Amounts:
    """Step 4 of INTERFACES §6, over all flows, whether they could trade or not."""
    if problem.residual is Residual.EXTERNAL:
        delta_nano = _traded_amounts(price_per_kwh, problem, volumes)
    else:
        delta_nano = _settled_amounts(price_per_kwh, problem, book, volumes)
    operator_delta_nano = sum(volumes.bought_wh) * problem.tariff.local_fee_per_kwh
    return Amounts(
        delta_nano=delta_nano,
        supplier_delta_nano=-sum(delta_nano) - operator_delta_nano,
        operator_delta_nano=operator_delta_nano,
    )


def _traded_amounts(price_per_kwh: int, problem: Problem, volumes: Volumes) -> list[int]:
    paid_per_kwh = price_per_kwh + problem.tariff.local_fee_per_kwh
    columns = zip(volumes.bought_wh, volumes.sold_wh, strict=True)
    return [sold_wh * price_per_kwh - bought_wh * paid_per_kwh for bought_wh, sold_wh in columns]


def _settled_amounts(
    price_per_kwh: int, problem: Problem, book: Book, volumes: Volumes
) -> list[int]:
    grid_import = problem.tariff.grid_import_per_kwh
    grid_export = problem.tariff.grid_export_per_kwh
    # Everything at the grid tariff, and on top of it what each traded Wh is better by.
    saved_per_kwh = grid_import - price_per_kwh - problem.tariff.local_fee_per_kwh
    gained_per_kwh = price_per_kwh - grid_export
    columns = zip(book.import_wh, book.export_wh, volumes.bought_wh, volumes.sold_wh, strict=True)
    delta_nano = [
        export_wh * grid_export
        - import_wh * grid_import
        + bought_wh * saved_per_kwh
        + sold_wh * gained_per_kwh
        for import_wh, export_wh, bought_wh, sold_wh in columns
    ]
    if problem.uncovered:  # They bought nothing; their import is on the supplier's own bill.
        for place, account in enumerate(book.accounts):
            if account in problem.uncovered:
                delta_nano[place] += book.import_wh[place] * grid_import
    return delta_nano
