"""What the escrow's events say of every session, folded into values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from charging.desk import SessionState
from charging.escrow_words import order_of
from charging.orders import ChargeOrder, ChargerId, SessionId
from ledger.units import Address, Hash32

_ENDS: Final = {
    "SessionClosed": SessionState.CLOSED,
    "SessionCancelled": SessionState.CANCELLED,
    "SessionReclaimed": SessionState.RECLAIMED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSession:
    """One session by its events."""

    session_id: SessionId
    order: ChargeOrder
    host: Address
    record_key: Address
    power_w: int
    last_wh: int  # The charger's register before it.
    opened_s: int
    deposit_micro: int  # With every top-up.
    open_tx: Hash32
    top_up_nonces: tuple[int, ...] = ()
    end: SessionState | None = None
    ended_s: int | None = None
    paid_micro: int = 0
    refunded_micro: int = 0
    start_wh: int = 0
    stop_wh: int = 0
    evidence_hash: Hash32 | None = None
    close_tx: Hash32 | None = None


@dataclass(slots=True)
class EscrowHistory:
    """All sessions and chargers that the events told of, up to a block."""

    sessions: dict[SessionId, ChainSession] = field(default_factory=dict)
    last_wh: dict[ChargerId, int] = field(default_factory=dict)  # Register of each charger.
    hosts: dict[ChargerId, Address] = field(default_factory=dict)

    def tell(
        self, name: str, arguments: Mapping[str, Any], *, timestamp_s: int, tx_hash: Hash32
    ) -> None:
        """One more event, in the chain's order."""
        match name:
            case "SessionOpened":
                self._opened(arguments, timestamp_s, tx_hash)
            case "ToppedUp":
                session_id = SessionId(arguments["sessionId"])
                session = self.sessions[session_id]
                self.sessions[session_id] = replace(
                    session,
                    deposit_micro=arguments["depositMicro"],
                    top_up_nonces=(*session.top_up_nonces, arguments["nonce"]),
                )
            case "SessionClosed" | "SessionCancelled" | "SessionReclaimed":
                self._ended(_ENDS[name], arguments, timestamp_s, tx_hash)
            case "RegisterReset":
                self.last_wh[ChargerId(arguments["chargerId"])] = arguments["toWh"]
            case "ChargerRegistered":
                self.hosts[ChargerId(arguments["chargerId"])] = Address(arguments["host"])

    def _opened(self, arguments: Mapping[str, Any], timestamp_s: int, tx_hash: Hash32) -> None:
        session_id = SessionId(arguments["sessionId"])
        self.sessions[session_id] = ChainSession(
            session_id=session_id,
            order=order_of(arguments),
            host=Address(arguments["host"]),
            record_key=Address(arguments["recordKey"]),
            power_w=arguments["powerW"],
            last_wh=self.last_wh.get(ChargerId(arguments["chargerId"]), 0),
            opened_s=timestamp_s,
            deposit_micro=arguments["depositMicro"],
            open_tx=tx_hash,
        )

    def _ended(
        self, end: SessionState, arguments: Mapping[str, Any], timestamp_s: int, tx_hash: Hash32
    ) -> None:
        session_id = SessionId(arguments["sessionId"])
        ended = replace(
            self.sessions[session_id],
            end=end,
            ended_s=timestamp_s,
            refunded_micro=arguments["refundedMicro"],
            close_tx=tx_hash,
        )
        if end is SessionState.CLOSED:
            ended = replace(
                ended,
                paid_micro=arguments["paidMicro"],
                start_wh=arguments["startWh"],
                stop_wh=arguments["stopWh"],
                evidence_hash=Hash32(arguments["evidenceHash"]),
            )
            self.last_wh[ChargerId(arguments["chargerId"])] = ended.stop_wh
        self.sessions[session_id] = ended
