"""What can go wrong between a meter and the service, apart from HTTP."""

from dataclasses import dataclass
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class KeyExposed(LedgerError):
    """The key file can be read or altered by other users of the machine."""

    code: ClassVar[str] = "key_exposed"
    file: str
    rule: str


@dataclass(eq=False, kw_only=True)
class LibraryMissing(LedgerError):
    """What reads this kind of meter, or its line, is an extra that is not installed."""

    code: ClassVar[str] = "library_missing"
    library: str
    rule: str = "pip install 'wattledger[gateway]'"


@dataclass(eq=False, kw_only=True)
class MeterLost(LedgerError):
    """The meter's line cannot be opened, broke, or says nothing."""

    code: ClassVar[str] = "meter_unreachable"
    source: str
    rule: str


@dataclass(eq=False, kw_only=True)
class OtherCommunity(LedgerError):
    """Readings would be signed for, or were signed for, another community than this one."""

    code: ClassVar[str] = "wrong_chain"
    rule: str
