"""Whether the evidence in a receipt is what was hashed, and proves the energy that was billed."""

import re
from collections.abc import Iterator
from typing import Final

from charging.canonical_json import canonical_json
from charging.errors import BadEvidence, BadMeterValue
from charging.evidence import NO_EVIDENCE_HASH
from charging.measured import Source
from charging.meter_values import MIXED, wh_down
from charging.ocmf import signed_charge_of
from charging.receipt_file import Receipt, ReceiptEvidence
from ledger.checks import Check, equal
from ledger.errors import OutOfRange
from ledger.json_fields import BadField, Fields, listed, refuse, text
from ledger.json_text import NotJson, parse_json
from ledger.keccak import keccak256

NAME: Final = "evidence"
DATA: Final = "evidence.data"
_NEXT_RECORD: Final = re.compile(r"\n(?=OCMF\|)")
_NEXT_PHASE: Final = re.compile(r"(?<=[0-9.])\+")  # Not the sign of an exponent.


def check_evidence(receipt: Receipt) -> Iterator[Check]:
    """Hash and content of the evidence."""
    evidence, hash_on_record = receipt.evidence, receipt.record.evidence_hash
    if evidence is None:
        yield equal(NAME, "record.evidenceHash", hash_on_record, NO_EVIDENCE_HASH)
        return
    yield equal(NAME, "evidence.hash", evidence.hash, hash_on_record)
    has_data = evidence.kind != "none"
    computed = keccak256(evidence.data.encode()) if has_data else NO_EVIDENCE_HASH
    yield equal(NAME, f"hash of {DATA}", computed, hash_on_record)
    if evidence.kind == "ocmf":
        yield from _ocmf_checks(receipt, evidence)
        return
    if evidence.verified:
        yield _failed("evidence.verified: nothing of it is signed")
    yield equal(NAME, "evidence.signer", evidence.signer, None)
    proved_wh = _risen_wh(evidence.data) if has_data else 0
    if isinstance(proved_wh, str):
        yield _failed(f"{DATA}: {proved_wh}")
    elif proved_wh is not None:
        yield _at_most(receipt, proved_wh, "measured")


def _ocmf_checks(receipt: Receipt, evidence: ReceiptEvidence) -> Iterator[Check]:
    try:
        charge = signed_charge_of(_NEXT_RECORD.split(evidence.data), evidence.signer)
    except BadEvidence as error:
        yield _failed(f"{DATA}: {error.detail}")
        return
    yield equal(NAME, "evidence.verified", evidence.verified, charge.verified)
    yield _at_most(receipt, charge.energy_wh, "signed")


def _risen_wh(data: str) -> int | str | None:
    """What the values' registers rose by; None if they do not tell, a text if they are wrong.

    The values are the first and the last of each unbroken run. Of intervals that were added up only
    the ends are among them, and phases in different units cannot be told apart.
    """
    try:
        values = parse_json(data)
        if canonical_json(values) != data:  # type: ignore[arg-type]  # It raises for all else.
            return "must be RFC 8785 JSON"
        registers_wh = listed(_register_wh)(values, "values")
    except (NotJson, OutOfRange, BadField, BadMeterValue) as error:
        return error.detail
    except TypeError:
        return "must be RFC 8785 JSON of texts"
    if len(registers_wh) % 2:
        return "must have a first and a last value of each run"
    known_wh = [register_wh for register_wh in registers_wh if register_wh is not None]
    if len(known_wh) < len(registers_wh):
        return None
    return sum(known_wh[1::2]) - sum(known_wh[::2])


def _register_wh(value: object, path: str) -> int | None:
    fields = Fields(value, path)
    source, unit, digits = (fields.take(name, text) for name in ("source", "unit", "value"))
    fields.take("taken_at", text)
    fields.done()
    if source not in set(Source):
        refuse(f"{path}.source", "must be a source of meter values")
    if source == Source.INTERVALS or unit == MIXED:
        return None
    unit, _, multiplier = unit.partition("e")
    if not re.fullmatch(r"-?\d{1,2}|", multiplier, re.ASCII):
        refuse(f"{path}.unit", "must be a unit, and perhaps e and a power of ten")
    return sum(
        wh_down(part, unit=unit, multiplier=int(multiplier or "0"), field=f"{path}.value")
        for part in _NEXT_PHASE.split(digits)
    )


def _at_most(receipt: Receipt, proved_wh: int, how: str) -> Check:
    billed_wh = receipt.record.energy_wh
    detail = f"energy_wh: {billed_wh} Wh are billed, {proved_wh} Wh are {how}"
    return Check(name=NAME, passed=billed_wh <= proved_wh, detail=detail)


def _failed(detail: str) -> Check:
    return Check(name=NAME, passed=False, detail=detail)
