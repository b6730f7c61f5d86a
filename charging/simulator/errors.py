"""What can keep a simulated charge point from doing its part.

LedgerError
├── CentralUnreachable  central_unreachable
├── PointRefused        not_authenticated
├── CallFailed          call_failed
├── BadScript           bad_script
└── BadPointSetting     bad_setting
"""

from dataclasses import dataclass
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class CentralUnreachable(LedgerError):
    """Nobody speaks OCPP at this address."""

    code: ClassVar[str] = "central_unreachable"
    url: str
    rule: str


@dataclass(eq=False, kw_only=True)
class PointRefused(LedgerError):
    """The central system does not let this charge point in."""

    code: ClassVar[str] = "not_authenticated"
    url: str
    status: int
    rule: str


@dataclass(eq=False, kw_only=True)
class CallFailed(LedgerError):
    """A message was answered with an error, with nonsense, or not at all."""

    code: ClassVar[str] = "call_failed"
    action: str
    error: str  # OCPP's error code, or `NoAnswer`.
    rule: str


@dataclass(eq=False, kw_only=True)
class BadScript(LedgerError):
    """A script that no charge point can play."""

    code: ClassVar[str] = "bad_script"
    field: str
    rule: str


@dataclass(eq=False, kw_only=True)
class BadPointSetting(LedgerError):
    """A charge point of this kind cannot exist."""

    code: ClassVar[str] = "bad_setting"
    field: str
    rule: str
