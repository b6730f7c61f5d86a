"""Migrations, on SQLite and PostgreSQL: what they make is what the tables say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlmodel import SQLModel

# Each import makes its tables known.
import metering.store  # noqa: F401
from api.errors import WrongVersion
from api.jobs.tables import drop_tables, migrate, require_current
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)

ROOT = Path(__file__).parents[2]


def differences(migrated: Engine) -> list[object]:
    with migrated.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, SQLModel.metadata))


def test_the_migrated_tables_are_those_of_the_classes(engine: Engine) -> None:  # noqa: F811
    assert differences(engine)
    migrate(engine)
    assert differences(engine) == []
    require_current(engine)


def test_migrating_again_changes_nothing(engine: Engine) -> None:  # noqa: F811
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO community_fact VALUES ('name', 'value')"))
    migrate(engine)
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT name, value FROM community_fact")).all()
    assert [tuple(row) for row in rows] == [("name", "value")]


def test_all_tables_can_be_dropped_and_made_again(engine: Engine) -> None:  # noqa: F811
    migrate(engine)
    drop_tables(engine)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    migrate(engine)
    assert differences(engine) == []


def test_a_newer_database_is_refused_and_left_as_it_is(engine: Engine) -> None:  # noqa: F811
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for open_it in (migrate, require_current):
        with pytest.raises(WrongVersion) as refused:
            open_it(engine)
        assert "9999" in refused.value.found
    with engine.begin() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert found == "9999"


def test_an_empty_database_is_no_current_one_and_stays_empty(engine: Engine) -> None:  # noqa: F811
    with pytest.raises(WrongVersion):
        require_current(engine)
    assert inspect(engine).get_table_names() == []


def test_migrating_says_nothing_and_touches_no_log(tmp_path: Path) -> None:
    program = (
        "import sys; from ledger.store import open_engine; from api.jobs.tables import migrate\n"
        "engine = open_engine('sqlite:///' + sys.argv[1]); migrate(engine); engine.dispose()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path / "a.db")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("", "")
