"""What is relayed to the chain for people, and how it fares: values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType, Self

from charging.orders import ChargerId
from ledger.outbox_states import Entry, State
from ledger.units import AccountId, Address, Hash32

# 32 bytes: the digest that was signed, so that the same message is the same relay. Where nothing is
# signed, of what is paid and how often it was paid before.
RelayId = NewType("RelayId", bytes)


class RelayKind(StrEnum):
    """What is relayed."""

    LIMITS = "limits"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"  # The request, or its end.
    PAYOUT = "payout"  # What was requested is paid, after the delay; nobody signs it.
    CREDIT = "credit"  # What a charger took in is paid to its host, who asked for it.
    CLAIM = "claim"  # What the escrow could not push is paid to whom it is owed, who asked for it.
    TOKENS = "tokens"  # A demo's faucet.


ASKED_FOR = frozenset({RelayKind.CREDIT, RelayKind.CLAIM})  # Signed in, and without a signature.


class RelayState(StrEnum):
    """Where a relay is on its way to the chain."""

    ACCEPTED = "accepted"  # It is on the disk, and will be sent.
    SENT = "sent"  # A transaction of it is on its way, or in a block that may be dropped.
    CONFIRMED = "confirmed"
    FAILED = "failed"  # The chain refused it; the same message may be sent again.


UNDER_WAY = frozenset({RelayState.ACCEPTED, RelayState.SENT})
RELAY_STATE = {
    State.PENDING: RelayState.ACCEPTED,
    State.SIGNED: RelayState.SENT,
    State.MINED: RelayState.SENT,
    State.CONFIRMED: RelayState.CONFIRMED,
    State.REVERTED: RelayState.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Something that is to be written to the chain for somebody."""

    relay_id: RelayId
    kind: RelayKind
    owner: Address  # Whose it is: who signed it, or who is paid.
    account: AccountId | None  # None: it is for a wallet, whoever's.
    nonce: int
    amount_micro: int | None  # Of money that moves, or is asked to.
    created_at: datetime  # In the community's time.
    charger_id: ChargerId | None = None  # Whose credit it pays.

    @property
    def slot(self) -> str:
        """What only one relay at a time may hold: whose nonce of what it is.

        A permit's nonce is its signer's, whichever account it is for.
        """
        is_persons = self.kind in (RelayKind.DEPOSIT, RelayKind.TOKENS, *ASKED_FOR)
        signer = self.owner.hex() if is_persons else self.account
        charger = "" if self.charger_id is None else f":{self.charger_id.hex()}"
        return f"{self.kind}:{signer}{charger}:{self.nonce:x}"

    @property
    def outbox_key(self) -> str:
        """The key of its transaction in the outbox."""
        return f"relay:{self.relay_id.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayView:
    """A relay, and how it fares."""

    relay: Relay
    state: RelayState
    transaction: Hash32 | None
    reason: str  # Why it failed, or does not move; empty if all is well.

    @classmethod
    def of(cls, relay: Relay, entry: Entry | None) -> Self:
        """From what the outbox says."""
        if entry is None:  # Of another chain: a data directory that was moved.
            return cls(relay=relay, state=RelayState.ACCEPTED, transaction=None, reason="")
        state = RELAY_STATE[entry.state]
        if state is RelayState.SENT and entry.inclusion is None and entry.error_code:
            state = RelayState.ACCEPTED  # It was signed, and no node has taken it yet.
        return cls(
            relay=relay,
            state=state,
            transaction=entry.tx_hash,
            reason=entry.error_code or "",
        )
