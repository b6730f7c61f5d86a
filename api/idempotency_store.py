"""Answers that are given again to a request that is sent again, for a day."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Connection, Engine, Table, Text, delete, insert, select
from sqlmodel import Field, SQLModel

from ledger.units import Address, to_unix_s


class _AnswerTable(SQLModel, table=True):
    __tablename__ = "idempotent_answer"

    caller: bytes = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: bytes  # SHA-256 of what was asked.
    status: int
    body: str = Field(sa_type=Text)
    expires_s: int = Field(sa_type=BigInteger, index=True)


ANSWER: Final[Table] = _AnswerTable.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What a request was answered, and what it had asked."""

    fingerprint: bytes
    status: int
    body: str


class IdempotencyStore:
    """Answers by caller and key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, caller: Address, key: str, *, now_at: datetime) -> KeptAnswer | None:
        """What the caller's request of this key was answered, if that is not too long ago."""
        query = select(ANSWER.c.fingerprint, ANSWER.c.status, ANSWER.c.body).where(
            ANSWER.c.caller == caller,
            ANSWER.c.key == key,
            ANSWER.c.expires_s > to_unix_s(now_at),
        )
        with self._engine.begin() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return KeptAnswer(fingerprint=bytes(row.fingerprint), status=row.status, body=row.body)

    def keep(
        self,
        connection: Connection,
        caller: Address,
        key: str,
        answer: KeptAnswer,
        *,
        now_at: datetime,
        expires_at: datetime,
    ) -> None:
        """Keeps an answer with what it tells of, and forgets those whose time is over.

        Raises:
            IntegrityError: another request of this key was first; nothing of this one remains.
        """
        connection.execute(delete(ANSWER).where(ANSWER.c.expires_s <= to_unix_s(now_at)))
        connection.execute(
            insert(ANSWER).values(
                caller=caller,
                key=key,
                fingerprint=answer.fingerprint,
                status=answer.status,
                body=answer.body,
                expires_s=to_unix_s(expires_at),
            )
        )
