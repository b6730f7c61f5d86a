"""Models of signing in."""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import Field

from api.jobs.market_view import Role
from api.schemas.fields import Hex, Instant, SignatureIn, Wire, address_text
from api.sign_in import Login
from ledger.units import AccountId, Address

MESSAGE_CHARS_MAX = 4_096
MESSAGE_EXAMPLE = (
    "localhost:8000 wants you to sign in with your Ethereum account:\n"
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n\nSee my charges.\n\n"
    "URI: http://localhost:8000/\nVersion: 1\nChain ID: 1337\n"
    "Nonce: 9f2c4e1b7a0d4c5e8f6b3a2d1c0e9f8a\nIssued At: 2026-11-25T12:00:00Z"
)


class NonceIn(Wire):
    """Nothing is asked."""


class NonceOut(Wire):
    """What the next message to sign must hold."""

    nonce: str = Field(examples=["9f2c4e1b7a0d4c5e8f6b3a2d1c0e9f8a"])


class LoginIn(Wire):
    """A signed EIP-4361 message."""

    message: str = Field(
        max_length=MESSAGE_CHARS_MAX,
        examples=[MESSAGE_EXAMPLE],
    )
    signature: SignatureIn
    cookie: bool = Field(default=False, description="Also sets the cookie that pages use.")


class LoginOut(Wire):
    """A token for the `Authorization` header, and whom it stands for."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 (a kind, not a secret)
    expires_in: int = Field(description="Seconds.")
    address: Hex
    roles: list[Role]

    @classmethod
    def of(cls, login: Login, roles: Iterable[Role]) -> Self:
        """From a login."""
        return cls(
            access_token=login.token,
            expires_in=login.expires_in_s,
            address=address_text(login.address),
            roles=sorted(roles),
        )


class MeOut(Wire):
    """Who somebody is here."""

    address: Hex
    roles: list[Role]
    accounts: list[int]
    expires_at: Instant

    @classmethod
    def of(
        cls,
        address: Address,
        roles: Iterable[Role],
        accounts: Sequence[AccountId],
        expires_at: Instant,
    ) -> Self:
        """From what was found."""
        return cls(
            address=address_text(address),
            roles=sorted(roles),
            accounts=[int(account) for account in accounts],
            expires_at=expires_at,
        )
