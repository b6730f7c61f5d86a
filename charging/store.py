"""Sessions in the database, with what their drivers signed and what proved them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    delete,
    insert,
    or_,
    select,
    update,
)

from charging.desk import ENDED, EVERY_SESSION, SessionFilter, SessionState
from charging.messages_store import Messages, Transaction
from charging.orders import SessionId, TopUp
from charging.places_store import Places, PointState
from charging.session_rows_store import (
    ChargeSessionRow,
    SignedRecordRow,
    TopUpRow,
    paid_charge_of,
    session_of,
    session_values,
)
from charging.sessions import LIVE, ChargeSession, PaidCharge, new_id_token
from ledger.units import Address, Hash32

__all__ = ["ChargingStore", "Connection", "Engine", "PointState", "Transaction"]

T = TypeVar("T")
SESSION: Final[Table] = ChargeSessionRow.__table__  # type: ignore[attr-defined]
TOP_UP: Final[Table] = TopUpRow.__table__  # type: ignore[attr-defined]
SIGNED: Final[Table] = SignedRecordRow.__table__  # type: ignore[attr-defined]
CACHED_MAX: Final = 20_000
ASKED_AT_ONCE: Final = 500


class ChargingStore:
    """Every method works in the caller's transaction; `run` opens one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.messages = Messages()
        self.places = Places()
        self._cached: dict[bytes, ChargeSession] = {}  # Can be lost at any time.
        # Whoever caches what may be undone.
        self.on_failure: list[Callable[[], None]] = [self._cached.clear, self.messages.forget]

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
        """Stores a new session under a new token; one that is there already stays as it is."""
        known = self.session(connection, session.session_id)
        if known is not None:
            return known
        named = replace(session, id_token=new_id_token())
        connection.execute(insert(SESSION).values(**session_values(named)))
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
        self._cache(session)

    def session_now(self, connection: Connection, session_id: bytes) -> ChargeSession | None:
        """The same as `session`, mostly without a query: for the thread that saves them all."""
        cached = self._cached.get(session_id)
        if cached is None and (found := self.session(connection, session_id)) is not None:
            cached = self._cache(found)
        return cached

    def _cache(self, session: ChargeSession) -> ChargeSession:
        if len(self._cached) >= CACHED_MAX:
            self._cached.clear()
        self._cached[session.session_id] = session
        return session

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

    def sessions_now(
        self, connection: Connection, states: Iterable[SessionState]
    ) -> list[ChargeSession]:
        """The same as `sessions_in`, mostly without reading them: see `session_now`."""
        query = select(SESSION.c.session_id).where(
            SESSION.c.state.in_([state.value for state in states])
        )
        rows = connection.execute(query.order_by(SESSION.c.number))
        found = (self.session_now(connection, row.session_id) for row in rows.all())
        return [session for session in found if session is not None]

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
        """Charges that are over and have a record, whose readings the market does not have yet."""
        query = select(SESSION).where(
            SESSION.c.metered.is_(False),
            SESSION.c.record_json.is_not(None),
            SESSION.c.state.in_([state.value for state in ENDED]),
        )
        rows = connection.execute(query.order_by(SESSION.c.number)).mappings()
        return [session_of(row) for row in rows]

    def page(
        self,
        connection: Connection,
        who: Address | None,
        *,
        limit: int,
        before: int | None,
        where: SessionFilter = EVERY_SESSION,
    ) -> list[ChargeSession]:
        """Sessions that somebody drives or hosts, newest first, older than `before`."""
        query = select(SESSION).where(*_conditions(where))
        if who is not None:
            query = query.where(or_(SESSION.c.driver == who, SESSION.c.host == who))
        if before is not None:
            query = query.where(SESSION.c.number < before)
        query = query.order_by(SESSION.c.number.desc()).limit(limit)
        return [session_of(row) for row in connection.execute(query).mappings()]

    def paid_to(
        self, connection: Connection, host: Address, where: SessionFilter
    ) -> Iterator[PaidCharge]:
        """What charges brought a host, one after the other."""
        columns = (
            SESSION.c.charge_point_id,
            SESSION.c.connector_id,
            SESSION.c.record_json,
            SESSION.c.paid_micro,
        )
        query = select(*columns).where(SESSION.c.host == host, *_conditions(where))
        for row in connection.execute(query):
            yield paid_charge_of(row)

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

    def top_ups(self, connection: Connection, session_id: SessionId) -> list[TopUp]:
        """All top-ups that were asked for."""
        rows = connection.execute(select(TOP_UP).where(TOP_UP.c.session_id == session_id))
        return [
            TopUp(session_id=session_id, add_micro=int(row.add_micro), nonce=int(row.nonce))
            for row in rows
        ]

    # Signed records.

    def used_elsewhere(
        self, connection: Connection, digests: Iterable[Hash32], session_id: SessionId
    ) -> frozenset[Hash32]:
        """Of signed records those that prove another session."""
        asked, found = list(digests), set[Hash32]()
        for place in range(0, len(asked), ASKED_AT_ONCE):
            query = select(SIGNED.c.digest).where(
                SIGNED.c.digest.in_(asked[place : place + ASKED_AT_ONCE]),
                SIGNED.c.session_id != session_id,
            )
            found.update(Hash32(row.digest) for row in connection.execute(query))
        return frozenset(found)

    def note_used(
        self, connection: Connection, digests: Iterable[Hash32], session_id: SessionId
    ) -> None:
        """From now on these signed records prove this session, and no other."""
        connection.execute(delete(SIGNED).where(SIGNED.c.session_id == session_id))
        for digest in digests:
            connection.execute(insert(SIGNED).values(digest=digest, session_id=session_id))


def _conditions(where: SessionFilter) -> Iterator[ColumnElement[bool]]:
    """What a session that is looked for fulfils."""
    if where.charge_point_id is not None:
        yield SESSION.c.charge_point_id == where.charge_point_id
    if where.live:
        yield SESSION.c.state.in_([state.value for state in LIVE])
    if where.paid:
        yield SESSION.c.state == SessionState.CLOSED.value
    if where.created_from_s is not None:
        yield SESSION.c.created_s >= where.created_from_s
    if where.created_until_s is not None:
        yield SESSION.c.created_s < where.created_until_s
