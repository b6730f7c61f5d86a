"""How a charge ended, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.cli.context import Outcome
from api.cli.money import kwh_exact, tokens_exact
from api.driver.answers import Session
from api.jobs.verify import Verdict
from charging.desk import SessionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A session at its end."""

    session: Session
    currency: str
    stop_asked: bool


def placed_outcome(session: Session) -> Outcome:
    """A session that is left to itself."""
    session_id = f"0x{session.session_id.hex()}"
    return Outcome(
        document=_document(session),
        text=f"session {session_id} is {session.state.value}; --session {session_id} follows it",
    )


def ended_outcome(
    ended: Ended,
    *,
    receipt: Mapping[str, Any] | None = None,
    verdict: Verdict | None = None,
    file: Path | None = None,
    endpoint: str = "",
) -> Outcome:
    """A session that is over; well, if it was paid and its receipt agrees, or stopped in time."""
    session = ended.session
    if receipt is None or verdict is None:
        passed = ended.stop_asked and session.state is SessionState.CANCELLED
        return Outcome(document=_document(session), text=_unpaid(ended), passed=passed)
    again = f"--session {_hex(session.session_id)} --receipt FILE writes it"
    if file is not None:
        again = f"{file}; check it again: wattledger verify {file} --rpc {endpoint}"
    failed = [f"{check.name}: {check.detail}" for check in verdict.checks if not check.passed]
    return Outcome(
        document={
            **_document(session),
            "vat_micro": receipt["vat_micro"],
            "sun_wh": receipt["sun_wh"],
            "record_signer": receipt["record_signer"],
            "receipt": None if file is None else str(file),
            "verified": verdict.passed,
            "failed": failed,
        },
        text=_paid(ended, receipt, verdict, again),
        passed=verdict.passed,
    )


def _document(session: Session) -> dict[str, Any]:
    return {
        "session_id": f"0x{session.session_id.hex()}",
        "state": session.state.value,
        "reason": session.reason,
        "charger": session.charge_point_id,
        "connector": session.connector_id,
        "energy_wh": session.energy_wh,
        "time_s": session.time_s,
        "idle_s": session.idle_s,
        "deposit_micro": str(session.deposit_micro),
        "paid_micro": None if session.paid_micro is None else str(session.paid_micro),
        "refunded_micro": None if session.refunded_micro is None else str(session.refunded_micro),
        "transactions": {"open": _hex(session.open_tx), "close": _hex(session.close_tx)},
    }


def _unpaid(ended: Ended) -> str:
    session, currency = ended.session, ended.currency
    reason = f": {session.reason}" if session.reason else ""
    if session.state is SessionState.FAILED:
        return f"Nothing was charged, and the deposit was never taken{reason}."
    back = tokens_exact(session.refunded_micro or 0)
    return f"Nothing was charged{reason}. All {back} {currency} are back in your wallet."


def _paid(ended: Ended, receipt: Mapping[str, Any], verdict: Verdict, again: str) -> str:
    session, currency = ended.session, ended.currency
    deposit = tokens_exact(session.deposit_micro)
    paid, refunded = (
        tokens_exact(amount or 0) for amount in (session.paid_micro, session.refunded_micro)
    )
    vat = tokens_exact(int(receipt["vat_micro"]))
    head = f"{kwh_exact(session.energy_wh)} kWh in {_span(session.time_s + session.idle_s)}"
    costs = f"for {paid} {currency} ({vat} VAT in it)"
    lines = [
        f"{head} {costs}; {refunded} of {deposit} {currency} came back.",
        f"deposit   {deposit} {currency}, transaction {_hex(session.open_tx)}",
        f"refund    {refunded} {currency}, transaction {_hex(session.close_tx)}",
        f"measured  {_evidence(receipt)}",
        f"signed    by the {_SIGNERS[receipt['record_signer']]}",
        f"checked   {_checked(verdict)}",
        f"receipt   {again}",
    ]
    return "\n".join(lines)


_SIGNERS = {"host": "host's service, with the charger's registered key", "charger": "charger"}


def _evidence(receipt: Mapping[str, Any]) -> str:
    match receipt["evidence"]:
        case {"kind": "ocmf", "verified": True}:
            return "by values that the meter signed (OCMF), and that were verified"
        case {"kind": "ocmf"}:
            return "by values that the meter signed (OCMF), with a key that nobody stated before"
        case {"kind": "meter_values"}:
            return "by the meter values that the charger sent"
    return "by no meter value at all"


def _checked(verdict: Verdict) -> str:
    names = dict.fromkeys(check.name for check in verdict.checks)
    failed = [check for check in verdict.checks if not check.passed]
    if failed:
        return "DOES NOT AGREE: " + "; ".join(f"{each.name}: {each.detail}" for each in failed)
    return f"against the chain, all agree: {', '.join(names)}"


def _span(seconds: int) -> str:
    minutes, rest_s = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest_s:02d}"


def _hex(tx_hash: bytes | None) -> str | None:
    return None if tx_hash is None else "0x" + tx_hash.hex()
