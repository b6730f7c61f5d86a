"""From the text of a meter value to whole Wh or W (OCPP 1.6 §7.33, OCPP 2.0.1 part 2 §2.47).

What is not the imported energy or power of the outlet is not looked at: export, net, reactive and
state of charge bill nothing. What cannot be read is a `BadMeterValue` beside the others, never an
exception that would lose them.

**Rounding.** A register is whole Wh, rounded down, after what floating point adds or takes below a
millionth of a Wh has been rounded away: 12.299999999999999 kWh is 12,300 Wh, 12.3456 kWh is 12,345.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from charging.errors import BadMeterValue
from charging.points import MeterSample, SampledValue
from ledger.units import REGISTER_WH_MAX

REGISTER: Final = "Energy.Active.Import.Register"
INTERVAL: Final = "Energy.Active.Import.Interval"
POWER: Final = "Power.Active.Import"
POWER_W_MAX: Final = 10**9

# Where a value was taken, best first. A car's own figure (`EV`) is no register of the charger.
LOCATIONS: Final = ("Outlet", "Cable", "Body", "Inlet")
PHASES: Final = {
    "": "",  # The total. Between two phases, or of the neutral: not looked at.
    "L1": "L1",
    "L1-N": "L1",
    "L2": "L2",
    "L2-N": "L2",
    "L3": "L3",
    "L3-N": "L3",
}

MIXED: Final = "mixed"  # Unit of a sum over phases that were sent in different units.
TEXT_CHARS_MAX: Final = 64
_CHARS_SHOWN: Final = 40
_MULTIPLIER_MAX: Final = 15
_DIGITS_MAX: Final = 16  # With more digits before its point a number is beyond every range.
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_EXACT: Final = Context(prec=2 * TEXT_CHARS_MAX)
_NOISE: Final = Decimal("0.000001")
_SCALES: Final = {"wh": 0, "kwh": 3, "w": 0, "kw": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKey:
    """Values of one series may be compared: same place, same phases added."""

    location: str
    phases: tuple[str, ...]  # Empty: the meter's own total.

    @property
    def rank(self) -> tuple[int, int, tuple[str, ...]]:
        """Best first: at the outlet, a total, then more phases."""
        return (LOCATIONS.index(self.location), -len(self.phases) % 4, self.phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One energy or power of a sample, in whole Wh or W."""

    amount: int
    series: SeriesKey
    context: str
    text: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReading:
    """What one sample says: one value for each series, and what could not be read."""

    registers: tuple[Quantity, ...] = ()
    intervals: tuple[Quantity, ...] = ()
    power_w: int | None = None
    signed: tuple[SampledValue, ...] = ()
    bad: tuple[BadMeterValue, ...] = ()


def read_sample(sample: MeterSample) -> SampleReading:
    """Reads what a meter showed at one instant."""
    bad: list[BadMeterValue] = []
    plain = [value for value in sample.values if not value.signed]
    powers = _quantities(plain, POWER, POWER_W_MAX, bad)
    return SampleReading(
        registers=_quantities(plain, REGISTER, REGISTER_WH_MAX, bad),
        intervals=_quantities(plain, INTERVAL, REGISTER_WH_MAX, bad),
        power_w=powers[0].amount if powers else None,
        signed=tuple(value for value in sample.values if value.signed),
        bad=tuple(bad),
    )


def wh_down(text: str, *, unit: str = "Wh", multiplier: int = 0, field: str = "value") -> int:
    """Whole Wh of a register's text, rounded down.

    Raises:
        BadMeterValue: no decimal number, another unit, negative, or above 10¹² Wh.
    """
    scale = _scale(unit or "Wh", ("wh", "kwh"), multiplier)
    return _whole(text, scale, field, REGISTER_WH_MAX)


def watts_down(text: str, *, unit: str = "W", multiplier: int = 0, field: str = "value") -> int:
    """Whole watts of a power's text, rounded down.

    Raises:
        BadMeterValue: no decimal number, another unit, negative, or above 10⁹ W.
    """
    return _whole(text, _scale(unit or "W", ("w", "kw"), multiplier), field, POWER_W_MAX)


def _scale(unit: str, units: tuple[str, ...], multiplier: int) -> int:
    if unit.lower() not in units:
        raise _bad("unit", unit, f"the unit is one of {', '.join(units)}")
    if type(multiplier) is not int or abs(multiplier) > _MULTIPLIER_MAX:
        raise _bad("multiplier", str(multiplier), f"from −{_MULTIPLIER_MAX} to {_MULTIPLIER_MAX}")
    return _SCALES[unit.lower()] + multiplier


def _whole(text: str, scale: int, field: str, most: int) -> int:
    if len(text) > TEXT_CHARS_MAX:
        raise _bad(field, text, f"a number has at most {TEXT_CHARS_MAX} characters")
    if _NUMBER.fullmatch(text.strip()) is None:
        raise _bad(field, text, "a meter value is a decimal number")
    number = Decimal(text.strip()).scaleb(scale, _EXACT)
    if number < 0:
        raise _bad(field, text, "a meter value is not negative")
    if number and number.adjusted() >= _DIGITS_MAX:
        raise _bad(field, text, f"at most {most}")
    clean = number.quantize(_NOISE, ROUND_HALF_EVEN, _EXACT)
    whole = int(clean.to_integral_value(ROUND_FLOOR))
    if whole > most:
        raise _bad(field, text, f"at most {most}")
    return whole


def _quantities(
    values: Iterable[SampledValue], measurand: str, most: int, bad: list[BadMeterValue]
) -> tuple[Quantity, ...]:
    """One value for each place and context: the total if there is one, else the phases' sum."""
    by_place: dict[tuple[str, str], dict[str, Quantity]] = {}
    for value in values:
        location = value.location or "Outlet"
        phase = PHASES.get(value.phase)
        if (value.measurand or REGISTER) != measurand or location not in LOCATIONS:
            continue
        if phase is None:
            continue
        try:
            amount = _amount(value, measurand)
        except BadMeterValue as error:
            bad.append(error.with_traceback(None))
            continue
        quantity = Quantity(
            amount=amount,
            series=SeriesKey(location=location, phases=(phase,) if phase else ()),
            context=value.context,
            text=value.text,
            unit=_unit_text(value, measurand),
        )
        phases = by_place.setdefault((location, value.context), {})
        # The same value twice, in Wh and in kWh perhaps: the smaller one.
        if phase not in phases or amount < phases[phase].amount:
            phases[phase] = quantity
    found = [_total(phases) for phases in by_place.values()]
    return tuple(
        sorted(
            (quantity for quantity in found if quantity.amount <= most),
            key=lambda quantity: (quantity.series.rank, quantity.context),
        )
    )


def _amount(value: SampledValue, measurand: str) -> int:
    read = watts_down if measurand == POWER else wh_down
    return read(value.text, unit=value.unit, multiplier=value.multiplier, field=measurand)


def _unit_text(value: SampledValue, measurand: str) -> str:
    """The unit with its power of ten (OCPP 2.0.1 `multiplier`): `Whe3`."""
    unit = value.unit or ("W" if measurand == POWER else "Wh")
    return f"{unit}e{value.multiplier}" if value.multiplier else unit


def _total(phases: dict[str, Quantity]) -> Quantity:
    if "" in phases:
        return phases[""]
    names = tuple(sorted(phases))
    parts = [phases[name] for name in names]
    if len(parts) == 1:
        return parts[0]
    return Quantity(
        amount=sum(part.amount for part in parts),
        series=SeriesKey(location=parts[0].series.location, phases=names),
        context=parts[0].context,
        text="+".join(part.text for part in parts),
        unit=parts[0].unit if len({part.unit for part in parts}) == 1 else MIXED,
    )


def _bad(field: str, value: str, rule: str) -> BadMeterValue:
    return BadMeterValue(field=field, value=value[:_CHARS_SHOWN], rule=rule)
