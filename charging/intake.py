"""What charge points say becomes sessions that move on, in one transaction with what they said.

A charge finds its session by the number or the token that we asked the charger to start it with.
Starts, stops and values come late, twice, in any order, or without an id; whatever is said is kept,
and what a session came to is decided over all of it (`registers.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from charging.desk import ENDED, SessionState
from charging.measured import Measured
from charging.points import (
    Authorised,
    Booted,
    PointEvent,
    Reply,
    StatusChanged,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
)
from charging.registers import EnergyTrack
from charging.sessions import ChargeSession
from charging.store import ChargingStore, Connection, Transaction
from ledger.units import from_unix_s

NO_TRANSACTION: Final = frozenset({"", "-1", "0"})  # What chargers send that never got an id.
TRACKS_MAX: Final = 20_000


class SessionEnder(Protocol):
    """Makes the record of a charge that is over, and owes it to the escrow."""

    def end(
        self, connection: Connection, session: ChargeSession, track: EnergyTrack, now_at: datetime
    ) -> ChargeSession: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCharge:
    """A charge that nobody pays for is to be stopped."""

    charge_point_id: str
    transaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of an event: the charger's answer, what changed, what is to be asked."""

    reply: Reply
    session: ChargeSession | None = None
    measured: Measured | None = None
    stop: StopCharge | None = None


class ChargeIntake:
    """Takes events in the journal's thread, one after the other."""

    def __init__(
        self, store: ChargingStore, ender: SessionEnder, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._ender = ender
        self._now = now
        self._tracks: dict[int, EnergyTrack] = {}  # By transaction; can be lost at any time.
        store.on_failure.append(self._tracks.clear)

    def take(self, connection: Connection, event: PointEvent) -> Taken:
        """Keeps an event and moves its session on."""
        match event:
            case TransactionEvent():
                return self._take_transaction(connection, event)
            case Authorised():
                session = self._store.session_by_token(
                    connection, event.charge_point_id, event.id_token
                )
                may = session is not None and session.state in _MAY_CHARGE
                return Taken(reply=Reply(accepted=may))
            case StatusChanged():
                self._take_status(connection, event)
            case Booted():
                self._store.add_event(connection, event)
                self._store.note_boot(connection, event)
            case _:
                pass
        return Taken(reply=Reply())

    def track(self, connection: Connection, session: ChargeSession) -> EnergyTrack | None:
        """What is known of a session's energy; None before its charge began."""
        if session.transaction_no is None or session.opened_s is None:
            return None
        track = self._tracks.get(session.transaction_no)
        if track is None:
            track = EnergyTrack(
                last_wh=session.last_wh,
                power_w=session.power_w,
                opened_at=from_unix_s(session.opened_s),
            )
            for event in self._store.events_of(connection, session.transaction_no):
                track.take(event)
            if len(self._tracks) >= TRACKS_MAX:
                self._tracks.clear()
            self._tracks[session.transaction_no] = track
        return track

    def forget(self, session: ChargeSession) -> None:
        """Drops what is only kept to be fast."""
        self._tracks.pop(session.transaction_no or 0, None)

    # Charges.

    def _take_transaction(self, connection: Connection, event: TransactionEvent) -> Taken:
        known_no = self._store.transaction_of(connection, event)
        if known_no is not None:  # Said before, and kept: answer as then.
            transaction = self._store.transaction_by_number(connection, known_no)
            return Taken(reply=self._reply(connection, transaction))
        transaction = self._transaction_of(connection, event)
        self._store.add_event(connection, event, transaction.number or None)
        if transaction.number == 0:
            return Taken(reply=Reply())
        session = self._session_of(connection, transaction)
        if session is None:
            return self._nobodys(transaction, event)
        track = self._tracks.get(transaction.number)
        if track is not None:
            track.take(event)
        return self._move(connection, session, transaction, event)

    def _transaction_of(self, connection: Connection, event: TransactionEvent) -> Transaction:
        """The charge that an event is about; it begins here if nothing was said of it before."""
        point = event.charge_point_id
        found = None
        if event.transaction_id not in NO_TRANSACTION:
            found = self._store.transaction(connection, point, event.transaction_id)
        elif not isinstance(event, TransactionStarted):
            found = self._unnamed(connection, event)
            if found is None and not event.id_token and event.remote_start_id is None:
                return _NONE  # Meter values outside of any charge.
        if found is not None:
            return self._update(connection, found, event)
        return self._begin(connection, event)

    def _unnamed(self, connection: Connection, event: TransactionEvent) -> Transaction | None:
        """The open charge that an event without a usable id must be about."""
        for transaction in self._store.open_transactions(connection, event.charge_point_id):
            same_token = transaction.id_token.upper() == event.id_token.strip().upper()
            same_place = event.connector_id in (None, transaction.connector_id)
            if (event.id_token and same_token) or (not event.id_token and same_place):
                return transaction
        return None

    def _begin(self, connection: Connection, event: TransactionEvent) -> Transaction:
        session = self._wanted(connection, event)
        if session is not None and session.transaction_no is not None:
            earlier = self._store.transaction_by_number(connection, session.transaction_no)
            is_late_start = isinstance(event, TransactionStarted) and not earlier.begun
            if is_late_start or event.transaction_id in NO_TRANSACTION:
                return self._update(connection, earlier, event)
            session = None  # A second charge under one token is nobody's.
        transaction = self._store.add_transaction(
            connection,
            Transaction(
                number=0,
                charge_point_id=event.charge_point_id,
                transaction_id=event.transaction_id or f"new:{event.message_id}",
                connector_id=event.connector_id,
                id_token=event.id_token,
                session_id=session.session_id if session else None,
                begun=isinstance(event, TransactionStarted),
                ended=isinstance(event, TransactionEnded),
            ),
            ours=event.transaction_id in NO_TRANSACTION,
        )
        if session is not None:
            joined = replace(session, transaction_no=transaction.number)
            self._store.save_session(connection, joined)
        return transaction

    def _update(
        self, connection: Connection, found: Transaction, event: TransactionEvent
    ) -> Transaction:
        updated = replace(
            found,
            begun=found.begun or isinstance(event, TransactionStarted),
            ended=found.ended or isinstance(event, TransactionEnded),
            connector_id=found.connector_id or event.connector_id,
            id_token=found.id_token or event.id_token,
        )
        if updated.session_id is None:
            session = self._wanted(connection, replace(event, id_token=updated.id_token))
            if session is not None and session.transaction_no is None:
                updated = replace(updated, session_id=session.session_id)
                joined = replace(session, transaction_no=updated.number)
                self._store.save_session(connection, joined)
        if updated != found:
            self._store.save_transaction(connection, updated)
        return updated

    def _wanted(self, connection: Connection, event: TransactionEvent) -> ChargeSession | None:
        """The session that a charge was started for."""
        point, session = event.charge_point_id, None
        if event.remote_start_id is not None:
            session = self._store.session_by_number(connection, point, event.remote_start_id)
        if session is None and event.id_token:
            session = self._store.session_by_token(connection, point, event.id_token)
        return session if session is not None and session.state in _MAY_CHARGE else None

    def _session_of(self, connection: Connection, transaction: Transaction) -> ChargeSession | None:
        if transaction.session_id is None:
            return None
        return self._store.session(connection, transaction.session_id)

    def _nobodys(self, transaction: Transaction, event: TransactionEvent) -> Taken:
        """A charge without a session: kept, and stopped if it still runs."""
        stop = None
        if not transaction.ended and isinstance(event, TransactionStarted):
            stop = StopCharge(
                charge_point_id=transaction.charge_point_id,
                transaction_id=transaction.transaction_id,
            )
        reply = Reply(accepted=False, transaction_id=transaction.transaction_id)
        return Taken(reply=reply, stop=stop)

    def _reply(self, connection: Connection, transaction: Transaction) -> Reply:
        session = self._session_of(connection, transaction)
        may = session is not None and session.state not in ENDED
        return Reply(accepted=may, transaction_id=transaction.transaction_id)

    def _move(
        self,
        connection: Connection,
        session: ChargeSession,
        transaction: Transaction,
        event: TransactionEvent,
    ) -> Taken:
        reply = Reply(accepted=True, transaction_id=transaction.transaction_id)
        if session.state not in _MAY_CHARGE:  # Late values of a charge that is settled.
            late = replace(reply, accepted=session.state is SessionState.STOPPING)
            return Taken(reply=late)
        before = session
        if session.state is SessionState.OPEN and transaction.begun:
            session = replace(session, state=SessionState.CHARGING)
        if isinstance(event, TransactionEnded):
            session = replace(
                session,
                ended_s=int(self._now().timestamp()),
                stop_reason=session.stop_reason or event.reason,
            )
        if session != before:
            self._store.save_session(connection, session)
        track = self.track(connection, session)
        if track is None:
            return Taken(reply=reply, session=session)
        if transaction.ended and transaction.begun:
            session = self._ender.end(connection, session, track, self._now())
        measured = track.live(self._now())
        cost_micro = min(measured.cost_micro_down(session.order.tariff), session.deposit_micro)
        return Taken(
            reply=replace(reply, cost_micro=cost_micro), session=session, measured=measured
        )

    # States.

    def _take_status(self, connection: Connection, event: StatusChanged) -> None:
        point, connector_id = event.charge_point_id, event.connector_id
        transaction = next(
            (
                each
                for each in self._store.open_transactions(connection, point)
                if each.connector_id == connector_id
            ),
            None,
        )
        number = transaction.number if transaction else None
        if not self._store.add_event(connection, event, number):
            return
        before = self._store.availabilities(connection).get((point, connector_id))
        if before is None or before[0] is not event.availability or event.error:
            self._store.note_availability(
                connection,
                point,
                connector_id,
                event.availability,
                error=event.error,
                since_s=int(event.received_at.timestamp()),
            )
        track = self._tracks.get(number or 0)
        if track is not None:
            track.take(event)


_MAY_CHARGE: Final = frozenset({SessionState.OPENING, SessionState.OPEN, SessionState.CHARGING})
_NONE: Final = Transaction(
    number=0,
    charge_point_id="",
    transaction_id="",
    connector_id=None,
    id_token="",
    session_id=None,
    begun=False,
    ended=False,
)
