"""All that is kept of charges, as an audit reads it: what cannot be read is named, not raised."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, Table, select

from charging.event_json import digest_of, from_json
from charging.orders import SessionId, TopUp
from charging.points import PointEvent
from charging.session_rows_store import (
    ChargeEventRow,
    ChargeSessionRow,
    TopUpRow,
    session_of,
)
from charging.sessions import ChargeSession
from ledger.errors import LedgerError
from ledger.units import to_unix_s

UNREADABLE = (msgspec.MsgspecError, LedgerError, ValueError, TypeError, KeyError, OverflowError)
_SESSION: Table = ChargeSessionRow.__table__  # type: ignore[attr-defined]
_EVENT: Table = ChargeEventRow.__table__  # type: ignore[attr-defined]
_TOP_UP: Table = TopUpRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """What a charge point said of a charge, as it was written down."""

    kind: str
    text: str  # JSON.
    digest: bytes  # Of all that the charger said.
    received_s: int

    def event(self) -> PointEvent:
        """The message again.

        Raises:
            ValueError: it is not what was written down.
        """
        try:
            event = from_json(self.kind, self.text)
        except UNREADABLE as error:
            raise ValueError(f"cannot be read: {error}") from error
        if digest_of(event) != self.digest:
            raise ValueError("is not what its digest says")
        if to_unix_s(event.received_at) != self.received_s:
            raise ValueError("was not received when it says")
        return event


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTopUp:
    """A top-up, and the driver's signature."""

    top_up: TopUp
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSession:
    """A session with what was said of it, in order."""

    session: ChargeSession
    messages: tuple[KeptMessage, ...]
    top_ups: tuple[KeptTopUp, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Every session, and in words what could not be read."""

    sessions: Sequence[KeptSession]
    unreadable: Sequence[tuple[str, str]]  # Session, and why.


def kept_charges(engine: Engine) -> Kept:
    """Reads sessions, messages and top-ups as they are at one instant, in order of arrival."""
    with engine.begin() as connection:
        rows = connection.execute(select(_SESSION).order_by(_SESSION.c.number)).mappings().all()
        messages = _messages(connection)
        top_ups = connection.execute(select(_TOP_UP).order_by(_TOP_UP.c.nonce)).mappings().all()
    sessions, unreadable = [], []
    for row in rows:
        own = [each for each in top_ups if each["session_id"] == row["session_id"]]
        try:
            sessions.append(_kept(row, messages.get(row["transaction_no"] or 0, ()), own))
        except UNREADABLE as error:
            unreadable.append((f"session 0x{bytes(row['session_id']).hex()}", str(error)))
    return Kept(sessions=sessions, unreadable=unreadable)


def _kept(
    row: RowMapping, messages: Iterable[KeptMessage], top_ups: Iterable[RowMapping]
) -> KeptSession:
    return KeptSession(
        session=session_of(row),
        messages=tuple(messages),
        top_ups=tuple(
            KeptTopUp(
                top_up=TopUp(
                    session_id=SessionId(row["session_id"]),
                    add_micro=int(each["add_micro"]),
                    nonce=int(each["nonce"]),
                ),
                signature=bytes(each["signature"]),
            )
            for each in top_ups
        ),
    )


def _messages(connection: Connection) -> dict[int, list[KeptMessage]]:
    query = select(_EVENT).where(_EVENT.c.transaction_no.is_not(None)).order_by(_EVENT.c.number)
    found: dict[int, list[KeptMessage]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        message = KeptMessage(
            kind=row["kind"],
            text=row["event_json"],
            digest=bytes(row["digest"]),
            received_s=row["received_s"],
        )
        found[row["transaction_no"]].append(message)
    return found
