"""What a driver checks of a receipt, one named check after the other (INTERFACES §2 `verify`).

Those of `check_alone` need nothing but the file, the others compare it with what the chain says.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from charging.evidence_checks import check_evidence
from charging.orders import ChargeRecord, SessionId, charger_id_of
from charging.receipt_file import Receipt
from charging.tariffs import cost_micro_down, split, vat_micro_down
from ledger.checks import Check, equal
from ledger.errors import BadSignature, MalleableSignature
from ledger.json_fields import INSTANT_S_MAX, instant_text
from ledger.keccak import domain_separator, recover
from ledger.units import Address, Hash32

NOT_COMPARED: Final = "called through another contract, whose calldata was not compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`SessionOpened` of a session, and the call that brought it."""

    host: Address
    record_key: Address
    signature: bytes | None  # The driver's; None: another contract called the escrow.


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """`SessionClosed` of a session, and the call that brought it."""

    start_wh: int
    stop_wh: int
    paid_micro: int
    refunded_micro: int
    evidence_hash: Hash32
    record: ChargeRecord | None  # None: another contract called the escrow.
    record_signature: bytes | None
    pushed_micro: tuple[int, ...]  # Transfers from the escrow to the driver right after it.
    owed_micro: tuple[int, ...]  # What could not be pushed, and waits for the driver.


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What the chain says that a receipt is compared with; a text says what is missing."""

    chain_id: int
    escrow: Address
    driver_is_contract: bool
    opened: Opened | str
    closed: Closed | str


def check_alone(receipt: Receipt, *, driver_is_contract: bool = False) -> Iterator[Check]:
    """Checks that need the file only: who signed what, energy, cost, deposit, VAT."""
    session_id = session_id_of(receipt)
    yield equal("session", "session_id", receipt.session_id, session_id)
    charger_id = charger_id_of(receipt.charge_point_id, receipt.connector_id)
    field = "charge_point_id, connector_id"
    yield equal("charger", field, charger_id, receipt.order.charger_id)
    if not driver_is_contract:
        driver, signature = receipt.order.driver, receipt.order_signature
        yield _signed("order", "order_signature", session_id, signature, driver)
    yield from _record_checks(receipt)
    yield from check_evidence(receipt)
    yield from _energy_checks(receipt)
    yield from _money_checks(receipt)
    yield _signed(
        "attestation", "attestation", receipt.attested, receipt.attestation, receipt.record_key
    )


def check_with_chain(receipt: Receipt, facts: SessionFacts) -> Iterator[Check]:
    """Checks against the chain: where and how the session was opened, closed and refunded."""
    yield equal("chain", "chain_id", receipt.chain_id, facts.chain_id)
    yield equal("escrow", "escrow", receipt.escrow, facts.escrow)
    if isinstance(facts.opened, str):
        yield _failed("opened", f"transactions.open: {facts.opened}")
    else:
        yield from _opened_checks(receipt, facts.opened)
    if isinstance(facts.closed, str):
        yield _failed("closed", f"transactions.close: {facts.closed}")
    else:
        yield from _closed_checks(receipt, facts.closed)
        yield _refund_check(receipt, facts.closed)


def session_id_of(receipt: Receipt) -> SessionId:
    """The order's digest, under the file's chain and escrow."""
    return receipt.order.session_id(domain_separator(receipt.chain_id, receipt.escrow))


def _record_checks(receipt: Receipt) -> Iterator[Check]:
    record = receipt.record
    yield equal("record", "record.sessionId", record.session_id, receipt.session_id)
    digest = record.digest(domain_separator(receipt.chain_id, receipt.escrow))
    yield _signed(
        "record", "record_signature", digest, receipt.record_signature, receipt.record_key
    )


def _energy_checks(receipt: Receipt) -> Iterator[Check]:
    record = receipt.record
    yield equal("energy", "energy_wh", receipt.energy_wh, record.energy_wh)
    yield equal("energy", "time_s", receipt.time_s, record.time_s)
    yield equal("energy", "idle_s", receipt.idle_s, record.idle_s)
    for field, stated_s, found_s in (
        ("started_at", receipt.started_at_s, record.started_at_s),
        ("stopped_at", receipt.stopped_at_s, record.stopped_at_s),
    ):
        yield equal(
            "energy", field, instant_text(stated_s), instant_text(min(found_s, INSTANT_S_MAX))
        )
    if receipt.sun_wh is not None and receipt.sun_wh > record.energy_wh:
        yield _failed("energy", f"sun_wh: {receipt.sun_wh} Wh of {record.energy_wh} Wh")


def _money_checks(receipt: Receipt) -> Iterator[Check]:
    cost_micro = cost_micro_down(
        receipt.order.tariff,
        energy_wh=receipt.record.energy_wh,
        time_s=receipt.record.time_s,
        idle_s=receipt.record.idle_s,
    )
    shares = split(receipt.deposit_micro, cost_micro)
    yield equal("cost", "paid_micro", receipt.paid_micro, shares.paid_micro)
    together_micro = receipt.paid_micro + receipt.refunded_micro
    yield equal("deposit", "deposit_micro", receipt.deposit_micro, together_micro)
    if receipt.deposit_micro < receipt.order.deposit_micro:
        ordered_micro = receipt.order.deposit_micro
        yield _failed("deposit", f"deposit_micro: less than the order's {ordered_micro}")
    vat_micro = vat_micro_down(receipt.paid_micro, receipt.vat_bps)
    yield equal("vat", "vat_micro", receipt.vat_micro, vat_micro)


def _opened_checks(receipt: Receipt, opened: Opened) -> Iterator[Check]:
    yield equal("opened", "host", receipt.host, opened.host)
    yield equal("opened", "record_key", receipt.record_key, opened.record_key)
    if opened.signature is None:
        yield Check(name="opened", passed=True, detail=NOT_COMPARED)
    else:
        yield equal("opened", "order_signature", receipt.order_signature, opened.signature)


def _closed_checks(receipt: Receipt, closed: Closed) -> Iterator[Check]:
    record = receipt.record
    yield equal("closed", "record.startWh", record.start_wh, closed.start_wh)
    yield equal("closed", "record.stopWh", record.stop_wh, closed.stop_wh)
    yield equal("closed", "record.evidenceHash", record.evidence_hash, closed.evidence_hash)
    yield equal("closed", "paid_micro", receipt.paid_micro, closed.paid_micro)
    yield equal("closed", "refunded_micro", receipt.refunded_micro, closed.refunded_micro)
    deposit_micro = closed.paid_micro + closed.refunded_micro
    yield equal("closed", "deposit_micro", receipt.deposit_micro, deposit_micro)
    if closed.record is None:
        yield Check(name="closed", passed=True, detail=NOT_COMPARED)
        return
    for field, part in _RECORD_PARTS.items():
        yield equal("closed", f"record.{field}", part(record), part(closed.record))
    yield equal("closed", "record_signature", receipt.record_signature, closed.record_signature)


_RECORD_PARTS: Final[dict[str, Callable[[ChargeRecord], object]]] = {
    "sessionId": lambda record: record.session_id,
    "startedAt": lambda record: record.started_at_s,
    "stoppedAt": lambda record: record.stopped_at_s,
    "idleS": lambda record: record.idle_s,
}


def _refund_check(receipt: Receipt, closed: Closed) -> Check:
    amount_micro = receipt.refunded_micro
    if amount_micro == 0 or amount_micro in closed.pushed_micro:
        return Check(name="refund", passed=True, detail="paid in the closing transaction")
    if amount_micro in closed.owed_micro:
        return Check(name="refund", passed=True, detail="could not be pushed: it can be claimed")
    return _failed("refund", f"refunded_micro: no transfer of {amount_micro} to the driver")


def _signed(name: str, field: str, digest: bytes, signature: bytes, signer: Address) -> Check:
    try:
        found = recover(digest, signature)
    except (BadSignature, MalleableSignature) as error:
        return _failed(name, f"{field}: {error.rule}")
    if found != signer:
        return _failed(name, f"{field}: what is stated was not signed by 0x{signer.hex()}")
    return Check(name=name, passed=True, detail=field)


def _failed(name: str, detail: str) -> Check:
    return Check(name=name, passed=False, detail=detail)
