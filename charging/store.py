"""Sessions, transactions, and what charge points said, in the database."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    func,
    insert,
    or_,
    select,
    update,
)

from charging.desk import SessionState
from charging.event_json import digest_of, from_json, kind_of, to_json
from charging.orders import SessionId, TopUp
from charging.points import Availability, Booted, PointEvent
from charging.session_rows_store import (
    ChargeEventRow,
    ChargePointRow,
    ChargeSessionRow,
    ChargeTransactionRow,
    ConnectorRow,
    TopUpRow,
    session_of,
    session_values,
)
from charging.sessions import ChargeSession
from ledger.units import Address

__all__ = ["ChargingStore", "Connection", "Engine", "PointState", "Transaction"]

T = TypeVar("T")
SESSION: Table = ChargeSessionRow.__table__  # type: ignore[attr-defined]
TRANSACTION: Table = ChargeTransactionRow.__table__  # type: ignore[attr-defined]
EVENT: Table = ChargeEventRow.__table__  # type: ignore[attr-defined]
POINT: Table = ChargePointRow.__table__  # type: ignore[attr-defined]
CONNECTOR: Table = ConnectorRow.__table__  # type: ignore[attr-defined]
TOP_UP: Table = TopUpRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One charge as its charge point names it; `number` is what OCPP 1.6 calls it."""

    number: int
    charge_point_id: str
    transaction_id: str
    connector_id: int | None
    id_token: str
    session_id: SessionId | None
    begun: bool
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PointState:
    """A charge point as it last was."""

    contact_s: int
    protocol: str
    vendor: str
    model: str
    serial: str
    firmware: str


class ChargingStore:
    """Every method works in the caller's transaction; `run` opens one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.on_failure: list[Callable[[], None]] = []  # Whoever caches what was undone.

    def run(self, work: Callable[[Connection], T]) -> T:
        """Does work in one transaction; if it fails nothing happened, and caches are dropped."""
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except BaseException:
            for forget in self.on_failure:
                forget()
            raise

    # Sessions.

    def add_session(self, connection: Connection, session: ChargeSession) -> ChargeSession:
        """Stores a new session; raises nothing if it is there already, and gives what is there."""
        known = self.session(connection, session.session_id)
        if known is not None:
            return known
        connection.execute(insert(SESSION).values(**session_values(session)))
        stored = self.session(connection, session.session_id)
        if stored is None:
            raise LookupError(session.session_id)
        return stored

    def save_session(self, connection: Connection, session: ChargeSession) -> None:
        """Writes a session's present state."""
        connection.execute(
            update(SESSION)
            .where(SESSION.c.session_id == session.session_id)
            .values(**session_values(session))
        )

    def session(self, connection: Connection, session_id: bytes) -> ChargeSession | None:
        """A session by its id."""
        return self._one(connection, SESSION.c.session_id == session_id)

    def session_by_token(
        self, connection: Connection, charge_point_id: str, id_token: str
    ) -> ChargeSession | None:
        """The session whose token this is, at this charge point; upper and lower case are one."""
        return self._one(
            connection,
            SESSION.c.charge_point_id == charge_point_id,
            SESSION.c.id_token == id_token.strip().upper(),
        )

    def session_by_number(
        self, connection: Connection, charge_point_id: str, number: int
    ) -> ChargeSession | None:
        """The session that we asked a charge point to start under this `remoteStartId`."""
        return self._one(
            connection, SESSION.c.charge_point_id == charge_point_id, SESSION.c.number == number
        )

    def sessions_in(
        self, connection: Connection, states: Iterable[SessionState]
    ) -> list[ChargeSession]:
        """All sessions in these states, oldest first."""
        query = select(SESSION).where(SESSION.c.state.in_([state.value for state in states]))
        rows = connection.execute(query.order_by(SESSION.c.number)).mappings()
        return [session_of(row) for row in rows]

    def sessions_at(
        self, connection: Connection, charge_point_id: str, states: Iterable[SessionState]
    ) -> list[ChargeSession]:
        """Those of one charge point, oldest first."""
        query = (
            select(SESSION)
            .where(SESSION.c.charge_point_id == charge_point_id)
            .where(SESSION.c.state.in_([state.value for state in states]))
            .order_by(SESSION.c.number)
        )
        return [session_of(row) for row in connection.execute(query).mappings()]

    def unmetered(self, connection: Connection) -> list[ChargeSession]:
        """Charges with a record whose readings the market does not have yet."""
        query = select(SESSION).where(
            SESSION.c.metered.is_(False), SESSION.c.record_json.is_not(None)
        )
        rows = connection.execute(query.order_by(SESSION.c.number)).mappings()
        return [session_of(row) for row in rows]

    def page(
        self, connection: Connection, who: Address | None, *, limit: int, before: int | None
    ) -> list[ChargeSession]:
        """Sessions that somebody drives or hosts, newest first, older than `before`."""
        query = select(SESSION).order_by(SESSION.c.number.desc()).limit(limit)
        if who is not None:
            query = query.where(or_(SESSION.c.driver == who, SESSION.c.host == who))
        if before is not None:
            query = query.where(SESSION.c.number < before)
        return [session_of(row) for row in connection.execute(query).mappings()]

    def _one(self, connection: Connection, *where: ColumnElement[bool]) -> ChargeSession | None:
        query = select(SESSION).where(*where)
        row = connection.execute(query).mappings().first()
        return None if row is None else session_of(row)

    # Top-ups.

    def has_top_up(self, connection: Connection, top_up: TopUp) -> bool:
        """Whether a top-up was kept before."""
        where = (TOP_UP.c.session_id == top_up.session_id, TOP_UP.c.nonce == str(top_up.nonce))
        return connection.execute(select(TOP_UP.c.nonce).where(*where)).first() is not None

    def add_top_up(self, connection: Connection, top_up: TopUp, signature: bytes) -> bool:
        """Keeps a signed top-up; False if it was kept before."""
        if self.has_top_up(connection, top_up):
            return False
        connection.execute(
            insert(TOP_UP).values(
                session_id=top_up.session_id,
                nonce=str(top_up.nonce),
                add_micro=str(top_up.add_micro),
                signature=signature,
            )
        )
        return True

    # What charge points said.

    def add_event(
        self, connection: Connection, event: PointEvent, transaction_no: int | None = None
    ) -> bool:
        """Keeps an event; False if the same was kept before."""
        digest = digest_of(event)
        if connection.execute(select(EVENT.c.number).where(EVENT.c.digest == digest)).first():
            return False
        connection.execute(
            insert(EVENT).values(
                digest=digest,
                charge_point_id=event.charge_point_id,
                received_s=int(event.received_at.timestamp()),
                transaction_no=transaction_no,
                kind=kind_of(event),
                event_json=to_json(event),
            )
        )
        return True

    def transaction_of(self, connection: Connection, event: PointEvent) -> int | None:
        """The transaction under which the same event was kept before."""
        query = select(EVENT.c.transaction_no).where(EVENT.c.digest == digest_of(event))
        number: int | None = connection.execute(query).scalar()
        return number

    def events_of(self, connection: Connection, transaction_no: int) -> list[PointEvent]:
        """All that was said about a charge, in the order in which it reached us."""
        query = (
            select(EVENT.c.kind, EVENT.c.event_json)
            .where(EVENT.c.transaction_no == transaction_no)
            .order_by(EVENT.c.number)
        )
        return [from_json(row.kind, row.event_json) for row in connection.execute(query)]

    def message_count(self, connection: Connection, transaction_no: int) -> int:
        """How many messages about a charge are kept by now."""
        query = select(func.count()).where(EVENT.c.transaction_no == transaction_no)
        return connection.execute(query).scalar_one()

    def values_outside(
        self, connection: Connection, after_no: int, *, limit: int
    ) -> list[tuple[int, PointEvent]]:
        """Meter values that belong to no charge, with their numbers, in order."""
        query = (
            select(EVENT.c.number, EVENT.c.kind, EVENT.c.event_json)
            .where(EVENT.c.number > after_no)
            .where(EVENT.c.transaction_no.is_(None))
            .where(EVENT.c.kind == "TransactionUpdated")
            .order_by(EVENT.c.number)
            .limit(limit)
        )
        return [
            (row.number, from_json(row.kind, row.event_json)) for row in connection.execute(query)
        ]

    # Transactions.

    def transaction(
        self, connection: Connection, charge_point_id: str, transaction_id: str
    ) -> Transaction | None:
        """A charge by the id that its charge point uses."""
        query = select(TRANSACTION).where(
            TRANSACTION.c.charge_point_id == charge_point_id,
            TRANSACTION.c.transaction_id == transaction_id,
        )
        row = connection.execute(query).mappings().first()
        return None if row is None else _transaction_of(row)

    def transaction_by_number(self, connection: Connection, number: int) -> Transaction:
        """A charge by our own number."""
        query = select(TRANSACTION).where(TRANSACTION.c.number == number)
        return _transaction_of(connection.execute(query).mappings().one())

    def open_transactions(self, connection: Connection, charge_point_id: str) -> list[Transaction]:
        """Charges of a charge point that have not ended, newest first."""
        query = (
            select(TRANSACTION)
            .where(TRANSACTION.c.charge_point_id == charge_point_id)
            .where(TRANSACTION.c.ended.is_(False))
            .order_by(TRANSACTION.c.number.desc())
        )
        return [_transaction_of(row) for row in connection.execute(query).mappings()]

    def add_transaction(
        self, connection: Connection, transaction: Transaction, *, ours: bool
    ) -> Transaction:
        """Stores a charge; with `ours` its id becomes our number (OCPP 1.6)."""
        values = _transaction_values(transaction)
        result = connection.execute(insert(TRANSACTION).values(**values))
        number: int = result.inserted_primary_key[0] if result.inserted_primary_key else 0
        if ours:
            connection.execute(
                update(TRANSACTION)
                .where(TRANSACTION.c.number == number)
                .values(transaction_id=str(number))
            )
        return self.transaction_by_number(connection, number)

    def save_transaction(self, connection: Connection, transaction: Transaction) -> None:
        """Writes a charge's present state."""
        connection.execute(
            update(TRANSACTION)
            .where(TRANSACTION.c.number == transaction.number)
            .values(**_transaction_values(transaction))
        )

    # Charge points.

    def note_contact(self, connection: Connection, charge_point_id: str, contact_s: int) -> None:
        """Notes when a charge point was last heard of."""
        self._upsert_point(connection, charge_point_id, {"contact_s": contact_s})

    def note_protocol(self, connection: Connection, charge_point_id: str, protocol: str) -> None:
        """Notes what a charge point speaks."""
        self._upsert_point(connection, charge_point_id, {"protocol": protocol})

    def note_boot(self, connection: Connection, event: Booted) -> None:
        """Notes what a charge point says of itself."""
        values = {
            "contact_s": int(event.received_at.timestamp()),
            "vendor": event.vendor,
            "model": event.model,
            "serial": event.serial,
            "firmware": event.firmware,
        }
        self._upsert_point(connection, event.charge_point_id, values)

    def points(self, connection: Connection) -> dict[str, PointState]:
        """Every charge point that was ever here."""
        return {
            row["charge_point_id"]: PointState(
                **{name: row[name] for name in PointState.__dataclass_fields__}
            )
            for row in connection.execute(select(POINT)).mappings()
        }

    def note_availability(
        self,
        connection: Connection,
        charge_point_id: str,
        connector_id: int,
        availability: Availability,
        *,
        error: str,
        since_s: int,
    ) -> None:
        """Notes a connector's state."""
        where = (
            CONNECTOR.c.charge_point_id == charge_point_id,
            CONNECTOR.c.connector_id == connector_id,
        )
        values = {"availability": availability.value, "error": error, "since_s": since_s}
        if connection.execute(update(CONNECTOR).where(*where).values(**values)).rowcount == 0:
            connection.execute(
                insert(CONNECTOR).values(
                    charge_point_id=charge_point_id, connector_id=connector_id, **values
                )
            )

    def availabilities(
        self, connection: Connection
    ) -> dict[tuple[str, int], tuple[Availability, int]]:
        """Every connector's state, and since when."""
        return {
            (row.charge_point_id, row.connector_id): (Availability(row.availability), row.since_s)
            for row in connection.execute(select(CONNECTOR))
        }

    def _upsert_point(
        self, connection: Connection, charge_point_id: str, values: dict[str, Any]
    ) -> None:
        where = POINT.c.charge_point_id == charge_point_id
        if connection.execute(update(POINT).where(where).values(**values)).rowcount == 0:
            unknown = {"protocol": "", "vendor": "", "model": "", "serial": "", "firmware": ""}
            whole = unknown | {"contact_s": 0} | values
            connection.execute(insert(POINT).values(charge_point_id=charge_point_id, **whole))


def _transaction_values(transaction: Transaction) -> dict[str, Any]:
    return {
        name: getattr(transaction, name)
        for name in Transaction.__dataclass_fields__
        if name != "number"
    }


def _transaction_of(row: Any) -> Transaction:
    return Transaction(**{name: row[name] for name in Transaction.__dataclass_fields__})
