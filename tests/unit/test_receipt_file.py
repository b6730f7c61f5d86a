"""Receipt files are read strictly: every field, in its one form, and nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from charging.receipt_file import BadReceipt, receipt_from_json
from ledger.json_text import NotJson, parse_json
from tests.receipt_files import receipt_document

Change = Callable[[dict[str, Any]], Any]


def refused(document: object) -> BadReceipt:
    with pytest.raises(BadReceipt) as found:
        receipt_from_json(document)
    assert found.value.code == "bad_receipt"
    return found.value


def test_a_good_receipt_is_read() -> None:
    receipt = receipt_from_json(receipt_document())
    assert receipt.order.deposit_micro == receipt.deposit_micro == 20_000_000
    assert receipt.record.energy_wh == receipt.energy_wh == 10_123


def test_numbers_of_typed_data_may_be_integers() -> None:
    document = receipt_document()
    document["order"]["depositMicro"] = 20_000_000
    document["record"]["startWh"] = 910_000
    assert receipt_from_json(document).record.start_wh == 910_000


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_what_is_no_object_is_no_receipt(document: object) -> None:
    assert refused(document).field == "file"


def test_a_field_that_is_missing_or_new_is_named_at_every_level() -> None:
    document = receipt_document()
    places: list[tuple[str, dict[str, Any]]] = [
        ("", document),
        ("order.", document["order"]),
        ("order.tariff.", document["order"]["tariff"]),
        ("record.", document["record"]),
        ("evidence.", document["evidence"]),
        ("transactions.", document["transactions"]),
    ]
    for path, part in places:
        for name in list(part):
            value = part.pop(name)
            error = refused(document)
            assert (error.field, error.rule) == (f"{path}{name}", "is missing")
            part[name] = value
        part["extra"] = 1
        assert refused(document).field == f"{path}extra"
        del part["extra"]
    receipt_from_json(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "wattledger.receipt/2"),
        ("chain_id", "1337"),
        ("chain_id", 0),
        ("chain_id", 2**53),
        ("escrow", "0x12"),
        ("session_id", "5e" * 32),
        ("charge_point_id", 1),
        ("connector_id", 0),
        ("connector_id", True),
        ("order", None),
        ("order.driver", "0x" + "00" * 21),
        ("order.depositMicro", "020000000"),
        ("order.depositMicro", str(2**64)),
        ("order.depositMicro", -1),
        ("order.tariff", []),
        ("order.tariff.startFee", str(10**12 + 1)),
        ("order.nonce", str(2**256)),
        ("order_signature", "0x1"),
        ("order_signature", "0x" + "00" * 1_025),
        ("record.startWh", str(10**12 + 1)),
        ("record.stopWh", "909999"),
        ("record.stoppedAt", "1"),
        ("record.idleS", "3601"),
        ("record.evidenceHash", ""),
        ("record_signer", "operator"),
        ("evidence.kind", "video"),
        ("evidence.verified", 0),
        ("evidence.notes", "none"),
        ("evidence.notes", [1]),
        ("evidence.not_billed_wh", -1),
        ("energy_wh", 1.0),
        ("energy_wh", "10123"),
        ("started_at", "2026-11-25T09:46:40+00:00"),
        ("paid_micro", 5_297_970),
        ("paid_micro", "-1"),
        ("paid_micro", "1e6"),
        ("sun_wh", "1"),
        ("vat_bps", 10_001),
        ("transactions.open", None),
        ("attestation", None),
    ],
)
def test_a_field_of_another_form_is_named(path: str, value: object) -> None:
    document = receipt_document()
    part: Any = document
    *parents, name = path.split(".")
    for parent in parents:
        part = part[parent]
    part[name] = value
    assert refused(document).field.startswith(path)


@pytest.mark.parametrize("where", ["currency", "stop_reason", "charge_point_id"])
def test_half_of_a_surrogate_pair_is_refused_and_never_hashed(where: str) -> None:
    text = json.dumps({**receipt_document(), where: "\ud800"})
    assert refused(parse_json(text)).field == "character"


@pytest.mark.parametrize(
    "text", ['{"format": 1, "format": 2}', "[" * 100_000, '{"sun_wh": NaN}', '{"sun_wh": 1e999}']
)
def test_json_that_two_readers_could_take_for_two_things_is_none(text: str) -> None:
    with pytest.raises(NotJson):
        parse_json(text)
