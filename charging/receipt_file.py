"""The receipt file `wattledger.receipt/1` (INTERFACES §5), read strictly: nothing is guessed.

Beyond INTERFACES §5 it names the charger, the host and the charge's times, and it is *attested*:
all but the attestation is signed by the record key (EIP-191, over `ATTESTED` and the file's RFC
8785 JSON). So nobody else can change even what the chain does not have: VAT, currency, notes, the
share of neighbours' sun.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from charging.canonical_json import canonical_json
from charging.orders import UINT64_MAX, UINT256_MAX, ChargeOrder, ChargeRecord, ChargerId, SessionId
from charging.tariffs import PRICE_MAX, ChargeTariff
from ledger.errors import LedgerError, OutOfRange
from ledger.json_fields import (
    BadField,
    Fields,
    Reader,
    choice,
    flag,
    if_any,
    instant_s,
    listed,
    octets,
    refuse,
    text,
    whole,
    whole_text,
)
from ledger.keccak import checksum_address, personal_digest
from ledger.units import BPS, REGISTER_WH_MAX, Address, Hash32

FORMAT: Final = "wattledger.receipt/1"
ATTESTATION: Final = "attestation"
ATTESTED: Final = "Wattledger receipt\n"  # Stands before what is attested: it is nothing else.
SIGNERS: Final = ("charger", "host")
KINDS: Final = ("ocmf", "meter_values", "none")
ADDRESS_BYTES: Final = 20
SIGNATURE_BYTES_MAX: Final = 1_024
CHAIN_ID_MAX: Final = 2**53 - 1
CONNECTORS_MAX: Final = 99


@dataclass(eq=False, kw_only=True)
class BadReceipt(LedgerError):
    """A receipt file that does not have the form of INTERFACES §5."""

    code: ClassVar[str] = "bad_receipt"
    field: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptEvidence:
    """What the record was made from."""

    kind: str
    hash: Hash32
    data: str  # OCMF records as received, or the RFC 8785 JSON of the meter values used.
    verified: bool
    signer: str | None  # Public key that signed the OCMF records, hex; None: not verified.


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt as its file states it; nothing of it has been checked."""

    chain_id: int
    escrow: Address
    session_id: SessionId
    charge_point_id: str
    connector_id: int
    order: ChargeOrder
    order_signature: bytes
    record: ChargeRecord
    record_signature: bytes
    record_key: Address
    host: Address
    evidence: ReceiptEvidence | None
    energy_wh: int
    time_s: int
    idle_s: int
    started_at_s: int
    stopped_at_s: int
    deposit_micro: int
    paid_micro: int
    refunded_micro: int
    sun_wh: int | None
    vat_bps: int
    vat_micro: int
    open_tx: Hash32
    close_tx: Hash32
    attested: Hash32  # Digest of everything that the file says.
    attestation: bytes  # Signature of it.


def attested_digest(document: Mapping[str, Any]) -> Hash32:
    """What the record key signs of a receipt's JSON.

    Raises:
        OutOfRange: a number or character that RFC 8785 does not have.
    """
    said = {name: value for name, value in document.items() if name != ATTESTATION}
    return personal_digest(ATTESTED + canonical_json(said))


def typed_json(words: Mapping[str, Any]) -> dict[str, Any]:
    """Typed data as it stands in JSON: EIP-712 names, numbers as decimal strings (INTERFACES)."""
    said: dict[str, Any] = {}
    for name, value in words.items():
        if isinstance(value, Mapping):
            said[name] = typed_json(value)
        elif isinstance(value, bytes):
            is_address = len(value) == ADDRESS_BYTES
            said[name] = checksum_address(value) if is_address else "0x" + value.hex()
        else:
            said[name] = str(value)
    return said


def receipt_from_json(document: object) -> Receipt:
    """Reads a receipt file's JSON object.

    Raises:
        BadReceipt: naming the field and the rule that it breaks.
    """
    try:
        return _receipt(document)
    except BadField as error:
        raise BadReceipt(field=error.field, rule=error.rule) from error
    except OutOfRange as error:
        raise BadReceipt(field=error.field, rule=error.detail) from error


def _receipt(document: object) -> Receipt:
    top = Fields(document, "")
    if top.take("format", text) != FORMAT:
        refuse("format", f"must be {FORMAT!r}")
    top.take("record_signer", choice(SIGNERS))
    for words in ("stop_reason", "currency"):
        top.take(words, text)
    transactions = Fields(top.take("transactions", _any), "transactions")
    receipt: dict[str, Any] = {
        "chain_id": top.take("chain_id", whole(1, CHAIN_ID_MAX)),
        "escrow": Address(top.take("escrow", octets(20))),
        "session_id": SessionId(top.take("session_id", octets(32))),
        "charge_point_id": top.take("charge_point_id", text),
        "connector_id": top.take("connector_id", whole(1, CONNECTORS_MAX)),
        "order": top.take("order", _order),
        "order_signature": top.take("order_signature", _signature),
        "record": top.take("record", _record),
        "record_signature": top.take("record_signature", _signature),
        "record_key": Address(top.take("record_key", octets(20))),
        "host": Address(top.take("host", octets(20))),
        "evidence": top.take("evidence", if_any(_evidence)),
        "energy_wh": top.take("energy_wh", whole(0, REGISTER_WH_MAX)),
        "time_s": top.take("time_s", whole(0, CHAIN_ID_MAX)),
        "idle_s": top.take("idle_s", whole(0, CHAIN_ID_MAX)),
        "started_at_s": top.take("started_at", instant_s),
        "stopped_at_s": top.take("stopped_at", instant_s),
        "deposit_micro": top.take("deposit_micro", _amount),
        "paid_micro": top.take("paid_micro", _amount),
        "refunded_micro": top.take("refunded_micro", _amount),
        "sun_wh": top.take("sun_wh", if_any(whole(0, REGISTER_WH_MAX))),
        "vat_bps": top.take("vat_bps", whole(0, BPS)),
        "vat_micro": top.take("vat_micro", _amount),
        "open_tx": Hash32(transactions.take("open", octets(32))),
        "close_tx": Hash32(transactions.take("close", octets(32))),
        "attestation": top.take(ATTESTATION, _signature),
    }
    transactions.done()
    top.done()
    assert isinstance(document, dict)  # noqa: S101 (its fields were taken)
    return Receipt(**receipt, attested=attested_digest(document))


def _order(value: object, path: str) -> ChargeOrder:
    fields = Fields(value, path)
    order = ChargeOrder(
        driver=Address(fields.take("driver", octets(20))),
        charger_id=ChargerId(fields.take("chargerId", octets(32))),
        deposit_micro=fields.take("depositMicro", _uint64),
        tariff=fields.take("tariff", _tariff),
        valid_until_s=fields.take("validUntil", _uint64),
        nonce=fields.take("nonce", _uint(UINT256_MAX)),
    )
    fields.done()
    return order


def _tariff(value: object, path: str) -> ChargeTariff:
    fields, price = Fields(value, path), _uint(PRICE_MAX)
    tariff = ChargeTariff(
        energy_per_kwh=fields.take("energyPerKwh", price),
        start_fee=fields.take("startFee", price),
        time_per_hour=fields.take("timePerHour", price),
        idle_per_hour=fields.take("idlePerHour", price),
    )
    fields.done()
    return tariff


def _record(value: object, path: str) -> ChargeRecord:
    fields = Fields(value, path)
    taken: dict[str, Any] = {
        "session_id": SessionId(fields.take("sessionId", octets(32))),
        "start_wh": fields.take("startWh", _uint64),
        "stop_wh": fields.take("stopWh", _uint64),
        "started_at_s": fields.take("startedAt", _uint64),
        "stopped_at_s": fields.take("stoppedAt", _uint64),
        "idle_s": fields.take("idleS", _uint64),
        "evidence_hash": Hash32(fields.take("evidenceHash", octets(32))),
    }
    fields.done()
    try:
        return ChargeRecord(**taken)
    except OutOfRange as error:
        first, *others = error.field.split("_")
        name = first + "".join(other.title() for other in others)  # EIP-712's: `stop_wh`, stopWh.
        refuse(f"{path}.{name}", f"must be between {error.value_min} and {error.value_max}")


def _evidence(value: object, path: str) -> ReceiptEvidence:
    fields = Fields(value, path)
    for words in ("start_from", "stop_from"):
        fields.take(words, text)
    fields.take("notes", listed(text))
    fields.take("not_billed_wh", whole(0, REGISTER_WH_MAX))
    evidence = ReceiptEvidence(
        kind=fields.take("kind", choice(KINDS)),
        hash=Hash32(fields.take("hash", octets(32))),
        data=fields.take("data", text),
        verified=fields.take("verified", flag),
        signer=fields.take("signer", if_any(text)),
    )
    fields.done()
    return evidence


def _any(value: object, _path: str) -> object:
    return value


def _signature(value: object, path: str) -> bytes:
    """65 bytes from a key; what a contract wallet takes (ERC-1271) has any length."""
    digits = text(value, path).removeprefix("0x")
    if len(digits) > 2 * SIGNATURE_BYTES_MAX:
        refuse(path, f"must be at most {SIGNATURE_BYTES_MAX} bytes")
    return octets(len(digits) // 2)(value, path)


def _uint(value_max: int) -> Reader[int]:
    """A number of typed data: a decimal string; an integer is accepted (INTERFACES)."""
    rule = f"must be a decimal string from 0 to {value_max}"
    read_text, read_whole = whole_text(0, value_max, rule), whole(0, value_max)

    def read(value: object, path: str) -> int:
        return read_text(value, path) if isinstance(value, str) else read_whole(value, path)

    return read


_uint64 = _uint(UINT64_MAX)
_amount = whole_text(0, UINT64_MAX, f"must be a decimal string from 0 to {UINT64_MAX}")
