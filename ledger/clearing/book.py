"""A window's flows as columns in account order, and who of them may trade at a price."""

from dataclasses import dataclass
from operator import attrgetter

from ledger.clearing.types import Limits, Problem
from ledger.units import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All flows of a window, in account order whatever order they came in."""

    accounts: list[AccountId]
    import_wh: list[int]
    export_wh: list[int]

    @classmethod
    def of(cls, problem: Problem) -> "Book":
        """The flows of a problem, sorted."""
        flows = sorted(problem.flows, key=attrgetter("account"))
        return cls(
            accounts=[flow.account for flow in flows],
            import_wh=[flow.import_wh for flow in flows],
            export_wh=[flow.export_wh for flow in flows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """What may trade at a price: the flows of those who are covered and within their limits."""

    accounts: list[AccountId]
    import_wh: list[int]  # I
    export_wh: list[int]  # E
    import_sum_wh: int  # D'
    export_sum_wh: int  # S'
    no_buyers: frozenset[AccountId]  # Named or not in the flows: they may not buy.


def eligible_at(price_per_kwh: int, problem: Problem, book: Book) -> Eligible:
    """Step 2 of INTERFACES §6; a limit that the price just meets lets trade."""
    paid_per_kwh = price_per_kwh + problem.tariff.local_fee_per_kwh
    no_buyers = problem.uncovered | _refusing_to_pay(paid_per_kwh, problem.limits)
    no_sellers = _refusing_to_sell(price_per_kwh, problem.limits)
    import_wh = _without(no_buyers, book.accounts, book.import_wh)
    export_wh = _without(no_sellers, book.accounts, book.export_wh)
    return Eligible(
        accounts=book.accounts,
        import_wh=import_wh,
        export_wh=export_wh,
        import_sum_wh=sum(import_wh),
        export_sum_wh=sum(export_wh),
        no_buyers=no_buyers,
    )


def _refusing_to_pay(paid_per_kwh: int, limits: tuple[Limits, ...]) -> frozenset[AccountId]:
    return frozenset(limit.account for limit in limits if limit.max_buy_per_kwh < paid_per_kwh)


def _refusing_to_sell(price_per_kwh: int, limits: tuple[Limits, ...]) -> frozenset[AccountId]:
    return frozenset(limit.account for limit in limits if limit.min_sell_per_kwh > price_per_kwh)


def _without(
    left_out: frozenset[AccountId], accounts: list[AccountId], energies_wh: list[int]
) -> list[int]:
    if not left_out:
        return energies_wh
    return [
        0 if account in left_out else energy_wh
        for account, energy_wh in zip(accounts, energies_wh, strict=True)
    ]
