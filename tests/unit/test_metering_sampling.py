"""One reading at each boundary: the last telegram at or before it, unless it is too old."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.units import from_unix_s, to_unix_s
from metering.readings import MeterId, Reading
from metering.sampling import INTERVAL_S, Sampler

METER = MeterId(b"\x3e" * 32)
EVERY_S = 900
BASE_S = 1_795_694_400  # A whole multiple.


def reading(second: int) -> Reading:
    """The meter counts one Wh a second."""
    taken_at = from_unix_s(BASE_S + second)
    return Reading(meter_id=METER, taken_at=taken_at, import_wh=10_000 + second, export_wh=0)


def sampled(*seconds: int, every_s: int = EVERY_S) -> tuple[list[int], int]:
    """When the readings were taken that these telegrams give, and boundaries without one."""
    sampler, taken = Sampler(every_s), []
    for second in seconds:
        for each in sampler.take(reading(second), by_clock=True):
            taken.append(to_unix_s(each.taken_at) - BASE_S)
            assert each == reading(taken[-1])
    return taken, sampler.missed


def sampled_at_arrival(*seconds: int) -> list[tuple[int, int]]:
    """Times and registers of the readings that a meter without a clock gives."""
    sampler = Sampler(EVERY_S)
    return [
        (to_unix_s(each.taken_at) - BASE_S, each.import_wh - 10_000)
        for second in seconds
        for each in sampler.take(reading(second), by_clock=False)
    ]


@pytest.mark.parametrize(
    ("seconds", "taken", "missed"),
    [
        ((898, 899, 900, 901), [900], 0),
        ((890, 900, 910), [900], 0),
        ((895, 905), [895], 0),  # Nothing is at the boundary: the last one before it.
        ((0, 10, 20), [0], 0),
        ((0,), [0], 0),
        ((880, 890, 910), [890], 0),  # One was spoiled on its way.
        ((870, 880, 910), [], 1),  # Two were: what is left is too old.
        ((899, 1_800, 1_801), [899, 1_800], 0),
        ((880, 890, 2_705, 2_715), [890], 2),  # Away for half an hour.
        ((600, 610, 2_705), [], 3),
        ((900, 900), [900], 0),
        ((905, 900, 910), [900], 0),  # Set back by five seconds.
    ],
)
def test_the_last_telegram_at_or_before_a_boundary_is_its_reading(
    seconds: tuple[int, ...], taken: list[int], missed: int
) -> None:
    assert sampled(*seconds) == (taken, missed)


def test_what_a_meter_without_a_clock_said_last_is_of_the_boundary() -> None:
    assert sampled_at_arrival(894, 897, 901, 904) == [(900, 897)]
    assert sampled_at_arrival(896, 900, 904) == [(900, 900)]
    assert sampled_at_arrival(897, 901, 1_797, 1_800, 1_801) == [(900, 897), (1_800, 1_800)]
    assert sampled_at_arrival(*range(0, 880, 40), 880, 920)[1:] == [(880, 880)]  # Too long before.
    assert sampled_at_arrival(870, 873, 888, 901) == []


def test_how_old_a_telegram_may_be_is_learned_from_the_meter() -> None:
    slow = [second for second in range(-300, 0, 60) if second != -60]
    assert sampled(*slow, 60)[0] == []
    assert sampled(*range(-320, 0, 60), 40)[0] == [-20]
    quick = range(-20, -4)  # One a second, and then five are lost.
    assert sampled(*quick, 1)[0] == []
    assert sampled(-5, 1)[0] == [-5]  # With nothing known, as of the slowest P1 port.
    assert INTERVAL_S >= 5


@given(
    gaps_s=st.lists(st.integers(1, 40), min_size=2, max_size=120),
    every_s=st.sampled_from([1, 8, 60]),
)
def test_no_boundary_has_two_readings_and_none_is_later_than_its_boundary(
    gaps_s: list[int], every_s: int
) -> None:
    seconds = [sum(gaps_s[:count]) for count in range(len(gaps_s) + 1)]
    taken, missed = sampled(*seconds, every_s=every_s)
    assert all(earlier < later for earlier, later in pairwise(taken))
    assert set(taken) <= set(seconds)
    boundaries = [-(-second // every_s) * every_s for second in taken]
    assert len(set(boundaries)) == len(boundaries)
    for second, boundary in zip(taken, boundaries, strict=True):
        assert not any(second < other <= boundary for other in seconds)
    assert len(taken) + missed == seconds[-1] // every_s + 1
