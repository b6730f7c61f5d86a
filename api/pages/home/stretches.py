"""Stretches of local time that a page shows: a day, a month, a year, and what lies beside them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

DAY_MIN: Final = date(2000, 1, 1)
DAY_MAX: Final = date(2199, 12, 31)
MONTHS: Final = 12


class View(StrEnum):
    """How much is shown at once."""

    DAY = "day"  # Its windows.
    MONTH = "month"  # Its days.
    YEAR = "year"  # Its months.


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A day, a month or a year by the clock on the wall."""

    view: View
    first_day: date  # Of the month or the year where it is one.
    zone: ZoneInfo

    @classmethod
    def around(cls, view: View, day: date, zone: ZoneInfo) -> "Stretch":
        """The one that a day lies in."""
        return cls(view=view, first_day=_first_day(view, day), zone=zone)

    @property
    def end_day(self) -> date:
        """The day after its last one."""
        match self.view:
            case View.DAY:
                return self.first_day + timedelta(days=1)
            case View.MONTH:
                return _first_day(View.MONTH, self.first_day + timedelta(days=31))
            case View.YEAR:
                return date(self.first_day.year + 1, 1, 1)

    @property
    def start_at(self) -> datetime:
        """Local midnight as an instant."""
        return midnight(self.first_day, self.zone)

    @property
    def end_at(self) -> datetime:
        """The local midnight at which it ends; a day may have 23 or 25 hours."""
        return midnight(self.end_day, self.zone)

    @property
    def before(self) -> "Stretch":
        """The one before it."""
        day = _first_day(self.view, self.first_day - timedelta(days=1))
        return replace(self, first_day=day)

    @property
    def after(self) -> "Stretch":
        """The one after it."""
        return replace(self, first_day=self.end_day)

    def parts(self) -> Iterator["Stretch"]:
        """A month's days, a year's months."""
        match self.view:
            case View.DAY:
                return
            case View.MONTH:
                days = (self.end_day - self.first_day).days
                for place in range(days):
                    day = self.first_day + timedelta(days=place)
                    yield Stretch(view=View.DAY, first_day=day, zone=self.zone)
            case View.YEAR:
                for month in range(1, MONTHS + 1):
                    day = date(self.first_day.year, month, 1)
                    yield Stretch(view=View.MONTH, first_day=day, zone=self.zone)

    def holds(self, day: date) -> bool:
        """Whether a day lies in it."""
        return self.first_day <= day < self.end_day


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a local day begins, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def hours_of(stretch: Stretch) -> int:
    """Whole hours of it: 23, 24 or 25 of a day."""
    return int((stretch.end_at - stretch.start_at).total_seconds()) // 3_600


def clamped(day: date) -> date:
    """A day of the years that a calendar here may be asked for."""
    return min(max(day, DAY_MIN), DAY_MAX)


def _first_day(view: View, day: date) -> date:
    match view:
        case View.DAY:
            return day
        case View.MONTH:
            return day.replace(day=1)
        case View.YEAR:
            return day.replace(month=1, day=1)
