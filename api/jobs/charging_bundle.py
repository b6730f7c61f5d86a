"""Charging in a bundle file: the same evidence, to JSON and back."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.errors import BadInput
from api.jobs.bundle_fields import bytes_of, hex_of
from api.jobs.charging_evidence import ChargingEvidence, KnownCharger
from charging.desk import SessionState
from charging.escrow_words import order_of, order_words, record_of, record_words
from charging.kept_store import KeptMessage, KeptSession, KeptTopUp
from charging.orders import SessionId, TopUp
from charging.receipt_file import typed_json
from charging.sessions import ChargeSession, Evidence
from ledger.errors import LedgerError
from ledger.keccak import checksum_address
from ledger.units import Address, Hash32, from_unix_s, to_rfc3339, to_unix_s
from metering.instants import parse_instant
from metering.readings import MeterId

ADDRESS_BYTES, HASH_BYTES = 20, 32


def charging_to_json(charging: ChargingEvidence) -> dict[str, Any]:
    """What a bundle says of charging."""
    return {
        "escrow": checksum_address(charging.escrow),
        "chargers": [
            {
                "charge_point_id": each.charge_point_id,
                "connector_id": each.connector_id,
                "meter_id": None if each.meter_id is None else hex_of(each.meter_id),
                "public_key": each.public_key,
                "vat_bps": each.vat_bps,
            }
            for each in charging.chargers.values()
        ],
        "sessions": [_session_to_json(each) for each in charging.sessions],
    }


def charging_from_json(document: Mapping[str, Any]) -> ChargingEvidence:
    """What a bundle said of charging.

    Raises:
        BadInput: a session or charger that is none.
        KeyError, ValueError, TypeError, AttributeError: a field is missing, or of another type.
    """
    chargers = [
        KnownCharger(
            charge_point_id=str(each["charge_point_id"]),
            connector_id=int(each["connector_id"]),
            meter_id=None
            if each["meter_id"] is None
            else MeterId(bytes_of(each["meter_id"], HASH_BYTES)),
            public_key=None if each["public_key"] is None else str(each["public_key"]),
            vat_bps=int(each["vat_bps"]),
        )
        for each in document["chargers"]
    ]
    return ChargingEvidence(
        escrow=Address(bytes_of(document["escrow"], ADDRESS_BYTES)),
        chargers={charger.charger_id: charger for charger in chargers},
        sessions=_sessions(document["sessions"]),
    )


def _sessions(items: Sequence[Mapping[str, Any]]) -> list[KeptSession]:
    sessions = []
    for place, item in enumerate(items):
        try:
            sessions.append(_session_of(item))
        except LedgerError as error:
            raise BadInput(field=f"charging.sessions[{place}]", rule=str(error)) from error
    if len({each.session.session_id for each in sessions}) != len(sessions):
        raise BadInput(field="charging.sessions", rule="one session is there twice")
    return sessions


def _session_to_json(kept: KeptSession) -> dict[str, Any]:
    session, evidence = kept.session, kept.session.evidence
    return {
        "session_id": hex_of(session.session_id),
        "state": session.state.value,
        "charge_point_id": session.charge_point_id,
        "connector_id": session.connector_id,
        "order": typed_json(order_words(session.order)),
        "order_signature": hex_of(session.order_signature),
        "host": checksum_address(session.host),
        "record_key": checksum_address(session.record_key),
        "power_w": session.power_w,
        "last_wh": session.last_wh,
        "vat_bps": session.vat_bps,
        "opened_at": None if session.opened_s is None else _instant(session.opened_s),
        "open_tx": _hex_if_any(session.open_tx),
        "deposit_micro": str(session.deposit_micro),
        "paid_micro": _text_if_any(session.paid_micro),
        "refunded_micro": _text_if_any(session.refunded_micro),
        "close_tx": _hex_if_any(session.close_tx),
        "metered": session.metered,
        "record": None if session.record is None else typed_json(record_words(session.record)),
        "record_signature": _hex_if_any(session.record_signature),
        "evidence": None if evidence is None else _evidence_to_json(evidence),
        "messages": [
            {
                "kind": each.kind,
                "text": each.text,
                "digest": hex_of(each.digest),
                "received_at": _instant(each.received_s),
            }
            for each in kept.messages
        ],
        "top_ups": [
            {
                "nonce": str(each.top_up.nonce),
                "add_micro": str(each.top_up.add_micro),
                "signature": hex_of(each.signature),
            }
            for each in kept.top_ups
        ],
    }


def _evidence_to_json(evidence: Evidence) -> dict[str, Any]:
    return {
        "kind": evidence.kind,
        "hash": hex_of(evidence.hash),
        "text": evidence.text,
        "verified": evidence.verified,
        "signer": evidence.signer,
        "start_from": evidence.start_from,
        "stop_from": evidence.stop_from,
        "notes": list(evidence.notes),
        "left_out_wh": evidence.left_out_wh,
        "message_count": evidence.message_count,
        "settled_at": _instant(evidence.settled_s),
        "replayed": [hex_of(digest) for digest in evidence.replayed],
    }


def _evidence_of(item: Mapping[str, Any]) -> Evidence:
    return Evidence(
        kind=str(item["kind"]),
        hash=Hash32(bytes_of(item["hash"], HASH_BYTES)),
        text=str(item["text"]),
        verified=_flag(item["verified"]),
        signer=str(item["signer"]),
        start_from=str(item["start_from"]),
        stop_from=str(item["stop_from"]),
        notes=tuple(str(note) for note in item["notes"]),
        left_out_wh=int(item["left_out_wh"]),
        message_count=int(item["message_count"]),
        settled_s=_unix_s(item["settled_at"]),
        replayed=tuple(Hash32(bytes_of(digest, HASH_BYTES)) for digest in item["replayed"]),
    )


def _session_of(item: Mapping[str, Any]) -> KeptSession:
    session = ChargeSession(
        session_id=SessionId(bytes_of(item["session_id"], HASH_BYTES)),
        number=0,
        order=order_of(_words(item["order"])),
        order_signature=bytes_of(item["order_signature"]),
        charge_point_id=str(item["charge_point_id"]),
        connector_id=int(item["connector_id"]),
        host=Address(bytes_of(item["host"], ADDRESS_BYTES)),
        record_key=Address(bytes_of(item["record_key"], ADDRESS_BYTES)),
        power_w=int(item["power_w"]),
        last_wh=int(item["last_wh"]),
        vat_bps=int(item["vat_bps"]),
        state=SessionState(item["state"]),
        created_s=0,
        opened_s=None if item["opened_at"] is None else _unix_s(item["opened_at"]),
        open_tx=_hash_if_any(item["open_tx"]),
        deposit_micro=int(item["deposit_micro"]),
        paid_micro=_int_if_any(item["paid_micro"]),
        refunded_micro=_int_if_any(item["refunded_micro"]),
        close_tx=_hash_if_any(item["close_tx"]),
        metered=_flag(item["metered"]),
        record=None if item["record"] is None else record_of(_words(item["record"])),
        record_signature=None
        if item["record_signature"] is None
        else bytes_of(item["record_signature"]),
        evidence=None if item["evidence"] is None else _evidence_of(item["evidence"]),
    )
    messages = [
        KeptMessage(
            kind=str(each["kind"]),
            text=str(each["text"]),
            digest=bytes_of(each["digest"], HASH_BYTES),
            received_s=_unix_s(each["received_at"]),
        )
        for each in item["messages"]
    ]
    top_ups = [
        KeptTopUp(
            top_up=TopUp(
                session_id=session.session_id,
                add_micro=int(each["add_micro"]),
                nonce=int(each["nonce"]),
            ),
            signature=bytes_of(each["signature"]),
        )
        for each in item["top_ups"]
    ]
    return KeptSession(session=session, messages=tuple(messages), top_ups=tuple(top_ups))


def _words(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Typed data of JSON in the ABI's values."""
    words: dict[str, Any] = {}
    for name, value in stated.items():
        if isinstance(value, Mapping):
            words[name] = _words(value)
        elif isinstance(value, str) and value.startswith("0x"):
            words[name] = bytes_of(value)
        else:
            words[name] = int(value)
    return words


def _instant(unix_s: int) -> str:
    return to_rfc3339(from_unix_s(unix_s))


def _unix_s(text: str) -> int:
    return to_unix_s(parse_instant(text))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _hex_if_any(data: bytes | None) -> str | None:
    return None if data is None else hex_of(data)


def _text_if_any(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _int_if_any(value: Any) -> int | None:
    return None if value is None else int(value)


def _hash_if_any(text: str | None) -> Hash32 | None:
    return None if text is None else Hash32(bytes_of(text, HASH_BYTES))
