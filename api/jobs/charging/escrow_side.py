"""What sessions owe the escrow, and what the escrow says of them.

Every write is an intent of the outbox, committed together with the change of the session that owes
it. What the chain says wins: sessions follow the escrow's events, and after a reorg back again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from api.jobs.charging.chargers import ChargerBook
from api.jobs.community import CHARGING, Community
from charging.desk import ENDED, Permit, SessionState
from charging.escrow_history import ChainSession
from charging.escrow_words import (
    order_words,
    permit_words,
    record_words,
    session_words,
    top_up_words,
)
from charging.journal import Journal
from charging.orders import ChargeRecord, SessionId, TopUp
from charging.sessions import ChargeSession, Evidence
from charging.store import ChargingStore, Connection
from ledger.chain import escrow
from ledger.errors import LedgerError
from ledger.keccak import domain_separator
from ledger.outbox_states import TERMINAL, Entry, IntentKeyReused, State
from ledger.outbox_store import OutboxStore
from ledger.units import EPOCH, Hash32

Settle = Callable[[Connection, ChargeSession], ChargeSession]

# What a later block, or the session as it is by then, may not be refused for.
RETRY_REASONS: Final = frozenset(
    {
        "ChargingEscrow_StopsTooLate",  # The chain's clock is behind ours.
        "ChargingEscrow_NotEnoughGas",
        "ChargingEscrow_NotOpen",
        "Halted",
        "Unknown",
    }
)
UNDER_WAY: Final = frozenset({SessionState.OPENING, SessionState.STOPPING})
BATCH: Final = 256  # Sessions that are moved on in one transaction.
RECORD_ATTEMPTS_MAX: Final = 12  # What the chain refused for hours it will not take.
SETTLED_ANEW_MAX: Final = 2  # For any other reason: the opening may be another one since.
BACK_OFF_DOUBLINGS: Final = 12  # After each refusal the wait is twice as long, an hour at most.


@dataclass(frozen=True, slots=True)
class Fate:
    """How the transactions of one session fare in the outbox."""

    open: Entry | None = None
    close: Entry | None = None
    cancel: Entry | None = None


class EscrowSide:
    """The escrow's side of every session of one community."""

    def __init__(self, community: Community, book: ChargerBook, store: ChargingStore) -> None:
        self._community = community
        self._book = book
        self._store = store
        self._outbox = community.charging_outbox
        self._intents = OutboxStore(community.engine, chain_id=community.config.chain.chain_id)
        self._told: dict[SessionId, ChainSession] = {}  # What sessions were brought level with.
        self.changed: list[Callable[[ChargeSession], None]] = []  # Told of every new state.
        self.settle_again: Settle = self._owe_close  # Set once: makes the record anew.

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
        self._owe(connection, _top_up_key(top_up), data, gas=escrow.OPEN_GAS)

    def is_topping_up(self, connection: Connection, session: ChargeSession) -> bool:
        """Whether a top-up is on its way: until it is known, no other can name the deposit."""
        top_ups = {
            _top_up_key(top_up): top_up
            for top_up in self._store.top_ups(connection, session.session_id)
        }
        deposit_micro = session.order.deposit_micro
        for key, entry in self._intents.entries(list(top_ups), connection).items():
            if entry.state not in TERMINAL:
                return True
            deposit_micro += top_ups[key].add_micro if entry.state is State.CONFIRMED else 0
        return deposit_micro != session.deposit_micro

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
            metered=False,
        )
        self._store.save_session(connection, stopping)
        return self._owe_close(connection, stopping)

    def _owe_close(self, connection: Connection, session: ChargeSession) -> ChargeSession:
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
        return session

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

    @property
    def problem(self) -> LedgerError | None:
        """Why nothing can be sent; None if it can."""
        return self._outbox.problem

    def follow(self, journal: Journal) -> None:
        """Brings every session to where the chain says that it is."""
        chain = self._community.charges_now()
        under_way = self._store.run(lambda open_: self._store.sessions_in(open_, UNDER_WAY))
        wanted = sorted({session.session_id for session in under_way} | self._news(chain))
        for place in range(0, len(wanted), BATCH):
            some = wanted[place : place + BATCH]
            moved = journal.submit(partial(self._move_all, chain=chain, session_ids=some)).result()
            for session in moved:
                for tell in self.changed:
                    tell(session)
        self._told = chain

    def _news(self, chain: Mapping[SessionId, ChainSession]) -> set[SessionId]:
        """Sessions of which the chain says something else than when they were last looked at."""
        told = self._told
        news = {name for name, session in chain.items() if told.get(name) != session}
        return news | (told.keys() - chain.keys())  # A reorg dropped these.

    def _move_all(
        self,
        connection: Connection,
        *,
        chain: Mapping[SessionId, ChainSession],
        session_ids: Sequence[SessionId],
    ) -> list[ChargeSession]:
        fates = self._fates(connection, session_ids)
        moved = []
        for session_id in session_ids:
            session = self._store.session(connection, session_id)
            if session is None:
                continue  # Opened by somebody else's service.
            on_chain, fate = chain.get(session_id), fates[session_id]
            after = moved_on(session, on_chain, fate)
            if after != session:
                self._store.save_session(connection, after)
                moved.append(after)
            if on_chain is not None and after.state is SessionState.STOPPING:
                self._again(connection, after, fate)
        return moved

    def _fates(
        self, connection: Connection, session_ids: Sequence[SessionId]
    ) -> dict[SessionId, Fate]:
        kinds = ("open", "close", "cancel")
        keys = [f"{kind}:{session_id.hex()}" for session_id in session_ids for kind in kinds]
        entries = self._intents.entries(keys, connection)
        return {
            session_id: Fate(*(entries.get(f"{kind}:{session_id.hex()}") for kind in kinds))
            for session_id in session_ids
        }

    def _again(self, connection: Connection, session: ChargeSession, fate: Fate) -> None:
        """Owes anew what the chain refused and what still has to be."""
        if fate.cancel is not None:
            if self._is_due_again(fate.cancel):
                self.owe_cancel(connection, session, session.reason)
            return
        close = fate.close
        if close is None:  # Its end was another's, and a reorg dropped that.
            self.owe_cancel(connection, session, "it ended, and nothing was measured")
            return
        if close.state is not State.REVERTED:
            return
        code = close.error_code or ""
        attempts_max = RECORD_ATTEMPTS_MAX if code in RETRY_REASONS else SETTLED_ANEW_MAX
        if len(close.attempts) >= attempts_max:
            # The contract will never take this record: then nobody pays.
            self.owe_cancel(connection, session, f"record refused: {code}")
        elif self._is_due_again(close):
            self.settle_again(connection, session)

    def _is_due_again(self, entry: Entry) -> bool:
        if entry.state is not State.REVERTED:
            return False
        wait_s = 2 ** min(len(entry.attempts), BACK_OFF_DOUBLINGS)
        last_at = entry.attempts[-1].signed_at if entry.attempts else EPOCH
        return self._community.system_now() - last_at >= timedelta(seconds=wait_s)


def _top_up_key(top_up: TopUp) -> str:
    return f"topup:{top_up.session_id.hex()}:{top_up.nonce:x}"


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
        last_wh=chain.last_wh,
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
    if session.state in (SessionState.OPENING, SessionState.FAILED):
        return replace(known, state=SessionState.OPEN, reason="")
    if session.state in ENDED:  # The block that ended it was dropped.
        return _not_ended(known)
    return known


def _not_ended(session: ChargeSession) -> ChargeSession:
    return replace(
        session,
        state=SessionState.STOPPING,
        paid_micro=None,
        refunded_micro=None,
        close_tx=None,
    )


def _not_on_chain(session: ChargeSession, fate: Fate) -> ChargeSession:
    if fate.open is not None and fate.open.state is State.REVERTED:
        reason = fate.open.error_code or "the chain refused the opening"
        return replace(session, state=SessionState.FAILED, reason=reason)
    if session.state in (SessionState.OPEN, SessionState.CHARGING):
        # A reorg dropped the opening; the outbox repeats it, and a charge that runs goes on.
        return replace(session, state=SessionState.OPENING, opened_s=None, open_tx=None)
    if session.state in ENDED - {SessionState.FAILED}:
        return _not_ended(session)
    return session
