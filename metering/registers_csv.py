"""The format `registers-csv`: cumulative registers in kWh, one meter and instant a line.

Columns `meter_id, ts_utc, grid_import_kwh, grid_export_kwh` in any order, others are ignored. The
file is read once, line by line, and kept as columns of integers.
"""

import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import BinaryIO, Final

from ledger.units import REGISTER_WH_MAX, from_unix_s, to_unix_s
from metering.csv_rows import read_rows
from metering.errors import (
    BadRow,
    Problem,
    RegisterOutOfRange,
    UnknownMeter,
)
from metering.instants import parse_instant
from metering.readings import MeterId, Reading

COLUMNS: Final = ("meter_id", "ts_utc", "grid_import_kwh", "grid_export_kwh")
CELL_CHARS_MAX: Final = 40
_ABSENT: Final = -1  # An empty register cell, inside this module only.
_WH_PER_KWH: Final = Decimal(1000)
_EXACT: Final = Context(prec=2 * CELL_CHARS_MAX)  # No cell has more digits than this.
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DIGITS_MAX: Final = 15  # A number with more digits before its point is out of range for certain.


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRow:
    """One line of the file that gives a reading."""

    line: int  # Counted from 1, the header included.
    label: str  # The meter, as the file names it.
    taken_at: datetime
    import_wh: int
    export_wh: int


@dataclass(slots=True, kw_only=True)
class _Columns:
    """Rows as they stand in the file, before it is known which registers a meter has."""

    labels: dict[str, int] = field(default_factory=dict)
    has_import: bytearray = field(default_factory=bytearray)
    has_export: bytearray = field(default_factory=bytearray)
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    meters: "array[int]" = field(default_factory=lambda: array("q"))
    taken_s: "array[int]" = field(default_factory=lambda: array("q"))
    import_wh: "array[int]" = field(default_factory=lambda: array("q"))
    export_wh: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, line: int, cells: list[str]) -> None:
        label, taken_text, import_text, export_text = cells
        if not label:
            raise BadRow(rule="meter_id is empty")
        if "\ufffd" in label:
            raise BadRow(rule="meter_id is not UTF-8")
        meter = self.labels.setdefault(label, len(self.labels))
        if meter == len(self.has_import):
            self.has_import.append(0)
            self.has_export.append(0)
        # A cell that cannot be read still says that the meter has this register.
        self.has_import[meter] |= bool(import_text)
        self.has_export[meter] |= bool(export_text)
        taken_s = to_unix_s(parse_instant(taken_text))
        import_wh = parse_register_wh(import_text) if import_text else _ABSENT
        export_wh = parse_register_wh(export_text) if export_text else _ABSENT
        for column, value in zip(
            (self.lines, self.meters, self.taken_s, self.import_wh, self.export_wh),
            (line, meter, taken_s, import_wh, export_wh),
            strict=True,
        ):
            column.append(value)

    def is_gap(self, row: int) -> bool:
        """Whether a register that the meter has elsewhere is empty here."""
        meter = self.meters[row]
        return (self.import_wh[row] == _ABSENT and bool(self.has_import[meter])) or (
            self.export_wh[row] == _ABSENT and bool(self.has_export[meter])
        )


class RegistersFile:
    """What a file of registers says: rows with readings, gaps, and what was refused."""

    def __init__(self, columns: _Columns, problems: list[Problem]) -> None:
        self._columns = columns
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.labels: tuple[str, ...] = tuple(columns.labels)  # In order of appearance.
        self.estimated = sum(columns.is_gap(row) for row in range(len(columns.lines)))

    def rows(self) -> Iterator[RegisterRow]:
        """The rows that give a reading, in the file's order; gaps give none."""
        columns = self._columns
        for row in range(len(columns.lines)):
            if not columns.is_gap(row):
                yield RegisterRow(
                    line=columns.lines[row],
                    label=self.labels[columns.meters[row]],
                    taken_at=from_unix_s(columns.taken_s[row]),
                    # What is still absent is a register that the meter does not have.
                    import_wh=max(columns.import_wh[row], 0),
                    export_wh=max(columns.export_wh[row], 0),
                )

    def readings(
        self, meter_of: Callable[[str], MeterId | None]
    ) -> tuple[list[Reading], list[int], list[Problem]]:
        """Readings, the line of each, and the rows whose meter nobody knows."""
        meters = {label: meter_of(label) for label in self.labels}
        readings: list[Reading] = []
        lines: list[int] = []
        problems: list[Problem] = []
        for row in self.rows():
            meter_id = meters[row.label]
            if meter_id is None:
                problems.append(Problem(position=row.line, error=UnknownMeter(meter=row.label)))
                continue
            lines.append(row.line)
            readings.append(
                Reading(
                    meter_id=meter_id,
                    taken_at=row.taken_at,
                    import_wh=row.import_wh,
                    export_wh=row.export_wh,
                )
            )
        return readings, lines, problems


def read_registers(source: BinaryIO) -> RegistersFile:
    """Reads a whole file; a row that is refused becomes a problem and stops nothing.

    Raises:
        EmptyFile: no data row at all.
        MissingColumn: the header lacks one of `COLUMNS`.
        UnknownFormat: not a text file of lines.
    """
    columns = _Columns()
    return RegistersFile(columns, read_rows(source, COLUMNS, columns.add))


def parse_register_wh(text: str) -> int:
    """Whole Wh of a register written in kWh.

    Raises:
        BadRow: not a decimal number, or a fraction of a Wh.
        RegisterOutOfRange: below zero or above 10¹² Wh.
    """
    if len(text) > CELL_CHARS_MAX or _NUMBER.fullmatch(text) is None:
        raise BadRow(rule=f"a register is a decimal number of kWh, not {text[:CELL_CHARS_MAX]!r}")
    register = _EXACT.multiply(Decimal(text), _WH_PER_KWH)
    if register and register.adjusted() >= _DIGITS_MAX:
        bound_wh = 10**_DIGITS_MAX if register > 0 else -(10**_DIGITS_MAX)
        raise RegisterOutOfRange(register_wh=bound_wh, register_wh_max=REGISTER_WH_MAX)
    if register != register.to_integral_value():
        raise BadRow(rule=f"a register is a whole number of Wh, not {text!r} kWh")
    register_wh = int(register)
    if not 0 <= register_wh <= REGISTER_WH_MAX:
        raise RegisterOutOfRange(register_wh=register_wh, register_wh_max=REGISTER_WH_MAX)
    return register_wh
