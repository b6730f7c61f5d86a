"""How long a deposit lasts, in words, and limits with which nobody can lose."""

from dataclasses import dataclass
from datetime import datetime

from api.jobs.market.views import AccountView, LimitsView
from ledger.periods import Schedule
from ledger.units import from_unix_s, to_unix_s


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsLine:
    """Limits by the first period that they hold for."""

    from_at: datetime
    is_in_force: bool  # In the period that runs.
    min_sell_per_kwh: int
    max_buy_per_kwh: int | None


def limits_of(account: AccountView, schedule: Schedule, now_s: int) -> list[LimitsLine]:
    """Of each period with which something changes the limits that hold: those that were set last.

    Limits hold for whole periods, so what is set within one waits for the next.
    """
    running_s = max(schedule.period_start_of(now_s), schedule.first_period_start_s)
    starts_s = {_first_period_s(each, schedule, running_s) for each in account.limits}
    lines: list[LimitsLine] = []
    for start_s in sorted(starts_s):
        effective = [
            each for each in account.limits if _first_period_s(each, schedule, running_s) <= start_s
        ]
        lines.append(
            LimitsLine(
                from_at=from_unix_s(start_s),
                is_in_force=start_s <= running_s,
                min_sell_per_kwh=effective[-1].min_sell_per_kwh,
                max_buy_per_kwh=effective[-1].max_buy_per_kwh,
            )
        )
    return lines


def _first_period_s(limits: LimitsView, schedule: Schedule, running_s: int) -> int:
    """The first period, from the one that runs on, that starts when these are effective."""
    effective_s = to_unix_s(limits.effective_from)
    behind_s = effective_s - running_s
    return running_s + max(0, -(-behind_s // schedule.period_s)) * schedule.period_s


def lasting_of(account: AccountView) -> Lasting:
    """By what the last days cost."""
    days = account.lasts_days
    if not account.spent_per_day_nano:
        return Lasting(kind="unspent", facts={})
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
