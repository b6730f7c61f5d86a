"""The store of readings: every version is kept, nothing is overwritten."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, func, select
from sqlmodel import SQLModel

from ledger.units import from_unix_s, to_unix_s
from metering.errors import Problem
from metering.freeze_store import FREEZE, hold_freeze, move_freeze
from metering.intake import IntakeResult, admit, judge_meter
from metering.meters import MeterBook
from metering.reading_rows_store import (
    ALWAYS_S,
    COLUMNS,
    METER,
    READING,
    Row,
    Span,
    accepted_instants,
    chunks,
    end_of,
    insert_into,
    insert_rows,
    lock_meters,
    numbers_of,
    select_rows,
    series_columns,
    stored_versions,
)
from metering.readings import MeterId, Reading, SignedReading
from metering.series import IntArray, Series
from metering.signing import CheckedReadings


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A meter and the name that files give it."""

    meter_id: MeterId
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReading:
    """One version of a reading, and since when it has been known."""

    signed: SignedReading
    version: int  # From 1 for each instant of a meter; the highest counts.
    accepted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """From one reading of a meter to a later one (or the same)."""

    meter_id: MeterId
    first_at: datetime
    last_at: datetime


class ReadingStore:
    """Readings of all meters, on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_tables(self) -> None:
        """Creates what is missing; a service migrates instead."""
        SQLModel.metadata.create_all(self._engine, tables=[METER, READING, FREEZE])

    def add_meters(self, meters: Iterable[Meter]) -> None:
        """Makes meters known by the names that files give them; the same again changes nothing."""
        rows = [{"meter_id": each.meter_id, "label": each.label} for each in meters]
        if not rows:
            return
        with self._engine.begin() as connection:
            insert = insert_into(connection, METER)
            label = insert.excluded.label
            statement = insert.on_conflict_do_update(
                index_elements=["meter_id"], set_={"label": func.coalesce(label, METER.c.label)}
            )
            connection.execute(statement, rows)

    def meters(self) -> list[Meter]:
        """Every meter that was made known or has readings, in order of id."""
        query = select(METER.c.meter_id, METER.c.label).order_by(METER.c.meter_id)
        with self._engine.begin() as connection:
            rows = connection.execute(query)
            return [Meter(meter_id=MeterId(bytes(row[0])), label=row[1]) for row in rows]

    def take(
        self,
        checked: CheckedReadings,
        *,
        book: MeterBook,
        now_at: datetime,
        accepted_at: datetime,
    ) -> IntakeResult:
        """Judges readings and keeps the good ones, in one transaction.

        They are accepted at `accepted_at`, or right after what is frozen by then.
        """
        by_meter, rejected = admit(checked, book, now_at)
        accepted = duplicates = 0
        with self._engine.begin() as connection:
            accepted_s = max(to_unix_s(accepted_at), hold_freeze(connection) + 1)
            numbers = lock_meters(connection, by_meter)
            for chunk in chunks(sorted(by_meter, key=numbers.__getitem__)):
                spans = [_span(numbers[each], checked, by_meter[each]) for each in chunk]
                stored = stored_versions(connection, spans)
                rows: list[Row] = []
                for meter_id in chunk:
                    number, indices = numbers[meter_id], by_meter[meter_id]
                    verdict = judge_meter(
                        {index: checked.signed[index].reading for index in indices},
                        stored.get(number, ()),
                        book.terms_of_meter(meter_id),
                    )
                    kept = _rows(number, checked, verdict.accepted, accepted_s)
                    rows += sorted(kept)
                    duplicates += len(verdict.duplicates)
                    rejected |= verdict.rejected
                insert_rows(connection, rows)
                accepted += len(rows)
        problems = (Problem(position=index, error=rejected[index]) for index in sorted(rejected))
        return IntakeResult(accepted=accepted, duplicates=duplicates, rejected=tuple(problems))

    def freeze(self, through_at: datetime, connection: Connection | None = None) -> None:
        """From now on nothing is accepted at or before an instant; all that was can be read.

        Waits for what is being taken in just now, by whatever process.

        Args:
            connection: of a transaction with whose end it happens; else at once.
        """
        if connection is not None:
            move_freeze(connection, to_unix_s(through_at))
            return
        with self._engine.begin() as own:
            move_freeze(own, to_unix_s(through_at))

    def series(
        self,
        meters: Iterable[MeterId],
        *,
        from_at: datetime,
        until_at: datetime,
        cutoff_at: datetime | None = None,
    ) -> dict[MeterId, Series]:
        """What was known at the cutoff: the last accepted version of each instant.

        Both ends are included, with one more reading before and after them, so that registers at
        the ends can be computed. A meter without readings has no entry.
        """
        cutoff_s = _cutoff_s(cutoff_at)
        found: dict[MeterId, Series] = {}
        with self._engine.begin() as connection:
            by_number = {number: each for each, number in numbers_of(connection, meters).items()}
            for chunk in chunks(sorted(by_number)):
                spans = [(number, to_unix_s(from_at), to_unix_s(until_at)) for number in chunk]
                for number, taken_s, import_wh, export_wh in series_columns(
                    connection, spans, cutoff_s
                ):
                    found[by_number[number]] = Series(
                        meter_id=by_number[number],
                        taken_s=taken_s,
                        import_wh=import_wh,
                        export_wh=export_wh,
                    )
        return found

    def versions(
        self,
        meters: Iterable[MeterId],
        *,
        from_at: datetime,
        until_at: datetime,
        cutoff_at: datetime | None = None,
    ) -> list[KeptReading]:
        """All versions, both ends included, by meter number, instant and version."""
        kept: list[KeptReading] = []
        with self._engine.begin() as connection:
            by_number = {number: each for each, number in numbers_of(connection, meters).items()}
            for chunk in chunks(sorted(by_number)):
                spans = [(number, to_unix_s(from_at), to_unix_s(until_at)) for number in chunk]
                for row in select_rows(connection, spans, COLUMNS, _cutoff_s(cutoff_at)):
                    kept.append(_kept(by_number[row[0]], row))  # noqa: PERF401 (reads better)
        return kept

    def known_stretches(self, *, cutoff_at: datetime | None = None) -> dict[MeterId, Stretch]:
        """From the first to the last reading of each meter that has any."""
        cutoff_s = _cutoff_s(cutoff_at)
        own = (READING.c.meter_no == METER.c.number, READING.c.accepted_s <= cutoff_s)
        query = select(
            METER.c.meter_id,
            end_of(own, latest=False).label("first_s"),
            end_of(own, latest=True).label("last_s"),
        )
        with self._engine.begin() as connection:
            return {
                (meter_id := MeterId(bytes(row[0]))): _stretch(meter_id, row[1], row[2])
                for row in connection.execute(query.order_by(METER.c.meter_id))
                if row[1] is not None
            }

    def boundary_counts(
        self, window_s: int, *, from_at: datetime, until_at: datetime
    ) -> dict[MeterId, int]:
        """On how many window boundaries each meter has a reading, both ends included."""
        query = (
            select(METER.c.meter_id, func.count(READING.c.taken_s.distinct()))
            .join(METER, METER.c.number == READING.c.meter_no)
            .where(READING.c.taken_s.between(to_unix_s(from_at), to_unix_s(until_at)))
            .where(READING.c.taken_s % window_s == 0)
            .group_by(METER.c.meter_id)
        )
        with self._engine.begin() as connection:
            return {MeterId(bytes(row[0])): row[1] for row in connection.execute(query)}

    def touched_since(
        self, after_at: datetime, *, cutoff_at: datetime | None = None
    ) -> list[Stretch]:
        """Where flows may have changed by readings accepted after one instant, up to a cutoff.

        From the reading before each new one to the reading after it; a period that a stretch meets,
        if only at its boundary, is one to compute again.
        """
        cutoff_s = _cutoff_s(cutoff_at)
        touched: list[Stretch] = []
        with self._engine.begin() as connection:
            instants = accepted_instants(connection, to_unix_s(after_at), cutoff_s)
            ids = {number: each for each, number in numbers_of(connection, None).items()}
            for chunk in chunks(sorted(instants)):
                spans = [(each, int(instants[each][0]), int(instants[each][-1])) for each in chunk]
                for number, taken_s, _, _ in series_columns(connection, spans, cutoff_s):
                    touched += _stretches_around(ids[number], taken_s, instants[number])
        return touched

    def count(self) -> int:
        """How many versions are kept."""
        with self._engine.begin() as connection:
            return connection.execute(select(func.count()).select_from(READING)).scalar_one()


def _stretches_around(meter_id: MeterId, taken_s: IntArray, new_s: IntArray) -> list[Stretch]:
    """From the neighbour before each new instant to the one after it, joined where they meet."""
    place = np.searchsorted(taken_s, new_s)
    first_s = taken_s[np.maximum(place - 1, 0)]
    last_s = taken_s[np.minimum(place + 1, len(taken_s) - 1)]
    is_begin = np.append([True], first_s[1:] > last_s[:-1])
    is_end = np.append(is_begin[1:], [True])
    pairs = zip(first_s[is_begin].tolist(), last_s[is_end].tolist(), strict=True)
    return [_stretch(meter_id, begin_s, end_s) for begin_s, end_s in pairs]


def _rows(
    number: int, checked: CheckedReadings, accepted: Iterable[tuple[int, int]], accepted_s: int
) -> Iterator[Row]:
    for index, version in accepted:
        signed = checked.signed[index]
        reading = signed.reading
        taken_s = to_unix_s(reading.taken_at)
        yield (
            number,
            taken_s,
            version,
            reading.import_wh,
            reading.export_wh,
            signed.signature,
            accepted_s,
        )


def _span(number: int, checked: CheckedReadings, indices: Iterable[int]) -> Span:
    instants = [checked.signed[index].reading.taken_at for index in indices]
    return number, to_unix_s(min(instants)), to_unix_s(max(instants))


def _kept(meter_id: MeterId, row: Any) -> KeptReading:
    _, taken_s, version, import_wh, export_wh, signature, accepted_s = row
    reading = Reading(
        meter_id=meter_id,
        taken_at=from_unix_s(taken_s),
        import_wh=import_wh,
        export_wh=export_wh,
    )
    return KeptReading(
        signed=SignedReading(reading=reading, signature=bytes(signature)),
        version=version,
        accepted_at=from_unix_s(accepted_s),
    )


def _stretch(meter_id: MeterId, first_s: int, last_s: int) -> Stretch:
    return Stretch(meter_id=meter_id, first_at=from_unix_s(first_s), last_at=from_unix_s(last_s))


def _cutoff_s(cutoff_at: datetime | None) -> int:
    return ALWAYS_S if cutoff_at is None else to_unix_s(cutoff_at)
