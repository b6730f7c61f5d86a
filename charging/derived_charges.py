"""What the escrow's events, calldata and transfers come to: the values that an audit derives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from charging.desk import SessionState
from charging.escrow_words import order_words, record_of
from charging.orders import ChargeOrder, ChargeRecord, ChargerId, SessionId
from ledger.units import Address, Hash32

T = TypeVar("T")
NOBODY: Final = Address(bytes(20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """`Closing` of the escrow's ABI, as calldata states it."""

    session: Mapping[str, Any]
    record_words: Mapping[str, Any]
    signature: bytes

    def record(self) -> ChargeRecord:
        """The record; raises OutOfRange for what is none."""
        return record_of(self.record_words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Tokens that came to the escrow or left it."""

    sender: Address
    to: Address
    amount_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowAct:
    """One event of the escrow, with what it moved: transfers and debts before the next one."""

    name: str
    arguments: Mapping[str, Any]
    timestamp_s: int
    tx_hash: Hash32
    transfers: Sequence[Transfer]
    owed: Sequence[tuple[Address, int]]
    closings: Sequence[Closing] | None  # Of the calldata; None: another contract called.


@dataclass(slots=True, kw_only=True)
class DerivedCharger:
    """A charger as its events say that it is."""

    host: Address = NOBODY
    record_key: Address = NOBODY
    power_w: int = 0
    last_wh: int = 0
    credit_micro: int = 0
    open_session: SessionId | None = None


@dataclass(slots=True, kw_only=True)
class DerivedSession:
    """A session as the chain proves it."""

    session_id: SessionId
    order: ChargeOrder
    host: Address
    record_key: Address
    power_w: int
    last_wh: int  # The charger's register before it.
    opened_s: int
    deposits_micro: list[int]  # The first, and after each top-up.
    open_tx: Hash32
    top_ups: dict[int, int] = field(default_factory=dict)  # Micro by nonce.
    end: SessionState | None = None
    paid_micro: int = 0
    refunded_micro: int = 0
    record: ChargeRecord | None = None  # None: not closed, or not in the calldata.
    record_signature: bytes = b""
    start_wh: int = 0
    stop_wh: int = 0
    evidence_hash: Hash32 | None = None
    close_tx: Hash32 | None = None
    closed_s: int = 0

    @property
    def deposit_micro(self) -> int:
        """What is in the escrow for it, or was."""
        return self.deposits_micro[-1]

    @property
    def name(self) -> str:
        """How it is called in a report."""
        return session_name(self.session_id)

    @property
    def words(self) -> dict[str, Any]:
        """`Session`, as whoever ends it must state it."""
        return {
            "order": order_words(self.order),
            "host": self.host,
            "recordKey": self.record_key,
            "powerW": self.power_w,
            "openedAt": self.opened_s,
            "depositMicro": self.deposit_micro,
        }


class Moves:
    """What an event moved; whoever explains a part of it takes it out."""

    def __init__(self, act: EscrowAct, escrow: Address) -> None:
        self._transfers = list(act.transfers)
        self._owed = list(act.owed)
        self._escrow = escrow

    def came(self, sender: Address, amount_micro: int) -> bool:
        """Whether exactly this came."""
        found = Transfer(sender=sender, to=self._escrow, amount_micro=amount_micro)
        return _take(self._transfers, found)

    def left(self, to: Address, amount_micro: int) -> bool:
        """Whether exactly this was paid out."""
        found = Transfer(sender=self._escrow, to=to, amount_micro=amount_micro)
        return _take(self._transfers, found)

    def is_owed(self, owed: Address, amount_micro: int) -> bool:
        """Whether exactly this is owed from now on."""
        return _take(self._owed, (owed, amount_micro))

    def unexplained(self) -> list[str]:
        """What is left, in words; a gift is none."""
        out = [
            f"{each.amount_micro} micro left for 0x{each.to.hex()}, and nothing says why"
            for each in self._transfers
            if each.sender == self._escrow
        ]
        return out + [
            f"{amount_micro} micro are owed to 0x{owed.hex()}, and nothing says why"
            for owed, amount_micro in self._owed
        ]


def session_name(session_id: bytes) -> str:
    """How a session is called in a report."""
    return f"session 0x{session_id.hex()}"


def charger_name(charger_id: ChargerId) -> str:
    """How a charger is called in a report."""
    return f"charger 0x{charger_id.hex()}"


def _take(items: list[T], wanted: T) -> bool:
    if wanted not in items:
        return False
    items.remove(wanted)
    return True
