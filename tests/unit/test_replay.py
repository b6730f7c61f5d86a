"""What a demo's homes and cars do again, for ever, as pure functions of time."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.config import DAY_S
from api.jobs.demo import demo_file
from api.jobs.replay.homes import LATE_S_MAX, delay_s
from api.jobs.replay.profile import WEEK_S, Profile
from api.jobs.replay.stays import shipped_stays
from ledger.units import to_unix_s
from metering.registers_csv import read_registers

HOUR_S = 3_600
FIRST_S = to_unix_s(datetime(2016, 6, 1, tzinfo=UTC))


@cache
def weeks(count: int, *, more_hours: int = 0) -> Profile:
    """Registers of whole weeks that rise by the hour's number."""
    rows, import_wh, export_wh = [], 5_000, 700
    for hour in range(count * 7 * 24 + more_hours + 1):
        rows.append((FIRST_S + hour * HOUR_S, import_wh, export_wh))
        import_wh, export_wh = import_wh + hour % 168, export_wh + hour % 24
    return Profile(rows)


def test_registers_go_on_from_where_the_record_ended_as_it_began() -> None:
    profile = weeks(2, more_hours=30)
    assert profile.span_s == 2 * WEEK_S
    end = profile.at(FIRST_S + 2 * WEEK_S)
    for hours in (1, 5, 100):
        once = profile.at(FIRST_S + hours * HOUR_S)
        again = profile.at(FIRST_S + 2 * WEEK_S + hours * HOUR_S)
        assert again == (end[0] + once[0], end[1] + once[1])


def test_every_hour_keeps_its_weekday() -> None:
    profile = weeks(3)
    for instant_s in profile.instants(FIRST_S + 50 * WEEK_S, FIRST_S + 51 * WEEK_S):
        rise = profile.at(instant_s)[0] - profile.at(instant_s - HOUR_S)[0]
        assert rise == (instant_s - HOUR_S - FIRST_S) // HOUR_S % 168


@given(st.integers(0, 400 * 24), st.integers(1, 500))
def test_instants_are_those_of_the_record_without_end(after_hour: int, hours: int) -> None:
    after_s = FIRST_S + after_hour * HOUR_S
    found = list(weeks(1).instants(after_s, after_s + hours * HOUR_S))
    assert found == list(range(after_s + HOUR_S, after_s + hours * HOUR_S + 1, HOUR_S))


@given(st.lists(st.integers(0, 400 * DAY_S), min_size=2, max_size=20))
def test_registers_never_decrease(instants: list[int]) -> None:
    profile = weeks(1, more_hours=7)
    seen = [profile.at(FIRST_S + each) for each in sorted(instants)]
    assert seen == sorted(seen)
    assert [export_wh for _, export_wh in seen] == sorted(export_wh for _, export_wh in seen)


@pytest.mark.parametrize(("hours", "span_s"), [(100, 4 * DAY_S), (24, DAY_S), (7, 7 * HOUR_S)])
def test_a_record_of_less_than_a_week_repeats_its_days(hours: int, span_s: int) -> None:
    rows = [(FIRST_S + hour * HOUR_S, hour, 0) for hour in range(hours + 1)]
    assert Profile(rows).span_s == span_s


def test_the_shipped_homes_can_be_told_again() -> None:
    with demo_file().open("rb") as source:
        registers = read_registers(source)
    rows = [
        (to_unix_s(row.taken_at), row.import_wh, row.export_wh)
        for row in registers.rows()
        if row.label == registers.labels[0]
    ]
    profile = Profile(rows)
    assert profile.span_s == 21 * WEEK_S
    assert profile.at(rows[100][0]) == (rows[100][1] - rows[0][1], rows[100][2] - rows[0][2])


def test_readings_are_mostly_punctual_and_never_later_than_some_hours() -> None:
    delays = [delay_s("home", FIRST_S + hour * HOUR_S) for hour in range(2_000)]
    assert min(delays) >= 0
    assert max(delays) < LATE_S_MAX
    assert 1_600 < sum(delay < 180 for delay in delays) < 2_000
    assert sum(delay > 1_800 for delay in delays) > 5
    assert delays == [delay_s("home", FIRST_S + hour * HOUR_S) for hour in range(2_000)]


def test_cars_come_on_the_weekday_and_at_the_hour_of_the_record() -> None:
    stays = shipped_stays()
    from_s = to_unix_s(datetime(2016, 6, 8, tzinfo=UTC))
    first = list(islice(stays.after(from_s), 500))
    later = list(islice(stays.after(from_s + 3 * stays.span_s), 500))
    assert stays.span_s % WEEK_S == 0
    assert [stay.plugin_s for stay in first] == sorted(stay.plugin_s for stay in first)
    assert first[0].plugin_s > from_s
    assert [replace(stay, plugin_s=0, plugout_s=0) for stay in first] == [
        replace(stay, plugin_s=0, plugout_s=0) for stay in later
    ]
    moved = {again.plugin_s - once.plugin_s for once, again in zip(first, later, strict=True)}
    assert moved == {3 * stays.span_s}
    assert all(0 < stay.plugout_s - stay.plugin_s < DAY_S for stay in first)
