"""What charge points said, once each, and the charges that they said it of, in the database."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from charging.event_json import digest_of, from_json, kind_of, to_json
from charging.orders import SessionId
from charging.points import PointEvent, TransactionEnded
from charging.session_rows_store import ChargeEventRow, ChargeTransactionRow
from ledger.units import to_unix_s

TRANSACTION: Final[Table] = ChargeTransactionRow.__table__  # type: ignore[attr-defined]
EVENT: Final[Table] = ChargeEventRow.__table__  # type: ignore[attr-defined]
CACHED_MAX: Final = 20_000
# An id of ours that the charge point uses for another charge already: it once had another service.
_OTHER_ID: Final = 1_000_000
_COUNTED: Final = {"preserve_rowcount": True}  # Of an INSERT psycopg counts no rows otherwise.
_ADD_EVENT: Final = {
    "sqlite": sqlite.insert(EVENT).inline().on_conflict_do_nothing(),
    "postgresql": postgresql.insert(EVENT).inline().on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One charge as its charge point names it; its id is `number` where we give it (OCPP 1.6)."""

    number: int
    charge_point_id: str
    transaction_id: str
    connector_id: int | None
    id_token: str
    session_id: SessionId | None
    begun: bool
    ended: bool


class Messages:
    """Every method works in the caller's transaction, and all that do are of one thread."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], Transaction] = {}  # Can be lost at any time.
        self._numbered: dict[int, Transaction] = {}

    def forget(self) -> None:
        """Drops what may have been undone."""
        self._named.clear()
        self._numbered.clear()

    def add_event(
        self, connection: Connection, event: PointEvent, transaction_no: int | None = None
    ) -> bool:
        """Keeps an event; False if the same was kept before."""
        added = connection.execute(
            _ADD_EVENT[connection.dialect.name],
            {
                "digest": digest_of(event),
                "charge_point_id": event.charge_point_id,
                "received_s": to_unix_s(event.received_at),
                "transaction_no": transaction_no,
                "kind": kind_of(event),
                "event_json": to_json(event),
            },
            execution_options=_COUNTED,
        )
        return added.rowcount == 1

    def kept(self, connection: Connection, event: PointEvent) -> tuple[int | None] | None:
        """The number of the charge under which the same event was kept; None: it was not."""
        query = select(EVENT.c.transaction_no).where(EVENT.c.digest == digest_of(event))
        row = connection.execute(query).first()
        return None if row is None else (row.transaction_no,)

    def events_of(self, connection: Connection, transaction_no: int) -> list[PointEvent]:
        """All that was said about a charge, in the order in which it reached us."""
        query = (
            select(EVENT.c.kind, EVENT.c.event_json)
            .where(EVENT.c.transaction_no == transaction_no)
            .order_by(EVENT.c.number)
        )
        return [from_json(row.kind, row.event_json) for row in connection.execute(query)]

    def ended_at(self, connection: Connection, transaction_no: int) -> datetime | None:
        """When a charge ended first, by the charger's clock if it said; None: no end was told."""
        query = select(EVENT.c.event_json).where(
            EVENT.c.transaction_no == transaction_no, EVENT.c.kind == TransactionEnded.__name__
        )
        ends = (
            from_json(TransactionEnded.__name__, row.event_json)
            for row in connection.execute(query)
        )
        return min(
            (end.at or end.received_at for end in ends if isinstance(end, TransactionEnded)),
            default=None,
        )

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
        known = self._named.get((charge_point_id, transaction_id))
        if known is not None:
            return known
        query = select(TRANSACTION).where(
            TRANSACTION.c.charge_point_id == charge_point_id,
            TRANSACTION.c.transaction_id == transaction_id,
        )
        row = connection.execute(query).mappings().first()
        return None if row is None else self._known(_transaction_of(row))

    def transaction_by_number(self, connection: Connection, number: int) -> Transaction:
        """A charge by our own number."""
        known = self._numbered.get(number)
        if known is not None:
            return known
        query = select(TRANSACTION).where(TRANSACTION.c.number == number)
        return self._known(_transaction_of(connection.execute(query).mappings().one()))

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
        """Stores a charge; with `ours` its id becomes our number (OCPP 1.6), or one beside it."""
        result = connection.execute(insert(TRANSACTION).values(**_transaction_values(transaction)))
        number: int = result.inserted_primary_key[0] if result.inserted_primary_key else 0
        stored = replace(transaction, number=number)
        if ours:
            stored = replace(stored, transaction_id=self._free_id(connection, stored))
            self.save_transaction(connection, stored)
        return self._known(stored)

    def _free_id(self, connection: Connection, stored: Transaction) -> str:
        number = stored.number
        while self.transaction(connection, stored.charge_point_id, str(number)) is not None:
            number += _OTHER_ID
        return str(number)

    def save_transaction(self, connection: Connection, transaction: Transaction) -> None:
        """Writes a charge's present state."""
        connection.execute(
            update(TRANSACTION)
            .where(TRANSACTION.c.number == transaction.number)
            .values(**_transaction_values(transaction))
        )
        self._known(transaction)

    def give_up_id(self, connection: Connection, transaction: Transaction) -> None:
        """Frees a charge's id for another one: a charge point may count its charges anew."""
        self._named.pop((transaction.charge_point_id, transaction.transaction_id), None)
        other_id = f"{transaction.transaction_id}#{transaction.number}"
        self.save_transaction(connection, replace(transaction, transaction_id=other_id, ended=True))

    def _known(self, transaction: Transaction) -> Transaction:
        if len(self._numbered) >= CACHED_MAX:
            self.forget()
        self._numbered[transaction.number] = transaction
        self._named[transaction.charge_point_id, transaction.transaction_id] = transaction
        return transaction


def _transaction_values(transaction: Transaction) -> dict[str, Any]:
    return {
        name: getattr(transaction, name)
        for name in Transaction.__dataclass_fields__
        if name != "number"
    }


def _transaction_of(row: Any) -> Transaction:
    return Transaction(**{name: row[name] for name in Transaction.__dataclass_fields__})
