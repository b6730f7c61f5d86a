"""What the pages at a charger show, ready to be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from api.pages.charge.places import Charger
from api.pages.charge.prices import (
    Deposit,
    PriceLine,
    deposits_of,
    example_of,
    guard_of,
    headline,
    least_deposit_micro,
    price_lines,
    short_price,
)
from api.pages.words import Words
from api.schemas.chargers import TariffOut

SECONDS_PER_MINUTE: Final = 60
MINUTES_PER_HOUR: Final = 60
WH_PER_KWH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A deposit as a choice."""

    deposit: Deposit
    buys: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerPage:
    """One charger: price first, then example, deposit, button."""

    charger: Charger
    others: Sequence[Charger]  # The other connectors of its charge point.
    answer: str
    prices: Sequence[PriceLine]
    example: str
    vat: str
    until: str | None
    offers: Sequence[Offer]
    least_micro: int
    reserve_micro: int
    full_rate: int  # 1/3,600,000 micro-token a second.
    tariff: Mapping[str, str]  # As an order states it.


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCharger:
    """A charger in the list."""

    charger: Charger
    power: str
    price: str


def charger_page(charger: Charger, others: Sequence[Charger], words: Words) -> ChargerPage:
    """The page of one charger."""
    connector = charger.connector
    key, facts = headline(connector, words)
    guard = guard_of(connector)
    until_at = connector.tariff_until
    return ChargerPage(
        charger=charger,
        others=others,
        answer=words(key, **facts),
        prices=price_lines(connector.tariff, words),
        example=_example(charger, words),
        vat=words("charge.price.vat", percent=words.per_cent(connector.vat_bps)),
        until=None if until_at is None else _until(until_at, words),
        offers=[
            Offer(deposit=deposit, buys=_buys(deposit, words)) for deposit in deposits_of(connector)
        ],
        least_micro=least_deposit_micro(connector),
        reserve_micro=guard.reserve_micro,
        full_rate=guard.full_rate,
        tariff=TariffOut.of(connector.tariff).model_dump(),
    )


def listed(charger: Charger, words: Words) -> ListedCharger:
    """A charger in the list."""
    connector = charger.connector
    return ListedCharger(
        charger=charger,
        power=words.power(connector.power_w),
        price=short_price(connector.tariff, words),
    )


def _example(charger: Charger, words: Words) -> str:
    example = example_of(charger.connector)
    hours, minutes = divmod(example.time_s // SECONDS_PER_MINUTE, MINUTES_PER_HOUR)
    time = (
        words("charge.example.hours", hours=hours, minutes=minutes)
        if hours
        else words("charge.example.minutes", minutes=minutes)
    )
    return words(
        "charge.example",
        kwh=example.energy_wh // WH_PER_KWH,
        time=time,
        cost=words.money_micro(example.cost_micro),
    )


def _until(until_at: datetime, words: Words) -> str:
    return words("charge.price.until", until=words.instant(until_at))


def _buys(deposit: Deposit, words: Words) -> str:
    if deposit.buys_wh is None:
        return words("charge.deposit.buys_any")
    return words("charge.deposit.buys", kwh=deposit.buys_wh // WH_PER_KWH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What stands on the sign of a charger, in one language."""

    language: str
    scan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignPage:
    """A sheet to print."""

    charger: Charger
    url: str
    code: Markup
    signs: Sequence[Sign]
