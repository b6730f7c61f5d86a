"""Meter values as a charge point words them, with the faults that they can have."""

import math
from typing import TYPE_CHECKING, Final

from charging.points import SampledValue
from charging.simulator.connectors import Reading
from charging.simulator.faults import Fault

if TYPE_CHECKING:
    from charging.simulator.ocmf import OcmfSigner

ENERGY: Final = "Energy.Active.Import.Register"
POWER: Final = "Power.Active.Import"
BEGIN: Final = "Transaction.Begin"
END: Final = "Transaction.End"
PERIODIC: Final = "Sample.Periodic"
TRIGGER: Final = "Trigger"
VOLTAGE_V: Final = "230"
WH_PER_KWH: Final = 1_000


def sampled_values(
    reading: Reading, *, context: str, faults: frozenset[Fault], place: int
) -> tuple[SampledValue, ...]:
    """Register, power and voltage at one instant.

    Args:
        context: OCPP's `ReadingContext`.
        place: how many meter values of this transaction came before.
    """
    beside = (
        SampledValue(text=str(reading.power_w), measurand=POWER, unit="W", context=context),
        SampledValue(text=VOLTAGE_V, measurand="Voltage", unit="V", context=context),
    )
    if Fault.NO_ENERGY in faults and context == PERIODIC:
        return beside
    return (_energy(reading, context=context, faults=faults, place=place), *beside)


def _energy(
    reading: Reading, *, context: str, faults: frozenset[Fault], place: int
) -> SampledValue:
    wh = 0 if Fault.BEGIN_ZERO in faults and context == BEGIN else reading.register_wh
    if Fault.FLOAT_NOISE in faults:
        # The fault is a float: one step beside the number that was meant.
        text, unit = repr(math.nextafter(wh / WH_PER_KWH, math.inf)), "kWh"
    elif Fault.MIXED_UNITS in faults and place % 2:
        text, unit = f"{wh // WH_PER_KWH}.{wh % WH_PER_KWH:03d}", "kWh"
    else:
        text, unit = str(wh), "Wh"
    return SampledValue(text=text, measurand=ENERGY, unit=unit, context=context)


def signed_value(record: str, signer: "OcmfSigner") -> SampledValue:
    """A signed record of begin and end, as it goes with the stop."""
    return SampledValue(
        text=record,
        measurand=ENERGY,
        context=END,
        signed=True,
        encoding="OCMF",
        public_key=signer.public_key_ocpp,
    )
