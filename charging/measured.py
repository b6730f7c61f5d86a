"""What a charge came to by its meter: registers, times, sources, and what was odd."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from charging.tariffs import ChargeTariff, cost_micro_down
from ledger.errors import OutOfRange
from ledger.units import REGISTER_WH_MAX

SECONDS_PER_HOUR: Final = 3_600
ENERGY_SLACK_WH: Final = 100  # INTERFACES §3: beyond power times time.


def energy_wh_max(power_w: int, duration_s: int) -> int:
    """What a charger of this power can have given in this time: the escrow's own bound."""
    return power_w * duration_s // SECONDS_PER_HOUR + ENERGY_SLACK_WH


def whole_seconds(span: timedelta) -> int:
    """Seconds of a span, rounded down."""
    return span // timedelta(seconds=1)


class Source(StrEnum):
    """Where a register value came from."""

    METER_START = "meterStart"  # OCPP 1.6 StartTransaction.
    BEGIN = "Transaction.Begin"
    SAMPLE = "sample"
    INTERVALS = "intervals"  # The sum of `Energy.Active.Import.Interval`.
    END = "Transaction.End"
    METER_STOP = "meterStop"  # OCPP 1.6 StopTransaction.
    SIGNED = "signed"  # A verified signed meter value.


class NoteKind(StrEnum):
    """What was odd about a charge's values; none of these stops it."""

    BAD_VALUE = "bad_value"  # A value could not be read.
    LEFT_OUT = "left_out"  # A register fits neither the others nor the charger's power.
    METER_RESET = "meter_reset"  # The register began anew during the charge.
    OUTSIDE = "outside"  # Values from before the start or after the stop.
    SHIFTED = "shifted"  # Registers below the charger's last record: counted on from that.
    CLOCK = "clock"  # The charger's clock is off.
    POWER_CAPPED = "power_capped"  # More energy than the registered power can give.
    NO_VALUES = "no_values"  # No two values that prove any energy.
    INTERVALS = "intervals"  # No register: the energies of intervals were added.
    NOT_OUTLET = "not_outlet"  # Measured elsewhere than at the outlet.
    SIGNED_DIFFERS = "signed_differs"  # Signed and unsigned values disagree.
    SIGNED_OUTSIDE = "signed_outside"  # Signed values of another time than the session's.
    SIGNED_REPLAYED = "signed_replayed"  # Signed values that prove an earlier session.
    SIGNED_UNUSABLE = "signed_unusable"  # Signed values are malformed, or of another key.


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Note:
    """One oddity, for the receipt and the host."""

    kind: NoteKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterValue:
    """One value of the charger's register in whole Wh, rounded down, and where it came from."""

    register_wh: int  # As the charger counts; not shifted.
    taken_at: datetime  # Aware UTC; the charger's clock corrected by ours.
    source: Source
    text: str  # As received.
    unit: str = "Wh"
    charger_at: datetime | None = None  # As the charger stamped it.
    received_at: datetime

    def evidence(self) -> dict[str, str | int]:
        """What the evidence states of it (`charging/evidence.py`): only what we were sent."""
        stamped_at = self.charger_at or self.received_at
        return {
            "source": self.source.value,
            "taken_at": f"{stamped_at:%Y-%m-%dT%H:%M:%S}.{stamped_at.microsecond // 1_000:03}Z",
            "unit": self.unit,
            "value": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A charge by its meter, so far or in the end; what a `ChargeRecord` is made of.

    It keeps the escrow's bounds: `start_wh` is at least the charger's last record, registers do not
    run backwards, the energy is at most power · time + 100 Wh, it starts at most 300 s before the
    opening and lasts at most until a day after it.
    """

    start_wh: int
    stop_wh: int
    started_at: datetime  # Aware UTC, whole seconds.
    stopped_at: datetime  # Aware UTC, whole seconds; while it goes on, until when it was counted.
    ended: bool  # The charger said that the transaction is over.
    idle_s: int = 0  # The car took nothing.
    waiting_s: int = 0  # The charger gave nothing, or charging had not begun: nobody's fault.
    measured_at: datetime | None = None  # Of the last value used; None before the first.
    power_w: int | None = None  # As last measured; never billed.
    start: RegisterValue | None = None  # Where the first value came from; None: there is none.
    stop: RegisterValue | None = None
    values: tuple[RegisterValue, ...] = ()  # First and last of each unbroken run that was billed.
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        _check("start_wh", self.start_wh, 0, REGISTER_WH_MAX)
        _check("stop_wh", self.stop_wh, self.start_wh, REGISTER_WH_MAX)
        _check("duration_s", self.duration_s, 0, 2**32)
        _check("idle_s", self.idle_s, 0, self.duration_s)
        _check("waiting_s", self.waiting_s, 0, self.duration_s - self.idle_s)

    @property
    def energy_wh(self) -> int:
        """What is billed."""
        return self.stop_wh - self.start_wh

    @property
    def duration_s(self) -> int:
        """From start to stop."""
        return whole_seconds(self.stopped_at - self.started_at)

    def idle_s_under(self, tariff: ChargeTariff) -> int:
        """The record's `idleS`: waiting counts as time or as idling, whichever is cheaper."""
        if tariff.idle_per_hour < tariff.time_per_hour:
            return self.idle_s + self.waiting_s
        return self.idle_s

    def cost_micro_down(self, tariff: ChargeTariff) -> int:
        """What it costs, rounded down once; not capped at the deposit."""
        idle_s = self.idle_s_under(tariff)
        return cost_micro_down(
            tariff, energy_wh=self.energy_wh, time_s=self.duration_s - idle_s, idle_s=idle_s
        )


def _check(field: str, value: int, value_min: int, value_max: int) -> None:
    if not value_min <= value <= value_max:
        raise OutOfRange(field=field, value=value, value_min=value_min, value_max=value_max)
