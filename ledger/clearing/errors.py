"""Why a clearing problem is refused.

LedgerError
├── OutOfRange          out_of_range        (ledger/errors.py) a number beyond its range
├── WrongShape          out_of_range        not the kind of value that stands there
├── TariffNoMargin      tariff_no_margin
├── PriceOutOfBounds    price_out_of_bounds
├── DuplicateAccount    duplicate_account
├── ReservedAccount     reserved_account
├── BadKeys             bad_keys
├── UnknownField        unknown_field
├── RuleCombination     rule_combination
├── NotJson             unknown_format      the document, not one of its problems
└── EmptyDocument       empty_file
"""

from dataclasses import dataclass
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class WrongShape(LedgerError):
    """A value that is missing or not of the kind that its field holds: 1.0 and "1" are not 1."""

    code: ClassVar[str] = "out_of_range"
    field: str
    expected: str
    found: str


@dataclass(eq=False, kw_only=True)
class TariffNoMargin(LedgerError):
    """The grid's prices leave no room for a price between neighbours."""

    code: ClassVar[str] = "tariff_no_margin"
    grid_import_per_kwh: int
    grid_export_per_kwh: int
    local_fee_per_kwh: int


@dataclass(eq=False, kw_only=True)
class PriceOutOfBounds(LedgerError):
    """A fixed price that is absent, or that would leave a buyer or a seller worse off."""

    code: ClassVar[str] = "price_out_of_bounds"
    price_per_kwh: int | None
    price_per_kwh_min: int
    price_per_kwh_max: int


@dataclass(eq=False, kw_only=True)
class DuplicateAccount(LedgerError):
    """An account that stands twice in one list."""

    code: ClassVar[str] = "duplicate_account"
    field: str
    account: int


@dataclass(eq=False, kw_only=True)
class ReservedAccount(LedgerError):
    """The supplier (0) or the grid operator (1) where only a member may stand."""

    code: ClassVar[str] = "reserved_account"
    field: str
    account: int


@dataclass(eq=False, kw_only=True)
class BadKeys(LedgerError):
    """Keys or priorities that name no shares: `at` says where, `reason` why."""

    code: ClassVar[str] = "bad_keys"
    at: str
    reason: str


@dataclass(eq=False, kw_only=True)
class UnknownField(LedgerError):
    """A field that no rule reads: more likely a slip than a wish to be ignored."""

    code: ClassVar[str] = "unknown_field"
    field: str


@dataclass(eq=False, kw_only=True)
class RuleCombination(LedgerError):
    """A volume rule that the price rule cannot go with."""

    code: ClassVar[str] = "rule_combination"
    volume_rule: str
    price_rule: str


@dataclass(eq=False, kw_only=True)
class NotJson(LedgerError):
    """A document that is not JSON, or is nested deeper than any problem."""

    code: ClassVar[str] = "unknown_format"
    reason: str


@dataclass(eq=False, kw_only=True)
class EmptyDocument(LedgerError):
    """A document without a problem in it."""

    code: ClassVar[str] = "empty_file"
    expected: str = "a clearing problem or an array of them"
