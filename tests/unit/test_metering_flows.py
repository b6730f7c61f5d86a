"""Flows of one account, by worked examples."""

from datetime import timedelta

import pytest

from ledger.errors import OutOfRange
from ledger.units import REGISTER_WH_MAX, AccountId
from metering.flows import Flow, flows_of
from metering.meters import MeterTerm
from metering.readings import Reading
from metering.series import Series, WindowGrid
from tests.meter_worlds import HOME, HOUR, NOON, OTHER_KEY, meter, reading, term

QUARTER = timedelta(minutes=15)
Row = tuple[int, int, bool]


def rows(
    *readings: Reading,
    terms: list[MeterTerm] | None = None,
    account: AccountId = HOME,
    window: timedelta = HOUR,
    count: int = 3,
) -> list[Row]:
    series = {
        meter_id: Series.of(meter_id, readings)
        for meter_id in sorted({each.meter_id for each in readings})
    }
    grid = WindowGrid(start_at=NOON, window_s=int(window.total_seconds()), count=count)
    flows = flows_of(account, [term()] if terms is None else terms, series, grid)
    assert [flow.start_at for flow in flows] == [NOON + index * window for index in range(count)]
    assert {flow.account for flow in flows} == {account}
    return [(flow.import_wh, flow.export_wh, flow.estimated) for flow in flows]


def at(hours: float, import_wh: int, export_wh: int = 0, number: int = 1) -> Reading:
    return reading(NOON + hours * HOUR, import_wh, export_wh, meter_id=meter(number))


def test_a_flow_is_the_difference_of_the_registers_at_both_ends() -> None:
    given = [at(0, 100, 7), at(1, 150, 7), at(2, 150, 10), at(3, 200, 20)]
    assert rows(*given) == [(50, 0, False), (0, 3, False), (50, 10, False)]


def test_a_boundary_without_a_reading_is_on_the_line_between_its_neighbours_rounded_down() -> None:
    # 100 + 10*1//3 = 103, 100 + 10*2//3 = 106; export 0, 1*1//3 = 0, 0, 1.
    assert rows(at(0, 100, 0), at(3, 110, 1)) == [(3, 0, True), (3, 0, True), (4, 1, True)]


def test_before_the_first_and_after_the_last_reading_nothing_flows_and_the_row_is_estimated() -> (
    None
):
    assert rows(at(1.25, 100), at(1.75, 140)) == [(0, 0, True), (40, 0, True), (0, 0, True)]


def test_a_meter_that_stops_for_good_is_not_invented() -> None:
    assert rows(at(0, 100), at(1, 150)) == [(50, 0, False), (0, 0, True), (0, 0, True)]


def test_readings_outside_the_windows_hold_the_line() -> None:
    assert rows(at(-1, 0), at(4, 500)) == [(100, 0, True)] * 3


def test_quarter_hours_from_hourly_readings_are_estimated_except_where_both_ends_are_read() -> None:
    given = [at(0, 0), at(0.25, 7), at(1, 10)]
    assert rows(*given, window=QUARTER, count=4) == [
        (7, 0, False),
        (1, 0, True),
        (1, 0, True),
        (1, 0, True),
    ]


def test_several_meters_of_an_account_are_added() -> None:
    given = [at(0, 0), at(1, 5), at(0, 1_000, 0, 2), at(1, 1_007, 3, 2)]
    terms = [term(meter(1)), term(meter(2))]
    assert rows(*given, terms=terms, count=1) == [(12, 3, False)]


def test_a_gap_in_one_meter_marks_the_row_of_the_account() -> None:
    given = [at(0, 0), at(1, 5), at(0, 0, 0, 2), at(2, 10, 0, 2)]
    terms = [term(meter(1)), term(meter(2))]
    assert rows(*given, terms=terms, count=1) == [(10, 0, True)]


def test_a_meter_without_any_reading_leaves_its_account_at_zero_and_estimated() -> None:
    assert rows(count=2) == [(0, 0, True)] * 2


def test_an_account_without_a_meter_has_zero_flows_that_are_not_estimated() -> None:
    assert rows(at(0, 0), at(1, 5), terms=[], count=1) == [(0, 0, False)]
    assert rows(at(0, 0), at(1, 5), account=AccountId(9), count=1) == [(0, 0, False)]


def test_a_meter_that_moves_at_a_boundary_counts_for_each_account_in_its_time() -> None:
    given = [at(0, 0), at(1, 5), at(2, 12), at(3, 20)]
    terms = [term(account=2, valid_until=NOON + HOUR), term(account=3, valid_from=NOON + HOUR)]
    assert rows(*given, terms=terms) == [(5, 0, False), (0, 0, False), (0, 0, False)]
    assert rows(*given, terms=terms, account=AccountId(3)) == [
        (0, 0, False),
        (7, 0, False),
        (8, 0, False),
    ]


@pytest.mark.parametrize("is_read", [False, True])
def test_a_meter_that_moves_inside_a_window_is_split_there(is_read: bool) -> None:
    moved_at = NOON + HOUR + QUARTER
    given = [at(0, 0), at(1, 5), at(2, 13), at(3, 20)]
    if is_read:
        given.append(reading(moved_at, 7))  # Where the line is, too: 5 + 8*15//60.
    terms = [term(account=2, valid_until=moved_at), term(account=3, valid_from=moved_at)]
    unread = not is_read
    assert rows(*given, terms=terms) == [(5, 0, False), (2, 0, unread), (0, 0, False)]
    assert rows(*given, terms=terms, account=AccountId(3)) == [
        (0, 0, False),
        (6, 0, unread),
        (7, 0, False),
    ]


def test_a_rotated_key_cuts_nothing() -> None:
    rotated_at = NOON + QUARTER
    given = [at(0, 0), at(1, 10)]
    terms = [term(valid_until=rotated_at), term(key=OTHER_KEY, valid_from=rotated_at)]
    assert rows(*given, terms=terms, count=1) == [(10, 0, False)]


def test_while_a_meter_is_retired_its_register_counts_for_nobody() -> None:
    given = [at(0, 0), at(1, 10), at(2, 30), at(3, 60)]
    terms = [term(valid_until=NOON + HOUR), term(valid_from=NOON + 2 * HOUR)]
    assert rows(*given, terms=terms) == [(10, 0, False), (0, 0, False), (30, 0, False)]


def test_a_huge_rise_over_a_long_gap_is_exact() -> None:
    whole = 7_301 * 24  # Hours, of which the grid has three in the middle.
    given = [at(-whole, 0), at(whole, REGISTER_WH_MAX)]
    expected = [
        REGISTER_WH_MAX * (whole + hour + 1) // (2 * whole)
        - REGISTER_WH_MAX * (whole + hour) // (2 * whole)
        for hour in range(3)
    ]
    assert rows(*given) == [(flow_wh, 0, True) for flow_wh in expected]


def test_a_flow_below_zero_does_not_exist() -> None:
    with pytest.raises(OutOfRange):
        Flow(account=HOME, start_at=NOON, import_wh=-1, export_wh=0, estimated=False)
    with pytest.raises(OutOfRange):
        rows(at(0, 5), at(1, 4), count=1)


def test_a_grid_has_a_length_and_at_least_one_window() -> None:
    for window_s, count in ((0, 1), (900, 0), (-900, 1)):
        with pytest.raises(OutOfRange):
            WindowGrid(start_at=NOON, window_s=window_s, count=count)
