"""Which register values of a charge become readings of the market."""

import pytest

from api.jobs.charging.market_readings import _points_at_boundaries
from charging.points import Flow
from charging.registers import EnergyTrack
from ledger.units import to_unix_s
from tests.charge_events import OPENED_AT, Telling, at
from tests.charge_events import value as said

WINDOW_S = 900


def told(off_s: int) -> Telling:
    """Three hours, a value and a state every ten seconds."""
    telling = Telling(clock_off_s=off_s).start(0, "0")
    for s in range(10, 10_800, 10):
        telling.says(s, said(str(s))).flows(s, Flow.CHARGING)
    return telling.stop(10_800, "10800")


@pytest.mark.parametrize("off_s", [0, 3_600, -3_600])
def test_the_register_is_looked_at_on_both_sides_of_each_boundary_only(
    off_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[EnergyTrack] = []
    live = EnergyTrack.live
    monkeypatch.setattr(
        EnergyTrack, "live", lambda self, now_at: (looks.append(self), live(self, now_at))[1]
    )
    track = EnergyTrack(last_wh=0, power_w=22_000, opened_at=OPENED_AT)
    points = list(_points_at_boundaries(track, told(off_s).events, at(10_800), WINDOW_S))
    shift_s = points[1][0] - to_unix_s(OPENED_AT) - points[1][1]  # A fitted clock is a second off.
    assert shift_s in {0, 1}
    seen = [(taken_s - to_unix_s(OPENED_AT) - shift_s, wh) for taken_s, wh in points]
    for boundary_s in range(WINDOW_S, 10_800, WINDOW_S):
        before_s = (boundary_s - 1 - shift_s) // 10 * 10
        assert {(before_s, before_s), (before_s + 10, before_s + 10)} <= set(seen)
    assert len(looks) <= 2 * (10_800 // WINDOW_S + 1)
