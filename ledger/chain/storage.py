"""Where the embedded chain is kept: one key/value table in SQLite, written a block at a time.

py-evm sees a mutable mapping of bytes. Writes gather in memory until `flush` puts them down in one
transaction, so that the file always holds whole blocks: a process killed at any instant has lost
nothing that was flushed, and half of nothing.
"""

import contextlib
import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ledger.chain.errors import (
    ChainUnavailable,
    DataDirectoryInUse,
    DataDirectoryMismatch,
    DataDirectoryMissing,
)
from ledger.keccak import keccak256

FILE_NAME = "chain.sqlite"
LOCK_NAME = "chain.lock"
FORMAT_VERSION = 1
BUSY_S = 10
_SCHEMA = """
CREATE TABLE IF NOT EXISTS node (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(slots=True)
class ChainFile:
    """The chain's file: a mapping for py-evm, with writes that become durable at `flush`."""

    directory: Path
    connection: sqlite3.Connection
    lock: IO[bytes] | None  # Held while this process may write.
    pending: dict[bytes, bytes | None] = field(default_factory=dict)  # None: deleted.
    guard: threading.RLock = field(default_factory=threading.RLock)

    @property
    def read_only(self) -> bool:
        """True when another process may be writing."""
        return self.lock is None

    def __getitem__(self, key: bytes) -> bytes:
        if key in self.pending:
            value = self.pending[key]
        else:
            with _failures_named():
                row = self.connection.execute(
                    "SELECT value FROM node WHERE key = ?", (key,)
                ).fetchone()
            value = row[0] if row else None
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.pending[key] = value

    def __delitem__(self, key: bytes) -> None:
        self.pending[key] = None

    def __contains__(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def meta(self) -> dict[str, int]:
        """What the file says about itself; empty when no chain was ever flushed."""
        with _failures_named():
            return dict(self.connection.execute("SELECT name, value FROM meta"))

    def corrupt_nodes(self) -> Iterator[bytes]:
        """Keys of nodes, headers and code whose content is not what their hash says."""
        with _failures_named():
            rows = self.connection.execute("SELECT key, value FROM node WHERE length(key) = 32")
            for key, value in rows:
                if keccak256(value) != key:
                    yield key

    def flush(self, meta: dict[str, int] | None = None) -> None:
        """Puts everything pending down, or nothing of it.

        Raises:
            ChainUnavailable: the disk is full or not writable; what was pending is dropped.
        """
        written = [(key, value) for key, value in self.pending.items() if value is not None]
        deleted = [(key,) for key, value in self.pending.items() if value is None]
        self.pending.clear()
        with _failures_named():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self.connection.executemany("INSERT OR REPLACE INTO node VALUES (?, ?)", written)
                self.connection.executemany("DELETE FROM node WHERE key = ?", deleted)
                self.connection.executemany(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", (meta or {}).items()
                )
                self.connection.execute("COMMIT")
            except BaseException:
                # Not even Ctrl-C may leave a transaction open. A full disk may have ended it
                # already; then there is nothing to undo.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Gives the file and the lock back."""
        self.connection.close()
        if self.lock is not None:
            self.lock.close()


def open_to_write(directory: Path) -> ChainFile:
    """Opens or creates the file, for the one process that writes.

    Raises:
        DataDirectoryInUse: another process, or another part of this one, has it open for writing.
        ChainUnavailable: the disk refuses.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK_NAME).open("ab")
    except OSError as error:
        raise ChainUnavailable(rule=f"{directory} is not writable: {error.strerror}") from error
    try:
        # The kernel drops the lock with the process, however it ends.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise DataDirectoryInUse(directory=str(directory)) from error
    try:
        with _failures_named():
            connection = _connect(directory / FILE_NAME, "rwc")
            with _closed_on_failure(connection):
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.executescript(_SCHEMA)
    except ChainUnavailable:
        lock.close()
        raise
    return ChainFile(directory=directory, connection=connection, lock=lock)


def open_to_read(directory: Path) -> ChainFile:
    """Opens the file beside its writer, without a lock.

    Raises:
        DataDirectoryMissing: there is no chain here.
    """
    path = directory / FILE_NAME
    if not path.exists():
        raise DataDirectoryMissing(directory=str(directory))
    with _failures_named():
        connection = _connect(path, "ro")
        with _closed_on_failure(connection):
            try:
                connection.execute("SELECT name FROM meta").fetchone()
            except sqlite3.OperationalError:
                # On a read-only disk SQLite cannot share the write-ahead log. Without one nobody
                # has written since the file was closed, so it can be read as it is.
                if path.with_name(FILE_NAME + "-wal").exists():
                    raise
                connection.close()
                connection = _connect(path, "ro&immutable=1")
                connection.execute("SELECT name FROM meta").fetchone()
    return ChainFile(directory=directory, connection=connection, lock=None)


def require_meta(file: ChainFile, expected: dict[str, int]) -> None:
    """Refuses a file of another version or another chain.

    Raises:
        DataDirectoryMismatch: naming the first value that differs.
    """
    found = file.meta()
    for name, value in expected.items():
        if found.get(name) != value:
            raise DataDirectoryMismatch(
                directory=str(file.directory),
                what=name,
                found=str(found.get(name)),
                expected=str(value),
            )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Autocommit: transactions begin where `flush` says so. Threads take turns at `guard`.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


@contextlib.contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ChainUnavailable(rule=f"the chain's file refuses: {error}") from error


@contextlib.contextmanager
def _closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
