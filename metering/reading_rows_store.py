"""Tables of meters and readings, and the statements on them; domain values are `store`'s.

Readings are keyed by (meter number, instant, version): the series of a meter is one range of the
key, and rows written in that order go in at the end of it. Times are Unix seconds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    ScalarSelect,
    Table,
    column,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from metering.intake import StoredVersion
from metering.readings import MeterId
from metering.series import IntArray

METERS_PER_QUERY: Final = 2_000  # Far below what either engine takes in one statement.
_Item = TypeVar("_Item")
_NO_SERIAL: Final = {"autoincrement": False}
ALWAYS_S: Final = 2**62  # As a cutoff: all that is known.


class MeterRow(SQLModel, table=True):
    """A meter's short number, which its readings are kept under."""

    __tablename__: ClassVar[Any] = "meter"

    number: int | None = Field(default=None, primary_key=True, sa_type=Integer)
    meter_id: bytes = Field(sa_type=LargeBinary, unique=True)
    label: str | None = Field(default=None, unique=True)  # What files call it.


class ReadingRow(SQLModel, table=True):
    """One version of one reading."""

    __tablename__: ClassVar[Any] = "reading"
    __table_args__ = {"sqlite_with_rowid": False}

    # No foreign key: numbers are taken in the same transaction, and the check costs as much as the
    # row. No autoincrement: the key is given.
    meter_no: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs=_NO_SERIAL)
    taken_s: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs=_NO_SERIAL)
    version: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs=_NO_SERIAL)
    import_wh: int = Field(sa_type=BigInteger)
    export_wh: int = Field(sa_type=BigInteger)
    signature: bytes = Field(sa_type=LargeBinary)
    accepted_s: int = Field(sa_type=BigInteger, index=True)


METER: Final[Table] = SQLModel.metadata.tables["meter"]
READING: Final[Table] = SQLModel.metadata.tables["reading"]
COLUMNS: Final = tuple(each.name for each in READING.columns)
Row = tuple[int, int, int, int, int, bytes, int]  # In the order of `COLUMNS`.
Span = tuple[int, int, int]  # Meter number, first and last instant in Unix seconds.


def insert_into(connection: Connection, table: Table) -> Any:
    """An INSERT that knows what to do on a conflict, in the engine's own dialect."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def lock_meters(connection: Connection, numbers: Iterable[int]) -> None:
    """Holds off other intakes of the same meters until this transaction ends.

    Everybody locks in the same order, so that nobody waits in a circle.
    """
    if connection.dialect.name == "sqlite":
        return  # One writer holds the file.
    for chunk in chunks(sorted(numbers)):
        wanted = ", ".join(map(str, chunk))
        connection.exec_driver_sql(
            f"SELECT number FROM meter WHERE number IN ({wanted}) ORDER BY number FOR UPDATE"  # noqa: S608 (integers of our own)
        )


def give_numbers(connection: Connection, meters: Iterable[MeterId]) -> dict[MeterId, int]:
    """Numbers of meters, given where there is none."""
    wanted = sorted(meters)
    numbers = numbers_of(connection, wanted)
    if missing := [{"meter_id": meter_id} for meter_id in wanted if meter_id not in numbers]:
        connection.execute(insert_into(connection, METER).on_conflict_do_nothing(), missing)
        numbers = numbers_of(connection, wanted)
    return numbers


def numbers_of(connection: Connection, meters: Iterable[MeterId] | None) -> dict[MeterId, int]:
    """Numbers of these meters, or of all, as far as they are known."""
    query = select(METER.c.meter_id, METER.c.number).order_by(METER.c.meter_id)
    wanted = None if meters is None else sorted(set(meters))
    queries = (
        [query]
        if wanted is None
        else [query.where(METER.c.meter_id.in_(chunk)) for chunk in chunks(wanted)]
    )
    return {MeterId(bytes(row[0])): row[1] for each in queries for row in connection.execute(each)}


def stored_versions(
    connection: Connection, spans: Sequence[Span]
) -> dict[int, list[StoredVersion]]:
    """All versions in each span and at the neighbours of its ends."""
    stored: dict[int, list[StoredVersion]] = {}
    wider = _joined(with_neighbours(connection, spans, ALWAYS_S))
    wanted = ("meter_no", "taken_s", "version", "import_wh", "export_wh")
    for number, taken_s, version, import_wh, export_wh in select_rows(
        connection, wider, wanted, ALWAYS_S
    ):
        stored.setdefault(number, []).append(
            StoredVersion(
                taken_s=taken_s, version=version, import_wh=import_wh, export_wh=export_wh
            )
        )
    return stored


def series_columns(
    connection: Connection, spans: Sequence[Span], cutoff_s: int
) -> Iterator[tuple[int, IntArray, IntArray, IntArray]]:
    """Of each meter its instants and registers in a span, with one neighbour on each side."""
    wider = with_neighbours(connection, spans, cutoff_s)
    wanted = ("meter_no", "taken_s", "import_wh", "export_wh")
    rows = [tuple(row) for row in select_rows(connection, wider, wanted, cutoff_s)]
    if not rows:
        return
    table = np.array(rows, dtype=np.int64)
    # Versions of one instant stand together, the last accepted one last.
    is_last = np.append((table[1:, :2] != table[:-1, :2]).any(axis=1), [True])
    table = table[is_last]
    ends = np.flatnonzero(np.append(table[1:, 0] != table[:-1, 0], [True])) + 1
    begins = np.append([0], ends[:-1])
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        number, taken_s, import_wh, export_wh = table[begin:end].T.copy()
        yield int(number[0]), taken_s, import_wh, export_wh


def with_neighbours(connection: Connection, spans: Sequence[Span], cutoff_s: int) -> list[Span]:
    """Each span widened to the last instant before it and the first one after it."""
    span = _as_table(spans)
    known = (READING.c.meter_no == span.c.meter_no, READING.c.accepted_s <= cutoff_s)
    before = end_of((*known, READING.c.taken_s < span.c.low_s), latest=True)
    after = end_of((*known, READING.c.taken_s > span.c.high_s), latest=False)
    low_s, high_s = func.coalesce(before, span.c.low_s), func.coalesce(after, span.c.high_s)
    return [tuple(row) for row in connection.execute(select(span.c.meter_no, low_s, high_s))]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The same in order, those that meet made one: no row is found twice."""
    joined: list[Span] = []
    for number, low_s, high_s in sorted(spans):
        if joined and joined[-1][0] == number and low_s <= joined[-1][2]:
            _, before_s, until_s = joined.pop()
            joined.append((number, before_s, max(until_s, high_s)))
        else:
            joined.append((number, low_s, high_s))
    return joined


def select_rows(
    connection: Connection, spans: Sequence[Span], wanted: Sequence[str], cutoff_s: int
) -> Iterable[Any]:
    span = _as_table(spans)
    query = (
        select(*(READING.c[name] for name in wanted))
        .join_from(span, READING, READING.c.meter_no == span.c.meter_no)
        .where(READING.c.taken_s.between(span.c.low_s, span.c.high_s))
        .where(READING.c.accepted_s <= cutoff_s)
        .order_by(READING.c.meter_no, READING.c.taken_s, READING.c.version)
    )
    return connection.execute(query)


def _as_table(spans: Sequence[Span]) -> Any:
    columns = (
        column("meter_no", Integer),
        column("low_s", BigInteger),
        column("high_s", BigInteger),
    )
    # Integers of our own, written out: as parameters, or one expression each, thousands of them
    # cost more than the query.
    rows = ", ".join(f"({number}, {low_s}, {high_s})" for number, low_s, high_s in spans)
    names = "column1 AS meter_no, column2 AS low_s, column3 AS high_s"
    query = f"SELECT {names} FROM (VALUES {rows}) AS listed"  # noqa: S608 (as above)
    return text(query).columns(*columns).cte("span")


def end_of(conditions: Iterable[Any], *, latest: bool) -> ScalarSelect[Any]:
    """The first or last instant of the rows that meet the conditions: one step into the key."""
    taken_s = READING.c.taken_s
    query = select(taken_s).where(*conditions).limit(1)
    return query.order_by(taken_s.desc() if latest else taken_s).scalar_subquery()


def accepted_instants(
    connection: Connection, after_s: int, cutoff_s: int
) -> Mapping[int, IntArray]:
    query = (
        select(READING.c.meter_no, READING.c.taken_s)
        .where(READING.c.accepted_s > after_s, READING.c.accepted_s <= cutoff_s)
        .order_by(READING.c.meter_no, READING.c.taken_s)
        .distinct()
    )
    instants: dict[int, list[int]] = {}
    for number, taken_s in connection.execute(query):
        instants.setdefault(number, []).append(taken_s)
    return {number: np.array(each, dtype=np.int64) for number, each in instants.items()}


def insert_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """The engine's fastest way in; the meters are locked, so no key can be taken already."""
    if not rows:
        return
    names = ", ".join(COLUMNS)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(COLUMNS))
        statement = f"INSERT INTO reading ({names}) VALUES ({marks})"  # noqa: S608 (our own names)
        connection.exec_driver_sql(statement, list(rows))
        return
    cursor = connection.connection.cursor()
    copying: Any = cursor
    with copying.copy(f"COPY reading ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.close()


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for begin in range(0, len(items), METERS_PER_QUERY):
        yield items[begin : begin + METERS_PER_QUERY]
