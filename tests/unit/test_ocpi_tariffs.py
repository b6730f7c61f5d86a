"""OCPI 2.2.1 tariffs: what comes in, what goes out, what is refused by name."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from charging.errors import BadTariff
from charging.ocpi_tariffs import OcpiTariff, export_tariff, import_tariff
from charging.tariff_tables import tariff_table_of
from charging.tariffs import ChargeTariff

# OCPI 2.2.1 §11.4.2, "Tariff with different prices by time of day" in kind: shortened.
TARIFF: dict[str, Any] = {
    "country_code": "DE",
    "party_id": "ALL",
    "id": "14",
    "currency": "EUR",
    "type": "REGULAR",
    "tariff_alt_text": [
        {"language": "en", "text": "0.30 per kWh, nights 0.25"},
        {"language": "de", "text": "0,30 je kWh, nachts 0,25"},
    ],
    "elements": [
        {
            "price_components": [{"type": "ENERGY", "price": 0.20, "vat": 25, "step_size": 1}],
            "restrictions": {"start_time": "22:00", "end_time": "06:00"},
        },
        {
            "price_components": [
                {"type": "PARKING_TIME", "price": 4.0, "vat": 25.00, "step_size": 1}
            ],
            "restrictions": {
                "start_time": "09:00",
                "end_time": "18:00",
                "day_of_week": ["SATURDAY", "SUNDAY"],
            },
        },
        {
            "price_components": [
                {"type": "FLAT", "price": 0.5, "vat": 25, "step_size": 300},
                {"type": "ENERGY", "price": 0.24, "vat": 25, "step_size": 1},
                {"type": "TIME", "price": 0.0, "vat": 20, "step_size": 900},
            ]
        },
    ],
    "start_date_time": "2026-01-01T00:00:00Z",
    "end_date_time": "2027-01-01T00:00:00Z",
    "last_updated": "2026-01-01T12:00:00Z",
}


def imported(document: dict[str, Any]) -> OcpiTariff:
    return import_tariff(json.dumps(document), time_zone="Europe/Berlin", currency="EUR")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_first_element_that_holds_counts_for_each_dimension() -> None:
    tariff = imported(TARIFF)
    assert tariff.vat_bps == 2_500
    friday_noon, friday_night, sunday_noon = (
        tariff.table.at(utc(text))
        for text in ("2026-03-06T11:00", "2026-03-06T23:00", "2026-03-08T11:00")
    )
    assert friday_noon == ChargeTariff(energy_per_kwh=300_000, start_fee=625_000)
    assert friday_night == ChargeTariff(energy_per_kwh=250_000, start_fee=625_000)
    assert sunday_noon == ChargeTariff(
        energy_per_kwh=300_000, start_fee=625_000, idle_per_hour=5_000_000
    )


def test_it_is_valid_between_its_dates() -> None:
    tariff = imported(TARIFF)
    assert not tariff.is_valid_at(utc("2025-12-31T23:59:59"))
    assert tariff.is_valid_at(utc("2026-01-01T00:00"))
    assert not tariff.is_valid_at(utc("2027-01-01T00:00"))


def test_what_goes_out_comes_in_as_the_same() -> None:
    tariff = imported(TARIFF)
    again = import_tariff(export_tariff(tariff), time_zone="Europe/Berlin")
    assert again == tariff


def test_prices_go_out_as_decimals_without_vat() -> None:
    tariff = imported(TARIFF)
    text = export_tariff(tariff)
    assert '{"type":"ENERGY","price":0.24,"vat":25,"step_size":1}' in text
    assert "e-" not in text.lower().replace("energy", "").replace("time-", "")


def test_prices_come_in_from_their_digits_and_never_through_a_float() -> None:
    document = json.dumps(TARIFF).replace('"price": 0.24', '"price": 0.2400000000000000000000001')
    with pytest.raises(BadTariff):
        import_tariff(document, time_zone="UTC")
    exact = json.dumps(TARIFF).replace('"price": 0.24', '"price": 0.3120008')
    assert import_tariff(exact, time_zone="UTC").table.default == ChargeTariff(
        energy_per_kwh=390_001, start_fee=625_000
    )


def test_a_price_that_has_no_end_without_vat_does_not_go_out() -> None:
    tariff = OcpiTariff(
        country_code="DE",
        party_id="ALL",
        tariff_id="1",
        currency="EUR",
        table=tariff_table_of({"energy_per_kwh": 390_000}),
        vat_bps=1_900,
        last_updated=utc("2026-01-01T00:00"),
    )
    with pytest.raises(BadTariff) as refused:
        export_tariff(tariff)
    assert refused.value.field == "energy_per_kwh"


def test_a_free_tariff_goes_out_and_comes_in() -> None:
    free = OcpiTariff(
        country_code="DE",
        party_id="ALL",
        tariff_id="free",
        currency="EUR",
        table=tariff_table_of({}),
        vat_bps=0,
        last_updated=utc("2026-01-01T00:00"),
    )
    assert import_tariff(export_tariff(free), time_zone="UTC").table.default == ChargeTariff()


def changed(path: str, value: object) -> dict[str, Any]:
    document = deepcopy(TARIFF)
    *parts, last = path.split(".")
    where: Any = document
    for part in parts:
        where = where[int(part)] if part.isdecimal() else where[part]
    where[int(last) if last.isdecimal() else last] = value
    return document


COMPONENT = "elements.2.price_components.1"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("min_price", {"excl_vat": 1.0}, "min_price"),
        ("max_price", {"excl_vat": 9.0, "incl_vat": 9.9}, "max_price"),
        ("currency", "USD", "currency"),
        ("country_code", "DEU", "country_code"),
        ("party_id", None, "party_id"),
        ("id", "", "id"),
        ("type", "FREE_FOR_ALL", "type"),
        ("tax_included", "YES", "tax_included"),
        ("elements", [], "elements"),
        ("elements", {}, "elements"),
        ("last_updated", None, "last_updated"),
        ("last_updated", "yesterday", "last_updated"),
        ("end_date_time", "2025-01-01T00:00:00Z", "end_date_time"),
        ("tariff_alt_text", ["hello"], "tariff_alt_text.0"),
        ("elements.0.restrictions.min_kwh", 10, "elements.0.restrictions.min_kwh"),
        ("elements.0.restrictions.max_kwh", 10, "elements.0.restrictions.max_kwh"),
        ("elements.0.restrictions.min_power", 16.0, "elements.0.restrictions.min_power"),
        ("elements.0.restrictions.max_current", 32, "elements.0.restrictions.max_current"),
        ("elements.0.restrictions.min_duration", 9, "elements.0.restrictions.min_duration"),
        ("elements.0.restrictions.start_date", "2026-01-01", "elements.0.restrictions.start_date"),
        (
            "elements.0.restrictions.reservation",
            "RESERVATION",
            "elements.0.restrictions.reservation",
        ),
        ("elements.0.restrictions.day_of_week", ["MONDAY"], "elements.0.restrictions.day_of_week"),
        ("elements.0.restrictions.start_time", "25:00", "elements.0.restrictions.start_time"),
        ("elements.0.restrictions.start_time", "06:00", "elements.0.restrictions.start_time"),
        ("elements.2.restrictions", {"start_time": "09:00"}, "elements"),
        (f"{COMPONENT}.type", "POWER", f"{COMPONENT}.type"),
        (f"{COMPONENT}.type", "FLAT", f"{COMPONENT}.type"),
        (f"{COMPONENT}.step_size", 1_000, f"{COMPONENT}.step_size"),
        (f"{COMPONENT}.step_size", 0.5, f"{COMPONENT}.step_size"),
        (f"{COMPONENT}.step_size", None, f"{COMPONENT}.step_size"),
        (f"{COMPONENT}.price", -0.1, f"{COMPONENT}.price"),
        (f"{COMPONENT}.price", "0.24", f"{COMPONENT}.price"),
        (f"{COMPONENT}.price", 0.2400001, f"{COMPONENT}.price"),
        (f"{COMPONENT}.price", True, f"{COMPONENT}.price"),
        (f"{COMPONENT}.price", 10**30, f"{COMPONENT}.price"),
        (f"{COMPONENT}.price", 999_999_999.0, "energy_per_kwh"),
        (f"{COMPONENT}.vat", 19, "vat"),
        (f"{COMPONENT}.vat", 101, f"{COMPONENT}.vat"),
        (f"{COMPONENT}.vat", 7.125, f"{COMPONENT}.vat"),
        (f"{COMPONENT}.discount", 1, f"{COMPONENT}.discount"),
    ],
)
def test_what_the_escrow_cannot_price_is_refused_by_its_name(
    path: str, value: object, field: str
) -> None:
    with pytest.raises(BadTariff) as refused:
        imported(changed(path, value))
    assert refused.value.field == field


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"a": NaN}', "[" * 100_000, '{"a": ' + "9" * 5_000 + "}"]
)
def test_what_is_no_tariff_at_all_is_refused(text: str) -> None:
    with pytest.raises(BadTariff):
        import_tariff(text, time_zone="UTC")


def test_nulls_are_as_good_as_nothing() -> None:
    document = changed("min_price", None)
    document["elements"][2]["restrictions"] = None
    document["elements"][0]["restrictions"]["min_kwh"] = None
    assert imported(document) == imported(TARIFF)
