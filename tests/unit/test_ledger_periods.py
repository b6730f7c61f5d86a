"""The time grid of a market, and when a period is due (DESIGN §2)."""

import pytest

from ledger.errors import OutOfRange
from ledger.periods import Schedule

DAY_S = 86_400
START_S = 1_464_739_200  # 2016-06-01T00:00:00Z
GRACE_S = 3 * DAY_S


def schedule(period_windows: int = 96, window_s: int = 900, grace_s: int = GRACE_S) -> Schedule:
    return Schedule(
        first_period_start_s=START_S,
        window_s=window_s,
        period_windows=period_windows,
        grace_s=grace_s,
        dispute_period_s=600,
        finalize_within_s=600,
    )


def test_a_day_of_quarter_hours_has_97_boundaries() -> None:
    boundaries = schedule().boundaries(START_S)
    assert len(boundaries) == 97
    assert boundaries[0] == START_S
    assert boundaries[1] == START_S + 900
    assert boundaries[-1] == schedule().period_end(START_S) == START_S + DAY_S


@pytest.mark.parametrize(
    ("instant_s", "start_s"),
    [
        (START_S, START_S),
        (START_S + DAY_S - 1, START_S),
        (START_S + DAY_S, START_S + DAY_S),
        (START_S - 1, START_S - DAY_S),
    ],
)
def test_a_period_holds_its_start_and_not_its_end(instant_s: int, start_s: int) -> None:
    assert schedule().period_start_of(instant_s) == start_s


@pytest.mark.parametrize("period_windows", [0, -1, 97])
def test_a_period_has_1_to_96_windows(period_windows: int) -> None:
    with pytest.raises(OutOfRange):
        schedule(period_windows)


def test_a_period_with_all_readings_at_its_end_is_due_at_its_end() -> None:
    assert schedule().due_at(START_S, START_S + DAY_S) == START_S + DAY_S


def test_a_period_is_never_due_before_its_end() -> None:
    assert schedule().due_at(START_S, START_S - DAY_S) == START_S + DAY_S


def test_a_period_is_due_when_the_last_meter_has_reported() -> None:
    assert schedule().due_at(START_S, START_S + DAY_S + 17) == START_S + DAY_S + 17


def test_a_period_without_all_readings_is_due_when_the_grace_ends() -> None:
    assert schedule().due_at(START_S, None) == START_S + DAY_S + GRACE_S


@pytest.mark.parametrize("late_s", [0, 1, DAY_S])
def test_readings_after_the_grace_do_not_delay_a_period(late_s: int) -> None:
    complete_at_s = START_S + DAY_S + GRACE_S + late_s
    assert schedule().due_at(START_S, complete_at_s) == START_S + DAY_S + GRACE_S


def test_a_reading_one_second_before_the_grace_ends_counts() -> None:
    complete_at_s = START_S + DAY_S + GRACE_S - 1
    assert schedule().due_at(START_S, complete_at_s) == complete_at_s


@pytest.mark.parametrize("complete_at_s", [None, START_S, START_S + DAY_S, START_S + 9 * DAY_S])
def test_without_grace_a_period_is_due_at_its_end_in_any_case(complete_at_s: int | None) -> None:
    assert schedule(grace_s=0).due_at(START_S, complete_at_s) == START_S + DAY_S


def test_a_period_of_one_window_is_the_window() -> None:
    real_time = schedule(1)
    assert real_time.period_s == 900
    assert real_time.boundaries(START_S) == [START_S, START_S + 900]
