"""Erases how a charge went: what its charger said, and what its record was made from.

Order, record and amounts stay: the chain has them, for everybody to read.
"""

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, delete, select, update

from charging.desk import ENDED
from charging.orders import ChargeRecord
from charging.session_rows_store import ChargeEventRow, ChargeSessionRow, ChargeTransactionRow
from charging.sessions import ERASED, Evidence
from ledger.units import Address

TOKEN_PREFIX: Final = "erased:"  # noqa: S105 (in the place of what the charger called a driver)
_SESSION: Final[Table] = ChargeSessionRow.__table__  # type: ignore[attr-defined]
_TRANSACTION: Final[Table] = ChargeTransactionRow.__table__  # type: ignore[attr-defined]
_EVENT: Final[Table] = ChargeEventRow.__table__  # type: ignore[attr-defined]


def erase_sessions(
    connection: Connection, *, driver: Address | None = None, before_s: int | None = None
) -> int:
    """Erases the evidence of sessions that have ended; how many there were.

    Args:
        driver: whose; None: everybody's.
        before_s: of sessions that were asked for before; None: of all.
    """
    query = select(_SESSION.c.number, _SESSION.c.transaction_no, _SESSION.c.record_json).where(
        _SESSION.c.state.in_(sorted(ENDED)),
        _SESSION.c.id_token.not_like(TOKEN_PREFIX + "%"),
    )
    if driver is not None:
        query = query.where(_SESSION.c.driver == driver)
    if before_s is not None:
        query = query.where(_SESSION.c.created_s < before_s)
    rows = connection.execute(query).all()
    for row in rows:
        _erase(connection, row)
    return len(rows)


def live_sessions(connection: Connection, driver: Address) -> int:
    """How many sessions of a driver are under way."""
    query = select(_SESSION.c.number).where(
        _SESSION.c.driver == driver, _SESSION.c.state.not_in(sorted(ENDED))
    )
    return len(connection.execute(query).all())


def _erase(connection: Connection, row: Any) -> None:
    token = f"{TOKEN_PREFIX}{row.number}"
    values = {"id_token": token, "evidence_json": _evidence_json(row.record_json)}
    connection.execute(update(_SESSION).where(_SESSION.c.number == row.number).values(**values))
    if row.transaction_no is not None:
        connection.execute(delete(_EVENT).where(_EVENT.c.transaction_no == row.transaction_no))
        own = _TRANSACTION.c.number == row.transaction_no
        connection.execute(update(_TRANSACTION).where(own).values(id_token=token))


def _evidence_json(record_json: str | None) -> str | None:
    """That there was evidence, and its hash, which the record on the chain has, too."""
    if record_json is None:
        return None
    record = msgspec.json.decode(record_json, type=ChargeRecord)
    evidence = Evidence(
        kind=ERASED,
        hash=record.evidence_hash,
        text="",
        verified=False,
        signer="",
        start_from="",
        stop_from="",
        notes=(),
    )
    return msgspec.json.encode(evidence).decode()
