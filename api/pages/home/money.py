"""How long a deposit lasts, in words, and limits with which nobody can lose."""

from dataclasses import dataclass

from api.jobs.market.views import AccountView


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """Which sentence says how long the deposit lasts, and its facts."""

    kind: str
    facts: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """The grid's prices, between which neighbours trade, and what the form begins with."""

    sell_per_kwh: int  # What the grid pays.
    buy_per_kwh: int  # What the grid takes.
    form_sell_per_kwh: int
    form_buy_per_kwh: int | None  # None: any price.


def lasting_of(account: AccountView) -> Lasting:
    """By what the last days cost."""
    days = account.lasts_days
    if days is None:
        return Lasting(kind="grows", facts={})
    if days == 0:
        return Lasting(kind="over", facts={})
    return Lasting(kind="days", facts={"n": days})


def safe_of(account: AccountView, *, grid_export_per_kwh: int, grid_import_per_kwh: int) -> Safe:
    """The limits set last, else those with which nobody can lose."""
    last = account.limits[-1] if account.limits else None
    return Safe(
        sell_per_kwh=grid_export_per_kwh,
        buy_per_kwh=grid_import_per_kwh,
        form_sell_per_kwh=last.min_sell_per_kwh if last else grid_export_per_kwh,
        form_buy_per_kwh=last.max_buy_per_kwh if last else grid_import_per_kwh,
    )
