"""Reading what meters sent, as people ask for it: one meter, a page, never everything."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, and_, func, or_, select

from ledger.units import from_unix_s
from metering.reading_rows_store import (
    COLUMNS,
    METER,
    READING,
    chunks,
    numbers_of,
    with_neighbours,
)
from metering.readings import MeterId
from metering.store import KeptReading, kept_of

Interval = tuple[int, int]  # Instants in Unix seconds, both included.
Known = tuple[int, int, int]  # From and until, both included, and the cutoff.
Place = tuple[int, int]  # Instant and version: where a page ends.
FIRST: Final[Place] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSummary:
    """A meter's name in files, and what it sent."""

    label: str | None
    readings: int  # Versions.
    last_at: datetime | None


class MeterReads:
    """Readings of single meters."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last_accepted(self) -> tuple[int, int]:
        """The second in which the last reading was accepted, and how many were: changes if any."""
        accepted_s = READING.c.accepted_s
        latest = select(func.max(accepted_s)).scalar_subquery()
        query = select(accepted_s, func.count()).where(accepted_s == latest).group_by(accepted_s)
        with self._engine.begin() as connection:
            row = connection.execute(query).first()
        return (0, 0) if row is None else (row[0], row[1])

    def page(
        self, meter_id: MeterId, intervals: Sequence[Interval], *, after: Place, limit: int
    ) -> list[KeptReading]:
        """Versions of a meter's readings within any of the intervals, after a place in order."""
        if not intervals:
            return []
        taken_s, version = READING.c.taken_s, READING.c.version
        number = select(METER.c.number).where(METER.c.meter_id == meter_id).scalar_subquery()
        query = (
            select(*(READING.c[name] for name in COLUMNS))
            .where(READING.c.meter_no == number)
            .where(taken_s >= after[0])
            .where(or_(taken_s > after[0], and_(taken_s == after[0], version > after[1])))
            .where(or_(*(taken_s.between(*each) for each in intervals)))
            .order_by(taken_s, version)
            .limit(limit)
        )
        with self._engine.begin() as connection:
            return [kept_of(meter_id, row) for row in connection.execute(query)]

    def around(self, stretches: Iterable[Known]) -> dict[MeterId, Interval]:
        """Of every meter what was known of any of these stretches, a neighbour on each side too."""
        found: dict[MeterId, Interval] = {}
        with self._engine.begin() as connection:
            numbers = numbers_of(connection, None)
            meters = {number: meter_id for meter_id, number in numbers.items()}
            for from_s, until_s, cutoff_s in stretches:
                for chunk in chunks(sorted(meters)):
                    spans = [(number, from_s, until_s) for number in chunk]
                    for number, low_s, high_s in with_neighbours(connection, spans, cutoff_s):
                        before_s, after_s = found.get(meters[number], (low_s, high_s))
                        found[meters[number]] = (min(before_s, low_s), max(after_s, high_s))
        return found

    def summaries(self, meters: Iterable[MeterId]) -> dict[MeterId, MeterSummary]:
        """Of these meters, as far as they are known."""
        count = select(func.count()).where(READING.c.meter_no == METER.c.number).scalar_subquery()
        last = (
            select(func.max(READING.c.taken_s))
            .where(READING.c.meter_no == METER.c.number)
            .scalar_subquery()
        )
        query = select(METER.c.meter_id, METER.c.label, count, last).where(
            METER.c.meter_id.in_(sorted(set(meters)))
        )
        with self._engine.begin() as connection:
            return {
                MeterId(bytes(row[0])): MeterSummary(
                    label=row[1],
                    readings=row[2],
                    last_at=None if row[3] is None else from_unix_s(row[3]),
                )
                for row in connection.execute(query)
            }
