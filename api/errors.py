"""Failures of the outermost layer: settings, data directory, files, HTTP."""

from dataclasses import dataclass
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class BadConfig(LedgerError):
    """A community's file does not have the form that the README describes."""

    code: ClassVar[str] = "bad_config"
    file: str
    field: str
    rule: str


@dataclass(eq=False, kw_only=True)
class NoCommunity(LedgerError):
    """The data directory holds no community: run `wattledger demo` or `wattledger init` first."""

    code: ClassVar[str] = "no_community"
    data_dir: str
    rule: str


@dataclass(eq=False, kw_only=True)
class CommunityExists(LedgerError):
    """The data directory holds a community already; nothing is overwritten."""

    code: ClassVar[str] = "community_exists"
    data_dir: str
    rule: str


@dataclass(eq=False, kw_only=True)
class WrongVersion(LedgerError):
    """The data directory was written by another version of the program."""

    code: ClassVar[str] = "wrong_version"
    data_dir: str
    found: str
    expected: str


@dataclass(eq=False, kw_only=True)
class StorageFailed(LedgerError):
    """The data directory cannot be read or written: disk full, read-only, or not a directory."""

    code: ClassVar[str] = "storage_failed"
    path: str
    reason: str


@dataclass(eq=False, kw_only=True)
class KeystoreLocked(LedgerError):
    """The keys are encrypted, and there is no password to open them with."""

    code: ClassVar[str] = "keystore_locked"
    rule: str


@dataclass(eq=False, kw_only=True)
class WrongPassword(LedgerError):
    """The password does not open the keystore, or somebody changed the file."""

    code: ClassVar[str] = "wrong_password"
    keystore: str


@dataclass(eq=False, kw_only=True)
class BadInput(LedgerError):
    """A file or an argument that cannot be used."""

    code: ClassVar[str] = "bad_input"
    field: str
    rule: str


@dataclass(eq=False, kw_only=True)
class WrongUsage(LedgerError):
    """A command line that means nothing; nothing was begun."""

    code: ClassVar[str] = "usage"
    rule: str


@dataclass(eq=False, kw_only=True)
class NoMarket(LedgerError):
    """The chain has no market where one should be: another chain answers, or it lost its state."""

    code: ClassVar[str] = "wrong_chain"
    chain_id: int
    market: str
    rule: str = "no contract at this address: another chain answers, or it lost its state"


@dataclass(eq=False, kw_only=True)
class NotAuthenticated(LedgerError):
    """Nobody is signed in with this request, or not any more."""

    code: ClassVar[str] = "not_authenticated"
    rule: str


@dataclass(eq=False, kw_only=True)
class SignInRefused(LedgerError):
    """A message that signs nobody in: not for this service, not now, or not twice."""

    code: ClassVar[str] = "not_authenticated"
    field: str
    rule: str


@dataclass(eq=False, kw_only=True)
class SignInSignature(SignInRefused):
    """The message was not signed by the address that it names."""

    code: ClassVar[str] = "bad_signature"
    field: str = "signature"


@dataclass(eq=False, kw_only=True)
class SignInChain(SignInRefused):
    """The message is for another chain than this service's."""

    code: ClassVar[str] = "wrong_chain"
    field: str = "chain_id"


@dataclass(eq=False, kw_only=True)
class NotAllowed(LedgerError):
    """Somebody is signed in, and it is not theirs to do or to see."""

    code: ClassVar[str] = "not_allowed"
    rule: str


@dataclass(eq=False, kw_only=True)
class NotFound(LedgerError):
    """There is nothing at this address."""

    code: ClassVar[str] = "not_found"
    rule: str


@dataclass(eq=False, kw_only=True)
class Erased(LedgerError):
    """It was here, and was erased: on request, or because it was kept long enough."""

    code: ClassVar[str] = "erased"
    rule: str


@dataclass(eq=False, kw_only=True)
class MethodNotAllowed(LedgerError):
    """There is something at this address, and it does not take this method."""

    code: ClassVar[str] = "method_not_allowed"
    rule: str


@dataclass(eq=False, kw_only=True)
class IdempotencyKeyReused(LedgerError):
    """One `Idempotency-Key` for two different requests."""

    code: ClassVar[str] = "idempotency_key_reused"
    rule: str


@dataclass(eq=False, kw_only=True)
class TooLarge(LedgerError):
    """A request with more in it than any use needs."""

    code: ClassVar[str] = "too_large"
    bytes_max: int


@dataclass(eq=False, kw_only=True)
class UnsupportedMedia(LedgerError):
    """A body in a form that is not read here: compressed, or not JSON."""

    code: ClassVar[str] = "unsupported_media_type"
    field: str
    rule: str


@dataclass(eq=False, kw_only=True)
class RateLimited(LedgerError):
    """Too many requests in too short a time."""

    code: ClassVar[str] = "rate_limited"
    retry_after_s: int


@dataclass(eq=False, kw_only=True)
class TimedOut(LedgerError):
    """A request that was not sent, or not answered, within its time."""

    code: ClassVar[str] = "timed_out"
    limit_s: int


@dataclass(eq=False, kw_only=True)
class Overloaded(LedgerError):
    """More is being done than can be done at once: the same request will do in a moment."""

    code: ClassVar[str] = "overloaded"


@dataclass(eq=False, kw_only=True)
class Internal(LedgerError):
    """Something went wrong that nobody foresaw; it is in the service's log."""

    code: ClassVar[str] = "internal_error"
