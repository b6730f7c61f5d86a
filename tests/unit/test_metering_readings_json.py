"""Signed readings as JSON: strict types, and one bad item never sinks the others."""

import json
import sys
from typing import Any

import pytest

from metering.errors import EmptyFile, TooManyReadings, UnknownFormat
from metering.readings_json import read_readings, to_json
from tests.meter_worlds import HOUR, NOON, reading, signed

ITEMS = [to_json(each) for each in signed(reading(NOON, 1, 2), reading(NOON + HOUR, 3, 4))]


def body(*items: Any) -> bytes:
    return json.dumps({"readings": items}).encode()


def test_what_was_written_is_read_again() -> None:
    read, indices, problems = read_readings(body(*ITEMS))
    assert [to_json(each) for each in read] == ITEMS
    assert indices == [0, 1]
    assert problems == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"import_wh": True}, "bad_row"),
        ({"import_wh": 1.0}, "bad_row"),
        ({"import_wh": float("nan")}, "bad_row"),
        ({"import_wh": "1"}, "bad_row"),
        ({"import_wh": None}, "bad_row"),
        ({"export_wh": [1]}, "bad_row"),
        ({"export_wh": -1}, "register_out_of_range"),
        ({"export_wh": 10**12 + 1}, "register_out_of_range"),
        ({"taken_at": 1464739200}, "bad_row"),
        ({"taken_at": "2016-06-01T00:00:00"}, "bad_time"),
        ({"taken_at": "2016-06-01T00:00:00.5Z"}, "bad_time"),
        ({"meter_id": "DE_KN_residential1"}, "bad_row"),
        ({"meter_id": "0x" + "0 " * 32}, "bad_row"),
        ({"meter_id": "0x" + "00" * 20 + " " * 24}, "bad_row"),
        ({"meter_id": "00" * 33}, "bad_row"),
        ({"meter_id": 7}, "bad_row"),
        ({"signature": "0x"}, "bad_signature"),
        ({"signature": "0x" + "zz" * 65}, "bad_signature"),
        ({"signature": None}, "bad_signature"),
        ({"extra": 1}, "bad_row"),
    ],
)
def test_a_bad_item_is_refused_by_its_index_and_the_others_are_read(
    change: dict[str, Any], code: str
) -> None:
    read, indices, problems = read_readings(body(ITEMS[0], ITEMS[1] | change, ITEMS[1]))
    assert [(each.position, each.code) for each in problems] == [(1, code)]
    assert len(read) == 2
    assert indices == [0, 2]


@pytest.mark.parametrize("name", ["meter_id", "taken_at", "import_wh", "export_wh", "signature"])
def test_a_missing_field_is_named(name: str) -> None:
    item = {key: value for key, value in ITEMS[0].items() if key != name}
    _, _, problems = read_readings(body(item))
    assert problems[0].code == "bad_row"
    assert name in problems[0].detail


@pytest.mark.parametrize("item", [None, 1, "x", [], True])
def test_an_item_that_is_no_object_is_refused(item: Any) -> None:
    assert read_readings(body(item))[2][0].code == "bad_row"


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"readings": {}}',
        b'{"readings": [], "more": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"readings": [' + b"9" * 5_000 + b"]}",
    ],
    ids=["cut", "bytes", "list", "null", "object", "more", "deep", "deeper", "digits"],
)
def test_what_is_no_list_of_readings_is_refused_as_a_whole(text: bytes) -> None:
    with pytest.raises(UnknownFormat):
        read_readings(text)


def test_a_deep_body_is_refused_even_where_python_would_follow_it_to_its_end() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # As an import of eth_account leaves it.
    try:
        with pytest.raises(UnknownFormat):
            read_readings(b'["]",' * 100_000)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("text", [body(), b"", b" \r\n", b"\xef\xbb\xbf"])
def test_what_has_no_readings_in_it_is_empty(text: bytes) -> None:
    with pytest.raises(EmptyFile):
        read_readings(text)


def test_more_than_a_request_may_hold_is_refused_without_being_looked_at() -> None:
    read, _, _ = read_readings(body(*ITEMS), count_max=2)
    assert len(read) == 2
    with pytest.raises(TooManyReadings) as refused:
        read_readings(body(*ITEMS, ITEMS[0]), count_max=2)
    assert refused.value.count == 3
    with pytest.raises(TooManyReadings):
        read_readings(b'{"readings": [' + b"{}," * 1_000_000 + b"{}]}", count_max=10_000)


def test_a_name_that_stands_twice_spoils_its_item_only() -> None:
    first, second = (json.dumps(each) for each in ITEMS)
    doubled = first.replace('"meter_id"', '"export_wh": 9, "meter_id"')
    spelled = first.replace('"meter_id"', '"export\\u005fwh": 9, "meter_id"')
    text = f'{{"readings": [{doubled}, {second}, {spelled}]}}'
    read, indices, problems = read_readings(text.encode())
    assert indices == [1]
    assert len(read) == 1
    assert [(each.position, each.code) for each in problems] == [(0, "bad_row"), (2, "bad_row")]
    with pytest.raises(UnknownFormat):
        read_readings(b'{"readings": [1], "readings": [' + second.encode() + b"]}")


def test_a_file_may_begin_with_a_mark_and_have_any_white_space() -> None:
    text = json.dumps({"readings": ITEMS}, indent=4).replace("\n", "\r\n\t")
    read, _, _ = read_readings(b"\xef\xbb\xbf" + text.encode())
    assert [to_json(each) for each in read] == ITEMS
