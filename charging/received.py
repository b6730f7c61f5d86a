"""All that was received about one charge, as a set: twice is once, order does not matter."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from charging.clocks import SessionClock, Stamp
from charging.errors import BadMeterValue
from charging.idling import OF_AVAILABILITY, OF_FLOW, Standing, StandingChange
from charging.measured import RegisterValue, Source
from charging.meter_values import Quantity, SeriesKey, read_sample, wh_down
from charging.points import (
    Flow,
    MeterSample,
    PointEvent,
    SampledValue,
    StatusChanged,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
)

BAD_VALUES_MAX: Final = 50  # Kept as notes; a charger may send nonsense all day.
_SOURCE_OF_CONTEXT: Final = {"Transaction.Begin": Source.BEGIN, "Transaction.End": Source.END}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One energy as it was received, before it is known when that was."""

    amount_wh: int
    source: Source
    series: SeriesKey | None  # None: `meterStart` and `meterStop` say no place and no phase.
    text: str
    unit: str
    stamp: Stamp

    def value(self, clock: SessionClock) -> RegisterValue:
        """The same as a register value with its instant."""
        return RegisterValue(
            register_wh=self.amount_wh,
            taken_at=clock.at(self.stamp),
            source=self.source,
            text=self.text,
            unit=self.unit,
            charger_at=self.stamp.charger_at,
            received_at=self.stamp.received_at,
        )


_Key = tuple[object, ...]


@dataclass(slots=True)
class Received:
    """The set of everything that the events of a charge say."""

    registers: dict[_Key, Observed] = field(default_factory=dict)
    intervals: dict[_Key, Observed] = field(default_factory=dict)
    starts: set[Stamp] = field(default_factory=set)
    ends: set[Stamp] = field(default_factory=set)
    standings: set[tuple[Stamp, Standing]] = field(default_factory=set)
    signed: dict[str, tuple[datetime, str, SampledValue]] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    series_counts: Counter[SeriesKey] = field(default_factory=Counter)
    power_w: int | None = None
    _power_key: tuple[datetime, int] | None = None
    _fresh: list[Observed] = field(default_factory=list)
    _revised: bool = False

    def take(self, event: PointEvent) -> list[Observed] | None:
        """Adds an event.

        Returns:
            The registers that are new with it, if it brought nothing else that bears on the energy;
            None if what follows from the set must be found anew.
        """
        self._fresh, self._revised = [], False
        match event:
            case StatusChanged():
                if event.availability in OF_AVAILABILITY:
                    stamp = Stamp(charger_at=event.at, received_at=event.received_at)
                    self._stand(stamp, OF_AVAILABILITY[event.availability])
            case TransactionEvent():
                self._take_transaction(event)
        return None if self._revised else self._fresh

    def stamps(self) -> list[Stamp]:
        """Everything that the charger's clock said, each of its own weight."""
        values = [*self.registers.values(), *self.intervals.values()]
        flows = [stamp for stamp, _ in self.standings]
        return [*(value.stamp for value in values), *self.starts, *self.ends, *flows]

    def best_series(self) -> SeriesKey | None:
        """The one series that is billed: the best that has two values, or one if none has."""
        counts = self.series_counts
        proving = [series for series, count in counts.items() if count > 1]
        return min(proving or counts, key=lambda series: series.rank, default=None)

    def changes(self, clock: SessionClock) -> list[StandingChange]:
        """What the charger said of the flow, with instants."""
        return [
            StandingChange(at=clock.at(stamp), standing=standing)
            for stamp, standing in self.standings
        ]

    def _take_transaction(self, event: TransactionEvent) -> None:
        stamp = Stamp(charger_at=event.at, received_at=event.received_at)
        match event:
            case TransactionStarted():
                self._mark(self.starts, stamp)
                self._take_text(event, event.meter_start_text, Source.METER_START, stamp)
            case TransactionEnded():
                self._mark(self.ends, stamp)
                self._take_text(event, event.meter_stop_text, Source.METER_STOP, stamp)
        if event.flow is not None:
            self._take_flow(event.flow, stamp)
        for sample in event.samples:
            self._take_sample(event, sample)

    def _take_text(self, event: PointEvent, text: str | None, source: Source, stamp: Stamp) -> None:
        if text is None:
            return
        try:
            amount_wh = wh_down(text, field=source.value)
        except BadMeterValue as error:
            self._reject(error)
            return
        observed = Observed(
            amount_wh=amount_wh, source=source, series=None, text=text, unit="Wh", stamp=stamp
        )
        self._keep(self.registers, observed, event.message_id)

    def _take_sample(self, event: PointEvent, sample: MeterSample) -> None:
        stamp = Stamp(charger_at=sample.taken_at, received_at=event.received_at)
        reading = read_sample(sample)
        for error in reading.bad:
            self._reject(error)
        for quantity in reading.registers:
            self._keep(self.registers, _observed(quantity, stamp), event.message_id)
        for quantity in reading.intervals:
            self._keep(self.intervals, _observed(quantity, stamp), event.message_id)
        stamped_at = min(stamp.charger_at or stamp.received_at, stamp.received_at)
        for value in reading.signed:
            told = (stamped_at, f"{value.context} {value.public_key}", value)
            known = self.signed.get(value.text)
            if known is None or told[:2] < known[:2]:
                self.signed[value.text] = told
        if reading.power_w is not None:
            key = (stamped_at, -reading.power_w)
            if self._power_key is None or key >= self._power_key:
                self.power_w, self._power_key = reading.power_w, key

    def _take_flow(self, flow: Flow, stamp: Stamp) -> None:
        self._stand(stamp, OF_FLOW[flow])

    def _stand(self, stamp: Stamp, standing: Standing) -> None:
        self._revised |= (stamp, standing) not in self.standings
        self.standings.add((stamp, standing))

    def _mark(self, marks: set[Stamp], stamp: Stamp) -> None:
        self._revised |= stamp not in marks
        marks.add(stamp)

    def _reject(self, error: BadMeterValue) -> None:
        self.bad.add(error.detail)
        if len(self.bad) > BAD_VALUES_MAX:
            self.bad.remove(max(self.bad))  # Whatever came first, the same ones stay.

    def _keep(self, kept: dict[_Key, Observed], observed: Observed, message_id: str) -> None:
        """Keeps a value once, as of its first receipt."""
        stamped: object = observed.stamp.charger_at or message_id
        key = (observed.source, observed.series, observed.text, observed.unit, stamped)
        known = kept.get(key)
        if known is None:
            kept[key] = observed
            if kept is self.intervals:
                self._revised = True
                return
            if observed.series is not None:
                self.series_counts[observed.series] += 1
            self._fresh.append(observed)
        elif observed.stamp.received_at < known.stamp.received_at:
            kept[key] = replace(known, stamp=observed.stamp)
            self._revised = True


def _observed(quantity: Quantity, stamp: Stamp) -> Observed:
    return Observed(
        amount_wh=quantity.amount,
        source=_SOURCE_OF_CONTEXT.get(quantity.context, Source.SAMPLE),
        series=quantity.series,
        text=quantity.text,
        unit=quantity.unit,
        stamp=stamp,
    )
