"""Windows added up: in all, and by days and months as the calendar of a place has them (pure).

A window belongs to the day in which it begins. A local day has 23, 24 or 25 hours.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from api.jobs.market.views import PeriodState, Span, Sums, WindowLine
from ledger.units import from_unix_s, to_unix_s

MONTHS = 12


def sums_of(lines: Iterable[WindowLine]) -> Sums:
    """All that these windows come to."""
    own = list(lines)
    rows, bills = [line.row for line in own], [line.bill for line in own]
    return Sums(
        import_wh=sum(row.import_wh for row in rows),
        export_wh=sum(row.export_wh for row in rows),
        bought_wh=sum(row.bought_wh for row in rows),
        sold_wh=sum(row.sold_wh for row in rows),
        bought_nano=sum(bill.bought_nano for bill in bills),
        sold_nano=sum(bill.sold_nano for bill in bills),
        from_grid_nano=sum(bill.from_grid_nano for bill in bills),
        to_grid_nano=sum(bill.to_grid_nano for bill in bills),
        amount_nano=sum(bill.amount_nano for bill in bills),
        grid_only_nano=sum(bill.grid_only_nano for bill in bills),
        windows=len(own),
        estimated=sum(row.estimated for row in rows),
        uncovered=sum(row.uncovered for row in rows),
        provisional=sum(line.state is not PeriodState.FINAL for line in own),
    )


def days_of(from_date: date, until_date: date) -> list[date]:
    """Days from one date to the day before another."""
    return [from_date + timedelta(days=day) for day in range((until_date - from_date).days)]


def months_of(from_date: date, until_date: date) -> list[date]:
    """First days of the months that these days lie in."""
    first = from_date.year * MONTHS + from_date.month - 1
    last_day = until_date - timedelta(days=1)
    last = last_day.year * MONTHS + last_day.month - 1
    return [_first_of_month(number) for number in range(first, last + 1)]


def month_after(day: date) -> date:
    """The first day of the month after a day's."""
    return _first_of_month(day.year * MONTHS + day.month)


def begins_s(day: date, zone: ZoneInfo) -> int:
    """The instant at which a local day begins; where midnight is left out, what comes after it."""
    return to_unix_s(datetime.combine(day, time.min, tzinfo=zone))


def spans_of(
    lines: Sequence[WindowLine], first_days: Sequence[date], end: date, zone: ZoneInfo
) -> Iterator[Span]:
    """Lines by the stretches that begin on these days, the last one ending with another's begin.

    Args:
        lines: in order of time.
    """
    begins = [begins_s(day, zone) for day in [*first_days, end]]
    starts = [line.start_s for line in lines]
    places = [bisect_right(starts, begin_s - 1) for begin_s in begins]
    for number, day in enumerate(first_days):
        yield Span(
            start_at=from_unix_s(begins[number]),
            end_at=from_unix_s(begins[number + 1]),
            day=day,
            sums=sums_of(lines[places[number] : places[number + 1]]),
        )


def _first_of_month(number: int) -> date:
    return date(number // MONTHS, number % MONTHS + 1, 1)
