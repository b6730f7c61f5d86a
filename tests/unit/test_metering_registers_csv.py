"""Files of cumulative registers: what they may look like, and what is refused with its line."""

import io
from datetime import UTC, datetime

import pytest

from metering.errors import EmptyFile, MissingColumn, UnknownFormat
from metering.registers_csv import RegistersFile, parse_register_wh, read_registers
from tests.meter_worlds import meter

HEADER = "meter_id,ts_utc,grid_import_kwh,grid_export_kwh\n"
MIDNIGHT = "2016-06-01T00:00:00Z"


def read(text: str | bytes) -> RegistersFile:
    return read_registers(io.BytesIO(text if isinstance(text, bytes) else text.encode()))


def values(file: RegistersFile) -> list[tuple[str, datetime, int, int]]:
    return [(row.label, row.taken_at, row.import_wh, row.export_wh) for row in file.rows()]


def problems(file: RegistersFile) -> list[tuple[int, str]]:
    return [(problem.position, problem.code) for problem in file.problems]


def test_columns_come_in_any_order_and_others_are_ignored() -> None:
    file = read(
        f"pv_kwh,grid_export_kwh,ts_utc,grid_import_kwh,meter_id\n9,2.5,{MIDNIGHT},1.001,a\n"
    )
    assert values(file) == [("a", datetime(2016, 6, 1, tzinfo=UTC), 1001, 2500)]
    assert not file.problems


def test_a_byte_order_mark_is_not_part_of_the_first_column() -> None:
    assert len(values(read(b"\xef\xbb\xbf" + f"{HEADER}a,{MIDNIGHT},1,2\n".encode()))) == 1


def test_windows_line_ends_blank_lines_and_quotes_are_understood() -> None:
    text = f'{HEADER}"a, the first",{MIDNIGHT},"1.5",2\n\n'.replace("\n", "\r\n")
    assert values(read(text)) == [("a, the first", datetime(2016, 6, 1, tzinfo=UTC), 1500, 2000)]


@pytest.mark.parametrize(
    ("text", "register_wh"),
    [
        ("0", 0),
        ("-0", 0),
        ("5146.727", 5_146_727),
        ("+1.5", 1500),
        ("1.5000", 1500),
        (".5", 500),
        ("5.", 5000),
        ("1e3", 1_000_000),
        ("1E-3", 1),
        ("1000000000", 10**12),
        ("0e999", 0),
    ],
)
def test_a_register_becomes_whole_wh(text: str, register_wh: int) -> None:
    assert parse_register_wh(text) == register_wh


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("NaN", "bad_row"),
        ("sNaN", "bad_row"),
        ("Infinity", "bad_row"),
        ("-inf", "bad_row"),
        ("1_000", "bad_row"),
        ("0x10", "bad_row"),
        ("١٢", "bad_row"),
        ("1.0001", "bad_row"),
        ("-0.0001", "bad_row"),
        ("1e-4", "bad_row"),
        ("1e-999", "bad_row"),
        ("0.0010000000000000000000000000000000001", "bad_row"),
        ("9" * 100_000, "bad_row"),
        ("-1", "register_out_of_range"),
        ("-0.001", "register_out_of_range"),
        ("1000000000.001", "register_out_of_range"),
        ("1e999", "register_out_of_range"),
        ("-1e999", "register_out_of_range"),
        ("9" * 39, "register_out_of_range"),
    ],
)
def test_a_register_that_is_no_whole_wh_in_range_is_refused_with_its_line(
    cell: str, code: str
) -> None:
    cell = cell[:60_000]
    file = read(f"{HEADER}a,{MIDNIGHT},1,2\na,2016-06-01T01:00:00Z,{cell},2\n")
    assert problems(file) == [(3, code)]
    assert file.problems[0].detail
    assert len(values(file)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "2016-06-01T00:00:00",
        "2016-06-01T00:00:00.5Z",
        "2016-06-01T00:00:00.000Z",
        "2016-06-01",
        "2016-02-30T00:00:00Z",
        "2016-06-01T24:00:00Z",
        "2016-06-01T00:00:60Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "1464739200",
        "20160601T000000Z",
        "2016-06-01T00:00:00+25:00",
        "",
    ],
)
def test_a_time_without_offset_or_in_another_form_is_a_bad_time(text: str) -> None:
    assert problems(read(f"{HEADER}a,{text},1,2\n")) == [(2, "bad_time")]


@pytest.mark.parametrize(
    "text",
    [
        "2016-06-01T00:00:00Z",
        "2016-06-01T02:00:00+02:00",
        "2016-05-31T18:30:00-0530",
        "2016-06-01 00:00:00z",
    ],
)
def test_a_time_with_any_offset_becomes_utc(text: str) -> None:
    assert values(read(f"{HEADER}a,{text},1,2\n"))[0][1] == datetime(2016, 6, 1, tzinfo=UTC)


def test_the_two_readings_of_the_hour_that_comes_twice_are_two_instants() -> None:
    file = read(f"{HEADER}a,2016-10-30T02:30:00+02:00,1,0\na,2016-10-30T02:30:00+01:00,2,0\n")
    assert [row[1].hour for row in values(file)] == [0, 1]


def test_an_empty_cell_of_a_register_that_the_meter_has_is_a_gap_and_never_a_zero() -> None:
    file = read(
        f"{HEADER}a,{MIDNIGHT},,5\na,2016-06-01T01:00:00Z,2,5\na,2016-06-01T02:00:00Z,3,\n"
        "a,2016-06-01T03:00:00Z,,\n"
    )
    assert file.estimated == 3
    assert [row[2:] for row in values(file)] == [(2000, 5000)]
    assert not file.problems


def test_an_empty_cell_of_a_register_that_the_meter_never_has_is_zero() -> None:
    file = read(f"{HEADER}a,{MIDNIGHT},1,\nb,{MIDNIGHT},1,7\nc,{MIDNIGHT},,7\n")
    assert file.estimated == 0
    assert [row[2:] for row in values(file)] == [(1000, 0), (1000, 7000), (0, 7000)]


def test_a_register_whose_only_cells_cannot_be_read_is_still_a_register() -> None:
    file = read(f"{HEADER}a,{MIDNIGHT},1,oops\na,2016-06-01T01:00:00Z,2,\n")
    assert problems(file) == [(2, "bad_row")]
    assert file.estimated == 1


@pytest.mark.parametrize("column", ["meter_id", "ts_utc", "grid_import_kwh", "grid_export_kwh"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(MissingColumn) as caught:
        read(HEADER.replace(column, "other") + f"a,{MIDNIGHT},1,2\n")
    assert caught.value.column == column


@pytest.mark.parametrize("text", ["", HEADER, HEADER + "\n\n", "\ufeff" + HEADER])
def test_a_file_without_data_rows_is_empty(text: str) -> None:
    with pytest.raises(EmptyFile):
        read(text)


@pytest.mark.parametrize(
    "content",
    [
        bytes(range(256)) * 4,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        (HEADER + f"a,{MIDNIGHT},1,2\n").encode("utf-16"),
        b"\0" * 200_000,
        b"a" * 200_000,
        b"\n" + HEADER.encode(),
        HEADER.replace("ts_utc", "ts_utc,ts_utc").encode(),
    ],
    ids=["bytes", "png", "utf-16", "zeros", "one line", "no header", "column twice"],
)
def test_what_is_no_file_of_registers_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(UnknownFormat):
        read(content)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"a,{MIDNIGHT},1".encode(), "bad_row"),
        (f"a,{MIDNIGHT},1,2,3".encode(), "bad_row"),
        (f",{MIDNIGHT},1,2".encode(), "bad_row"),
        (f'"a,{MIDNIGHT},1,2'.encode(), "bad_row"),
        (f'"a"b,{MIDNIGHT},1,2'.encode(), "bad_row"),
        (b"K\xf6ln," + MIDNIGHT.encode() + b",1,2", "bad_row"),
        (b"a," + MIDNIGHT.encode() + b",\xff\xfe,2", "bad_row"),
        (b"a,\0\0,1,2", "bad_time"),
        (bytes(range(128, 256)), "bad_row"),
    ],
)
def test_a_broken_line_spoils_itself_only(line: bytes, code: str) -> None:
    content = HEADER.encode() + line + f"\nb,{MIDNIGHT},1,2\n".encode()
    file = read(content)
    assert problems(file) == [(2, code)]
    assert len(values(file)) == 1


@pytest.mark.slow
def test_one_bad_line_in_the_middle_of_a_million_is_reported_and_the_others_are_read() -> None:
    count, bad = 1_000_000, 500_001
    lines = [f"a,{MIDNIGHT},{row}.001,0\n" for row in range(count)]
    lines[bad - 2] = "a,yesterday,1,0\n"
    file = read(HEADER + "".join(lines))
    assert problems(file) == [(bad, "bad_time")]
    assert sum(1 for _ in file.rows()) == count - 1


def test_a_meter_that_nobody_knows_is_refused_row_by_row_with_its_lines() -> None:
    file = read(f"{HEADER}a,{MIDNIGHT},1,2\nb,{MIDNIGHT},1,2\na,2016-06-01T01:00:00Z,2,2\n")
    readings, lines, unknown = file.readings({"a": meter(1)}.get)
    assert [reading.import_wh for reading in readings] == [1000, 2000]
    assert lines == [2, 4]
    assert [(each.position, each.code) for each in unknown] == [(3, "unknown_meter")]
