"""Every meter value of a charge, as whole Wh of the charger's register: what was charged, provably.

An `EnergyTrack` takes the charge's events, live or from the store after a restart, in any order and
as often as they are sent. What it answers is a function of the set of events alone. It bills the
rise of one register over unbroken runs of values (`chains.py`); where values contradict each other
it bills what more of the time proves, and when in doubt the smaller energy. No value that was sent
can make it raise: what cannot be read or believed is left out, with a `Note`.

    track = EnergyTrack(last_wh=charger.last_wh, power_w=charger.power_w, opened_at=opened_at)
    for event in events:
        track.take(event)
    track.live(now_at)    # cheap after each event: what the driver sees
    track.settle(now_at)  # in the end: what the record states
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from charging.chains import OrderKey, Run, Runs, order_key
from charging.clocks import (
    EARLIEST_BEFORE_OPENING,
    LATEST_AFTER_OPENING,
    NO_OFFSET,
    SessionClock,
)
from charging.idling import stood
from charging.measured import (
    Measured,
    Note,
    NoteKind,
    RegisterValue,
    Source,
    energy_wh_max,
    whole_seconds,
)
from charging.meter_values import LOCATIONS, SeriesKey
from charging.points import PointEvent, SampledValue
from charging.received import Observed, Received
from ledger.errors import OutOfRange
from ledger.units import REGISTER_WH_MAX

POWER_W_MAX: Final = 10**7  # The escrow's.
RUNS_NOTED_MAX: Final = 50
STOP_GRACE: Final = timedelta(seconds=60)  # A stop's own values may be stamped a little later.
_OF_START: Final = frozenset({Source.METER_START, Source.BEGIN})
_OF_STOP: Final = frozenset({Source.METER_STOP, Source.END})


@dataclass(slots=True)
class _View:
    """What follows from the set of events, as long as only samples in order are added."""

    clock: SessionClock
    series: SeriesKey | None
    begun_at: datetime | None  # As far as the charger said.
    ended_at: datetime | None
    runs: Runs
    last_key: OrderKey | None
    outside: int = 0  # Values from before the start or after the stop.
    by_intervals: bool = False
    clock_is_right: bool = True
    clock_stays: bool = True  # As long as it `stays_with` each further stamp.
    order_is_known: bool = True  # Every value has a time that can be believed.

    def holds(self, value: RegisterValue) -> bool:
        """Whether a value is of this charge by its time."""
        if self.begun_at is not None and value.taken_at < self.begun_at:
            return False
        grace = STOP_GRACE if value.source in _OF_STOP else NO_OFFSET
        return self.ended_at is None or value.taken_at <= self.ended_at + grace


class EnergyTrack:
    """The energy and the times of one charge.

    Args:
        last_wh: the charger's register at the end of its last record, as the escrow knows it.
        power_w: the charger's registered power.
        opened_at: block time of the opening, aware UTC.

    Raises:
        OutOfRange: a register or power that the escrow would not know.
    """

    def __init__(self, *, last_wh: int, power_w: int, opened_at: datetime) -> None:
        _check("last_wh", last_wh, 0, REGISTER_WH_MAX)
        _check("power_w", power_w, 1, POWER_W_MAX)
        self.last_wh: Final = last_wh
        self.power_w: Final = power_w
        self.opened_at: Final = opened_at
        self._received = Received()
        self._known: _View | None = None

    def take(self, event: PointEvent) -> None:
        """Takes an event of this charge: transaction events, and `StatusChanged` of its connector.

        Others say nothing about it and are ignored. Constant time for samples in order.
        """
        fresh = self._received.take(event)
        if fresh is None or not self._extend(fresh):
            self._known = None

    def live(self, now_at: datetime) -> Measured:
        """The charge so far; while it goes on, its time is counted until now."""
        return self._measure(self._view(), now_at, until_now=True)

    def settle(self, now_at: datetime) -> Measured:
        """The charge as all that was received proves it, found anew from the set of events.

        One whose end the charger never told ends at its last value.
        """
        self._known = None
        return self._measure(self._view(), now_at, until_now=False)

    @property
    def clock(self) -> SessionClock:
        """The charger's clock, as all that was received shows it."""
        return self._view().clock

    @property
    def ended(self) -> bool:
        """Whether the charger said that the transaction is over."""
        return bool(self._received.ends)

    @property
    def has_started(self) -> bool:
        """Whether the charger said that a transaction began, or sent a value of one."""
        return bool(self._received.starts or self._received.registers)

    @property
    def heard_at(self) -> datetime | None:
        """When we heard for the last time that it began; None: never."""
        return max((stamp.received_at for stamp in self._received.starts), default=None)

    def signed_values(self) -> tuple[SampledValue, ...]:
        """Signed data as received, each once, by the charger's times: for `charging/ocmf.py`."""
        kept = self._received.signed
        return tuple(kept[text][2] for text in sorted(kept, key=lambda text: (kept[text][0], text)))

    def _view(self) -> _View:
        if self._known is None:
            self._known = self._found_anew()
        return self._known

    def _extend(self, fresh: list[Observed]) -> bool:
        """Adds new samples to what is known, if they change nothing else."""
        view = self._known
        if view is None or view.by_intervals or not view.clock_stays:
            return not fresh
        if fresh and self._received.best_series() != view.series:
            return False
        for observed in fresh:
            stamp = observed.stamp
            if stamp.received_at < self.opened_at or not view.clock.stays_with(stamp):
                return False
            if observed.series not in {None, view.series}:  # As in `_values`.
                continue
            value = observed.value(view.clock)
            key = order_key(value)
            if value.source is not Source.SAMPLE or (view.last_key and key < view.last_key):
                return False
            if view.holds(value):
                view.runs.add(value)
                view.last_key = key
                view.order_is_known &= value.charger_at is not None
            else:
                view.outside += 1
        return True

    def _found_anew(self) -> _View:
        received = self._received
        stamps = received.stamps()
        clock = SessionClock.fitted(self.opened_at, stamps)
        values = self._values(clock, received.best_series())
        begins = [value.taken_at for value in values if value.source is Source.BEGIN]
        view = _View(
            clock=clock,
            series=received.best_series(),
            begun_at=min([*map(clock.at, received.starts), *begins], default=None),
            ended_at=min(map(clock.at, received.ends), default=None),
            runs=Runs(power_w=self.power_w),
            last_key=None,
            clock_is_right=clock.offset == NO_OFFSET and all(map(clock.believes, stamps)),
            clock_stays=clock.stays_fitted(stamps),
        )
        if received.intervals and all(value.source in _OF_START for value in values):
            view.by_intervals = True
            values = self._sums(view, values)
        held = sorted(filter(view.holds, values), key=order_key)
        view.outside = len(values) - len(held)
        view.order_is_known = view.clock_is_right and all(value.charger_at for value in held)
        for value in held:
            view.runs.add(value)
        view.last_key = order_key(held[-1]) if held else None
        return view

    def _values(self, clock: SessionClock, series: SeriesKey | None) -> list[RegisterValue]:
        """Register values of one series, and those that name none."""
        mine = [
            observed
            for observed in self._received.registers.values()
            if observed.series in {None, series}
        ]
        late = [one for one in mine if one.stamp.received_at >= self.opened_at]
        early = [one for one in mine if one.stamp.received_at < self.opened_at]
        # What the charger had told before the opening is where the charge begins: its last value.
        last = max(early, key=_told_order, default=None)
        return [one.value(clock) for one in ([*late, last] if last else late)]

    def _sums(self, view: _View, starts: list[RegisterValue]) -> list[RegisterValue]:
        """A register made of the energies of intervals, each instant once."""
        found = [observed.value(view.clock) for observed in self._received.intervals.values()]
        found = sorted(filter(view.holds, found), key=order_key)
        first_at = view.begun_at or self.opened_at
        start = min(starts, key=order_key, default=None) or RegisterValue(
            register_wh=0,
            taken_at=first_at,
            source=Source.INTERVALS,
            text="0",
            received_at=found[0].received_at if found else first_at,
        )
        sums = [start]
        for value in found:
            last = sums[-1]
            passed_s = whole_seconds(value.taken_at - last.taken_at)
            if passed_s > 0 and value.register_wh <= energy_wh_max(self.power_w, passed_s):
                sums.append(_added(last, value))
        return sums

    def _measure(self, view: _View, now_at: datetime, *, until_now: bool) -> Measured:
        chosen = view.runs.chosen(order_is_known=view.order_is_known)
        first = chosen[0].first if chosen else _first_of(view.runs)
        last = chosen[-1].last if chosen else first
        earliest_at = self.opened_at - EARLIEST_BEFORE_OPENING
        latest_at = max(min(now_at, self.opened_at + LATEST_AFTER_OPENING), earliest_at)
        started_at = view.begun_at or (first.taken_at if first else self.opened_at)
        started_at = _whole(min(max(started_at, earliest_at), latest_at))
        proved_at = now_at if until_now else (last.taken_at if last else started_at)
        stopped_at = _whole(max(min(view.ended_at or proved_at, latest_at), started_at))
        proved_wh = sum(run.billable_wh(self.power_w) for run in chosen)
        most_wh = energy_wh_max(self.power_w, whole_seconds(stopped_at - started_at))
        energy_wh = min(proved_wh, most_wh, REGISTER_WH_MAX - self.last_wh)
        start_wh = self._anchored_wh(first, energy_wh)
        still = stood(self._received.changes(view.clock), started_at, stopped_at)
        return Measured(
            start_wh=start_wh,
            stop_wh=start_wh + energy_wh,
            started_at=started_at,
            stopped_at=stopped_at,
            ended=view.ended_at is not None,
            idle_s=still.idle_s,
            waiting_s=still.waiting_s,
            measured_at=last.taken_at if last else None,
            power_w=self._received.power_w,
            start=first,
            stop=last,
            values=tuple(value for run in chosen for value in (run.first, run.last)),
            notes=self._notes(view, chosen, first, energy_wh),
        )

    def _anchored_wh(self, first: RegisterValue | None, energy_wh: int) -> int:
        """The start register: the charger's own, or its last record where it counts below that."""
        register_wh = first.register_wh if first else 0
        return max(min(register_wh, REGISTER_WH_MAX - energy_wh), self.last_wh)

    def _notes(
        self, view: _View, chosen: list[Run], first: RegisterValue | None, energy_wh: int
    ) -> tuple[Note, ...]:
        notes = [Note(kind=NoteKind.BAD_VALUE, detail=text) for text in self._received.bad]
        for run in _left_out(view.runs, chosen, first)[:RUNS_NOTED_MAX]:
            detail = f"{run.count} values from {run.first.register_wh} Wh fit nothing else"
            notes.append(Note(kind=NoteKind.LEFT_OUT, detail=detail))
        for before, after in pairwise(chosen):
            detail = f"{before.last.register_wh} Wh, then {after.first.register_wh} Wh"
            notes.append(Note(kind=NoteKind.METER_RESET, detail=detail))
        if view.outside:
            detail = f"{view.outside} values from before the start or after the stop"
            notes.append(Note(kind=NoteKind.OUTSIDE, detail=detail))
        if first is not None and first.register_wh < self.last_wh:
            detail = f"{first.register_wh} Wh is below the last record, {self.last_wh} Wh"
            notes.append(Note(kind=NoteKind.SHIFTED, detail=detail))
        if not view.clock_is_right:
            detail = f"corrected by {whole_seconds(view.clock.offset)} s, or our time taken"
            notes.append(Note(kind=NoteKind.CLOCK, detail=detail))
        if (risen_wh := sum(run.rise_wh for run in chosen)) > energy_wh:
            detail = f"{risen_wh} Wh are more than {self.power_w} W can give"
            notes.append(Note(kind=NoteKind.POWER_CAPPED, detail=detail))
        if not chosen:
            notes.append(Note(kind=NoteKind.NO_VALUES, detail="no two values prove any energy"))
        if view.by_intervals:
            notes.append(Note(kind=NoteKind.INTERVALS, detail="no register, intervals were added"))
        if view.series is not None and view.series.location != LOCATIONS[0]:
            notes.append(Note(kind=NoteKind.NOT_OUTLET, detail=f"at {view.series.location}"))
        return tuple(sorted(notes))


def _left_out(runs: Runs, chosen: list[Run], first: RegisterValue | None) -> list[Run]:
    return [run for run in runs.runs if run not in chosen and run.first is not first]


def _first_of(runs: Runs) -> RegisterValue | None:
    return runs.runs[0].first if runs.runs else None


def _told_order(observed: Observed) -> tuple[datetime, int, datetime, str, str, str]:
    stamp = observed.stamp
    charger_at = stamp.charger_at or stamp.received_at
    said = (observed.source, observed.text, observed.unit)
    return (stamp.received_at, observed.amount_wh, charger_at, *said)


def _added(last: RegisterValue, value: RegisterValue) -> RegisterValue:
    return RegisterValue(
        register_wh=last.register_wh + value.register_wh,
        taken_at=value.taken_at,
        source=Source.INTERVALS,
        text=value.text,
        unit=value.unit,
        charger_at=value.charger_at,
        received_at=value.received_at,
    )


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _check(field: str, value: int, value_min: int, value_max: int) -> None:
    if not value_min <= value <= value_max:
        raise OutOfRange(field=field, value=value, value_min=value_min, value_max=value_max)
