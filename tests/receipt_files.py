"""A good receipt file made from keys alone, and the chain's facts that go with it."""

import json
from collections.abc import Mapping
from typing import Any

from charging.canonical_json import canonical_json
from charging.escrow_words import order_words, record_words
from charging.evidence import NO_EVIDENCE_HASH
from charging.orders import ChargeOrder, ChargeRecord, charger_id_of
from charging.receipt_checks import Closed, Opened, SessionFacts
from charging.receipt_file import Receipt, attested_digest, receipt_from_json, typed_json
from charging.tariffs import ChargeTariff, cost_micro_down, split, vat_micro_down
from ledger.chain.wallet import Wallet
from ledger.keccak import checksum_address, domain_separator, keccak256
from ledger.units import Address, Hash32, from_unix_s, to_rfc3339

CHAIN_ID = 1337
ESCROW = Address(b"\xe5" * 20)
HOST = Address(b"\x40" * 20)
DRIVER, RECORD_KEY = Wallet(b"\x01" * 32), Wallet(b"\x02" * 32)
SEPARATOR = domain_separator(CHAIN_ID, ESCROW)
START_S, START_WH, DEPOSIT_MICRO, VAT_BPS = 1_795_600_000, 910_000, 20_000_000, 1_900
TARIFF = ChargeTariff(
    energy_per_kwh=390_000, start_fee=350_000, time_per_hour=600_000, idle_per_hour=3_000_000
)


def meter_values(*values: tuple[str, str], unit: str = "Wh") -> str:
    """Evidence of unsigned values, each a source and a register."""
    return canonical_json(
        [
            {"source": source, "taken_at": to_rfc3339(from_unix_s(START_S)), "unit": unit}
            | {"value": value}
            for source, value in values
        ]
    )


def evidence_document(data: str, kind: str = "meter_values", **changes: Any) -> dict[str, Any]:
    """The evidence of a receipt."""
    hash_of = NO_EVIDENCE_HASH if kind == "none" else keccak256(data.encode())
    return {
        "kind": kind,
        "hash": "0x" + hash_of.hex(),
        "data": data,
        "verified": False,
        "signer": None,
        "start_from": "meterStart 910000 Wh",
        "stop_from": "meterStop 920123 Wh",
        "notes": ["clock: corrected by 3600 s, or our time taken"],
        "not_billed_wh": 0,
    } | changes


def receipt_document(
    *,
    billed_wh: int = 10_123,
    evidence: Mapping[str, Any] | None = None,
    top_up_micro: int = 0,
    record_key: Wallet = RECORD_KEY,
    **changes: Any,
) -> dict[str, Any]:
    """A receipt as a host's service makes it; with `changes`, one that signs what is not so."""
    order = ChargeOrder(
        driver=DRIVER.address,
        charger_id=charger_id_of("CP1", 2),
        deposit_micro=DEPOSIT_MICRO,
        tariff=TARIFF,
        valid_until_s=START_S + 600,
        nonce=2**255 + 9,
    )
    data = meter_values(("meterStart", "910000"), ("meterStop", "920123"))
    proof = evidence_document(data) if evidence is None else dict(evidence)
    record = ChargeRecord(
        session_id=order.session_id(SEPARATOR),
        start_wh=START_WH,
        stop_wh=START_WH + billed_wh,
        started_at_s=START_S,
        stopped_at_s=START_S + 3_600,
        idle_s=600,
        evidence_hash=Hash32(bytes.fromhex(proof["hash"][2:])),
    )
    cost_micro = cost_micro_down(
        TARIFF, energy_wh=billed_wh, time_s=record.time_s, idle_s=record.idle_s
    )
    deposit_micro = DEPOSIT_MICRO + top_up_micro
    shares = split(deposit_micro, cost_micro)
    document: dict[str, Any] = {
        "format": "wattledger.receipt/1",
        "chain_id": CHAIN_ID,
        "escrow": checksum_address(ESCROW),
        "session_id": "0x" + record.session_id.hex(),
        "charge_point_id": "CP1",
        "connector_id": 2,
        "order": typed_json(order_words(order)),
        "order_signature": "0x" + DRIVER.sign_digest(record.session_id).hex(),
        "record": typed_json(record_words(record)),
        "record_signature": "0x" + record_key.sign_digest(record.digest(SEPARATOR)).hex(),
        "record_signer": "host",
        "record_key": checksum_address(record_key.address),
        "host": checksum_address(HOST),
        "evidence": proof,
        "energy_wh": billed_wh,
        "time_s": record.time_s,
        "idle_s": record.idle_s,
        "started_at": to_rfc3339(from_unix_s(record.started_at_s)),
        "stopped_at": to_rfc3339(from_unix_s(record.stopped_at_s)),
        "stop_reason": "EVDisconnected",
        "deposit_micro": str(deposit_micro),
        "paid_micro": str(shares.paid_micro),
        "refunded_micro": str(shares.refunded_micro),
        "sun_wh": min(4_321, billed_wh),
        "vat_bps": VAT_BPS,
        "vat_micro": str(vat_micro_down(shares.paid_micro, VAT_BPS)),
        "currency": "EUR",
        "transactions": {"open": "0x" + "0a" * 32, "close": "0x" + "0c" * 32},
    }
    document |= changes
    signature = record_key.sign_digest(attested_digest(document))
    return {**document, "attestation": "0x" + signature.hex()}


def read(document: Mapping[str, Any]) -> Receipt:
    """A document as a file would be read."""
    return receipt_from_json(json.loads(json.dumps(document)))


def facts_of(receipt: Receipt, **changes: Any) -> SessionFacts:
    """A chain that agrees with a receipt, but for the changes."""
    values: dict[str, Any] = {
        "chain_id": receipt.chain_id,
        "escrow": receipt.escrow,
        "driver_is_contract": False,
        "opened": opened_of(receipt),
        "closed": closed_of(receipt),
    }
    return SessionFacts(**(values | changes))


def opened_of(receipt: Receipt, **changes: Any) -> Opened:
    """How a session was opened."""
    values: dict[str, Any] = {
        "host": receipt.host,
        "record_key": receipt.record_key,
        "signature": receipt.order_signature,
    }
    return Opened(**(values | changes))


def closed_of(receipt: Receipt, **changes: Any) -> Closed:
    """How a session was closed."""
    values: dict[str, Any] = {
        "start_wh": receipt.record.start_wh,
        "stop_wh": receipt.record.stop_wh,
        "paid_micro": receipt.paid_micro,
        "refunded_micro": receipt.refunded_micro,
        "evidence_hash": receipt.record.evidence_hash,
        "record": receipt.record,
        "record_signature": receipt.record_signature,
        "pushed_micro": (receipt.refunded_micro,),
        "owed_micro": (),
    }
    return Closed(**(values | changes))
