"""What sessions owe the escrow, and what the escrow says of them.

Every write is an intent of the outbox, committed together with the change of the session that owes
it. What the chain says wins: sessions follow the escrow's events, and after a reorg back again.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from api.jobs.charging.chargers import ChargerBook
from api.jobs.community import CHARGING, Community
from charging.desk import ENDED, Permit, SessionState
from charging.escrow_history import ChainSession, EscrowHistory
from charging.escrow_words import (
    order_words,
    permit_words,
    record_words,
    session_words,
    top_up_words,
)
from charging.journal import Journal
from charging.orders import ChargeRecord, SessionId, TopUp
from charging.sessions import LIVE, ChargeSession, Evidence
from charging.store import ChargingStore, Connection
from ledger.chain import escrow
from ledger.keccak import domain_separator
from ledger.outbox_states import Entry, IntentKeyReused, State, UnknownIntent
from ledger.units import Hash32

# What a later block, or the session as it is now, may not be refused for.
RETRY_REASONS: Final = frozenset(
    {
        "ChargingEscrow_StopsInFuture",
        "ChargingEscrow_NotEnoughGas",
        "ChargingEscrow_NotOpen",
        "Halted",
        "Unknown",
    }
)
SETTLED_LATELY: Final = 256  # So many ended sessions are compared with the chain: reorgs.
ATTEMPTS_MAX: Final = 5  # What the chain refused so often is not sent again.


@dataclass(frozen=True, slots=True)
class Fate:
    """How the transactions of one session fare in the outbox."""

    open: Entry | None
    close: Entry | None
    cancel: Entry | None

    @property
    def close_refused(self) -> str:
        """Why the chain refused the record."""
        return (self.close.error_code or "") if self.close else ""


class EscrowSide:
    """The escrow's side of every session of one community."""

    def __init__(self, community: Community, book: ChargerBook, store: ChargingStore) -> None:
        self._community = community
        self._book = book
        self._store = store
        self._outbox = community.charging_outbox
        self.changed: list[Callable[[ChargeSession], None]] = []  # Told of every new state.

    @property
    def separator(self) -> Hash32:
        """EIP-712 domain of orders and records."""
        return domain_separator(
            self._community.config.chain.chain_id, self._community.contracts.escrow
        )

    # What is owed.

    def owe_open(
        self, connection: Connection, session: ChargeSession, permit: Permit | None
    ) -> None:
        """The deposit is to be taken."""
        data = escrow.open_session(
            order_words(session.order), session.order_signature, permit_words(permit)
        )
        self._owe(connection, f"open:{session.session_id.hex()}", data, gas=escrow.OPEN_GAS)

    def owe_top_up(
        self,
        connection: Connection,
        session: ChargeSession,
        top_up: TopUp,
        signature: bytes,
        permit: Permit | None,
    ) -> None:
        """A top-up is to be taken."""
        data = escrow.top_up(
            session_words(session), top_up_words(top_up), signature, permit_words(permit)
        )
        self._owe(
            connection,
            f"topup:{top_up.session_id.hex()}:{top_up.nonce:x}",
            data,
            gas=escrow.OPEN_GAS,
        )

    def owe_close(
        self,
        connection: Connection,
        session: ChargeSession,
        record: ChargeRecord,
        evidence: Evidence,
    ) -> ChargeSession:
        """The record is signed, and is to be brought; the session is stopping from now on."""
        charger = self._book.require(session.order.charger_id)
        signature = charger.record_key.sign_digest(record.digest(self.separator))
        stopping = replace(
            session,
            state=SessionState.STOPPING,
            record=record,
            record_signature=signature,
            evidence=evidence,
        )
        self._store.save_session(connection, stopping)
        self._owe_close(connection, stopping)
        return stopping

    def _owe_close(self, connection: Connection, session: ChargeSession) -> None:
        record, signature = session.record, session.record_signature
        if record is None or signature is None:
            raise LookupError(session.session_id.hex())
        data = escrow.close(session_words(session), record_words(record), signature)
        self._owe(
            connection,
            f"close:{session.session_id.hex()}",
            data,
            gas=escrow.CLOSE_GAS,
            at_s=record.stopped_at_s,
        )

    def owe_cancel(
        self, connection: Connection, session: ChargeSession, reason: str
    ) -> ChargeSession:
        """Everything is to go back to the driver."""
        stopping = replace(session, state=SessionState.STOPPING, reason=reason)
        self._store.save_session(connection, stopping)
        self._owe(
            connection,
            f"cancel:{session.session_id.hex()}",
            escrow.cancel(session_words(session)),
            gas=escrow.CLOSE_GAS,
        )
        return stopping

    def _owe(
        self, connection: Connection, key: str, data: bytes, *, gas: int, at_s: int | None = None
    ) -> None:
        """Owes a transaction; one under the same key that the chain refused is owed again."""
        community = self._community
        intent = community.intent(
            key, data, to=community.contracts.escrow, role=CHARGING, gas=gas, at_s=at_s
        )
        with suppress(IntentKeyReused):  # Then it is another attempt at the same end.
            self._outbox.put(intent, connection)
        self._outbox.retry(intent, connection)

    # What the chain says.

    def drain(self) -> None:
        """Sends what is owed, as far as the chain takes it now."""
        self._outbox.drain()

    def follow(self, journal: Journal) -> None:
        """Brings every session to where the chain says that it is."""
        self._community.refresh()
        history = self._community.charges
        live = self._store.run(lambda connection: self._store.sessions_in(connection, LIVE))
        watched = {session.session_id for session in live} | self._lately_ended(history)
        fates = {session_id: self._fate(session_id) for session_id in watched}
        moved = journal.submit(lambda connection: self._move_all(connection, history, fates))
        for session in moved.result():
            for tell in self.changed:
                tell(session)

    def _lately_ended(self, history: EscrowHistory) -> set[SessionId]:
        """Sessions that the chain and we may see differently after a reorg."""
        ended = list(history.sessions)[-SETTLED_LATELY:]
        return set(ended)

    def _fate(self, session_id: SessionId) -> Fate:
        keys = (f"{kind}:{session_id.hex()}" for kind in ("open", "close", "cancel"))
        return Fate(*(self._status(key) for key in keys))

    def _move_all(
        self, connection: Connection, history: EscrowHistory, fates: dict[SessionId, Fate]
    ) -> list[ChargeSession]:
        moved = []
        for session_id, fate in fates.items():
            session = self._store.session(connection, session_id)
            if session is None:
                continue  # Opened by somebody else's service.
            after = moved_on(session, history.sessions.get(session_id), fate)
            if after != session:
                self._store.save_session(connection, after)
                moved.append(after)
            self._again(connection, after, fate)
        return moved

    def _again(self, connection: Connection, session: ChargeSession, fate: Fate) -> None:
        """Owes anew what the chain refused and what still has to be."""
        if session.state is not SessionState.STOPPING or session.opened_s is None:
            return
        if _is_refused(fate.cancel):
            self.owe_cancel(connection, session, session.reason)
        elif fate.cancel is None and fate.close and fate.close.state is State.REVERTED:
            if fate.close_refused in RETRY_REASONS and not _is_tried_enough(fate.close):
                self._owe_close(connection, session)
            else:  # The contract will never take this record: then nobody pays.
                self.owe_cancel(connection, session, f"record refused: {fate.close_refused}")

    def _status(self, key: str) -> Entry | None:
        try:
            return self._outbox.status(key)
        except UnknownIntent:
            return None


def _is_refused(entry: Entry | None) -> bool:
    return entry is not None and entry.state is State.REVERTED and not _is_tried_enough(entry)


def _is_tried_enough(entry: Entry | None) -> bool:
    return entry is not None and len(entry.attempts) >= ATTEMPTS_MAX


def moved_on(session: ChargeSession, chain: ChainSession | None, fate: Fate) -> ChargeSession:
    """A session as it is by what the chain says of it; the same value if nothing is new."""
    if chain is None:
        return _not_on_chain(session, fate)
    known = replace(
        session,
        opened_s=chain.opened_s,
        deposit_micro=chain.deposit_micro,
        host=chain.host,
        record_key=chain.record_key,
        power_w=chain.power_w,
        open_tx=chain.open_tx,
    )
    if chain.end is not None:
        return replace(
            known,
            state=chain.end,
            paid_micro=chain.paid_micro,
            refunded_micro=chain.refunded_micro,
            close_tx=chain.close_tx,
        )
    still_open = replace(known, paid_micro=None, refunded_micro=None, close_tx=None)
    if session.state in (SessionState.OPENING, SessionState.FAILED):
        return replace(still_open, state=SessionState.OPEN, reason="")
    if session.state in ENDED:  # The block that ended it was dropped.
        return replace(still_open, state=SessionState.STOPPING)
    return still_open


def _not_on_chain(session: ChargeSession, fate: Fate) -> ChargeSession:
    if fate.open is not None and fate.open.state is State.REVERTED:
        reason = fate.open.error_code or "the chain refused the opening"
        return replace(session, state=SessionState.FAILED, reason=reason)
    if session.state is SessionState.OPEN or session.state in ENDED - {SessionState.FAILED}:
        # A reorg dropped the opening; the outbox repeats it.
        return replace(session, state=SessionState.OPENING, opened_s=None, open_tx=None)
    return session
