"""What can be wrong with a reading or with a file of readings (codes of INTERFACES §3).

    LedgerError
    ├── about a reading
    │   ├── UnknownMeter        unknown_meter
    │   ├── MeterNotValidAt     meter_not_valid_at
    │   ├── BadTime             bad_time
    │   ├── TimeInFuture        time_in_future
    │   ├── RegisterDecreased   register_decreased
    │   ├── RegisterJump        register_jump
    │   ├── RegisterOutOfRange  register_out_of_range
    │   └── TooManyVersions     too_many_versions
    ├── about a file
    │   ├── EmptyFile           empty_file
    │   ├── MissingColumn       missing_column
    │   ├── BadRow              bad_row
    │   ├── TooManyReadings     too_large
    │   └── UnknownFormat       unknown_format
    ├── about a telegram
    │   ├── BadTelegram         bad_telegram
    │   ├── BadChecksum         bad_checksum
    │   └── RegisterMissing     register_missing
    └── about a register of meters
        └── OverlappingTerms    overlapping_terms

`BadSignature` and `MalleableSignature` are the ledger's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class UnknownMeter(LedgerError):
    """Nobody registered this meter."""

    code: ClassVar[str] = "unknown_meter"
    meter: str  # Its id in hex, or the name that a file gives it.


@dataclass(eq=False, kw_only=True)
class MeterNotValidAt(LedgerError):
    """The meter is known, but no term of it covers the instant."""

    code: ClassVar[str] = "meter_not_valid_at"
    meter: str
    taken_at: datetime


@dataclass(eq=False, kw_only=True)
class BadTime(LedgerError):
    """A time that is not an aware instant in whole seconds since 1970."""

    code: ClassVar[str] = "bad_time"
    text: str
    rule: str


@dataclass(eq=False, kw_only=True)
class TimeInFuture(LedgerError):
    """A reading that claims to have been taken after now."""

    code: ClassVar[str] = "time_in_future"
    taken_at: datetime
    now_at: datetime


@dataclass(eq=False, kw_only=True)
class RegisterDecreased(LedgerError):
    """A cumulative register that runs backwards against its neighbour in time."""

    code: ClassVar[str] = "register_decreased"
    register: str  # `import_wh` or `export_wh`.
    earlier_at: datetime
    earlier_wh: int
    later_at: datetime
    later_wh: int


@dataclass(eq=False, kw_only=True)
class RegisterJump(LedgerError):
    """A register that rises by more than the meter's connection can carry."""

    code: ClassVar[str] = "register_jump"
    register: str
    earlier_at: datetime
    later_at: datetime
    rise_wh: int
    rise_wh_max: int


@dataclass(eq=False, kw_only=True)
class RegisterOutOfRange(LedgerError):
    """A register below zero or beyond any meter of a neighbourhood."""

    code: ClassVar[str] = "register_out_of_range"
    register_wh: int
    register_wh_max: int


@dataclass(eq=False, kw_only=True)
class TooManyVersions(LedgerError):
    """An instant for which the meter has said more different things than any needs to."""

    code: ClassVar[str] = "too_many_versions"
    taken_at: datetime
    versions_max: int


@dataclass(eq=False, kw_only=True)
class EmptyFile(LedgerError):
    """A file without a single row of data."""

    code: ClassVar[str] = "empty_file"
    rule: str = "there are no data rows"


@dataclass(eq=False, kw_only=True)
class MissingColumn(LedgerError):
    """A file whose header lacks a column that its format needs."""

    code: ClassVar[str] = "missing_column"
    column: str


@dataclass(eq=False, kw_only=True)
class BadRow(LedgerError):
    """A row or item that breaks a rule of its format."""

    code: ClassVar[str] = "bad_row"
    rule: str


@dataclass(eq=False, kw_only=True)
class TooManyReadings(LedgerError):
    """A request with more readings than one may have; send them in several."""

    code: ClassVar[str] = "too_large"
    count: int
    count_max: int


@dataclass(eq=False, kw_only=True)
class UnknownFormat(LedgerError):
    """Not a file of the format that it is said to be."""

    code: ClassVar[str] = "unknown_format"
    rule: str


@dataclass(eq=False, kw_only=True)
class BadTelegram(LedgerError):
    """What a meter sent is half a telegram, or breaks a rule of its format."""

    code: ClassVar[str] = "bad_telegram"
    rule: str


@dataclass(eq=False, kw_only=True)
class BadChecksum(LedgerError):
    """A telegram that is not what its meter sent: its checksum is another one."""

    code: ClassVar[str] = "bad_checksum"
    rule: str = "it was altered on its way"


@dataclass(eq=False, kw_only=True)
class RegisterMissing(LedgerError):
    """A telegram without a register that it must have."""

    code: ClassVar[str] = "register_missing"
    register: str  # `import_wh` or `export_wh`.
    rule: str


@dataclass(eq=False, kw_only=True)
class OverlappingTerms(LedgerError):
    """Two terms of one meter that cover the same instant."""

    code: ClassVar[str] = "overlapping_terms"
    meter: str
    overlap_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One row or item that was refused: where it stood, and why."""

    position: int  # Line of a file, counted from 1; index of a request, counted from 0.
    error: LedgerError

    @property
    def code(self) -> str:
        """The stable code of the reason."""
        return self.error.code

    @property
    def detail(self) -> str:
        """The reason for people."""
        return self.error.detail
