"""Whether a record follows from its evidence, and its evidence from the charger's messages."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Final

from charging.derived_charges import DerivedSession
from charging.errors import BadEvidence
from charging.evidence import NO_EVIDENCE_HASH
from charging.kept_store import UNREADABLE, KeptSession
from charging.ocmf import signed_charge_of, signed_digest
from charging.orders import ChargeRecord, SessionId
from charging.sessions import ChargeSession, Evidence
from charging.settling import ChargeTerms, settled_charge
from ledger.keccak import keccak256
from ledger.units import Hash32, from_unix_s

SHOWN_CHARS_MAX: Final = 120


def problems_of_evidence(
    record: ChargeRecord, evidence: Evidence | None, public_key: str | None
) -> Iterator[str]:
    """What is wrong with a stored evidence, by itself and beside its record.

    Args:
        public_key: the charger's configured one, if it has one.
    """
    if evidence is None:
        yield "its evidence is missing"
        return
    found_hash = keccak256(evidence.text.encode()) if evidence.text else NO_EVIDENCE_HASH
    if not found_hash == evidence.hash == record.evidence_hash:
        yield "its evidence is not what its record's evidence hash says"
    if evidence.kind != "ocmf":
        if evidence.verified:
            yield "its evidence is not signed, and is said to be verified"
        return
    try:
        signed = signed_charge_of(evidence.records(), public_key)
    except BadEvidence as error:
        yield f"its signed values are not the charger's: {error}"
        return
    if (evidence.verified, evidence.signer) != (signed.verified, signed.public_key):
        yield "its signed values were verified by another key than is said"
    if record.energy_wh > signed.energy_wh:
        yield f"{record.energy_wh} Wh were billed, and {signed.energy_wh} Wh are signed"


def problems_of_messages(kept: KeptSession) -> Iterator[str]:
    """Which of a charge's messages are not what was written down."""
    for place, message in enumerate(kept.messages, start=1):
        try:
            message.event()
        except ValueError as error:
            yield f"message {place} of its charger {error}"


def problems_of_settling(
    kept: KeptSession, derived: DerivedSession, public_key: str | None
) -> Iterator[str]:
    """What its charger's messages come to, compared with the stored record and evidence.

    The messages are what was written down (`problems_of_messages`).
    """
    record, evidence, messages = kept.session.record, kept.session.evidence, kept.messages
    if record is None or evidence is None or not (messages or evidence.message_count):
        return
    if not 0 < evidence.message_count <= len(messages):
        yield (
            f"its record was made from {evidence.message_count} messages of its charger, "
            f"{len(messages)} are kept"
        )
        return
    terms = ChargeTerms(
        session_id=kept.session.session_id,
        tariff=derived.order.tariff,
        last_wh=derived.last_wh,
        power_w=derived.power_w,
        opened_at=from_unix_s(derived.opened_s),
        public_key=public_key,
    )
    try:
        again, proof = settled_charge(
            terms,
            terms.track(message.event() for message in messages[: evidence.message_count]),
            message_count=evidence.message_count,
            now_at=from_unix_s(evidence.settled_s),
            replayed=evidence.replayed,
        )
    except UNREADABLE as error:
        yield f"its charger's messages give no record: {error}"
        return
    yield from _differences("record", record, again)
    yield from _differences("evidence", evidence, proof)


def problems_of_replays(sessions: Iterable[ChargeSession]) -> Iterator[tuple[SessionId, str]]:
    """Sessions whose signed records prove an earlier one."""
    proved: dict[Hash32 | None, SessionId] = {}
    for session in sessions:
        for text in session.evidence.records() if session.evidence else ():
            first = proved.setdefault(signed_digest(text), session.session_id)
            if first != session.session_id:
                yield session.session_id, f"its signed values prove session 0x{first.hex()}"


def _differences(what: str, stored: ChargeRecord | Evidence, again: object) -> Iterator[str]:
    for field in fields(stored):
        was, now = getattr(stored, field.name), getattr(again, field.name)
        if was != now:
            yield (
                f"its charger's messages give another {what}: "
                f"{field.name} {_show(was)}, derived {_show(now)}"
            )


def _show(value: object) -> str:
    text = "0x" + value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"
