"""Every failure that this project raises on purpose is a value with a code.

    LedgerError                 ledger_error
    ├── BadSignature            bad_signature
    ├── MalleableSignature      malleable_signature
    ├── OutOfRange              out_of_range
    ├── clearing                ledger/clearing/errors.py
    ├── statements, verify      ledger/statements.py, api/jobs/verify.py
    ├── chain                   ledger/chain/errors.py
    └── metering                metering/errors.py

Codes are the words of INTERFACES §3; files, the command line and HTTP use the same ones.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import ClassVar

from ledger.units import to_rfc3339


@dataclass(eq=False, kw_only=True)
class LedgerError(Exception):
    """Base of every error this project raises on purpose."""

    code: ClassVar[str] = "ledger_error"

    def facts(self) -> dict[str, object]:
        """The typed facts of this failure, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def detail(self) -> str:
        """The facts in one line, for people."""
        return ", ".join(f"{name}={_text(value)}" for name, value in self.facts().items())

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


def _text(fact: object) -> str:
    return to_rfc3339(fact) if isinstance(fact, datetime) else str(fact)


@dataclass(eq=False, kw_only=True)
class BadSignature(LedgerError):
    """A signature that is malformed or was not made by the expected key."""

    code: ClassVar[str] = "bad_signature"
    rule: str


@dataclass(eq=False, kw_only=True)
class MalleableSignature(LedgerError):
    """A signature with a high s: a second form of the same signature (EIP-2)."""

    code: ClassVar[str] = "malleable_signature"
    rule: str = "s must be at most half the curve's order"


@dataclass(eq=False, kw_only=True)
class OutOfRange(LedgerError):
    """A number outside the range that its field allows."""

    code: ClassVar[str] = "out_of_range"
    field: str
    value: int
    value_min: int
    value_max: int
