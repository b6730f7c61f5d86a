"""What a receipt states is recomputed; whoever changes or invents a figure is named by it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from charging.receipt_checks import check_alone, check_with_chain
from charging.simulator.ocmf import OcmfSigner, SignedReading
from ledger.checks import Check
from ledger.units import Address, Hash32, from_unix_s
from tests.receipt_files import (
    DRIVER,
    START_S,
    closed_of,
    evidence_document,
    facts_of,
    meter_values,
    opened_of,
    read,
    receipt_document,
)

NAMES_ALONE = [
    *("session", "charger", "order", "record", "evidence"),
    *("energy", "cost", "deposit", "vat", "attestation"),
]
NAMES = [*NAMES_ALONE, "chain", "escrow", "opened", "closed", "refund"]


def failed(checks: Iterable[Check]) -> dict[str, str]:
    """The first failure of each name."""
    found: dict[str, str] = {}
    for check in checks:
        if not check.passed:
            found.setdefault(check.name, check.detail)
    return found


def ocmf(start_wh: int, stop_wh: int) -> tuple[str, str]:
    """A signed record of a charge, and the key that signed it."""
    signer = OcmfSigner.made()
    begin = SignedReading(at=from_unix_s(START_S), register_wh=start_wh)
    end = SignedReading(at=begin.at + timedelta(hours=1), register_wh=stop_wh)
    return signer.sign(begin, end, id_token="A", point="CP1"), signer.public_key_hex


def test_a_good_receipt_passes_every_check() -> None:
    receipt = read(receipt_document())
    checks = [*check_alone(receipt), *check_with_chain(receipt, facts_of(receipt))]
    assert failed(checks) == {}
    assert list(dict.fromkeys(check.name for check in checks)) == NAMES


@pytest.mark.parametrize(
    ("field", "value", "name", "words"),
    [
        ("session_id", "0x" + "5e" * 32, "session", "session_id: stated 0x5e5e"),
        ("chain_id", 1, "session", "session_id"),
        ("escrow", "0x" + "e6" * 20, "session", "session_id"),
        ("charge_point_id", "CP2", "charger", "charge_point_id, connector_id"),
        ("connector_id", 1, "charger", "charge_point_id, connector_id"),
        ("order_signature", "0x" + "11" * 65, "order", "order_signature: v is 27 or 28"),
        ("order_signature", "0x", "order", "order_signature: a signature has 65 bytes"),
        ("record_signature", "0x" + "11" * 65, "record", "record_signature: v is 27 or 28"),
        ("energy_wh", 10_124, "energy", "energy_wh: stated 10124, is 10123"),
        ("time_s", 3_001, "energy", "time_s: stated 3001, is 3000"),
        ("idle_s", 601, "energy", "idle_s: stated 601, is 600"),
        ("started_at", "2026-11-25T09:46:41Z", "energy", "started_at: stated"),
        ("stopped_at", "2026-11-25T09:46:41Z", "energy", "stopped_at: stated"),
        ("sun_wh", 10_124, "energy", "sun_wh: 10124 Wh of 10123 Wh"),
        ("paid_micro", "5297971", "cost", "paid_micro: stated 5297971, is 5297970"),
        ("refunded_micro", "1", "deposit", "deposit_micro: stated 20000000, is 5297971"),
        ("deposit_micro", "19999999", "deposit", "deposit_micro: stated 19999999"),
        ("vat_micro", "1", "vat", "vat_micro: stated 1, is 845894"),
        ("vat_bps", 700, "vat", "vat_micro: stated 845894"),
    ],
)
def test_a_host_that_signs_another_figure_is_found(
    field: str, value: object, name: str, words: str
) -> None:
    found = failed(check_alone(read(receipt_document(**{field: value}))))
    assert found[name].startswith(words)
    assert "attestation" not in found  # The host's key signed even that.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sun_wh", None),
        ("currency", "CHF"),
        ("stop_reason", "Local"),
        ("record_signer", "charger"),
    ],
)
def test_what_the_chain_does_not_have_cannot_be_changed_without_the_record_key(
    field: str, value: object
) -> None:
    document = receipt_document()
    assert document[field] != value
    assert list(failed(check_alone(read({**document, field: value})))) == ["attestation"]


def test_notes_cannot_be_changed_without_the_record_key() -> None:
    document = receipt_document()
    for change in ({"notes": []}, {"not_billed_wh": 1}, {"start_from": "meterStart 0 Wh"}):
        changed = {**document, "evidence": document["evidence"] | change}
        assert list(failed(check_alone(read(changed)))) == ["attestation"]


def test_another_key_than_the_registered_one_is_found_on_the_chain() -> None:
    good = read(receipt_document())
    forged = read(receipt_document(record_key=DRIVER))
    assert failed(check_alone(forged)) == {}
    facts = facts_of(good)
    assert {"opened", "closed"} == set(failed(check_with_chain(forged, facts)))


# Evidence.


def test_data_that_was_not_hashed_is_found() -> None:
    evidence = evidence_document(meter_values(("meterStart", "910000"), ("meterStop", "920123")))
    other = meter_values(("meterStart", "900000"), ("meterStop", "920123"))
    found = failed(check_alone(read(receipt_document(evidence=evidence | {"data": other}))))
    assert found["evidence"].startswith("hash of evidence.data: stated")


def test_a_hash_that_is_not_the_records_is_found() -> None:
    document = receipt_document()
    document["evidence"] |= {"hash": "0x" + "11" * 32}
    assert failed(check_alone(read(document)))["evidence"].startswith("evidence.hash: stated")


def test_more_energy_than_the_meter_values_say_is_found() -> None:
    found = failed(check_alone(read(receipt_document(billed_wh=10_124))))
    assert found == {"evidence": "energy_wh: 10124 Wh are billed, 10123 Wh are measured"}
    assert failed(check_alone(read(receipt_document(billed_wh=10_122)))) == {}


@pytest.mark.parametrize(
    ("values", "unit", "proved_wh"),
    [
        ([("sample", "0"), ("sample", "4.5"), ("sample", "0"), ("sample", "5.6")], "kWh", 10_100),
        ([("sample", "1.2"), ("Transaction.End", "11.3")], "Whe3", 10_100),
        ([("sample", "1+2+3"), ("sample", "3001+3002+4103")], "Wh", 10_100),
        ([("sample", "1e+2"), ("sample", "1.02e4")], "Wh", 10_100),
    ],
)
def test_values_of_runs_multipliers_and_phases_add_up(
    values: list[tuple[str, str]], unit: str, proved_wh: int
) -> None:
    evidence = evidence_document(meter_values(*values, unit=unit))
    good = read(receipt_document(evidence=evidence, billed_wh=proved_wh))
    assert failed(check_alone(good)) == {}
    more = read(receipt_document(evidence=evidence, billed_wh=proved_wh + 1))
    assert "measured" in failed(check_alone(more))["evidence"]


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([("meterStart", "0"), ("intervals", "80")], "Wh"),
        ([("sample", "1+2"), ("sample", "30+40")], "mixed"),
    ],
)
def test_energy_that_the_ends_of_the_values_do_not_tell_is_not_doubted(
    values: list[tuple[str, str]], unit: str
) -> None:
    evidence = evidence_document(meter_values(*values, unit=unit))
    assert failed(check_alone(read(receipt_document(evidence=evidence)))) == {}


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ("", "Expecting value"),
        ("[ ]", "RFC 8785"),
        ("[1.5]", "RFC 8785"),
        ("{}", "must be a list"),
        ("[1]", "must be a JSON object"),
        ('["\\ud800"]', "character"),
        (meter_values(("sample", "1")), "a first and a last"),
        (meter_values(("guess", "1"), ("sample", "2")), "must be a source"),
        (meter_values(("sample", "x"), ("sample", "2")), "a decimal number"),
        (meter_values(("sample", "1"), ("sample", "2"), unit="Whe1000"), "a power of ten"),
        (meter_values(("sample", "1"), ("sample", "2"), unit="J"), "the unit is one of"),
    ],
)
def test_meter_values_that_are_none_are_refused_in_words(data: str, rule: str) -> None:
    found = failed(check_alone(read(receipt_document(evidence=evidence_document(data)))))
    assert rule in found["evidence"]


def test_without_any_value_nothing_may_be_billed() -> None:
    nothing = evidence_document("", "none")
    assert failed(check_alone(read(receipt_document(evidence=nothing, billed_wh=0)))) == {}
    found = failed(check_alone(read(receipt_document(evidence=nothing, billed_wh=1))))
    assert found == {"evidence": "energy_wh: 1 Wh are billed, 0 Wh are measured"}


@pytest.mark.parametrize("change", [{"verified": True}, {"signer": "3059"}])
def test_unsigned_values_are_not_called_signed(change: dict[str, Any]) -> None:
    data = meter_values(("meterStart", "910000"), ("meterStop", "920123"))
    evidence = evidence_document(data, **change)
    assert list(failed(check_alone(read(receipt_document(evidence=evidence))))) == ["evidence"]


def test_signed_values_are_verified_again_and_bound_the_energy() -> None:
    data, key = ocmf(910_000, 920_123)
    signed = evidence_document(data, "ocmf", verified=True, signer=key)
    assert failed(check_alone(read(receipt_document(evidence=signed)))) == {}
    found = failed(check_alone(read(receipt_document(evidence=signed, billed_wh=10_124))))
    assert found == {"evidence": "energy_wh: 10124 Wh are billed, 10123 Wh are signed"}


def test_signed_values_of_another_key_are_found() -> None:
    data, _ = ocmf(910_000, 920_123)
    _, other = ocmf(0, 1)
    signed = evidence_document(data, "ocmf", verified=True, signer=other)
    found = failed(check_alone(read(receipt_document(evidence=signed))))
    assert found == {"evidence": "evidence.data: field=SD, rule=signed by the charger's key"}


@pytest.mark.parametrize("change", [{"verified": False}, {"signer": None}])
def test_whether_signed_values_were_verified_is_checked(change: dict[str, Any]) -> None:
    data, key = ocmf(910_000, 920_123)
    signed = evidence_document(data, "ocmf", **({"verified": True, "signer": key} | change))
    found = failed(check_alone(read(receipt_document(evidence=signed))))
    assert found["evidence"].startswith("evidence.verified: stated")


def test_two_signed_records_are_told_apart() -> None:
    signer = OcmfSigner.made()
    at = from_unix_s(START_S)
    first = SignedReading(at=at, register_wh=910_000)
    last = SignedReading(at=at + timedelta(hours=1), register_wh=920_123)
    records = [signer.sign(first, last, id_token="", point="CP1") for _ in range(2)]
    signed = evidence_document(
        "\n".join(records), "ocmf", verified=True, signer=signer.public_key_hex
    )
    assert failed(check_alone(read(receipt_document(evidence=signed)))) == {}


def test_a_receipt_without_evidence_has_no_hash_of_any() -> None:
    document = receipt_document(evidence=None)
    document["evidence"] = None
    found = failed(check_alone(read(document)))
    assert found["evidence"].startswith("record.evidenceHash: stated")


# The chain.


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"chain_id": 1}, "chain", "chain_id: stated 1337, is 1"),
        ({"escrow": Address(b"\x01" * 20)}, "escrow", "escrow: stated 0xe5e5"),
        (
            {"opened": "the chain has no such transaction"},
            "opened",
            "transactions.open: the chain has no such transaction",
        ),
        (
            {"closed": "this session was not closed in it"},
            "closed",
            "transactions.close: this session was not closed in it",
        ),
    ],
)
def test_another_chain_escrow_or_transaction_is_named(
    change: dict[str, Any], name: str, words: str
) -> None:
    receipt = read(receipt_document())
    found = failed(check_with_chain(receipt, facts_of(receipt, **change)))
    assert list(found) == [name]
    assert found[name].startswith(words)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"host": Address(b"\x01" * 20)}, "host"),
        ({"record_key": Address(b"\x01" * 20)}, "record_key"),
        ({"signature": b"\x01" * 65}, "order_signature"),
    ],
)
def test_a_session_that_was_opened_otherwise_is_found(change: dict[str, Any], field: str) -> None:
    receipt = read(receipt_document())
    facts = facts_of(receipt, opened=opened_of(receipt, **change))
    assert failed(check_with_chain(receipt, facts))["opened"].startswith(f"{field}: stated")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start_wh": 1}, "record.startWh"),
        ({"stop_wh": 1}, "record.stopWh"),
        ({"evidence_hash": Hash32(bytes(32))}, "record.evidenceHash"),
        ({"paid_micro": 1}, "paid_micro"),
        ({"refunded_micro": 1}, "refunded_micro"),
        ({"record_signature": b"\x01" * 65}, "record_signature"),
    ],
)
def test_a_session_that_was_closed_otherwise_is_found(change: dict[str, Any], field: str) -> None:
    receipt = read(receipt_document())
    facts = facts_of(receipt, closed=closed_of(receipt, **change))
    assert failed(check_with_chain(receipt, facts))["closed"].startswith(f"{field}: stated")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"started_at_s": START_S + 1}, "startedAt"),
        ({"stopped_at_s": START_S + 3_601}, "stoppedAt"),
        ({"idle_s": 601}, "idleS"),
    ],
)
def test_times_are_those_of_the_record_that_closed_the_session(
    change: dict[str, Any], field: str
) -> None:
    receipt = read(receipt_document())
    record = replace(receipt.record, **change)
    facts = facts_of(receipt, closed=closed_of(receipt, record=record))
    found = failed(check_with_chain(receipt, facts))
    assert found["closed"].startswith(f"record.{field}: stated")


def test_a_refund_that_went_elsewhere_is_found() -> None:
    receipt = read(receipt_document())
    for pushed in ((), (receipt.refunded_micro - 1,)):
        facts = facts_of(receipt, closed=closed_of(receipt, pushed_micro=pushed))
        amount = receipt.refunded_micro
        expected = f"refunded_micro: no transfer of {amount} to the driver"
        assert failed(check_with_chain(receipt, facts)) == {"refund": expected}


def test_a_refund_that_waits_to_be_claimed_is_one() -> None:
    receipt = read(receipt_document())
    closed = closed_of(receipt, pushed_micro=(), owed_micro=(receipt.refunded_micro,))
    checks = list(check_with_chain(receipt, facts_of(receipt, closed=closed)))
    assert failed(checks) == {}
    assert checks[-1].detail == "could not be pushed: it can be claimed"


def test_calls_through_another_contract_are_said_to_be_so() -> None:
    receipt = read(receipt_document())
    facts = facts_of(
        receipt,
        opened=opened_of(receipt, signature=None),
        closed=closed_of(receipt, record=None, record_signature=None),
    )
    checks = list(check_with_chain(receipt, facts))
    assert failed(checks) == {}
    assert sum("through another contract" in check.detail for check in checks) == 2


def test_a_contract_wallets_signature_is_compared_with_the_one_that_the_chain_took() -> None:
    receipt = read(receipt_document(order_signature="0x1234"))
    assert "order" in failed(check_alone(receipt))
    assert failed(check_alone(receipt, driver_is_contract=True)) == {}
    facts = facts_of(receipt, opened=opened_of(receipt, signature=b"\x12\x35"))
    assert list(failed(check_with_chain(receipt, facts))) == ["opened"]


def test_a_deposit_that_was_topped_up_is_the_sum() -> None:
    receipt = read(receipt_document(top_up_micro=5_000_000))
    assert failed([*check_alone(receipt), *check_with_chain(receipt, facts_of(receipt))]) == {}
