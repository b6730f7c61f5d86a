"""Up to when what is known is complete: the one mark that intake and planning share.

Whoever plans freezes the time up to a cutoff, and then reads. What was being taken in has been
waited for, and what comes later is accepted after the cutoff, whatever process takes it in. So what
is known at a cutoff never changes, and who looks later sees what the plan was made from.
"""

from typing import Any, ClassVar, Final

from sqlalchemy import BigInteger, Connection, Integer, Table, select, text
from sqlmodel import Field, SQLModel

from metering.reading_rows_store import insert_into

NOTHING_S: Final = -1  # Where nothing was ever frozen.
_ONLY: Final = 1  # There is one row.
_LOCK: Final = 0x77_61_74_74  # Any number of our own: PostgreSQL's advisory locks are a database's.


class FreezeRow(SQLModel, table=True):
    """The mark."""

    __tablename__: ClassVar[Any] = "reading_freeze"

    number: int = Field(
        default=_ONLY,
        primary_key=True,
        sa_type=Integer,
        sa_column_kwargs={"autoincrement": False},
    )
    through_s: int = Field(sa_type=BigInteger)


FREEZE: Final[Table] = SQLModel.metadata.tables["reading_freeze"]


def hold_freeze(connection: Connection) -> int:
    """Holds the mark where it is until this transaction ends, and gives it.

    Any number may hold it at a time; who moves it waits for them.
    """
    if connection.dialect.name == "postgresql":
        # In a statement of its own: the next one sees what was committed while this one waited.
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _LOCK})
    # On SQLite the transaction began with the file's one write lock.
    through_s = connection.execute(select(FREEZE.c.through_s)).scalar()
    return NOTHING_S if through_s is None else int(through_s)


def move_freeze(connection: Connection, through_s: int) -> None:
    """Moves the mark on, never back, once nobody holds it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    insert = insert_into(connection, FREEZE).values(number=_ONLY, through_s=through_s)
    wanted_s = insert.excluded.through_s
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["number"],
            set_={"through_s": wanted_s},
            where=FREEZE.c.through_s < wanted_s,
        )
    )
