"""Erases the rows of statements: what somebody took and fed, window by window."""

from sqlalchemy import Connection, update
from sqlmodel import SQLModel

import ledger.settlement_store  # noqa: F401 (makes its tables known)

_STATEMENT = SQLModel.metadata.tables["settlement_statement"]


def erase_rows(connection: Connection, account: int | None, *, before_s: int | None) -> int:
    """Empties rows of statements; how many. Amounts, salts and leaves stay: the chain has them.

    Args:
        account: whose; None: everybody's.
        before_s: of periods that begin before; None: of all.
    """
    query = update(_STATEMENT).where(_STATEMENT.c.rows != b"").values(rows=b"")
    if account is not None:
        query = query.where(_STATEMENT.c.account == account)
    if before_s is not None:
        query = query.where(_STATEMENT.c.period_start_s < before_s)
    return connection.execute(query).rowcount
