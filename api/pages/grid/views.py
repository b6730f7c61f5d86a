"""The views of `/grid`: one table each, whose filter lives in the address, 50 rows at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from api.jobs.oversight.accounts import AccountWatch
from api.jobs.oversight.meters import MeterWatch
from api.jobs.oversight.overview import OversightDesk, Overview
from api.jobs.oversight.runs import SettledRun
from api.paging import page_of
from charging.desk import ChargePointView
from charging.points import Availability

ROWS: Final = 50
ESTIMATED: Final = "estimated"
T = TypeVar("T")


class View(StrEnum):
    """What the page shows below its first sentence."""

    OVERVIEW = "overview"
    METERS = "meters"
    CHARGERS = "chargers"
    SETTLEMENTS = "settlements"
    ACCOUNTS = "accounts"
    PEOPLE = "people"
    AUDITS = "audits"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address asks for."""

    view: View = View.OVERVIEW
    state: str = ""
    cursor: str | None = None

    def href(self, **changes: str | None) -> str:
        """The address of this page with something else asked for."""
        asked: dict[str, str | None] = {
            "view": self.view.value,
            "state": self.state or None,
            "cursor": self.cursor,
            **changes,
        }
        kept = {name: value for name, value in asked.items() if value}
        return "/grid?" + urlencode(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One page of what a filter lets through."""

    rows: Sequence[Any]
    total: int  # All that the filter lets through.
    states: Mapping[str, int]  # Every state that there is, and how many rows have it.
    newer: str | None  # Back to the first page.
    older: str | None  # The next page.


def meters_table(asked: Asked, meters: Sequence[MeterWatch]) -> Table:
    """Meters by account."""
    return _table(
        asked,
        meters,
        states_of=_states_of_meter,
        name=lambda meter: f"{meter.account:010d}/{meter.meter_id.hex()}",
    )


def chargers_table(asked: Asked, points: Sequence[ChargePointView]) -> Table:
    """Charge points by id."""
    return _table(
        asked, points, states_of=states_of_point, name=lambda point: point.charge_point_id
    )


def accounts_table(asked: Asked, accounts: Sequence[AccountWatch]) -> Table:
    """Accounts in order."""
    return _table(
        asked,
        accounts,
        states_of=states_of_account,
        name=lambda each: f"{each.account:010d}",
    )


def runs_table(asked: Asked, runs: Sequence[SettledRun]) -> Table:
    """Runs, the last period first."""
    first = max((_unix(run) for run in runs), default=0)
    return _table(
        asked,
        runs,
        states_of=lambda run: [run.state, *["revision"] * (run.run > 0)],
        name=lambda run: f"{first - _unix(run):020d}/{999_999 - run.run:06d}",
    )


def states_of_point(point: ChargePointView) -> list[str]:
    """What a charge point counts as; it may be several things."""
    availabilities = {connector.availability for connector in point.connectors}
    states = ["online" if point.online else "offline"]
    if Availability.FAULTED in availabilities:
        states.append("faulted")
    if any(connector.busy for connector in point.connectors):
        states.append("busy")
    return states


def states_of_account(account: AccountWatch) -> list[str]:
    """Whether it was covered; accounts 0 and 1 need no cover."""
    if account.cover_nano is None:
        return []
    return ["uncovered" if account.is_uncovered else "covered"]


def _states_of_meter(meter: MeterWatch) -> list[str]:
    return [meter.health.value, *[ESTIMATED] * (meter.estimated_windows > 0)]


def _unix(run: SettledRun) -> int:
    return int(run.period_start.timestamp())


def _table(
    asked: Asked,
    items: Sequence[T],
    *,
    states_of: Callable[[T], Sequence[str]],
    name: Callable[[T], str],
) -> Table:
    """Raises BadInput: the cursor is not one of ours."""
    counts: dict[str, int] = {}
    for item in items:
        for state in states_of(item):
            counts[state] = counts.get(state, 0) + 1
    found = [item for item in items if not asked.state or asked.state in states_of(item)]
    rows, following = page_of(found, name, limit=ROWS, cursor=asked.cursor)
    return Table(
        rows=rows,
        total=len(found),
        states=counts,
        newer=None if asked.cursor is None else asked.href(cursor=None),
        older=None if following is None else asked.href(cursor=following),
    )


def facts_of(
    asked: Asked, desk: OversightDesk, points: Sequence[ChargePointView]
) -> dict[str, Any]:
    """The overview, and the table that is asked for; waits for the database."""
    overview: Overview = desk.overview(points)
    table: Table | None = None
    match asked.view:
        case View.METERS:
            table = meters_table(asked, desk.meters())
        case View.CHARGERS:
            table = chargers_table(asked, points)
        case View.SETTLEMENTS:
            table = runs_table(asked, desk.runs())
        case View.ACCOUNTS:
            table = accounts_table(asked, desk.accounts(overview.uncovered_accounts))
    recent = sorted(desk.runs(), key=lambda run: (run.period_start, run.run))[-5:][::-1]
    return {"asked": asked, "overview": overview, "table": table, "recent": recent}
