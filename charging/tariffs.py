"""The price of a charge: four parts, the same number on screen, on chain and on the receipt.

A tariff has the four parts that the escrow can price. Every price is in micro-tokens, VAT included,
and a cost is rounded once, down (INTERFACES §4).
"""

from dataclasses import dataclass, fields
from typing import Final

from charging.errors import BadTariff

PRICE_MAX: Final = 10**12  # A million tokens per kWh, start or hour: beyond any tariff.
MS_PER_HOUR: Final = 3_600_000  # Wh · (micro per kWh) · 3600, and s · (micro per hour) · 1000.


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeTariff:
    """What one charge costs, as the driver signs it (`Tariff` of INTERFACES §4)."""

    energy_per_kwh: int = 0  # Micro-tokens per kWh.
    start_fee: int = 0  # Micro-tokens, once.
    time_per_hour: int = 0  # Micro-tokens per hour of charging.
    idle_per_hour: int = 0  # Micro-tokens per hour plugged in without charging.

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or not 0 <= value <= PRICE_MAX:
                raise BadTariff(field=field.name, rule=f"a whole number from 0 to {PRICE_MAX}")


def cost_micro_down(tariff: ChargeTariff, *, energy_wh: int, time_s: int, idle_s: int) -> int:
    """What a charge costs in micro-tokens, rounded down once; not yet capped at the deposit.

    Args:
        energy_wh: by the charger's register, not negative.
        time_s: charging, without idling.
        idle_s: plugged in without charging.
    """
    by_time = time_s * tariff.time_per_hour + idle_s * tariff.idle_per_hour
    by_energy = energy_wh * tariff.energy_per_kwh
    return tariff.start_fee + (by_energy * 3_600 + by_time * 1_000) // MS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A deposit, divided: `deposit_micro = paid_micro + refunded_micro`, exactly."""

    paid_micro: int
    refunded_micro: int


def split(deposit_micro: int, cost_micro: int) -> Split:
    """The cost is paid from the deposit, and never more than it; the rest goes back."""
    paid_micro = min(cost_micro, deposit_micro)
    return Split(paid_micro=paid_micro, refunded_micro=deposit_micro - paid_micro)


def vat_micro_down(gross_micro: int, vat_bps: int) -> int:
    """The VAT contained in a price that includes it, rounded down."""
    return gross_micro * vat_bps // (10_000 + vat_bps)
