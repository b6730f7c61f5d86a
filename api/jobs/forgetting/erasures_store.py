"""What was erased of what the market was settled from, so that nobody takes it for lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Connection, Engine, Table, insert, select
from sqlmodel import Field, SQLModel

from ledger.units import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Readings and rows of one account, or of all, in a stretch of time."""

    account: AccountId | None  # None: everybody's.
    from_s: int
    until_s: int
    erased_at_s: int

    def meets(self, from_s: int, until_s: int) -> bool:
        """Whether it took anything out of a stretch."""
        return self.from_s < until_s and from_s < self.until_s


class _ErasureTable(SQLModel, table=True):
    __tablename__ = "erasure"

    erasure_id: int | None = Field(default=None, primary_key=True)
    account: int | None = Field(default=None, sa_type=BigInteger)
    from_s: int = Field(sa_type=BigInteger)
    until_s: int = Field(sa_type=BigInteger)
    erased_at_s: int = Field(sa_type=BigInteger)


_ERASURE: Final[Table] = _ErasureTable.__table__  # type: ignore[attr-defined]


def add_erasure(connection: Connection, erasure: Erasure) -> None:
    """Notes an erasure, in the transaction that makes it."""
    connection.execute(
        insert(_ERASURE).values(
            account=erasure.account,
            from_s=erasure.from_s,
            until_s=erasure.until_s,
            erased_at_s=erasure.erased_at_s,
        )
    )


def erasures(engine: Engine) -> Sequence[Erasure]:
    """All of them, in order."""
    query = select(_ERASURE).order_by(_ERASURE.c.erasure_id)
    with engine.begin() as connection:
        return [
            Erasure(
                account=None if row["account"] is None else AccountId(row["account"]),
                from_s=row["from_s"],
                until_s=row["until_s"],
                erased_at_s=row["erased_at_s"],
            )
            for row in connection.execute(query).mappings()
        ]
