"""Tariffs as OCPI 2.2.1 exchanges them (part 11, Tariffs module), in and out.

What the escrow can price comes in exactly or not at all: prices are without VAT in OCPI and with
VAT here, so each must come out in whole micro-tokens; tiers by energy, time, power or date, least
and largest prices, reservations and steps that would round a bill are refused by name. An element
holds by local time of day and day of the week; of several the first that has a component of a
dimension counts for it, and a dimension that none has is free. A session keeps the prices of its
opening.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NoReturn

from charging.errors import BadTariff
from charging.ocpi_elements import PERCENT, PRICE_OF, element_of, one_vat, table_of
from charging.tariff_fields import list_of, mapping_of, refuse, require_known, text_of
from charging.tariff_tables import EVERY_DAY, MINUTES_PER_DAY, TariffEntry, TariffTable
from charging.tariffs import ChargeTariff
from ledger.json_text import NotJson, require_shallow
from ledger.units import BPS, MICRO_PER_TOKEN, to_rfc3339

ELEMENTS_MAX: Final = 200
ALT_TEXTS_MAX: Final = 100
ALT_TEXT_CHARS_MAX: Final = 512
DECIMALS_MAX: Final = 4  # OCPI 2.2.1 §16.5: numbers use 4 decimals.
TYPES: Final = ("AD_HOC_PAYMENT", "PROFILE_CHEAP", "PROFILE_FAST", "PROFILE_GREEN", "REGULAR")
_NAMES: Final = frozenset(
    {
        *("country_code", "party_id", "id", "currency", "type", "last_updated"),
        *("tariff_alt_text", "tariff_alt_url", "energy_mix"),
        *("min_price", "max_price", "elements", "start_date_time", "end_date_time"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OcpiTariff:
    """A tariff table with what OCPI says besides."""

    country_code: str
    party_id: str
    tariff_id: str
    currency: str  # ISO 4217; one token is one unit of it.
    table: TariffTable
    vat_bps: int
    last_updated: datetime  # Aware UTC.
    kind: str = ""  # OCPI's `type`; empty: for everybody.
    alt_text: tuple[tuple[str, str], ...] = ()  # Language and text.
    valid_from: datetime | None = None  # Aware UTC.
    valid_until: datetime | None = None

    def __post_init__(self) -> None:
        for field, value, shape in (
            ("country_code", self.country_code, r"[A-Za-z]{2}"),
            ("party_id", self.party_id, r"[A-Za-z0-9]{3}"),
            ("id", self.tariff_id, r"[\x20-\x7e]{1,36}"),
            ("currency", self.currency, r"[A-Z]{3}"),
            ("type", self.kind, "|".join(("", *TYPES))),
        ):
            if re.fullmatch(shape, value, re.ASCII) is None:
                refuse(field, f"a text of the shape {shape}")
        if not 0 <= self.vat_bps <= BPS:
            refuse("vat", "from 0 to 100 per cent, in hundredths of a per cent")
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            refuse("end_date_time", "after start_date_time")

    def is_valid_at(self, instant_at: datetime) -> bool:
        """Whether it may be offered at an instant."""
        return (self.valid_from is None or self.valid_from <= instant_at) and (
            self.valid_until is None or instant_at < self.valid_until
        )


def import_tariff(text: str, *, time_zone: str, currency: str | None = None) -> OcpiTariff:
    """A Tariff object from its JSON.

    Args:
        time_zone: of the Location, by its name in the tz database.
        currency: what one token is worth; None: not compared.

    Raises:
        BadTariff: naming the field that the escrow cannot price, or that is not OCPI.
    """
    parts = mapping_of(_parsed(text), "tariff")
    require_known(parts, _NAMES)
    for name in ("min_price", "max_price"):
        if parts.get(name) is not None:
            refuse(name, "the escrow knows neither a least nor a largest price")
    stated = text_of(parts.get("currency"), "currency")
    if currency is not None and stated != currency:
        refuse("currency", f"the token is worth one {currency}")
    elements = list_of(parts.get("elements"), "elements", ELEMENTS_MAX)
    if not elements:
        refuse("elements", "at least one")
    found = [element_of(each, f"elements.{place}.") for place, each in enumerate(elements)]
    return OcpiTariff(
        country_code=text_of(parts.get("country_code"), "country_code"),
        party_id=text_of(parts.get("party_id"), "party_id"),
        tariff_id=text_of(parts.get("id"), "id"),
        currency=stated,
        table=table_of(found, time_zone),
        vat_bps=one_vat(found),
        last_updated=_instant(parts, "last_updated") or refuse("last_updated", "a time"),
        kind=text_of(parts.get("type"), "type") if parts.get("type") is not None else "",
        alt_text=tuple(_alt_texts(parts.get("tariff_alt_text"))),
        valid_from=_instant(parts, "start_date_time"),
        valid_until=_instant(parts, "end_date_time"),
    )


def export_tariff(tariff: OcpiTariff) -> str:
    """The JSON of a Tariff object that `import_tariff` reads as the same tariff.

    Raises:
        BadTariff: a price without VAT does not come out in four decimals.
    """
    table = tariff.table.normal()
    default = table.default or ChargeTariff()
    charged = [
        dimension
        for dimension, name in PRICE_OF.items()
        if any(getattr(each, name) for each in (default, *(e.tariff for e in table.entries)))
    ] or ["ENERGY"]
    elements: list[object] = [
        {
            "price_components": _components(entry.tariff, charged, tariff.vat_bps),
            "restrictions": _restrictions(entry),
        }
        for entry in table.entries
    ]
    elements.append({"price_components": _components(default, charged, tariff.vat_bps)})
    optional = {
        "type": tariff.kind or None,
        "tariff_alt_text": [
            {"language": language, "text": text} for language, text in tariff.alt_text
        ],
        "start_date_time": to_rfc3339(tariff.valid_from) if tariff.valid_from else None,
        "end_date_time": to_rfc3339(tariff.valid_until) if tariff.valid_until else None,
    }
    return _json_text(
        {
            "country_code": tariff.country_code,
            "party_id": tariff.party_id,
            "id": tariff.tariff_id,
            "currency": tariff.currency,
            **{name: value for name, value in optional.items() if value},
            "elements": elements,
            "last_updated": to_rfc3339(tariff.last_updated),
        }
    )


def _components(tariff: ChargeTariff, charged: list[str], vat_bps: int) -> list[object]:
    return [
        {
            "type": dimension,
            "price": _without_vat(getattr(tariff, PRICE_OF[dimension]), vat_bps, dimension),
            "vat": Decimal(vat_bps) / PERCENT,
            "step_size": 1,
        }
        for dimension in charged
    ]


def _without_vat(price_micro: int, vat_bps: int, dimension: str) -> Decimal:
    unit = MICRO_PER_TOKEN // 10**DECIMALS_MAX  # In micro: the last decimal of OCPI.
    steps, rest = divmod(price_micro * BPS, (BPS + vat_bps) * unit)
    if rest:
        refuse(PRICE_OF[dimension], f"without VAT it has more than {DECIMALS_MAX} decimals")
    return Decimal(steps).scaleb(-DECIMALS_MAX)


def _restrictions(entry: TariffEntry) -> dict[str, object]:
    restrictions: dict[str, object] = {}
    if (entry.start_minute, entry.end_minute) != (0, MINUTES_PER_DAY):
        restrictions["start_time"] = _time_of_day(entry.start_minute)
        restrictions["end_time"] = _time_of_day(entry.end_minute % MINUTES_PER_DAY)
    if len(entry.days) < len(EVERY_DAY):
        restrictions["day_of_week"] = [day.name for day in entry.days]
    return restrictions


def _time_of_day(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _alt_texts(value: object) -> Iterator[tuple[str, str]]:
    for place, each in enumerate(list_of(value or [], "tariff_alt_text", ALT_TEXTS_MAX)):
        prefix = f"tariff_alt_text.{place}."
        parts = mapping_of(each, prefix[:-1])
        require_known(parts, {"language", "text"}, prefix)
        text = text_of(parts.get("text"), f"{prefix}text")
        if len(text) > ALT_TEXT_CHARS_MAX:
            refuse(f"{prefix}text", f"at most {ALT_TEXT_CHARS_MAX} characters")
        yield text_of(parts.get("language"), f"{prefix}language"), text


def _parsed(text: str) -> object:
    try:
        require_shallow(text)
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, NotJson) as error:
        raise BadTariff(field="tariff", rule=f"JSON: {str(error)[:200]}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _instant(parts: Mapping[str, object], name: str) -> datetime | None:
    if parts.get(name) is None:
        return None
    text = text_of(parts.get(name), name)
    try:
        at = datetime.fromisoformat(text)
        # OCPI 2.2.1 §16.3: times are UTC, with or without the Z.
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadTariff(field=name, rule="a time like 2026-06-01T00:00:00Z") from error
    return at.replace(microsecond=0)


def _json_text(value: object) -> str:
    """JSON in which decimals are numbers, with the digits that they have."""
    match value:
        case Decimal():
            return f"{value.normalize():f}"
        case dict():
            parts = (f"{json.dumps(name)}:{_json_text(each)}" for name, each in value.items())
            return "{" + ",".join(parts) + "}"
        case list():
            return "[" + ",".join(map(_json_text, value)) + "]"
        case _:
            return json.dumps(value)
