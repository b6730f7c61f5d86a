"""Failures of the outermost layer: settings, data directory, files (the tree continues there)."""

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
class BadInput(LedgerError):
    """A file or an argument that cannot be used."""

    code: ClassVar[str] = "bad_input"
    field: str
    rule: str


@dataclass(eq=False, kw_only=True)
class NoMarket(LedgerError):
    """The chain has no market where one should be: another chain answers, or it lost its state."""

    code: ClassVar[str] = "wrong_chain"
    chain_id: int
    market: str
    rule: str = "no contract at this address: another chain answers, or it lost its state"
