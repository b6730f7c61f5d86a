"""Any text of a charger or a partner is read or refused by name, never an exception of its own."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from charging.canonical_json import Canonical, canonical_json
from charging.errors import BadEvidence, BadMeterValue, BadTariff
from charging.meter_values import wh_down
from charging.ocmf import parse_record, signed_charge_of
from charging.ocpi_tariffs import import_tariff
from charging.tariff_tables import tariff_table_of
from ledger.units import REGISTER_WH_MAX
from tests.ocmf_meter import OcmfMeter

METER = OcmfMeter()
RECORD = METER.both("910.000", "910.083")
KEY = METER.public_key()
plain = st.text(alphabet='OCMF|{}[]":,0123456789abTXRDéß \\', max_size=60)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), plain),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=8,
)


@given(
    wh=st.integers(0, REGISTER_WH_MAX),
    millionths=st.integers(0, 999_999),
    unit=st.sampled_from(("Wh", "kWh", "kwh", "")),
)
def test_any_register_is_read_to_the_wh_below_it(wh: int, millionths: int, unit: str) -> None:
    number = Decimal(wh) + Decimal(millionths).scaleb(-6)
    text = f"{number.scaleb(-3) if unit.lower() == 'kwh' else number:f}"
    assert wh_down(text, unit=unit) == wh


@given(text=st.text(alphabet="0123456789.eE+-_ xNaInf", max_size=30), unit=plain)
def test_any_meter_value_is_read_or_refused(text: str, unit: str) -> None:
    for stated in ("Wh", "kWh", unit):
        with suppress(BadMeterValue):
            assert 0 <= wh_down(text, unit=stated) <= REGISTER_WH_MAX


@given(text=plain, at=st.integers(0, len(RECORD)), cut=st.integers(0, 40))
def test_any_spoilt_record_is_refused(text: str, at: int, cut: int) -> None:
    for spoilt in (text, RECORD[:at] + text + RECORD[at + cut :]):
        try:
            charge = signed_charge_of([spoilt], KEY)
        except BadEvidence:
            continue
        # What still verifies says the same: only what is not signed was changed.
        assert (charge.start_wh, charge.stop_wh) == (910_000, 910_083)
        assert parse_record(spoilt).payload == parse_record(RECORD).payload


@given(key=plain | st.binary(max_size=100).map(bytes.hex))
def test_no_other_key_verifies_a_record(key: str) -> None:
    try:
        signed_charge_of([RECORD], key)
    except BadEvidence:
        return
    raise AssertionError(key)


@settings(max_examples=200)
@given(value=json_values, name=st.sampled_from(("elements", "currency", "id", "last_updated")))
def test_any_json_is_a_tariff_or_is_refused(value: Any, name: str) -> None:
    element = {"price_components": [{"type": "ENERGY", "price": 1, "step_size": 1}]}
    good = {
        "country_code": "DE",
        "party_id": "ALL",
        "id": "1",
        "currency": "EUR",
        "elements": [element],
        "last_updated": "2026-01-01T00:00:00Z",
    }
    documents = [value, {**good, name: value}, {**good, "elements": [{**element, "x": value}]}]
    documents += [{**good, "elements": [{**element, "restrictions": value}]}]
    documents += [{**good, "elements": [{"price_components": [value]}]}]
    for document in documents:
        with suppress(BadTariff):
            import_tariff(json.dumps(document), time_zone="UTC")


@settings(max_examples=200)
@given(value=st.dictionaries(plain, json_values, max_size=3), entry=json_values)
def test_any_table_is_one_or_is_refused(value: dict[str, Any], entry: Any) -> None:
    for tariff in (value, {"table": value}, {"table": {"entries": [entry]}}):
        with suppress(BadTariff):
            tariff_table_of(tariff)


canonical_values = st.recursive(
    st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(value=canonical_values)
def test_canonical_json_reads_as_what_was_written(value: Canonical) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
