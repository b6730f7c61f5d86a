"""Clearing a window: a pure function of flows, limits, cover and tariff."""

from ledger.clearing.auction import auction
from ledger.clearing.book import Book, Eligible, eligible_at
from ledger.clearing.money import amounts
from ledger.clearing.prices import price_before_trade_per_kwh
from ledger.clearing.types import Clearing, Columns, PriceRule, Problem
from ledger.clearing.volumes import Volumes, trade


def clear(problem: Problem) -> Clearing:
    """Price, trades and amounts of one window, the same for the same flows in any order."""
    book = Book.of(problem)
    price_per_kwh, eligible, volumes = _match(problem, book)
    money = amounts(price_per_kwh, problem, book, volumes)
    return Clearing(
        local_per_kwh=price_per_kwh,
        import_wh=sum(book.import_wh),
        export_wh=sum(book.export_wh),
        traded_wh=sum(volumes.bought_wh),
        uncovered_import_wh=_uncovered_import_wh(problem, book),
        eligible_import_wh=eligible.import_sum_wh,
        eligible_export_wh=eligible.export_sum_wh,
        columns=Columns(
            account=tuple(book.accounts),
            import_wh=tuple(book.import_wh),
            export_wh=tuple(book.export_wh),
            bought_wh=tuple(volumes.bought_wh),
            sold_wh=tuple(volumes.sold_wh),
            delta_nano=tuple(money.delta_nano),
        ),
        uncovered=problem.uncovered.intersection(book.accounts),
        supplier_delta_nano=money.supplier_delta_nano,
        operator_delta_nano=money.operator_delta_nano,
    )


def _match(problem: Problem, book: Book) -> tuple[int, Eligible, Volumes]:
    if problem.price_rule is PriceRule.AUCTION:
        price_per_kwh, volumes = auction(problem, book)
        return price_per_kwh, eligible_at(price_per_kwh, problem, book), volumes
    price_per_kwh = price_before_trade_per_kwh(
        problem, supply_wh=sum(book.export_wh), demand_wh=sum(book.import_wh)
    )
    eligible = eligible_at(price_per_kwh, problem, book)
    return price_per_kwh, eligible, trade(problem, eligible)


def _uncovered_import_wh(problem: Problem, book: Book) -> int:
    if not problem.uncovered:
        return 0
    return sum(
        import_wh
        for account, import_wh in zip(book.accounts, book.import_wh, strict=True)
        if account in problem.uncovered
    )
