"""Register values in order of time, as unbroken runs of one register; and what they prove.

A value continues a run if it is not below the run's last value and not further above it than the
charger's power explains. Otherwise it begins another run: another scale (a register of the session
among lifetime registers), a meter that began anew, or a value that is simply wrong. Runs that do
not overlap in time add up, of overlapping ones those count that cover most of the time.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from charging.measured import RegisterValue, Source, energy_wh_max, whole_seconds

# A charger may give a little more than its rating (EN 50160 lets the voltage rise by a tenth); such
# values are kept, and what is billed of them is capped.
_OVER_RATING: Final = (9, 8)
_RUNS_TRIED: Final = 8  # A value continues one of the last so many runs, or none.
_RANK: Final = {Source.METER_START: 0, Source.BEGIN: 0, Source.END: 2, Source.METER_STOP: 2}

OrderKey = tuple[datetime, int, int, datetime, datetime, str, str, str]


def order_key(value: RegisterValue) -> OrderKey:
    """Total order of values: by time; at one instant the start, then samples, then the stop."""
    return (
        value.taken_at,
        _RANK.get(value.source, 1),
        value.register_wh,
        value.received_at,
        value.charger_at or value.received_at,
        value.source,
        value.text,
        value.unit,
    )


@dataclass(slots=True)
class Run:
    """Values that can be one register's, in order of time."""

    first: RegisterValue
    last: RegisterValue
    count: int = 1

    @property
    def rise_wh(self) -> int:
        """From its first to its last value."""
        return self.last.register_wh - self.first.register_wh

    def billable_wh(self, power_w: int) -> int:
        """Its rise, as far as the charger's power explains it."""
        return min(self.rise_wh, energy_wh_max(power_w, self.span_s))

    @property
    def span_s(self) -> int:
        """Seconds that it covers."""
        return whole_seconds(self.last.taken_at - self.first.taken_at)

    def step_wh(self, value: RegisterValue, power_w: int) -> int | None:
        """How far the value is above the last one; None if it does not continue this run."""
        step_wh = value.register_wh - self.last.register_wh
        passed_s = whole_seconds(value.taken_at - self.last.taken_at)
        most, rated = _OVER_RATING
        return step_wh if 0 <= step_wh <= energy_wh_max(power_w * most // rated, passed_s) else None


@dataclass(slots=True)
class Runs:
    """All runs of a charge. Values are added in the order of `order_key`."""

    power_w: int
    runs: list[Run] = field(default_factory=list)
    _recent: list[Run] = field(default_factory=list)  # The last ones that a value went to.

    @classmethod
    def of(cls, power_w: int, values: Iterable[RegisterValue]) -> "Runs":
        """The runs of values in any order."""
        runs = cls(power_w=power_w)
        for value in sorted(values, key=order_key):
            runs.add(value)
        return runs

    def add(self, value: RegisterValue) -> None:
        """Adds a value that is not before any other."""
        fitting = [
            (step_wh, -place)
            for place, run in enumerate(self._recent)
            if (step_wh := run.step_wh(value, self.power_w)) is not None
        ]
        if fitting:
            run = self._recent.pop(-min(fitting)[1])  # The smallest step, then the latest run.
            run.last = value
            run.count += 1
        else:
            run = Run(value, value)
            self.runs.append(run)
        self._recent.append(run)
        del self._recent[:-_RUNS_TRIED]

    def chosen(self, *, order_is_known: bool) -> list[Run]:
        """Runs that prove what was charged, in order of time, none overlapping another.

        Where the order of the values is not certain, a register may only seem to begin anew: then
        the one run that covers most time counts.
        """
        proving = [run for run in self.runs if run.count > 1]
        if any(run.rise_wh for run in proving):
            # A register that stands at zero while another moves is not connected.
            proving = [run for run in proving if run.last.register_wh]
        chosen = _most_time(proving, self.power_w)
        if order_is_known or not chosen:
            return chosen
        return [max(chosen, key=lambda run: (run.span_s, -run.billable_wh(self.power_w)))]


def _most_time(runs: list[Run], power_w: int) -> list[Run]:
    """Of runs that may overlap, those that cover most time, then prove least energy.

    Weighted interval scheduling: `best[i]` is the best of the first i runs in order of their ends.
    """
    runs = sorted(runs, key=lambda run: (order_key(run.last), order_key(run.first)))
    ends = [run.last.taken_at for run in runs]
    best: list[tuple[int, int, int, Run | None]] = [(0, 0, 0, None)]  # Time, −energy, before, run.
    for place, run in enumerate(runs):
        before = bisect_right(ends, run.first.taken_at, hi=place)
        covered_s = best[before][0] + run.span_s
        least_wh = best[before][1] - run.billable_wh(power_w)
        if (covered_s, least_wh) > best[-1][:2]:
            best.append((covered_s, least_wh, before, run))
        else:
            best.append((*best[-1][:2], len(best) - 1, None))
    chosen: list[Run] = []
    place = len(runs)
    while place:
        _, _, before, taken = best[place]
        if taken is not None:
            chosen.append(taken)
        place = before
    return chosen[::-1]
