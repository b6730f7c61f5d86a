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
from charging.points import (
    Authorised,
    Booted,
    PointEvent,
    Reply,
    StatusChanged,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from charging.registers import EnergyTrack
from charging.sessions import RUNNING, ChargeSession
from charging.store import ChargingStore, Connection, Transaction
from ledger.units import from_unix_s, to_unix_s

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
    has_moved: bool = False  # The session is in another state than before.
    stop: StopCharge | None = None


class ChargeIntake:
    """Takes events in the journal's thread, one after the other."""

    def __init__(
        self, store: ChargingStore, ender: SessionEnder, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._messages = store.messages
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
                may = session is not None and _may_charge(session)
                return Taken(reply=Reply(accepted=may))
            case StatusChanged():
                self._take_status(connection, event)
            case Booted():
                self._messages.add_event(connection, event)
                self._store.places.note_boot(connection, event)
            case _:
                pass
        return Taken(reply=Reply())

    def track(self, connection: Connection, session: ChargeSession) -> EnergyTrack | None:
        """What is known of a session's energy; None before its charge began."""
        if session.transaction_no is None or session.opened_s is None:
            return None
        track = self._tracks.get(session.transaction_no)
        if track is None or not _is_of(track, session):
            track = EnergyTrack(
                last_wh=session.last_wh,
                power_w=session.power_w,
                opened_at=from_unix_s(session.opened_s),
            )
            for event in self._messages.events_of(connection, session.transaction_no):
                track.take(event)
            if len(self._tracks) >= TRACKS_MAX:
                self._tracks.clear()
            self._tracks[session.transaction_no] = track
        return track

    # Charges.

    def _take_transaction(self, connection: Connection, event: TransactionEvent) -> Taken:
        transaction = self._named(connection, event)
        if transaction is None:
            kept = self._messages.kept(connection, event)
            if kept is not None:
                return self._said_before(connection, *kept)
            transaction = self._unnamed(connection, event) or self._begun(connection, event)
        number = transaction.number if transaction else None
        if not self._messages.add_event(connection, event, number):
            kept = self._messages.kept(connection, event)
            return self._said_before(connection, *(kept or (number,)))
        if transaction is None:  # Meter values outside of any charge.
            return Taken(reply=Reply())
        transaction = self._updated(connection, transaction, event)
        session = self._session_of(connection, transaction)
        if session is None:
            return self._nobodys(connection, transaction, event)
        track = self._tracks.get(transaction.number)
        if track is not None:
            track.take(event)
        return self._move(connection, session, transaction, event)

    def _said_before(self, connection: Connection, number: int | None) -> Taken:
        """Answers as then."""
        if number is None:
            return Taken(reply=Reply())
        transaction = self._messages.transaction_by_number(connection, number)
        session = self._session_of(connection, transaction)
        may = session is not None and session.state not in ENDED
        return Taken(reply=Reply(accepted=may, transaction_id=transaction.transaction_id))

    # Which charge an event is about.

    def _named(self, connection: Connection, event: TransactionEvent) -> Transaction | None:
        """The charge of the event's id, if it is a usable and a known one."""
        if event.transaction_id in NO_TRANSACTION:
            return None
        point, name = event.charge_point_id, event.transaction_id
        found = self._messages.transaction(connection, point, name)
        if found is not None and self._is_reused(connection, found, event):
            self._give_up_id(connection, found)
            return None
        return found

    def _is_reused(
        self, connection: Connection, found: Transaction, event: TransactionEvent
    ) -> bool:
        """Whether a station that counts its charges anew begins another one under an old id."""
        is_start = isinstance(event, TransactionStarted)
        is_whole = is_start and found.begun and found.ended
        has_owner = found.session_id is not None and (is_start or found.ended)
        if isinstance(event, TransactionEnded) or not (is_whole or has_owner):
            return False
        if event.id_token or event.remote_start_id is not None:
            session = self._wanted(connection, event)
            is_other = session is not None and session.transaction_no is None
        else:  # The cable first, and only then the driver.
            ended_at = self._messages.ended_at(connection, found.number)
            is_other = bool(is_start and ended_at and event.at and event.at > ended_at)
        return is_other and self._messages.kept(connection, event) is None

    def _give_up_id(self, connection: Connection, found: Transaction) -> None:
        """The charge that had the id is over, whether its end was told or not."""
        self._messages.give_up_id(connection, found)
        session = self._session_of(connection, found)
        if session is not None and session.state in RUNNING and session.ended_s is None:
            self._store.save_session(connection, self._over(session))

    def _unnamed(self, connection: Connection, event: TransactionEvent) -> Transaction | None:
        """The open charge that an event without a usable id must be about."""
        if event.transaction_id not in NO_TRANSACTION or isinstance(event, TransactionStarted):
            return None
        running = self._messages.open_transactions(connection, event.charge_point_id)
        if event.id_token:
            running = [each for each in running if _same_token(each.id_token, event.id_token)]
        elif event.connector_id is not None:
            running = [each for each in running if each.connector_id == event.connector_id]
        elif len(running) != 1:  # It could be any of them.
            return None
        return next(iter(running), None)

    def _begun(self, connection: Connection, event: TransactionEvent) -> Transaction | None:
        """A charge of which nothing was said yet; None for values outside of any charge."""
        has_id = event.transaction_id not in NO_TRANSACTION
        has_owner = bool(event.id_token) or event.remote_start_id is not None
        if not (has_id or has_owner or isinstance(event, TransactionStarted)):
            return None
        session = self._wanted(connection, event)
        if session is not None and session.transaction_no is not None:
            earlier = self._messages.transaction_by_number(connection, session.transaction_no)
            is_late_start = isinstance(event, TransactionStarted) and not earlier.begun
            if is_late_start or (not has_id and not isinstance(event, TransactionStarted)):
                return earlier
            if isinstance(event, TransactionStarted):
                self._supersede(connection, session, earlier, event)
        return self._messages.add_transaction(
            connection,
            Transaction(
                number=0,
                charge_point_id=event.charge_point_id,
                transaction_id=event.transaction_id or f"new:{event.message_id}",
                connector_id=event.connector_id,
                id_token=event.id_token,
                session_id=None,
                begun=False,
                ended=False,
            ),
            ours=not has_id,
        )

    def _supersede(
        self,
        connection: Connection,
        session: ChargeSession,
        earlier: Transaction,
        event: TransactionEvent,
    ) -> None:
        """A second charge under one token is nobody's; at the same connector the first is over."""
        if earlier.ended or earlier.connector_id != event.connector_id or session.ended_s:
            return
        self._store.save_session(connection, self._over(session))

    def _over(self, session: ChargeSession) -> ChargeSession:
        return replace(session, ended_s=self._now_s(), stop_reason="another charge began")

    def _updated(
        self, connection: Connection, found: Transaction, event: TransactionEvent
    ) -> Transaction:
        updated = replace(
            found,
            begun=found.begun or isinstance(event, TransactionStarted),
            ended=found.ended or isinstance(event, TransactionEnded),
            connector_id=found.connector_id or event.connector_id,
            id_token=found.id_token or event.id_token,
        )
        was_refused = found.begun and bool(found.id_token)
        if updated.session_id is None and not was_refused:
            named = replace(event, id_token=updated.id_token, connector_id=updated.connector_id)
            session = self._wanted(connection, named)
            if session is not None and session.transaction_no is None:
                updated = replace(updated, session_id=session.session_id)
                joined = replace(session, transaction_no=updated.number)
                self._store.save_session(connection, joined)
        if updated != found:
            self._messages.save_transaction(connection, updated)
        return updated

    def _wanted(self, connection: Connection, event: TransactionEvent) -> ChargeSession | None:
        """The session that a charge was started for."""
        point, session = event.charge_point_id, None
        if event.remote_start_id is not None:
            session = self._store.session_by_number(connection, point, event.remote_start_id)
        if session is None and event.id_token:
            session = self._store.session_by_token(connection, point, event.id_token)
        if session is None or not _may_charge(session):
            return None
        # In OCPP 2.0.1 a connector is an EVSE, and 0 is the whole charge point.
        return session if event.connector_id in (None, 0, session.connector_id) else None

    def _session_of(self, connection: Connection, transaction: Transaction) -> ChargeSession | None:
        if transaction.session_id is None:
            return None
        return self._store.session_now(connection, transaction.session_id)

    # What comes of it.

    def _nobodys(
        self, connection: Connection, transaction: Transaction, event: TransactionEvent
    ) -> Taken:
        """A charge without a session: kept, and stopped as long as it runs."""
        reply = Reply(accepted=False, transaction_id=transaction.transaction_id)
        return Taken(reply=reply, stop=self._stop_of(connection, transaction, event))

    def _stop_of(
        self, connection: Connection, transaction: Transaction, event: TransactionEvent
    ) -> StopCharge | None:
        """What is to be asked of a charger that goes on with a charge that nobody pays for."""
        if transaction.ended and not self._goes_on(connection, transaction, event):
            return None
        return StopCharge(
            charge_point_id=transaction.charge_point_id, transaction_id=transaction.transaction_id
        )

    def _goes_on(
        self, connection: Connection, transaction: Transaction, event: TransactionEvent
    ) -> bool:
        """Whether a value was taken after the end that was told: that may have been another's."""
        if not isinstance(event, TransactionUpdated):
            return False
        ended_at = self._messages.ended_at(connection, transaction.number)
        taken_at = [sample.taken_at for sample in event.samples if sample.taken_at is not None]
        return ended_at is not None and max(taken_at, default=ended_at) > ended_at

    def _move(
        self,
        connection: Connection,
        session: ChargeSession,
        transaction: Transaction,
        event: TransactionEvent,
    ) -> Taken:
        reply = Reply(accepted=True, transaction_id=transaction.transaction_id)
        if not _may_charge(session):  # Late values of a charge that is settled.
            late = replace(reply, accepted=session.state is SessionState.STOPPING)
            return Taken(reply=late, stop=self._stop_of(connection, transaction, event))
        before = session
        if session.state is SessionState.OPEN and transaction.begun:
            session = replace(session, state=SessionState.CHARGING)
        if isinstance(event, TransactionEnded):
            session = replace(
                session,
                ended_s=self._now_s(),
                stop_reason=session.stop_reason or event.reason,
            )
        if session != before:
            self._store.save_session(connection, session)
        track = self.track(connection, session)
        if track is None:
            return Taken(reply=reply, session=session)
        if transaction.ended and transaction.begun:
            session = self._ender.end(connection, session, track, self._now())
        cost_micro = track.live(self._now()).cost_micro_down(session.order.tariff)
        reply = Reply(
            transaction_id=transaction.transaction_id,
            cost_micro=min(cost_micro, session.deposit_micro),
        )
        return Taken(reply=reply, session=session, has_moved=session.state is not before.state)

    def _now_s(self) -> int:
        return to_unix_s(self._now())

    # States.

    def _take_status(self, connection: Connection, event: StatusChanged) -> None:
        point, connector_id = event.charge_point_id, event.connector_id
        open_here = (
            each
            for each in self._messages.open_transactions(connection, point)
            if each.connector_id == connector_id
        )
        transaction = next(open_here, None)
        number = transaction.number if transaction else None
        is_new = self._messages.add_event(connection, event, number)
        # One that counts its messages anew, and has no clock, says news in words that we know.
        places = self._store.places
        before = places.availability(connection, point, connector_id)
        if before is not event.availability or (is_new and event.error):
            places.note_availability(
                connection,
                point,
                connector_id,
                event.availability,
                error=event.error,
                since_s=to_unix_s(event.received_at),
            )
        track = self._tracks.get(number or 0)
        if is_new and track is not None:
            track.take(event)


def _is_of(track: EnergyTrack, session: ChargeSession) -> bool:
    """Whether a track goes by what the session's opening says: a reorg may have changed that."""
    terms = (track.last_wh, track.power_w, to_unix_s(track.opened_at))
    return terms == (session.last_wh, session.power_w, session.opened_s)


def _same_token(one: str, other: str) -> bool:
    return one.strip().upper() == other.strip().upper()


def _may_charge(session: ChargeSession) -> bool:
    """Whether its deposit is there, or was there before a reorg took the opening back."""
    if session.state is SessionState.OPENING:
        return session.start_asked_s is not None or session.transaction_no is not None
    return session.state in (SessionState.OPEN, SessionState.CHARGING)
