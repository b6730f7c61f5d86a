"""What can be wrong with a charge: orders, tariffs, chargers, meter values (INTERFACES §3).

    LedgerError
    ├── about an order
    │   ├── OrderExpired        order_expired
    │   ├── OrderUsed           order_used
    │   ├── WrongEscrow         wrong_chain
    │   ├── ChargerUnknown      charger_unknown
    │   ├── ChargerBusy         charger_busy
    │   ├── ChargerOffline      charger_offline
    │   ├── TariffChanged       tariff_changed
    │   ├── DepositTooSmall     deposit_too_small
    │   └── FundsMissing        funds_missing
    ├── about a session
    │   ├── UnknownSession      not_found
    │   └── WrongState          wrong_state
    ├── about a tariff
    │   └── BadTariff           bad_tariff
    ├── about meter values
    │   └── BadMeterValue       bad_meter_value
    └── about signed meter values
        └── BadEvidence         bad_evidence

`BadSignature`, `MalleableSignature` and `OutOfRange` are the ledger's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class OrderExpired(LedgerError):
    """The order's last second has passed, or it leaves too little time to open it."""

    code: ClassVar[str] = "order_expired"
    valid_until: datetime
    now_at: datetime


@dataclass(eq=False, kw_only=True)
class OrderUsed(LedgerError):
    """The driver used or voided this nonce already."""

    code: ClassVar[str] = "order_used"
    nonce: int


@dataclass(eq=False, kw_only=True)
class WrongEscrow(LedgerError):
    """The order was signed for another chain or another escrow."""

    code: ClassVar[str] = "wrong_chain"
    rule: str


@dataclass(eq=False, kw_only=True)
class ChargerUnknown(LedgerError):
    """No charger of this id is registered here."""

    code: ClassVar[str] = "charger_unknown"
    charger: str


@dataclass(eq=False, kw_only=True)
class ChargerBusy(LedgerError):
    """Another session is open at this charger, or somebody else's cable is in it."""

    code: ClassVar[str] = "charger_busy"
    charger: str


@dataclass(eq=False, kw_only=True)
class ChargerOffline(LedgerError):
    """The charger has no connection, or says that it cannot charge now."""

    code: ClassVar[str] = "charger_offline"
    charger: str
    rule: str


@dataclass(eq=False, kw_only=True)
class TariffChanged(LedgerError):
    """The order states another tariff than the charger's at this time."""

    code: ClassVar[str] = "tariff_changed"
    field: str
    stated: int
    current: int


@dataclass(eq=False, kw_only=True)
class DepositTooSmall(LedgerError):
    """The deposit does not cover the smallest charge."""

    code: ClassVar[str] = "deposit_too_small"
    deposit_micro: int
    deposit_micro_min: int


@dataclass(eq=False, kw_only=True)
class FundsMissing(LedgerError):
    """The driver's wallet does not hold, or does not allow us to take, the deposit."""

    code: ClassVar[str] = "funds_missing"
    needed_micro: int
    available_micro: int
    rule: str


@dataclass(eq=False, kw_only=True)
class UnknownSession(LedgerError):
    """There is no such session, or it is not the caller's."""

    code: ClassVar[str] = "not_found"
    session: str


@dataclass(eq=False, kw_only=True)
class WrongState(LedgerError):
    """What was asked for does not fit the state that the session is in."""

    code: ClassVar[str] = "wrong_state"
    session: str
    state: str
    rule: str


@dataclass(eq=False, kw_only=True)
class BadTariff(LedgerError):
    """A tariff that the contract cannot price, or that is not one."""

    code: ClassVar[str] = "bad_tariff"
    field: str
    rule: str


@dataclass(eq=False, kw_only=True)
class BadMeterValue(LedgerError):
    """A meter value that cannot become whole Wh of a register."""

    code: ClassVar[str] = "bad_meter_value"
    field: str
    value: str
    rule: str


@dataclass(eq=False, kw_only=True)
class BadEvidence(LedgerError):
    """A signed meter value that is malformed, or was not signed by the charger's known key."""

    code: ClassVar[str] = "bad_evidence"
    field: str
    rule: str
