"""Database and embedded chain as they are at one instant, beside whoever writes to them.

Nothing is sent to the chain before it is committed to the database. So while the database cannot
be written, both are held: the database knows of all that the chain has, and the chain has all that
the database says is confirmed. It is what a process leaves behind that is killed at that instant,
and the service takes it up as it does after a crash.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, make_url, text

from api.errors import StorageFailed
from api.jobs.opening import database_failures_named
from api.jobs.table_copy import copy_to_sqlite
from ledger.store import open_engine

WRITERS_WAIT_S: Final = 30  # So long a backup waits for its turn among the writers.

WriteDatabase = Callable[[Path], str]
"""Writes the database as it was held into a new SQLite file; gives its revision."""


class Held:
    """Both stores, held at one instant; they are copied at leisure while others go on."""

    def __init__(self, write_database: WriteDatabase, chain: sqlite3.Connection | None) -> None:
        self.write_database = write_database
        self._chain = chain

    def write_chain(self, path: Path) -> bool:
        """Writes the embedded chain into a new file; whether there is one."""
        if self._chain is None:
            return False
        _copy(self._chain, path)
        return True


@contextmanager
def held(database_url: str, chain_path: Path | None) -> Iterator[Held]:
    """Holds database and chain for as long as the block runs; writers wait for a moment only.

    Raises:
        StorageFailed: one of them cannot be read, or somebody writes without end.
    """
    with ExitStack() as stack:
        url = make_url(database_url)
        database = url.render_as_string(hide_password=True)
        with _failures_named(database), database_failures_named(database):
            if url.get_backend_name() == "sqlite":
                path = Path(url.database or "")
                write, stopped = _held_sqlite(stack, path)
            else:
                engine = open_engine(database_url)
                stack.callback(engine.dispose)
                write, stopped = _held_server(stack, engine)
        with stopped:
            chain = None
            if chain_path is not None:
                with _failures_named(str(chain_path)):
                    chain = _reader(stack, chain_path)
        with _failures_named(database), database_failures_named(database):
            yield Held(write, chain)


def _held_sqlite(
    stack: ExitStack, path: Path
) -> tuple[WriteDatabase, AbstractContextManager[object]]:
    writer = stack.enter_context(closing(_open(path)))
    writer.execute("BEGIN IMMEDIATE")
    reader = _reader(stack, path)

    def write(target: Path) -> str:
        _copy(reader, target)
        row = reader.execute("SELECT version_num FROM alembic_version").fetchone()
        if row is None:
            raise StorageFailed(path=str(path), reason="is damaged")
        return str(row[0])

    return write, _then(lambda: writer.execute("ROLLBACK"))


def _held_server(
    stack: ExitStack, engine: Engine
) -> tuple[WriteDatabase, AbstractContextManager[object]]:
    stopper: Connection = stack.enter_context(engine.connect())
    stopper.execute(text(f"SET LOCAL lock_timeout = '{WRITERS_WAIT_S}s'"))
    # Whoever has written to these has committed, and who comes later waits.
    stopper.execute(text("LOCK TABLE outbox_intent, outbox_attempt IN SHARE MODE"))
    reader = stack.enter_context(
        engine.connect().execution_options(isolation_level="REPEATABLE READ")
    )
    revision = str(reader.execute(text("SELECT version_num FROM alembic_version")).scalar_one())

    def write(target: Path) -> str:
        copy_to_sqlite(reader, target, revision=revision)
        return revision

    return write, _then(stopper.rollback)


def _reader(stack: ExitStack, path: Path) -> sqlite3.Connection:
    """A connection that goes on seeing the file as it is now."""
    reader = stack.enter_context(closing(_open(path)))
    reader.execute("PRAGMA query_only = ON")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return reader


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=WRITERS_WAIT_S,
        isolation_level=None,
    )


def _copy(source: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StorageFailed(path=target.name, reason=f"is damaged: {verdict}")


@contextmanager
def _then(do: Callable[[], object]) -> Iterator[None]:
    try:
        yield
    finally:
        do()


@contextmanager
def _failures_named(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageFailed(path=path, reason=str(error)) from error
