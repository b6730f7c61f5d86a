"""Who is signed in: nonces that wait to be signed, and tokens, both kept as hashes only.

Whoever reads the database learns no token and no nonce that could be used.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Engine, delete, insert, select
from sqlmodel import Field, SQLModel

from ledger.units import Address, from_unix_s, to_unix_s


class _NonceTable(SQLModel, table=True):
    __tablename__ = "auth_nonce"

    nonce_hash: bytes = Field(primary_key=True)  # SHA-256.
    expires_s: int = Field(sa_type=BigInteger, index=True)


class _TokenTable(SQLModel, table=True):
    __tablename__ = "auth_token"

    token_hash: bytes = Field(primary_key=True)  # SHA-256.
    address: bytes
    issued_s: int = Field(sa_type=BigInteger)
    expires_s: int = Field(sa_type=BigInteger, index=True)


_NONCE: Final = SQLModel.metadata.tables["auth_nonce"]
_TOKEN: Final = SQLModel.metadata.tables["auth_token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Whom a token stands for, and until when."""

    address: Address
    expires_at: datetime


class AuthStore:
    """Nonces and tokens; each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_nonce(self, nonce: str, *, now_at: datetime, expires_at: datetime) -> None:
        """Keeps a nonce that may be used once, and forgets those whose time is over."""
        row = {"nonce_hash": _hash(nonce), "expires_s": to_unix_s(expires_at)}
        with self._engine.begin() as connection:
            connection.execute(delete(_NONCE).where(_NONCE.c.expires_s <= to_unix_s(now_at)))
            connection.execute(insert(_NONCE), [row])

    def use_nonce(self, nonce: str, *, now_at: datetime) -> bool:
        """Whether it was given out, is still good and was not used before; now it is used."""
        with self._engine.begin() as connection:
            used = connection.execute(
                delete(_NONCE).where(
                    _NONCE.c.nonce_hash == _hash(nonce),
                    _NONCE.c.expires_s > to_unix_s(now_at),
                )
            )
        return used.rowcount == 1

    def add_token(
        self, token: str, address: Address, *, now_at: datetime, expires_at: datetime
    ) -> None:
        """Signs somebody in, and forgets the tokens whose time is over."""
        row = {
            "token_hash": _hash(token),
            "address": address,
            "issued_s": to_unix_s(now_at),
            "expires_s": to_unix_s(expires_at),
        }
        with self._engine.begin() as connection:
            connection.execute(delete(_TOKEN).where(_TOKEN.c.expires_s <= to_unix_s(now_at)))
            connection.execute(insert(_TOKEN), [row])

    def find(self, token: str, *, now_at: datetime) -> SignedIn | None:
        """Whom a token stands for; None if nobody, or nobody any more."""
        asked = select(_TOKEN.c.address, _TOKEN.c.expires_s).where(
            _TOKEN.c.token_hash == _hash(token), _TOKEN.c.expires_s > to_unix_s(now_at)
        )
        with self._engine.begin() as connection:
            row = connection.execute(asked).first()
        if row is None:
            return None
        return SignedIn(address=Address(bytes(row.address)), expires_at=from_unix_s(row.expires_s))

    def revoke(self, token: str) -> None:
        """Signs out; what is unknown is signed out already."""
        with self._engine.begin() as connection:
            connection.execute(delete(_TOKEN).where(_TOKEN.c.token_hash == _hash(token)))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
