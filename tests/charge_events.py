"""A charge as a charger tells it, in few words: for tests of what is made of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from charging.measured import Measured, NoteKind
from charging.points import (
    Availability,
    Flow,
    MeterSample,
    PointEvent,
    SampledValue,
    StatusChanged,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from charging.registers import EnergyTrack

OPENED_AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
POWER_W = 22_000


def at(seconds: float) -> datetime:
    """An instant, in seconds after the opening."""
    return OPENED_AT + timedelta(seconds=seconds)


def value(text: str, **described: Any) -> SampledValue:
    return SampledValue(text=text, **described)


@dataclass(kw_only=True)
class Telling:
    """What one charger says about one charge; each sentence is an event."""

    clock_off_s: float = 0  # What its clock is ahead of ours.
    delay_s: float = 1  # From its saying to our hearing.
    events: list[PointEvent] = field(default_factory=list)

    def start(self, s: float, meter: str | None = None, **more: Any) -> "Telling":
        self.events.append(
            TransactionStarted(**self._said(s, more), meter_start_text=meter, **more)
        )
        return self

    def says(self, s: float, *values: SampledValue | str, **more: Any) -> "Telling":
        """Meter values at one instant."""
        sample = self.sample(s, *values)
        self.events.append(TransactionUpdated(**self._said(s, more), samples=(sample,), **more))
        return self

    def flows(self, s: float, flow: Flow) -> "Telling":
        self.events.append(TransactionUpdated(**self._said(s, {}), flow=flow))
        return self

    def is_now(self, s: float, availability: Availability) -> "Telling":
        self.events.append(
            StatusChanged(
                charge_point_id="CP1",
                message_id=f"m{len(self.events)}",
                received_at=at(s + self.delay_s),
                connector_id=1,
                availability=availability,
                at=at(s + self.clock_off_s),
            )
        )
        return self

    def stop(self, s: float, meter: str | None = None, **more: Any) -> "Telling":
        self.events.append(TransactionEnded(**self._said(s, more), meter_stop_text=meter, **more))
        return self

    def sample(self, s: float, *values: SampledValue | str) -> MeterSample:
        return MeterSample(
            taken_at=at(s + self.clock_off_s),
            values=tuple(value(each) if isinstance(each, str) else each for each in values),
        )

    def track(self, *, last_wh: int = 0, power_w: int = POWER_W) -> EnergyTrack:
        track = EnergyTrack(last_wh=last_wh, power_w=power_w, opened_at=OPENED_AT)
        for event in self.events:
            track.take(event)
        return track

    def settle(self, *, last_wh: int = 0, power_w: int = POWER_W, now_s: float = 7_200) -> Measured:
        return self.track(last_wh=last_wh, power_w=power_w).settle(at(now_s))

    def _said(self, s: float, more: dict[str, Any]) -> dict[str, Any]:
        received_s = more.pop("received_s", s + self.delay_s)
        return {
            "charge_point_id": "CP1",
            "message_id": f"m{len(self.events)}",
            "received_at": at(received_s),
            "transaction_id": "7",
            "connector_id": 1,
            "at": more.pop("at", at(s + self.clock_off_s)),
        }


def kinds(measured: Measured) -> set[NoteKind]:
    return {note.kind for note in measured.notes}
