"""Brings meter data in: files without signatures are signed by the keys of the data directory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.files import storage
from api.jobs.community import Community
from api.jobs.create import meter_key
from ledger.errors import BadSignature
from ledger.units import from_unix_s
from metering.errors import Problem, UnknownFormat, UnknownMeter
from metering.json_lines import lines_of_items
from metering.meters import MeterBook
from metering.readings import MeterId, Reading, SignedReading
from metering.readings_json import read_readings
from metering.registers_csv import read_registers
from metering.signing import sign_reading, verify_many

FORMATS = ("registers-csv", "readings-json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of a file; `position` of a rejection is its line or its index."""

    accepted: int
    duplicates: int
    estimated: int  # Rows that are gaps: their registers will be computed.
    rejected: Sequence[Problem]
    lines: Mapping[int, int] | None = None  # Of a file's items by their index, if it has items.

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "estimated": self.estimated,
            "rejected": [
                {**self.place(each), "code": each.code, "detail": each.detail}
                for each in self.rejected
            ],
        }

    def place(self, problem: Problem) -> dict[str, int]:
        """Where a rejected row or item stands: `line`, counted from 1, and an item's `index`."""
        if self.lines is None:
            return {"line": problem.position}
        return {"line": self.lines[problem.position], "index": problem.position}


def import_readings(
    community: Community, file: Path, *, format_name: str, meter: str | None = None
) -> ImportReport:
    """Imports a file.

    Args:
        meter: a label or a 0x id; only this meter's rows are taken.

    Raises:
        UnknownFormat, EmptyFile, MissingColumn: the file as a whole cannot be used.
    """
    match format_name:
        case "registers-csv":
            return import_registers(community, file, meter=meter)
        case "readings-json":
            return _import_json(community, file, meter=meter)
    raise UnknownFormat(rule=f"{format_name!r} is none of {', '.join(FORMATS)}")


def import_registers(
    community: Community,
    file: Path,
    *,
    meter: str | None = None,
    until_s: int | None = None,
) -> ImportReport:
    """Imports cumulative registers; rows after `until_s` are left out."""
    with storage(file), file.open("rb") as source:
        registers = read_registers(source)
    wanted = _wanted(community, meter)
    if meter is not None and len(registers.labels) == 1:
        wanted = {registers.labels[0]: next(iter(wanted.values()))}  # It names the only meter.
    readings, lines, problems = registers.readings(wanted.get)
    if meter is not None:  # Other meters' rows are not refused, they were not asked for.
        problems = []
    if until_s is not None:
        until_at = from_unix_s(until_s)
        kept = [place for place, reading in enumerate(readings) if reading.taken_at <= until_at]
        readings, lines = [readings[place] for place in kept], [lines[place] for place in kept]
    signed, lines, foreign = _sign(community, readings, lines)
    problems = [*registers.problems, *problems, *foreign]
    return take_signed(community, signed, lines, problems, registers.estimated)


def _import_json(community: Community, file: Path, *, meter: str | None) -> ImportReport:
    with storage(file):
        text = file.read_bytes()
    signed, indices, problems = read_readings(text)
    if meter is not None:
        only = frozenset(_wanted(community, meter).values())
        kept = [place for place, each in enumerate(signed) if each.reading.meter_id in only]
        signed, indices = [signed[place] for place in kept], [indices[place] for place in kept]
    report = take_signed(community, signed, indices, problems, 0)
    rejected = {each.position for each in report.rejected}
    return replace(report, lines=lines_of_items(text, rejected))


def _wanted(community: Community, meter: str | None) -> Mapping[str, MeterId]:
    """Meters by the names that files may give them: label, or id in hex."""
    names: dict[str, MeterId] = {}
    for each in community.readings.meters():
        names["0x" + each.meter_id.hex()] = each.meter_id
        if each.label is not None:
            names[each.label] = each.meter_id
    if meter is None:
        return names
    if meter not in names:
        raise UnknownMeter(meter=meter)
    return {name: meter_id for name, meter_id in names.items() if meter_id == names[meter]}


def _sign(
    community: Community, readings: Sequence[Reading], lines: Sequence[int]
) -> tuple[list[SignedReading], list[int], list[Problem]]:
    """Signs as whoever imports: with the keys of this directory, and no others."""
    names = {each.meter_id: meter_key(each.label or "") for each in community.readings.meters()}
    secrets = {
        meter_id: community.keys.secret(name)
        for meter_id, name in names.items()
        if name in community.keys
    }
    domain = community.reading_domain
    signed: list[SignedReading] = []
    signed_lines: list[int] = []
    problems: list[Problem] = []
    for reading, line in zip(readings, lines, strict=True):
        secret = secrets.get(reading.meter_id)
        if secret is None:
            rule = "this meter's key is not here: import readings that it signed"
            problems.append(Problem(position=line, error=BadSignature(rule=rule)))
        else:
            signed.append(sign_reading(reading, secret, domain))
            signed_lines.append(line)
    return signed, signed_lines, problems


def take_signed(
    community: Community,
    signed: Sequence[SignedReading],
    positions: Sequence[int],
    problems: Sequence[Problem],
    estimated: int,
) -> ImportReport:
    """Takes signed readings in; each keeps its position in whatever it came from."""
    book: MeterBook = community.book()
    checked = verify_many(signed, book, community.reading_domain)
    result = community.readings.take(
        checked,
        book=book,
        now_at=community.system_now(),
        accepted_at=from_unix_s(community.now_s()),
    ).located(positions, problems)
    return ImportReport(
        accepted=result.accepted,
        duplicates=result.duplicates,
        estimated=estimated,
        rejected=result.rejected,
    )
