"""Amounts and energies for people, from integers, without passing through a float."""

from ledger.units import NANO_PER_TOKEN

WH_PER_KWH = 1_000


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
