"""What a charge's record was made from: signed and unsigned values side by side, and their hash.

`evidenceHash` (INTERFACES §4) is keccak256 of the OCMF record as received; of two records, of both
with a line feed between them; else of the RFC 8785 JSON of the meter values used; else zero. Where
signed and unsigned values disagree the smaller energy is billed, and the difference is listed for
the host (DESIGN §3).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from charging.canonical_json import canonical_json
from charging.clocks import EARLIEST_BEFORE_OPENING
from charging.errors import BadEvidence
from charging.measured import (
    Measured,
    Note,
    NoteKind,
    RegisterValue,
    Source,
    energy_wh_max,
)
from charging.ocmf import TIMES_TRUSTED, SignedCharge, is_ocmf, signed_charge_of, signed_digest
from charging.sessions import Evidence
from ledger.keccak import keccak256
from ledger.units import REGISTER_WH_MAX, Hash32

NO_EVIDENCE_HASH: Final = Hash32(bytes(32))
SIGNED_SLACK: Final = timedelta(seconds=300)  # A meter may sign its last value so late.


def ocmf_text(records: Iterable[str]) -> str:
    """The records of one charge, as received, a line feed between two."""
    return "\n".join(records)


def ocmf_hash(records: Iterable[str]) -> Hash32:
    """`evidenceHash` of signed values."""
    return keccak256(ocmf_text(records).encode())


def meter_values_text(values: Iterable[RegisterValue]) -> str:
    """RFC 8785 JSON of the meter values used."""
    return canonical_json([value.evidence() for value in values])


def meter_values_hash(values: Sequence[RegisterValue]) -> Hash32:
    """`evidenceHash` of unsigned values; zero if there are none."""
    return keccak256(meter_values_text(values).encode()) if values else NO_EVIDENCE_HASH


def with_evidence(
    measured: Measured,
    signed_texts: Iterable[str],
    public_key: str | None,
    *,
    last_wh: int,
    power_w: int,
    opened_at: datetime,
    replayed: Collection[Hash32] = (),
) -> tuple[Measured, Evidence]:
    """A settled charge as it is billed, and what proves it; never raises for what was received.

    Args:
        measured: `EnergyTrack.settle`'s.
        signed_texts: of `EnergyTrack.signed_values`.
        public_key: the charger's configured one, if it has one.
        last_wh: the charger's last register, as the escrow knows it.
        power_w: the charger's registered power.
        opened_at: block time of the session's opening, aware UTC.
        replayed: digests of signed records that prove another session already, and so not this.
    """
    given = list(signed_texts)
    texts = [text for text in given if not replayed or signed_digest(text) not in replayed]
    if left_out := len(given) - len(texts):
        detail = f"{left_out} signed records are of an earlier session"
        measured = _noted(measured, NoteKind.SIGNED_REPLAYED, detail)
    try:
        signed = signed_charge_of(filter(is_ocmf, texts), public_key) if texts else None
    except BadEvidence as error:
        signed = None
        measured = _noted(measured, NoteKind.SIGNED_UNUSABLE, error.detail)
    if signed is not None and (statuses := _outside(signed, opened_at, measured.stopped_at)):
        # Beside unsigned values it can only lower the bill, so its clock alone does not exclude it.
        is_datable = not TIMES_TRUSTED.isdisjoint(statuses)
        is_used = bool(measured.values) or not (is_datable or signed.start_wh < last_wh)
        verdict = "its clock may be off" if is_used else "not of this charge"
        detail = f"signed from {signed.started_at:%FT%TZ} to {signed.stopped_at:%FT%TZ}: {verdict}"
        measured = _noted(measured, NoteKind.SIGNED_OUTSIDE, detail)
        signed = signed if is_used else None
    if signed is None:
        return measured, _evidence(measured, None)
    agreed = agree(measured, signed, last_wh=last_wh, power_w=power_w)
    left_out_wh = abs(measured.energy_wh - signed.energy_wh) if measured.values else 0
    return agreed, _evidence(agreed, signed, left_out_wh=left_out_wh)


def _outside(signed: SignedCharge, opened_at: datetime, stopped_at: datetime) -> tuple[str, ...]:
    """The time statuses of those of its two readings that are not of the session's time."""
    times = (
        (signed.started_at, signed.start_time_status),
        (signed.stopped_at, signed.time_status),
    )
    earliest_at, latest_at = opened_at - EARLIEST_BEFORE_OPENING, stopped_at + SIGNED_SLACK
    return tuple(status for at, status in times if not earliest_at <= at <= latest_at)


def _noted(measured: Measured, kind: NoteKind, detail: str) -> Measured:
    note = Note(kind=kind, detail=detail)
    return replace(measured, notes=tuple(sorted((*measured.notes, note))))


def agree(measured: Measured, signed: SignedCharge, *, last_wh: int, power_w: int) -> Measured:
    """The smaller of signed and unsigned energy, within the escrow's bounds."""
    most_wh = min(energy_wh_max(power_w, measured.duration_s), REGISTER_WH_MAX - last_wh)
    energy_wh = min(signed.energy_wh, most_wh)
    notes = list(measured.notes)
    if signed.energy_wh > most_wh:
        detail = f"{signed.energy_wh} Wh are signed, {most_wh} Wh possible"
        notes.append(Note(kind=NoteKind.POWER_CAPPED, detail=detail))
    if measured.values and measured.energy_wh != signed.energy_wh:
        detail = f"{signed.energy_wh} Wh are signed, {measured.energy_wh} Wh are not"
        notes.append(Note(kind=NoteKind.SIGNED_DIFFERS, detail=detail))
    if measured.values and measured.energy_wh < energy_wh:
        return replace(measured, notes=tuple(sorted(notes)))
    start_wh = max(min(signed.start_wh, REGISTER_WH_MAX - energy_wh), last_wh)
    if signed.start_wh < last_wh:
        detail = f"{signed.start_wh} Wh is below the last record, {last_wh} Wh"
        notes.append(Note(kind=NoteKind.SHIFTED, detail=detail))
    return replace(
        measured,
        start_wh=start_wh,
        stop_wh=start_wh + energy_wh,
        measured_at=measured.measured_at or measured.stopped_at,
        start=_signed_value(signed.start_wh, signed, measured, at_start=True),
        stop=_signed_value(signed.stop_wh, signed, measured, at_start=False),
        notes=tuple(sorted(set(notes))),
    )


def _signed_value(
    register_wh: int, signed: SignedCharge, measured: Measured, *, at_start: bool
) -> RegisterValue:
    return RegisterValue(
        register_wh=register_wh,
        taken_at=measured.started_at if at_start else measured.stopped_at,
        source=Source.SIGNED,
        text=str(register_wh),
        charger_at=signed.started_at if at_start else signed.stopped_at,
        received_at=measured.stopped_at,
    )


def _evidence(measured: Measured, signed: SignedCharge | None, left_out_wh: int = 0) -> Evidence:
    if signed is not None:
        kind, text, hash_of = "ocmf", ocmf_text(signed.records), ocmf_hash(signed.records)
    elif measured.values:
        kind, text = "meter_values", meter_values_text(measured.values)
        hash_of = meter_values_hash(measured.values)
    else:
        kind, text, hash_of = "none", "", NO_EVIDENCE_HASH
    notes = [f"{note.kind}: {note.detail}" for note in measured.notes]
    if signed is not None and not signed.verified:
        notes.append(f"not verified: {signed.reason}")
    return Evidence(
        kind=kind,
        hash=hash_of,
        text=text,
        verified=signed is not None and signed.verified,
        signer=signed.public_key if signed is not None else "",
        start_from=_where_from(measured.start),
        stop_from=_where_from(measured.stop),
        notes=tuple(notes),
        left_out_wh=left_out_wh,
    )


def _where_from(value: RegisterValue | None) -> str:
    return f"{value.source.value} {value.text} {value.unit}" if value else "the last record"
