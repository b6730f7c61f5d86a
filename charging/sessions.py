"""One charge between deposit and refund, as a value, and the rules by which it moves on."""

import re
import secrets
from base64 import b32encode
from dataclasses import dataclass
from typing import Final

from charging.desk import ENDED, SessionState
from charging.orders import ChargeOrder, ChargeRecord, SessionId
from ledger.units import Address, Hash32

OPENING_EARLY_S: Final = 300  # A charge may begin so long before its opening (the contract's rule).
SESSION_S_MAX: Final = 86_400  # A session lasts at most a day from its opening.
CLOSE_WITHIN_S: Final = 3 * 86_400  # After that it can be closed for so long.
START_WITHIN_S: Final = 600  # Without a charge by then, the deposit goes back.
STOP_PATIENCE_S: Final = 300  # Asked to stop, a charger that says nothing is not waited for.
STOP_AGAIN_S: Final = 15  # A charger that goes on is asked to stop again.
LEFT_PATIENCE_S: Final = 120  # The cable is out, and no stop was told.
START_MISSING_S: Final = 60  # A stop came without its start.
SESSION_MARGIN_S: Final = 120  # So long before the day is over the charge is stopped.
_NEXT_RECORD: Final = re.compile(r"\n(?=OCMF\|)")
TELLS_WITHIN_S: Final = 60  # Connected anew, a charger has told by then what happened meanwhile.
STOP_ASKED: Final = "asked by driver or host"
TOKEN_CHARS: Final = 20  # OCPP 1.6: an idTag has at most 20 characters.

ERASED: Final = "erased"  # Kind of an evidence that was there, and is not any more.

RUNNING: Final = frozenset({SessionState.OPENING, SessionState.OPEN, SessionState.CHARGING})
LIVE: Final = frozenset(SessionState) - ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a record was made from, for the receipt."""

    kind: str  # `ocmf`, `meter_values`, `none`, `erased`.
    hash: Hash32
    text: str  # The signed record, or the canonical JSON of the values used.
    verified: bool
    signer: str  # Public key that signed it, hex; empty for unsigned values.
    start_from: str  # Where the start register comes from.
    stop_from: str
    notes: tuple[str, ...]
    left_out_wh: int = 0  # Measured by one source and not billed: for the host to look at.
    message_count: int = 0  # It was made from so many of the charge's messages, the first ones,
    settled_s: int = 0  # at this time: who has both makes the same record again.
    replayed: tuple[Hash32, ...] = ()  # Digests of signed records that prove another session.

    def records(self) -> list[str]:
        """The signed records that it consists of."""
        return _NEXT_RECORD.split(self.text) if self.kind == "ocmf" else []


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeSession:
    """One session, complete. Times are Unix seconds."""

    session_id: SessionId
    number: int  # OCPP 2.0.1 `remoteStartId`; 0 before it is stored.
    order: ChargeOrder
    order_signature: bytes
    charge_point_id: str
    connector_id: int
    host: Address
    record_key: Address
    power_w: int
    last_wh: int  # The charger's register on chain before it.
    vat_bps: int
    state: SessionState
    reason: str = ""
    created_s: int
    deposit_micro: int
    opened_s: int | None = None
    transaction_no: int | None = None
    start_asked_s: int | None = None
    stop_asked_s: int | None = None
    stop_reason: str = ""
    ended_s: int | None = None
    record: ChargeRecord | None = None
    record_signature: bytes | None = None
    evidence: Evidence | None = None
    paid_micro: int | None = None
    refunded_micro: int | None = None
    open_tx: Hash32 | None = None
    close_tx: Hash32 | None = None
    metered: bool = False  # The market has the readings of its charge.
    id_token: str = ""  # What the charger calls the driver; made when it is stored.

    @property
    def is_erased(self) -> bool:
        """Whether how it went was erased."""
        return self.evidence is not None and self.evidence.kind == ERASED

    @property
    def charge_ends_s(self) -> int:
        """When a charge that still runs is stopped, because a session lasts a day."""
        return (self.opened_s or self.created_s) + SESSION_S_MAX - SESSION_MARGIN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidCharge:
    """What a charge that was closed brought its host."""

    charge_point_id: str
    connector_id: int
    energy_wh: int
    paid_micro: int


def new_id_token() -> str:
    """A token of 20 characters, the same in any case. Nobody can make it of what is public."""
    return b32encode(secrets.token_bytes(TOKEN_CHARS)).decode()[:TOKEN_CHARS]
