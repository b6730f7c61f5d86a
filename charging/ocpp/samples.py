"""Meter values of both versions, as they were received."""

from decimal import Decimal
from typing import Any, Final

from charging.ocpp.frames import Payload
from charging.ocpp.instants import instant_of
from charging.points import MeterSample, SampledValue

ENERGY: Final = "Energy.Active.Import.Register"  # OCPP's default measurand.
PERIODIC: Final = "Sample.Periodic"
OUTLET: Final = "Outlet"
SIGNED: Final = "SignedData"


def samples_of_v16(meter_values: list[Payload] | None) -> tuple[MeterSample, ...]:
    """`meterValue` and `transactionData` (OCPP 1.6 §7.33 and §7.43)."""
    return tuple(
        MeterSample(
            taken_at=instant_of(meter_value.get("timestamp")),
            values=tuple(_value_v16(value) for value in meter_value.get("sampledValue", ())),
        )
        for meter_value in meter_values or ()
    )


def _value_v16(value: Payload) -> SampledValue:
    get = value.get
    return SampledValue(
        text=value["value"],
        measurand=get("measurand", ENERGY),
        unit=get("unit", ""),
        phase=get("phase", ""),
        context=get("context", PERIODIC),
        location=get("location", OUTLET),
        signed=get("format") == SIGNED,
    )


def samples_of_v201(meter_values: list[Payload] | None) -> tuple[MeterSample, ...]:
    """`meterValue` (OCPP 2.0.1 part 2, MeterValueType)."""
    return tuple(
        MeterSample(
            taken_at=instant_of(meter_value.get("timestamp")),
            values=tuple(
                sampled
                for value in meter_value.get("sampledValue", ())
                for sampled in _values_v201(value)
            ),
        )
        for meter_value in meter_values or ()
    )


def _values_v201(value: Payload) -> tuple[SampledValue, ...]:
    """One value, and beside it its signed form, where the charger gave one."""
    unit_of_measure = value.get("unitOfMeasure") or {}
    plain = _plain_v201(value, number_text(value["value"]), unit_of_measure)
    signed = value.get("signedMeterValue")
    if signed is None:
        return (plain,)
    return plain, SampledValue(
        text=signed["signedMeterData"],
        measurand=plain.measurand,
        unit=plain.unit,
        multiplier=plain.multiplier,
        phase=plain.phase,
        context=plain.context,
        location=plain.location,
        signed=True,
        encoding=signed["encodingMethod"],
        public_key=signed["publicKey"],
    )


def _plain_v201(value: Payload, text: str, unit_of_measure: Payload) -> SampledValue:
    get = value.get
    return SampledValue(
        text=text,
        measurand=get("measurand", ENERGY),
        unit=unit_of_measure.get("unit", ""),
        multiplier=unit_of_measure.get("multiplier", 0),
        phase=get("phase", ""),
        context=get("context", PERIODIC),
        location=get("location", OUTLET),
    )


def number_text(value: Any) -> str:
    """A JSON number as it was written, or as close as its digits tell."""
    return str(value) if type(value) in (int, Decimal) else ""
