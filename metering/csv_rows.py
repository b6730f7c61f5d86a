"""Rows of a CSV file by the names of their columns: one bad row never sinks the others.

A row is one line; quotes are understood, line breaks inside them are not, so that a stray quote
spoils its own line only.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from ledger.errors import LedgerError
from metering.errors import BadRow, EmptyFile, MissingColumn, Problem, UnknownFormat

LINE_BYTES_MAX: Final = 65_536


def read_rows(
    source: BinaryIO, columns: Sequence[str], take: Callable[[int, list[str]], None]
) -> list[Problem]:
    """Hands each row's line number and its cells, stripped, in the order of `columns`, to `take`.

    What `take` refuses, and what is no row, becomes a problem and stops nothing.

    Raises:
        EmptyFile: no data row at all.
        MissingColumn: the header lacks one of the columns.
        UnknownFormat: not a text file of lines.
    """
    texts = _lines(source)
    header = next(texts, None)
    if header is None:
        raise EmptyFile
    if not header[1].strip() and not any(text.strip() for _, text in texts):
        raise EmptyFile
    names, places = _places(header[1], columns)
    problems, rows = list[Problem](), 0
    for line, text in texts:
        if not text.strip():
            continue
        rows += 1
        try:
            cells = _cells(text)
            if len(cells) != names:
                raise BadRow(rule=f"{names} cells as in the header, not {len(cells)}")
            take(line, [cells[place].strip() for place in places])
        except LedgerError as error:
            problems.append(Problem(position=line, error=error.with_traceback(None)))
    if not rows:
        raise EmptyFile
    return problems


def _lines(source: BinaryIO) -> Iterator[tuple[int, str]]:
    line = 0
    while raw := source.readline(LINE_BYTES_MAX + 1):
        line += 1
        if len(raw) > LINE_BYTES_MAX:
            raise UnknownFormat(rule=f"line {line} has more than {LINE_BYTES_MAX} bytes")
        # What is not UTF-8 becomes U+FFFD, which no number, time or label may hold.
        yield line, raw.decode("utf-8-sig" if line == 1 else "utf-8", "replace")


def _places(header: str, columns: Sequence[str]) -> tuple[int, list[int]]:
    if "\0" in header or "\ufffd" in header:
        raise UnknownFormat(rule="the first line is not UTF-8 text")
    if not header.strip():
        raise UnknownFormat(rule="the first line is empty; it must name the columns")
    names = [name.strip() for name in _cells(header)]
    for column in columns:
        if column not in names:
            raise MissingColumn(column=column)
        if names.count(column) > 1:
            raise UnknownFormat(rule=f"column {column} is named twice")
    return len(names), [names.index(column) for column in columns]


def _cells(text: str) -> list[str]:
    if '"' not in text:
        return text.rstrip("\r\n").split(",")
    try:
        return next(csv.reader([text.rstrip("\r\n")], strict=True), [])
    except csv.Error as error:
        raise BadRow(rule=f"not a line of CSV: {error}") from error
