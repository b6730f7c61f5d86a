"""Amounts and energies for people, from integers, without passing through a float."""

import re
from decimal import Decimal

from api.errors import BadInput
from ledger.units import MICRO_PER_TOKEN, NANO_PER_TOKEN

WH_PER_KWH = 1_000
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_ENERGY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)


def tokens(amount_nano: int) -> str:
    """An amount in tokens with two decimals, half a cent rounded away from zero: `-1.05`."""
    cents, half = abs(amount_nano) * 100, NANO_PER_TOKEN // 2
    whole, part = divmod((cents + half) // NANO_PER_TOKEN, 100)
    sign = "-" if amount_nano < 0 and (whole or part) else ""
    return f"{sign}{whole:,}.{part:02d}"


def kwh(energy_wh: int) -> str:
    """An energy in kWh with one decimal, rounded half up: `1,234.5`."""
    whole, tenth = divmod((energy_wh + 50) // 100, 10)
    return f"{whole:,}.{tenth}"


def per_kwh(price_per_kwh: int) -> str:
    """A price in tokens per kWh, all its digits: `0.18`."""
    whole, micro = divmod(price_per_kwh, 1_000_000)
    digits = f"{micro:06d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{digits}"


def tokens_exact(amount_micro: int) -> str:
    """An amount in tokens, all its digits and at least two decimals: `4.29797`."""
    return per_kwh(amount_micro)


def kwh_exact(energy_wh: int) -> str:
    """An energy in kWh with three decimals: `10.123`."""
    whole, rest = divmod(energy_wh, WH_PER_KWH)
    return f"{whole}.{rest:03d}"


def kw(power_w: int) -> str:
    """A power in kW with one decimal, rounded half up: `11.0`."""
    whole, tenth = divmod((power_w + 50) // 100, 10)
    return f"{whole}.{tenth}"


def micro_of(option: str, text: str) -> int:
    """Micro-tokens of an amount in tokens, as somebody typed it.

    Raises:
        BadInput: no amount above zero with at most six decimals.
    """
    if not _AMOUNT.fullmatch(text) or not Decimal(text):
        raise BadInput(field=option, rule="an amount above 0 with at most 6 decimals, as 20.00")
    return int(Decimal(text) * MICRO_PER_TOKEN)


def wh_of(option: str, text: str) -> int:
    """Wh of an energy in kWh, as somebody typed it.

    Raises:
        BadInput: no energy above zero with at most three decimals.
    """
    if not _ENERGY.fullmatch(text) or not Decimal(text):
        raise BadInput(field=option, rule="kWh above 0 with at most 3 decimals, as 12.5")
    return int(Decimal(text) * WH_PER_KWH)
