"""Copies all tables from one database to another, SQLite and PostgreSQL either way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Table, func, insert, select, text

from api.jobs.tables import migrate
from ledger.store import open_engine

ROWS_AT_ONCE: Final = 5_000
VERSION_TABLE: Final = "alembic_version"


def copy_to_sqlite(source: Connection, path: Path, *, revision: str) -> None:
    """Makes a SQLite file of this revision with everything that the source holds."""
    engine = open_engine(f"sqlite:///{path}")
    try:
        migrate(engine, revision)
        with engine.begin() as target:
            for theirs, ours in _pairs(source, target):
                for rows in _rows(source, theirs, ours):
                    target.execute(insert(ours), rows)
    finally:
        engine.dispose()  # The last connection leaves one file, and no log beside it.


def copy_to_server(source: Connection, target: Connection) -> None:
    """Puts everything that the source holds into PostgreSQL's empty tables of the same revision."""
    for theirs, ours in _pairs(source, target):
        names = [column.name for column in ours.columns]
        columns = ", ".join(f'"{name}"' for name in names)
        driver: Any = target.connection.driver_connection
        with (
            driver.cursor() as cursor,
            cursor.copy(f'COPY "{ours.name}" ({columns}) FROM STDIN') as copy,
        ):
            for rows in _rows(source, theirs, ours):
                for row in rows:
                    copy.write_row([row[name] for name in names])
        _go_on_counting(target, ours)


def _pairs(source: Connection, target: Connection) -> Iterator[tuple[Table, Table]]:
    """Every table on both sides; those that others refer to come first."""
    theirs, ours = MetaData(), MetaData()
    theirs.reflect(source)
    ours.reflect(target)
    for table in ours.sorted_tables:
        if table.name != VERSION_TABLE:
            yield theirs.tables[table.name], table


def _rows(source: Connection, theirs: Table, ours: Table) -> Iterator[list[dict[str, Any]]]:
    query = select(*(theirs.c[column.name] for column in ours.columns))
    found = source.execution_options(stream_results=True).execute(query)
    for rows in found.mappings().partitions(ROWS_AT_ONCE):
        yield [dict(row) for row in rows]


def _go_on_counting(target: Connection, table: Table) -> None:
    """A server counts rows by itself: it goes on after the last one that was copied."""
    for column in table.primary_key.columns:
        sequence = target.execute(
            text("SELECT pg_get_serial_sequence(:name, :column)"),
            {"name": table.name, "column": column.name},
        ).scalar_one()
        if sequence is not None:
            target.execute(select(func.setval(sequence, func.max(column))))
