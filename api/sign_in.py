"""Signing in and out: who proves to be which address, for how long (EIP-4361, EIP-191)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api.auth_store import AuthStore, SignedIn
from api.errors import NotAuthenticated, SignInChain, SignInRefused, SignInSignature
from api.siwe import SignInMessage, parse_message
from ledger.chain.protocol import Chain
from ledger.errors import BadSignature, MalleableSignature
from ledger.keccak import personal_digest, recover
from ledger.units import Address

NONCE_S: Final = 300
TOKEN_S: Final = 43_200
CLOCK_SKEW_S: Final = 60  # A visitor's clock may be this much ahead of ours.
TOKEN_CHARS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Somebody has just signed in."""

    token: str
    address: Address
    expires_in_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The door for people. Its methods wait for disk and chain: call them in a thread."""

    store: AuthStore
    chain: Chain
    now: Callable[[], datetime]
    known_as: frozenset[str]  # Hosts, with or without port, that this service goes by.

    def nonce(self) -> str:
        """A nonce to sign within `NONCE_S` seconds."""
        nonce = secrets.token_hex(16)
        now_at = self.now()
        self.store.add_nonce(nonce, now_at=now_at, expires_at=now_at + timedelta(seconds=NONCE_S))
        return nonce

    def login(self, text: str, signature: bytes, *, host: str) -> Login:
        """Signs in whoever signed this message.

        Args:
            host: the host and port that the request was sent to.

        Raises:
            BadInput: the message is not as EIP-4361 has it.
            SignInRefused: it is, and signs nobody in here and now.
        """
        message = parse_message(text)
        self._require_ours(message, host)
        now_at = self.now()
        _require_timely(message, now_at)
        self._require_signed(message, text, signature)
        if not self.store.use_nonce(message.nonce, now_at=now_at):
            raise SignInRefused(
                field="nonce", rule=f"not given out within {NONCE_S} s, or used before"
            )
        token = secrets.token_urlsafe(32)
        expires_at = now_at + timedelta(seconds=TOKEN_S)
        self.store.add_token(token, message.address, now_at=now_at, expires_at=expires_at)
        return Login(token=token, address=message.address, expires_in_s=TOKEN_S)

    def who(self, token: str) -> SignedIn:
        """Whom a token stands for.

        Raises:
            NotAuthenticated: it expired, was revoked, or never was one.
        """
        found = None
        if len(token) <= TOKEN_CHARS_MAX:
            found = self.store.find(token, now_at=self.now())
        if found is None:
            raise NotAuthenticated(rule="the token is unknown, expired or signed out")
        return found

    def logout(self, token: str) -> None:
        """Makes a token worthless."""
        self.store.revoke(token)

    def _require_ours(self, message: SignInMessage, host: str) -> None:
        domain, asked = message.domain.lower(), host.lower()
        if domain != asked:
            raise SignInRefused(field="domain", rule="is not the host that was asked")
        # The host is the caller's word: another site could pass a message on under its own name.
        if not {asked, _without_port(asked)} & self.known_as:
            raise SignInRefused(
                field="domain", rule="this service does not go by it: serve with --domain"
            )
        if message.chain_id != self.chain.chain_id:
            raise SignInChain(rule=f"this is chain {self.chain.chain_id}")

    def _require_signed(self, message: SignInMessage, text: str, signature: bytes) -> None:
        try:
            signer = recover(personal_digest(text), signature)
        except (BadSignature, MalleableSignature) as error:
            if self.chain.code(message.address):
                raise _contract_wallet() from error
            raise SignInSignature(rule=error.rule) from error
        if signer != message.address:
            if self.chain.code(message.address):
                raise _contract_wallet()
            raise SignInSignature(rule="not signed by the message's address")


def _contract_wallet() -> SignInSignature:
    return SignInSignature(rule="the address is a contract: ERC-1271 wallets cannot sign in here")


def _require_timely(message: SignInMessage, now_at: datetime) -> None:
    if message.issued_at > now_at + timedelta(seconds=CLOCK_SKEW_S):
        raise SignInRefused(field="issued_at", rule="lies in the future")
    if message.expires_at is not None and message.expires_at <= now_at:
        raise SignInRefused(field="expiration_time", rule="has passed")
    if message.not_before_at is not None and message.not_before_at > now_at:
        raise SignInRefused(field="not_before", rule="has not come")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
