"""Whether a signed record is one that the escrow may be paid by (`IChargingEscrow.close`)."""

from collections.abc import Iterator

from charging.derived_charges import DerivedSession
from charging.measured import energy_wh_max
from charging.orders import ChargeRecord
from charging.sessions import OPENING_EARLY_S, SESSION_S_MAX
from charging.tariffs import Split, cost_micro_down, split
from ledger.errors import LedgerError
from ledger.keccak import recover


def problems_of_record(
    session: DerivedSession, record: ChargeRecord, signature: bytes, separator: bytes
) -> Iterator[str]:
    """What is wrong with the record that a session was closed by, in words."""
    if record.session_id != session.session_id:
        yield f"its record is of session 0x{record.session_id.hex()}"
    if problem := problem_of_signature(session, record, signature, separator):
        yield problem
    stated = (session.start_wh, session.stop_wh, session.evidence_hash)
    if stated != (record.start_wh, record.stop_wh, record.evidence_hash):
        yield "its event states other registers, or other evidence, than its record"
    if record.start_wh < session.last_wh:
        yield f"its record starts at {record.start_wh} Wh, below {session.last_wh} Wh"
    if record.started_at_s + OPENING_EARLY_S < session.opened_s:
        yield f"its record starts more than {OPENING_EARLY_S} s before its opening"
    if record.stopped_at_s > min(session.opened_s + SESSION_S_MAX, session.closed_s):
        yield "its record stops in the future, or after its day"
    most_wh = energy_wh_max(session.power_w, record.stopped_at_s - record.started_at_s)
    if record.energy_wh > most_wh:
        yield f"its record states {record.energy_wh} Wh, and at most {most_wh} Wh were possible"
    derived = _split(session, record)
    paid = Split(paid_micro=session.paid_micro, refunded_micro=session.refunded_micro)
    if paid != derived:
        yield (
            f"paid and refunded: stated {paid.paid_micro} and {paid.refunded_micro} micro, "
            f"derived {derived.paid_micro} and {derived.refunded_micro} micro"
        )


def problem_of_signature(
    session: DerivedSession, record: ChargeRecord, signature: bytes, separator: bytes
) -> str:
    """Why a record is not the charger's; empty if it is."""
    try:
        signer = recover(record.digest(separator), signature)
    except LedgerError as error:
        return f"its record's signature is none: {error}"
    if signer != session.record_key:
        return f"its record is signed by 0x{signer.hex()}, not by its record key"
    return ""


def _split(session: DerivedSession, record: ChargeRecord) -> Split:
    cost_micro = cost_micro_down(
        session.order.tariff,
        energy_wh=record.energy_wh,
        time_s=record.time_s,
        idle_s=record.idle_s,
    )
    return split(session.deposit_micro, cost_micro)
