"""The store of readings: every version is kept, nothing is overwritten."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, func, select
from sqlmodel import SQLModel

from ledger.units import from_unix_s, to_unix_s
from metering.freeze_store import FREEZE, hold_freeze, move_freeze
from metering.intake import IntakeResult, StoredVersion, Tally
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
    give_numbers,
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

GAP_S: Final = 86_400


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
        self._numbers: dict[MeterId, int] = {}

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
        """Judges the readings of one file or request and keeps the good ones, in one transaction.

        They are accepted at `accepted_at`, or right after what is frozen by then.
        """
        [result] = self.take_each([checked], book=book, now_at=now_at, accepted_at=accepted_at)
        return result

    def take_each(
        self,
        batches: Sequence[CheckedReadings],
        *,
        book: MeterBook,
        now_at: datetime,
        accepted_at: datetime,
    ) -> list[IntakeResult]:
        """The same of several, as if one came after the other, in one transaction for all."""
        tallies = [Tally.of(checked, book, now_at) for checked in batches]
        wanted: dict[MeterId, list[Tally]] = {}
        for tally in tallies:
            for meter_id in tally.by_meter:
                wanted.setdefault(meter_id, []).append(tally)
        with self._engine.begin() as connection:
            accepted_s = max(to_unix_s(accepted_at), hold_freeze(connection) + 1)
            numbers = self._numbers_for(connection, wanted)
            lock_meters(connection, numbers.values())
            for chunk in chunks(sorted(wanted, key=numbers.__getitem__)):
                spans = [
                    span for each in chunk for span in _spans(numbers[each], each, wanted[each])
                ]
                stored = stored_versions(connection, spans)
                rows: list[Row] = []
                for meter_id in chunk:
                    number, terms = numbers[meter_id], book.terms_of_meter(meter_id)
                    versions = stored.get(number, [])
                    for tally in wanted[meter_id]:  # The next one is judged on what this one adds.
                        kept = tally.judge(meter_id, versions, terms)
                        new = sorted(_row(number, *each, accepted_s) for each in kept)
                        versions = _with_new(versions, new) if len(wanted[meter_id]) > 1 else []
                        rows += new
                insert_rows(connection, rows)
        self._numbers |= numbers
        return [tally.result() for tally in tallies]

    def _numbers_for(self, connection: Connection, meters: Iterable[MeterId]) -> dict[MeterId, int]:
        """Numbers never change: those that were committed before are known by now."""
        numbers = {each: self._numbers[each] for each in meters if each in self._numbers}
        if missing := [each for each in meters if each not in numbers]:
            numbers |= give_numbers(connection, missing)
        return numbers

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
                    kept.append(kept_of(by_number[row[0]], row))  # noqa: PERF401 (reads better)
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


def _row(number: int, signed: SignedReading, version: int, accepted_s: int) -> Row:
    reading = signed.reading
    taken_s = to_unix_s(reading.taken_at)
    registers_wh = (reading.import_wh, reading.export_wh)
    return (number, taken_s, version, *registers_wh, signed.signature, accepted_s)


def _with_new(versions: Sequence[StoredVersion], rows: Sequence[Row]) -> list[StoredVersion]:
    new = (
        StoredVersion(taken_s=row[1], version=row[2], import_wh=row[3], export_wh=row[4])
        for row in rows
    )
    return sorted([*versions, *new], key=lambda each: (each.taken_s, each.version))


def _spans(number: int, meter_id: MeterId, tallies: Iterable[Tally]) -> Iterator[Span]:
    """Where a meter's readings lie; what is stored in long gaps between them is not looked at."""
    instants_s = sorted(
        to_unix_s(tally.checked.signed[index].reading.taken_at)
        for tally in tallies
        for index in tally.by_meter[meter_id]
    )
    first_s = instants_s[0]
    for taken_s, next_s in pairwise(instants_s):
        if next_s - taken_s > GAP_S:
            yield number, first_s, taken_s
            first_s = next_s
    yield number, first_s, instants_s[-1]


def kept_of(meter_id: MeterId, row: Any) -> KeptReading:
    """A version of a reading from its row, in the order of `COLUMNS`."""
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
