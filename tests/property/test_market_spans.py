"""Local days and months: every window is in exactly one, and they have the hours that they have."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.jobs.market.spans import begins_s, days_of, month_after, months_of, spans_of, sums_of
from api.jobs.market.views import PeriodState, WindowLine
from ledger.bills import member_bill
from ledger.units import to_unix_s
from ledger.words import StatementRow, WindowPrice

ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"]
ZONES += ["America/Sao_Paulo", "Pacific/Apia"]
PRICE = WindowPrice(
    local_per_kwh=180_000,
    local_fee_per_kwh=20_000,
    grid_import_per_kwh=300_000,
    grid_export_per_kwh=80_000,
)


def line(start_s: int, import_wh: int = 100) -> WindowLine:
    row = StatementRow(import_wh=import_wh, export_wh=0)
    return WindowLine(
        start_s=start_s,
        period_start_s=start_s // 86_400 * 86_400,
        row=row,
        price=PRICE,
        bill=member_bill(row, PRICE, "settled"),
        run=0,
        state=PeriodState.FINAL,
        is_known=True,
    )


def lines_of(first: date, last: date, zone: ZoneInfo, window_s: int) -> list[WindowLine]:
    from_s, until_s = begins_s(first, zone), begins_s(last, zone)
    first_s = -(-from_s // window_s) * window_s
    return [line(at, import_wh=1 + at // window_s % 97) for at in range(first_s, until_s, window_s)]


@given(
    first=st.dates(date(2010, 1, 1), date(2030, 1, 1)),
    days=st.integers(1, 40),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    window_s=st.sampled_from([900, 1_800, 3_600]),
)
def test_every_window_is_in_one_day_and_one_month(
    first: date, days: int, zone: ZoneInfo, window_s: int
) -> None:
    end = first + timedelta(days=days)
    lines = lines_of(first, end, zone, window_s)
    by_day = list(spans_of(lines, days_of(first, end), end, zone))
    assert sum(span.sums.windows for span in by_day) == len(lines)
    assert sum(span.sums.amount_nano for span in by_day) == sums_of(lines).amount_nano
    for span, following in itertools.pairwise(by_day):
        assert span.end_at == following.start_at
    months = months_of(first, end)
    by_month = list(spans_of(lines, months, month_after(months[-1]), zone))
    assert [span.day.day for span in by_month] == [1] * len(by_month)
    assert sum(span.sums.windows for span in by_month) == len(lines)


@given(day=st.dates(date(2010, 1, 1), date(2030, 1, 1)), zone=st.sampled_from(ZONES).map(ZoneInfo))
@example(day=date(2011, 12, 30), zone=ZoneInfo("Pacific/Apia"))  # There was no such day.
def test_a_windows_day_is_the_one_that_the_calendar_shows_when_it_begins(
    day: date, zone: ZoneInfo
) -> None:
    end = day + timedelta(days=1)
    for each in lines_of(day, end, zone, 900):
        local = datetime.fromtimestamp(each.start_s, UTC).astimezone(zone)
        assert local.date() == day


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2016, 3, 27), "Europe/Berlin", 23),
        (date(2016, 6, 1), "Europe/Berlin", 24),
        (date(2016, 10, 30), "Europe/Berlin", 25),
        (date(2016, 10, 30), "UTC", 24),
        (date(2016, 6, 1), "Asia/Kolkata", 24),
    ],
)
def test_local_days_have_23_24_or_25_hours(day: date, zone: str, hours: int) -> None:
    end = day + timedelta(days=1)
    lines = lines_of(day, end, ZoneInfo(zone), 900)
    (span,) = spans_of(lines, [day], end, ZoneInfo(zone))
    assert span.end_at - span.start_at == timedelta(hours=hours)
    assert span.sums.windows == 4 * hours


def test_where_a_zone_is_off_by_half_an_hour_an_hour_belongs_to_the_day_it_begins_in() -> None:
    zone, day = ZoneInfo("Asia/Kolkata"), date(2016, 6, 1)
    begin_s = to_unix_s(datetime(2016, 5, 31, 18, 30, tzinfo=UTC))
    lines = [line(begin_s - 1_800), line(begin_s + 1_800)]
    (before, own) = spans_of(lines, [date(2016, 5, 31), day], date(2016, 6, 2), zone)
    assert (before.sums.windows, own.sums.windows) == (1, 1)


def test_a_stretch_without_windows_is_empty_and_not_zero() -> None:
    (span,) = spans_of([], [date(2016, 6, 1)], date(2016, 6, 2), ZoneInfo("UTC"))
    assert span.sums.windows == 0
