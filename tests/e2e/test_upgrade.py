"""A database of every older version is brought up to this one with all that is in it."""

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Boolean, Connection, Engine, LargeBinary, MetaData, Table, insert, select
from sqlalchemy.types import Integer

from api.jobs.tables import _config, head_revision, migrate, require_current, revisions
from ledger.store import open_engine
from tests.api.test_jobs_migrations import differences
from tests.e2e.command_line import Cli
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)

ROWS = 3
OLDER = revisions()[:-1]
Kept = dict[str, list[dict[str, Any]]]


def tables_of(connection: Connection) -> list[Table]:
    tables = MetaData()
    tables.reflect(connection)
    return [table for table in tables.sorted_tables if table.name != "alembic_version"]


def value_of(column: Any, row: int) -> object:
    """Something that the column can hold, other in each row."""
    if isinstance(column.type, Boolean):
        return row % 2 == 0
    if isinstance(column.type, Integer):
        return row + 1
    if isinstance(column.type, LargeBinary):
        return bytes([row + 1]) * 32
    return f"{column.name} {row}"


def fill(engine: Engine) -> None:  # noqa: F811 (a parameter)
    """Puts rows into every table that there is."""
    with engine.begin() as connection:
        for table in tables_of(connection):
            for row in range(ROWS):
                values = {column.name: value_of(column, row) for column in table.columns}
                connection.execute(insert(table).values(**values))


def kept_in(engine: Engine) -> Kept:  # noqa: F811 (a parameter)
    with engine.begin() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in tables_of(connection)
        }


@pytest.mark.parametrize("revision", OLDER)
def test_every_row_of_an_older_database_is_there_after_the_upgrade(
    revision: str,
    engine: Engine,  # noqa: F811 (a fixture)
) -> None:
    migrate(engine, revision)
    fill(engine)
    before = kept_in(engine)
    assert before
    assert all(len(rows) == ROWS for rows in before.values())
    migrate(engine)
    require_current(engine)
    assert differences(engine) == []
    after = kept_in(engine)
    for name, rows in before.items():
        assert name in after, f"{name} is gone"
        for row in rows:
            left = [each for each in after[name] if row.items() <= each.items()]
            assert left, f"{name} lost {row}"


@pytest.mark.parametrize("revision", OLDER)
def test_a_community_of_an_older_version_goes_on_where_it_was(
    revision: str, demo_copy: Path, cli: Cli
) -> None:
    older = open_engine(f"sqlite:///{demo_copy / 'wattledger.db'}")
    with older.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    older.dispose()
    refused = cli("audit", "--data-dir", demo_copy, "--json")
    assert (refused.code, refused.document["error"]["code"]) == (1, "wrong_version")
    settled = cli("settle", "--data-dir", demo_copy, "--json")
    assert (settled.code, settled.document["settled"]) == (0, []), settled.err
    assert cli("audit", "--data-dir", demo_copy).code == 0


def test_the_revisions_are_one_line_without_gaps() -> None:
    found = revisions()
    assert found == [f"{number:04d}" for number in range(1, len(found) + 1)]
    assert found[-1] == head_revision()
