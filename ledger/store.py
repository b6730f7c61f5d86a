"""The database: SQLite by default, PostgreSQL by URL, the same tables through SQLModel.

Times are Unix seconds and amounts integers in every table; table classes stay inside the `store`
modules, which hand out and take domain values.
"""

from typing import Any

from sqlalchemy import Engine, event
from sqlmodel import create_engine

SQLITE_BUSY_MS = 10_000


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine for `sqlite:///…` or `postgresql+psycopg://…`, set up for durable writes.

    A read-only engine takes no write lock, so it works beside a running service.
    """
    engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _begin_to_read if read_only else _begin_to_write)
    return engine


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
