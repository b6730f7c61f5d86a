"""What a charge costs, in words and in the order that people are owed: the price first.

The order is AFIR's (Regulation (EU) 2023/1804, Art. 5(4)): per kWh, per minute, per start, other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.pages.words import Words
from charging.desk import ConnectorView
from charging.guard import Guard
from charging.tariffs import ChargeTariff, cost_micro_down
from ledger.units import MICRO_PER_TOKEN, NANO_PER_MICRO

EXAMPLE_WH: Final = 30_000
PRESETS_WH: Final = (10_000, 30_000, 60_000)  # What the deposits that are offered are good for.
LIKED_PRESET: Final = 1
ROUND_STEPS: Final = (1, 2, 5)
MINUTES_PER_HOUR: Final = 60
SECONDS_PER_HOUR: Final = 3_600
WH_PER_KWH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """One part of a price."""

    name: str
    value: str
    exact: str = ""  # By the hour, where the minute is not all of it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A deposit that is offered."""

    amount_micro: int
    buys_wh: int | None  # Until the guard stops the charge, at full power; None: any.
    is_liked: bool  # Chosen until the driver chooses.


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A charge of `EXAMPLE_WH` at full power."""

    energy_wh: int
    time_s: int
    cost_micro: int


def guard_of(connector: ConnectorView) -> Guard:
    """What watches over a deposit at a charger."""
    return Guard(
        tariff=connector.tariff, power_w=connector.power_w, interval_s=connector.interval_s
    )


def price_lines(tariff: ChargeTariff, words: Words) -> list[PriceLine]:
    """The parts of a price that are not free, in their order; of a free one the energy."""
    return list(_price_lines(tariff, words)) or [
        PriceLine(name=words("charge.price.energy"), value=words.money_micro(0))
    ]


def _price_lines(tariff: ChargeTariff, words: Words) -> Iterator[PriceLine]:
    if tariff.energy_per_kwh:
        value = words.money_micro(tariff.energy_per_kwh)
        yield PriceLine(name=words("charge.price.energy"), value=value)
    if tariff.time_per_hour:
        yield _by_the_minute(words("charge.price.time"), tariff.time_per_hour, words)
    if tariff.start_fee:
        value = words.money_micro(tariff.start_fee)
        yield PriceLine(name=words("charge.price.start"), value=value)
    if tariff.idle_per_hour:
        yield _by_the_minute(words("charge.price.idle"), tariff.idle_per_hour, words)


def _by_the_minute(name: str, per_hour: int, words: Words) -> PriceLine:
    """Exact by the hour; by the minute rounded up where that is no whole number."""
    per_minute = -(-per_hour // MINUTES_PER_HOUR)
    value = words.money_micro(per_minute)
    if per_hour % MINUTES_PER_HOUR:
        value = words("charge.price.about", price=value)
    exact = words("charge.price.hourly", price=words.money_micro(per_hour))
    return PriceLine(name=name, value=value, exact=exact)


def short_price(tariff: ChargeTariff, words: Words) -> str:
    """A price in one line, for lists."""
    return ", ".join(f"{line.value} {line.name}" for line in price_lines(tariff, words))


def example_of(connector: ConnectorView) -> Example:
    """What a usual charge comes to."""
    time_s = EXAMPLE_WH * SECONDS_PER_HOUR // connector.power_w
    cost_micro = cost_micro_down(connector.tariff, energy_wh=EXAMPLE_WH, time_s=time_s, idle_s=0)
    return Example(energy_wh=EXAMPLE_WH, time_s=time_s, cost_micro=cost_micro)


def deposits_of(connector: ConnectorView) -> list[Deposit]:
    """Round deposits for a short, a usual and a long charge."""
    guard = guard_of(connector)
    least_micro = least_deposit_micro(connector)
    amounts = [
        _round_up(max(guard.deposit_micro_for(energy_wh), least_micro)) for energy_wh in PRESETS_WH
    ]
    liked_micro = amounts[LIKED_PRESET]
    return [
        Deposit(
            amount_micro=amount_micro,
            buys_wh=guard.energy_wh_of(amount_micro),
            is_liked=amount_micro == liked_micro,
        )
        for amount_micro in sorted(set(amounts))
    ]


def least_deposit_micro(connector: ConnectorView) -> int:
    """The smallest deposit that is taken and makes sense."""
    return max(connector.deposit_micro_min, guard_of(connector).deposit_micro_min)


def _round_up(amount_micro: int) -> int:
    """The next 1, 2, 5, 10, 20, … tokens."""
    scale_micro = MICRO_PER_TOKEN
    while True:
        for step in ROUND_STEPS:
            if step * scale_micro >= amount_micro:
                return step * scale_micro
        scale_micro *= 10


def headline(connector: ConnectorView, words: Words) -> tuple[str, dict[str, object]]:
    """The sentence that people came for: its key and its facts."""
    tariff, example = connector.tariff, example_of(connector)
    if not example.cost_micro and not tariff.idle_per_hour:
        return "charge.answer.free", {}
    facts: dict[str, object] = {
        "kwh": example.energy_wh // WH_PER_KWH,
        "cost": words.about_nano(example.cost_micro * NANO_PER_MICRO),
    }
    if not tariff.energy_per_kwh:
        return "charge.answer.no_energy_price", facts
    return "charge.answer", facts | {"price": words.money_micro(tariff.energy_per_kwh)}
