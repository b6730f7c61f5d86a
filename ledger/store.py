"""The database: SQLite by default, PostgreSQL by URL, the same tables through SQLModel.

Times are Unix seconds and amounts integers in every table; table classes stay inside the `store`
modules, which hand out and take domain values.
"""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, make_url
from sqlmodel import create_engine

SQLITE_BUSY_MS = 10_000


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine for `sqlite:///…` or `postgresql+psycopg://…`, set up for durable writes.

    A read-only engine takes no write lock, so it works beside a running service. No engine tells in
    its failures what was being written: that is people's.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    if read_only:
        engine = create_engine(
            parsed,
            creator=partial(_connect_to_read, Path(parsed.database or "")),
            hide_parameters=True,
        )
        event.listen(engine, "begin", _begin_to_read)
    else:
        engine = create_engine(parsed, hide_parameters=True)
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _begin_to_write)
    return engine


def overwrite_erased(engine: Engine) -> None:
    """Lets nothing that is erased from now on stay in the file; a server sees to its own."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect_to_erase)
        engine.dispose()


def leave_no_trace(engine: Engine) -> None:
    """Empties the log of what was written: what was erased may still stand in it."""
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(engine.url.database or "", isolation_level=None)) as file:
            file.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _on_connect_to_erase(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA secure_delete=ON")


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        # On a read-only disk SQLite cannot share the write-ahead log. Without one nobody has
        # written since the file was closed, so it can be read as it is.
        is_closed = path.exists() and not path.with_name(path.name + "-wal").exists()
        if not (is_closed and isinstance(error, sqlite3.OperationalError)):
            raise
        connection = _connect(path, "ro&immutable=1")
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=SQLITE_BUSY_MS / 1_000,
        isolation_level=None,
        check_same_thread=False,
    )


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    # The driver's own transaction handling begins too late and commits before DDL; we begin.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={SQLITE_BUSY_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_to_write(connection: Any) -> None:
    # A transaction that reads first and writes later could fail half-way: take the lock at once.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_to_read(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
