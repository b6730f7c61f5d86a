"""Whatever a charger says, in any order: bounds hold, nobody pays for what was not measured."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charging.measured import Measured, energy_wh_max
from charging.points import Availability, Flow, PointEvent
from charging.registers import EnergyTrack
from charging.tariffs import ChargeTariff, cost_micro_down
from tests.charge_events import OPENED_AT, Telling, at, value

REGISTER_WH_MAX = 10**12
SENTENCES = ("start", "says", "says", "says", "flows", "is_now", "stop")
NOW_S = 100_000

seconds = st.one_of(
    st.sampled_from((-4_000, -300, 0, 1, 60, 61, 3_600, 86_400, 90_000)),
    st.integers(-5_000, 95_000),
)
register_texts = st.one_of(
    st.sampled_from(
        ("0", "5000", "910000", "910000.5", "910.083", "NaN", "-1", "1e400", "", "9e99")
    ),
    st.integers(0, 2_000_000).map(str),
    st.integers(0, REGISTER_WH_MAX).map(str),
    st.text(alphabet="0123456789.eE+- xNa", max_size=12),
)
sampled = st.builds(
    value,
    text=register_texts,
    measurand=st.sampled_from(
        (
            *["Energy.Active.Import.Register"] * 6,
            "",
            "Energy.Active.Import.Interval",
            "Energy.Active.Export.Register",
            "Power.Active.Import",
            "SoC",
        )
    ),
    unit=st.sampled_from(("", "Wh", "Wh", "kWh", "W", "kW", "Percent")),
    multiplier=st.sampled_from((0, 0, 0, 0, 3, -1, 99)),
    phase=st.sampled_from(("", "", "", "L1", "L2", "L3-N", "L1-L2", "N")),
    context=st.sampled_from(("Sample.Periodic", "Transaction.Begin", "Transaction.End", "Other")),
    location=st.sampled_from(("Outlet", "Outlet", "", "Inlet", "EV")),
    signed=st.sampled_from((False, False, False, True)),
)

offsets = st.sampled_from((0, 3_600, -3_600, -1_772_000_000, 40, -200))


# Nothing changes with the second of these but a register, which names no location.
START_TOLD_AGAIN = Telling().says(10, "100").start(1).says(20, "200").start(1, "40").events


@st.composite
def nonsense(draw: st.DrawFn) -> list[PointEvent]:
    """Events of a charge in which nothing need fit."""
    told = Telling()
    for _ in range(draw(st.integers(0, 12))):
        told.clock_off_s = draw(st.sampled_from((0, 0, 0, 3_600, -3_600, -1_772_000_000)))
        told.delay_s = draw(st.sampled_from((0, 1, 30, 4_000)))
        s = draw(seconds)
        match draw(st.sampled_from(SENTENCES)):
            case "start":
                told.start(s, draw(st.none() | register_texts))
            case "stop":
                told.stop(s, draw(st.none() | register_texts))
            case "flows":
                told.flows(s, draw(st.sampled_from(Flow)))
            case "is_now":
                told.is_now(s, draw(st.sampled_from(Availability)))
            case _:
                told.says(s, *draw(st.lists(sampled, max_size=4)))
    return told.events


def track_of(events: list[PointEvent], **bounds: int) -> EnergyTrack:
    track = EnergyTrack(**{"last_wh": 0, "power_w": 22_000, **bounds}, opened_at=OPENED_AT)
    for event in events:
        track.take(event)
    return track


def require_bounds(measured: Measured, last_wh: int, power_w: int, now_s: int) -> None:
    """What `ChargingEscrow.close` requires of a record."""
    assert measured.start_wh >= last_wh
    assert measured.start_wh <= measured.stop_wh <= REGISTER_WH_MAX
    assert measured.energy_wh <= energy_wh_max(power_w, measured.duration_s)
    assert at(-300) <= measured.started_at <= measured.stopped_at <= at(min(now_s, 86_400))
    assert 0 <= measured.idle_s + measured.waiting_s <= measured.duration_s
    for instant in (measured.started_at, measured.stopped_at):
        assert instant.microsecond == 0
        assert instant.tzinfo is UTC


@settings(max_examples=300)
@given(
    events=nonsense(),
    last_wh=st.one_of(st.sampled_from((0, 910_000, REGISTER_WH_MAX)), st.integers(0, 2_000_000)),
    power_w=st.sampled_from((1, 3_680, 22_000, 400_000)),
    now_s=st.integers(0, NOW_S),
)
def test_a_record_is_within_the_escrows_bounds_whatever_was_said(
    events: list[PointEvent], last_wh: int, power_w: int, now_s: int
) -> None:
    track = track_of(events, last_wh=last_wh, power_w=power_w)
    require_bounds(track.live(at(now_s)), last_wh, power_w, now_s)
    require_bounds(track.settle(at(now_s)), last_wh, power_w, now_s)


@settings(max_examples=300)
@given(events=nonsense(), data=st.data())
def test_order_and_repetition_of_what_was_said_change_nothing(
    events: list[PointEvent], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(events))
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    settled = track_of(events).settle(at(NOW_S))
    assert track_of([*repeated, *shuffled]).settle(at(NOW_S)) == settled


@settings(max_examples=300)
@given(events=nonsense())
@example(events=START_TOLD_AGAIN)
def test_what_is_seen_live_is_what_a_new_track_of_the_same_events_shows(
    events: list[PointEvent],
) -> None:
    track = track_of([])
    for count, event in enumerate(events, start=1):
        track.take(event)
        assert track.live(at(NOW_S)) == track_of(events[:count]).live(at(NOW_S))


@st.composite
def with_an_odd_clock(draw: st.DrawFn) -> list[PointEvent]:
    """Samples in order by a clock that is off, or was until it was set; delays vary."""
    told = Telling(clock_off_s=draw(offsets)).start(10, "0")
    off_s = draw(offsets)
    for place in range(draw(st.integers(1, 25))):
        odd = draw(st.sampled_from((False, False, False, False, False, True)))
        told.clock_off_s = draw(offsets) if odd else off_s
        told.delay_s = draw(st.sampled_from((0, 1, 2, 2, 30, 4_000)))
        told.says(20 + 10 * place, value(str(20 * place)))
    return told.events


@settings(max_examples=300)
@given(events=with_an_odd_clock())
def test_what_is_seen_live_by_an_odd_clock_is_what_a_new_track_shows(
    events: list[PointEvent],
) -> None:
    track = track_of([])
    for count, event in enumerate(events, start=1):
        track.take(event)
        anew = track_of(events[:count])
        assert track.clock == anew.clock
        assert track.live(at(NOW_S)) == anew.live(at(NOW_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueCharge:
    """What really flowed, as a charger with a good meter would tell it."""

    steps: tuple[tuple[int, int], ...]  # Seconds and Wh of each stretch.
    register_wh: int

    def points(self) -> list[tuple[int, int]]:
        s, wh = 10, self.register_wh
        found = [(s, wh)]
        for step_s, step_wh in self.steps:
            s, wh = s + step_s, wh + step_wh
            found.append((s, wh))
        return found


@st.composite
def true_charges(draw: st.DrawFn) -> TrueCharge:
    """Steps that a charger of 22 kW can make."""
    steps = []
    for _ in range(draw(st.integers(1, 12))):
        step_s = draw(st.sampled_from((1, 10, 60, 900)))
        steps.append((step_s, draw(st.integers(0, 22_000 * step_s // 3_600))))
    return TrueCharge(steps=tuple(steps), register_wh=draw(st.sampled_from((0, 1, 910_000))))


def told_of(charge: TrueCharge, clock_off_s: int = 0) -> Telling:
    (first_s, first_wh), *between, (last_s, last_wh) = charge.points()
    told = Telling(clock_off_s=clock_off_s).start(first_s, str(first_wh))
    for s, wh in between:
        told.says(s, value(f"{wh // 1_000}.{wh % 1_000:03}", unit="kWh"))
    return told.stop(last_s, str(last_wh))


@given(charge=true_charges(), off_s=st.sampled_from((0, 3_600, -3_600, -1_772_000_000)))
def test_a_good_meter_is_billed_to_the_wh_whatever_its_clock_says(
    charge: TrueCharge, off_s: int
) -> None:
    measured = told_of(charge, off_s).settle(now_s=NOW_S)
    points = charge.points()
    assert measured.energy_wh == points[-1][1] - points[0][1]
    assert measured.duration_s == points[-1][0] - points[0][0]


@settings(max_examples=200)
@given(charge=true_charges(), data=st.data())
def test_lost_late_and_doubled_messages_never_bill_more_than_flowed(
    charge: TrueCharge, data: st.DataObject
) -> None:
    events = told_of(charge).events
    kept = data.draw(st.lists(st.sampled_from(events), max_size=2 * len(events)))
    late = [
        replace(event, received_at=at(data.draw(st.integers(12_000, 20_000))))
        for event in kept[::2]
    ]
    measured = track_of([*kept[1::2], *late]).settle(at(NOW_S))
    points = charge.points()
    assert measured.energy_wh <= points[-1][1] - points[0][1]


@settings(max_examples=200)
@given(charge=true_charges(), data=st.data())
def test_a_few_values_of_another_scale_never_raise_the_bill(
    charge: TrueCharge, data: st.DataObject
) -> None:
    told = told_of(charge)
    for _ in range(data.draw(st.integers(1, 3))):
        s = data.draw(st.integers(10, charge.points()[-1][0]))
        told.says(s, value(str(data.draw(st.sampled_from((0, 5_000_000, 10**12))))))
    points = charge.points()
    assert told.settle(now_s=NOW_S).energy_wh <= points[-1][1] - points[0][1]


prices = st.sampled_from((0, 1, 200_000, 390_000, 12_000_000))


@given(
    idle_s=st.integers(0, 1_000),
    waiting_s=st.integers(0, 1_000),
    tariff=st.builds(
        ChargeTariff, energy_per_kwh=prices, time_per_hour=prices, idle_per_hour=prices
    ),
)
def test_waiting_costs_the_lesser_of_time_and_idling(
    idle_s: int, waiting_s: int, tariff: ChargeTariff
) -> None:
    measured = Measured(
        start_wh=0,
        stop_wh=5_000,
        started_at=at(0),
        stopped_at=at(3_000),
        ended=True,
        idle_s=idle_s,
        waiting_s=waiting_s,
    )
    either = [
        cost_micro_down(tariff, energy_wh=5_000, time_s=3_000 - idle, idle_s=idle)
        for idle in (idle_s, idle_s + waiting_s)
    ]
    assert measured.cost_micro_down(tariff) == min(either)


@pytest.mark.parametrize(
    ("begun_off_s", "off_s"),
    [
        (0, 0),
        (3_600, 3_600),
        (-3_600, -3_600),
        (-1_772_000_000, -1_772_000_000),
        (-1_772_000_000, 0),  # Its clock was set after the start.
        (3_600, 0),
    ],
)
def test_a_day_of_values_is_taken_one_by_one_in_constant_time(
    begun_off_s: int, off_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_anew: list[EnergyTrack] = []
    find = EnergyTrack._found_anew
    monkeypatch.setattr(
        EnergyTrack, "_found_anew", lambda self: (found_anew.append(self), find(self))[1]
    )
    track = track_of(Telling(clock_off_s=begun_off_s).start(0, "0").events)
    looked_at = datetime(2026, 3, 3, tzinfo=UTC)
    for s in range(10, 20_000, 10):
        (event,) = Telling(clock_off_s=off_s).says(s, str(s)).events
        track.take(replace(event, message_id=f"m{s}"))
        seen_wh = track.live(looked_at).energy_wh
    assert seen_wh == 19_990
    assert len(found_anew) <= 3
