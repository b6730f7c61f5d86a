"""Elements of OCPI 2.2.1 tariffs: when they hold, and what each dimension costs with VAT."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from charging.tariff_fields import decimal_of, list_of, mapping_of, refuse, require_known, text_of
from charging.tariff_tables import (
    EVERY_DAY,
    MINUTES_PER_DAY,
    MINUTES_PER_WEEK,
    Day,
    TariffTable,
    day_of,
    minute_of_day,
    normal_table,
)
from charging.tariffs import ChargeTariff
from ledger.units import BPS, MICRO_PER_TOKEN

PRICE_OF: Final = {  # OCPI's TariffDimensionType.
    "ENERGY": "energy_per_kwh",
    "FLAT": "start_fee",
    "TIME": "time_per_hour",
    "PARKING_TIME": "idle_per_hour",
}
PERCENT: Final = 100
_COMPONENT_NAMES: Final = frozenset({"type", "price", "vat", "step_size"})
_BY_TIME: Final = frozenset({"start_time", "end_time", "day_of_week"})
_EXACT: Final = Context(prec=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """When an element holds, and what it says of which dimension."""

    days: tuple[Day, ...]
    start_minute: int
    end_minute: int
    prices: Mapping[str, int]  # By the names of `ChargeTariff`.
    vats_bps: frozenset[int]  # Of the prices that are not zero.

    def holds(self, minute_of_week: int) -> bool:
        day, minute = divmod(minute_of_week, MINUTES_PER_DAY)
        if self.start_minute < self.end_minute:
            return Day(day) in self.days and self.start_minute <= minute < self.end_minute
        return minute >= self.start_minute or minute < self.end_minute  # On every day.


def element_of(value: object, prefix: str) -> Element:
    parts = mapping_of(value, prefix[:-1])
    require_known(parts, {"price_components", "restrictions"}, prefix)
    restrictions = mapping_of(parts.get("restrictions") or {}, f"{prefix}restrictions")
    for name, stated in restrictions.items():
        if stated is not None and name not in _BY_TIME:
            refuse(f"{prefix}restrictions.{name}", "the escrow prices by time of day alone")
    components = list_of(parts.get("price_components"), f"{prefix}price_components", len(PRICE_OF))
    prices: dict[str, int] = {}
    vats_bps: set[int] = set()
    for place, component in enumerate(components):
        name, price, vat_bps = _component(component, f"{prefix}price_components.{place}.")
        if name in prices:
            refuse(f"{prefix}price_components.{place}.type", "each dimension once")
        prices[name] = price
        if price:
            vats_bps.add(vat_bps)
    days, start_minute, end_minute = _when(restrictions, f"{prefix}restrictions.")
    return Element(
        days=days,
        start_minute=start_minute,
        end_minute=end_minute,
        prices=prices,
        vats_bps=frozenset(vats_bps),
    )


def _when(restrictions: Mapping[str, object], prefix: str) -> tuple[tuple[Day, ...], int, int]:
    times = {
        name: minute_of_day(text_of(restrictions.get(name), prefix + name), prefix + name)
        for name in ("start_time", "end_time")
        if restrictions.get(name) is not None
    }
    start_minute = times.get("start_time", 0)
    end_minute = times.get("end_time", 0) or MINUTES_PER_DAY  # 00:00 is the end of the day.
    stated = restrictions.get("day_of_week")
    names = list_of(stated, f"{prefix}day_of_week", len(Day)) if stated is not None else []
    days = tuple(
        sorted(
            {
                day_of(text_of(name, f"{prefix}day_of_week"), f"{prefix}day_of_week")
                for name in names
            }
        )
    )
    if start_minute in {end_minute, MINUTES_PER_DAY}:
        refuse(f"{prefix}start_time", "before or after end_time")
    if end_minute < start_minute and len(days or EVERY_DAY) < len(EVERY_DAY):
        rule = "past midnight on some days only: of which day is the rest? Write two elements"
        refuse(f"{prefix}day_of_week", rule)
    return days or EVERY_DAY, start_minute, end_minute


def _component(value: object, prefix: str) -> tuple[str, int, int]:
    """Name of the price, price in micro-tokens with VAT, VAT."""
    parts = mapping_of(value, prefix[:-1])
    require_known(parts, _COMPONENT_NAMES, prefix)
    kind = text_of(parts.get("type"), f"{prefix}type")
    if kind not in PRICE_OF:
        refuse(f"{prefix}type", f"one of {', '.join(PRICE_OF)}")
    vat = decimal_of(parts["vat"], f"{prefix}vat") if parts.get("vat") is not None else Decimal(0)
    vat_bps = _EXACT.multiply(vat, Decimal(BPS // PERCENT))
    if vat_bps != int(vat_bps) or vat_bps > BPS:
        refuse(f"{prefix}vat", "from 0 to 100 per cent, in hundredths of a per cent")
    price = decimal_of(parts.get("price"), f"{prefix}price")
    scaled = _EXACT.multiply(price, Decimal(MICRO_PER_TOKEN * (BPS + int(vat_bps))))
    micro = _EXACT.divide(scaled, Decimal(BPS))
    if micro != int(micro):
        refuse(f"{prefix}price", "whole micro-tokens once VAT is added")
    step_size = parts.get("step_size")
    if type(step_size) is not int or step_size < 0:
        refuse(f"{prefix}step_size", "a whole number")
    if kind != "FLAT" and price and step_size > 1:
        refuse(f"{prefix}step_size", "1: the escrow bills every Wh and every second, not steps")
    return PRICE_OF[kind], int(micro), int(vat_bps)


def table_of(elements: list[Element], time_zone: str) -> TariffTable:
    cuts = {0, *range(0, MINUTES_PER_WEEK, MINUTES_PER_DAY)}
    for element in elements:
        for day in Day:
            cuts.add(day * MINUTES_PER_DAY + element.start_minute)
            cuts.add((day * MINUTES_PER_DAY + element.end_minute) % MINUTES_PER_WEEK)
    starts = sorted(cuts)
    pieces = [
        (start, end, _prices_at(elements, start))
        for start, end in zip(starts, [*starts[1:], MINUTES_PER_WEEK], strict=True)
    ]
    return normal_table(pieces, time_zone).normal()


def _prices_at(elements: list[Element], minute_of_week: int) -> ChargeTariff:
    holding = [element for element in elements if element.holds(minute_of_week)]
    if not holding:
        day, minute = divmod(minute_of_week, MINUTES_PER_DAY)
        where = f"{Day(day).name} {minute // 60:02}:{minute % 60:02}"
        refuse("elements", f"one without restrictions: none holds on {where}")
    prices: dict[str, int] = {}
    for element in holding:
        prices = {**element.prices, **prices}  # What an earlier one says counts.
    return ChargeTariff(**prices)


def one_vat(elements: list[Element]) -> int:
    vats = frozenset[int]().union(*(element.vats_bps for element in elements))
    if len(vats) > 1:
        refuse("vat", "the same for all prices: a receipt states one")
    return max(vats, default=0)
