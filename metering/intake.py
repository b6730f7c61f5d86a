"""Intake: which readings are taken in, which are duplicates, and which are refused, and why.

Decrease and jump are judged on a meter's series as it stands after the whole file or request. What
is stored is never refused; between two new rows the later one is, between a new and a stored one
the new one is, and what it would have replaced is judged in its place.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ledger.errors import LedgerError
from ledger.units import from_unix_s, to_unix_s
from metering.errors import (
    MeterNotValidAt,
    Problem,
    RegisterDecreased,
    RegisterJump,
    TimeInFuture,
    TooManyVersions,
    UnknownMeter,
)
from metering.meters import MeterBook, MeterTerm
from metering.readings import MeterId, Reading, SignedReading
from metering.signing import CheckedReadings

CLOCK_TOLERANCE: Final = timedelta(seconds=60)  # What a meter's clock may be ahead of ours.
JUMP_TOLERANCE_WH: Final = 100
_S_PER_H: Final = 3_600
_STORED: Final = -1  # The index of a version that is stored already.

VERSIONS_MAX: Final = 1_000  # Of one instant: who looks at a series looks at them all.

LimitBetween = Callable[[int, int], int]  # The limit in W between two instants in Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """One version of one instant of one meter, as the store knows it."""

    taken_s: int
    version: int
    import_wh: int
    export_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeResult:
    """What became of a file or request; positions are indices into it."""

    accepted: int
    duplicates: int
    rejected: tuple[Problem, ...]  # In order of position.

    def located(self, positions: Sequence[int], others: Iterable[Problem] = ()) -> "IntakeResult":
        """The same with the lines or indices of the source, and what was refused before."""
        located = [replace(each, position=positions[each.position]) for each in self.rejected]
        rejected = tuple(sorted([*located, *others], key=lambda each: each.position))
        return replace(self, rejected=rejected)


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What becomes of the candidates of one meter, by index."""

    accepted: list[tuple[int, int]] = field(default_factory=list)  # Index and version to store.
    duplicates: list[int] = field(default_factory=list)
    rejected: dict[int, LedgerError] = field(default_factory=dict)


def admit(
    checked: CheckedReadings, book: MeterBook, now_at: datetime
) -> tuple[dict[MeterId, list[int]], dict[int, LedgerError]]:
    """Judges each reading by itself: what may go on, by meter, and what is refused, by index."""
    by_meter: dict[MeterId, list[int]] = {}
    refused: dict[int, LedgerError] = {}
    latest_at = now_at + CLOCK_TOLERANCE
    for index, (signed, error) in enumerate(zip(checked.signed, checked.errors, strict=True)):
        reading = signed.reading
        if error is not None:
            refused[index] = error
        elif reading.taken_at > latest_at:
            refused[index] = TimeInFuture(taken_at=reading.taken_at, now_at=now_at)
        else:
            try:
                book.terms_accepting(reading.meter_id, reading.taken_at)
            except (UnknownMeter, MeterNotValidAt) as unaccepted:
                refused[index] = unaccepted.with_traceback(None)
            else:
                by_meter.setdefault(reading.meter_id, []).append(index)
    return by_meter, refused


@dataclass(slots=True, kw_only=True)
class Tally:
    """What becomes of one file or request, while its meters are judged one by one."""

    checked: CheckedReadings
    by_meter: Mapping[MeterId, Sequence[int]]  # Indices of what is still to be judged.
    rejected: dict[int, LedgerError]
    accepted: int = 0
    duplicates: int = 0

    @classmethod
    def of(cls, checked: CheckedReadings, book: MeterBook, now_at: datetime) -> "Tally":
        """With each reading judged by itself."""
        by_meter, rejected = admit(checked, book, now_at)
        return cls(checked=checked, by_meter=by_meter, rejected=rejected)

    def judge(
        self, meter_id: MeterId, stored: Iterable[StoredVersion], terms: Sequence[MeterTerm]
    ) -> list[tuple[SignedReading, int]]:
        """One meter's readings that are to be stored, each with its version."""
        signed = self.checked.signed
        candidates = {index: signed[index].reading for index in self.by_meter[meter_id]}
        verdict = judge_meter(candidates, stored, terms)
        self.accepted += len(verdict.accepted)
        self.duplicates += len(verdict.duplicates)
        self.rejected |= verdict.rejected
        return [(signed[index], version) for index, version in verdict.accepted]

    def result(self) -> IntakeResult:
        """When all meters were judged."""
        problems = (Problem(position=at, error=self.rejected[at]) for at in sorted(self.rejected))
        return IntakeResult(
            accepted=self.accepted, duplicates=self.duplicates, rejected=tuple(problems)
        )


def judge_meter(
    candidates: Mapping[int, Reading], stored: Iterable[StoredVersion], terms: Sequence[MeterTerm]
) -> Verdict:
    """Judges the new readings of one meter, by index in order of arrival, on its series.

    `stored` holds every version of the instants from the last one before the candidates to the
    first one after them, in order of time and version.
    """
    verdict = Verdict()
    layers: dict[int, list[_Version]] = {}  # What may stand for an instant, the best one last.
    versions: dict[int, int] = {}
    seen: dict[tuple[int, int, int], int] = {}
    for row in stored:
        layers[row.taken_s] = [(row.import_wh, row.export_wh, _STORED)]
        versions[row.taken_s] = row.version
        seen[row.taken_s, row.import_wh, row.export_wh] = _STORED
    twins: list[tuple[int, int]] = []
    for index, reading in candidates.items():
        taken_s = to_unix_s(reading.taken_at)
        first = seen.setdefault((taken_s, reading.import_wh, reading.export_wh), index)
        if first != index:
            # Whatever was said before is not news: an old version never becomes the latest again.
            twins.append((index, first))
            continue
        layer = layers.setdefault(taken_s, [])
        stored_count = versions.get(taken_s, 0)
        if stored_count + len(layer) - (stored_count > 0) >= VERSIONS_MAX:
            verdict.rejected[index] = TooManyVersions(
                taken_at=reading.taken_at, versions_max=VERSIONS_MAX
            )
            continue
        layer.append((reading.import_wh, reading.export_wh, index))
    verdict.rejected |= _scan(layers, _limit_between(terms))
    for taken_s, layer in layers.items():
        for _, _, index in layer:
            if index != _STORED:
                versions[taken_s] = versions.get(taken_s, 0) + 1
                verdict.accepted.append((index, versions[taken_s]))
    for index, first in twins:
        if first in verdict.rejected:
            verdict.rejected[index] = verdict.rejected[first]
        else:
            verdict.duplicates.append(index)
    return verdict


_Version = tuple[int, int, int]  # Import and export in Wh, and the index of the candidate.


def _scan(layers: dict[int, list[_Version]], limit_between: LimitBetween) -> dict[int, LedgerError]:
    """Takes out of the layers what does not fit into the series; says what and why."""
    rejected: dict[int, LedgerError] = {}
    kept: list[int] = []  # Instants whose best version fits all before it.
    todo = sorted(layers, reverse=True)
    while todo:
        taken_s = todo.pop()
        layer = layers[taken_s]
        if not layer:
            continue
        error = (
            _conflict(kept[-1], layers[kept[-1]][-1], taken_s, layer[-1], limit_between)
            if kept
            else None
        )
        if error is not None and layer[-1][2] != _STORED:
            rejected[layer.pop()[2]] = error
            todo.append(taken_s)  # What it would have replaced.
        elif error is not None and layers[kept[-1]][-1][2] != _STORED:
            rejected[layers[kept[-1]].pop()[2]] = error
            todo += [taken_s, kept.pop()]
        else:
            kept.append(taken_s)
    return rejected


def _conflict(
    earlier_s: int,
    earlier: _Version,
    later_s: int,
    later: _Version,
    limit_between: LimitBetween,
) -> LedgerError | None:
    rise_wh_max = limit_between(earlier_s, later_s) * (later_s - earlier_s) // _S_PER_H
    rise_wh_max += JUMP_TOLERANCE_WH
    for place, register in enumerate(("import_wh", "export_wh")):
        rise_wh = later[place] - earlier[place]
        if rise_wh < 0:
            return RegisterDecreased(
                register=register,
                earlier_at=from_unix_s(earlier_s),
                earlier_wh=earlier[place],
                later_at=from_unix_s(later_s),
                later_wh=later[place],
            )
        if rise_wh > rise_wh_max:
            return RegisterJump(
                register=register,
                earlier_at=from_unix_s(earlier_s),
                later_at=from_unix_s(later_s),
                rise_wh=rise_wh,
                rise_wh_max=rise_wh_max,
            )
    return None


def _limit_between(terms: Sequence[MeterTerm]) -> LimitBetween:
    """The largest limit that a meter has between two instants."""
    largest_w = max(term.limit_w for term in terms)
    if min(term.limit_w for term in terms) == largest_w:
        return lambda _earlier_s, _later_s: largest_w
    spans = [
        (
            to_unix_s(term.valid_from),
            None if term.valid_until is None else to_unix_s(term.valid_until),
            term.limit_w,
        )
        for term in terms
    ]

    def between(earlier_s: int, later_s: int) -> int:
        limits_w = [
            limit_w
            for from_s, until_s, limit_w in spans
            if from_s < later_s and (until_s is None or until_s > earlier_s)
        ]
        # No term between the two: the meter rested, and any limit of its own will do.
        return max(limits_w, default=largest_w)

    return between
