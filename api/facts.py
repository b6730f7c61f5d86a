"""Facts of a failure: as JSON, and in one line for people."""

from datetime import datetime
from typing import Final

from ledger.errors import LedgerError
from ledger.units import to_rfc3339

SAFE_INTEGER_MAX: Final = 2**53 - 1  # What every JSON reader keeps exactly (RFC 8259, section 6).
_AS_TEXT = ("_micro", "_nano", "_micro_min", "nonce")


def detail_of(error: LedgerError) -> str:
    """The facts in one line; what is the rule needs no name."""
    facts = error.facts()
    rule = str(facts.pop("rule", ""))
    named = ", ".join(f"{name}={json_of(name, fact)}" for name, fact in facts.items())
    return ": ".join(filter(None, [named, rule]))


def json_of(name: str, fact: object) -> object:
    """One fact."""
    if isinstance(fact, bool) or fact is None:
        return fact
    if isinstance(fact, int):
        as_text = name.endswith(_AS_TEXT) or abs(fact) > SAFE_INTEGER_MAX
        return str(fact) if as_text else int(fact)
    if isinstance(fact, datetime):
        return to_rfc3339(fact)
    if isinstance(fact, bytes):
        return "0x" + fact.hex()
    return str(fact)
