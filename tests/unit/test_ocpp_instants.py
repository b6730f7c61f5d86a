"""Chargers' clocks."""

from datetime import UTC, datetime

import pytest

from charging.ocpp.instants import instant_of, instant_text

NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-03T12:00:00Z",
        "2026-11-03T12:00:00z",
        "2026-11-03t12:00:00Z",
        "2026-11-03 12:00:00Z",
        "2026-11-03T12:00:00",
        "2026-11-03T12:00",
        "2026-11-03T12:00Z",
        "2026-11-03T12:00:00.000Z",
        "2026-11-03T12:00:00.0Z",
        "2026-11-03T13:00:00+01:00",
        "2026-11-03T13:00:00+0100",
        "2026-11-03T06:30:00-05:30",
        " 2026-11-03T12:00:00Z ",
    ],
)
def test_every_spelling_of_an_instant_is_the_same_instant_in_utc(text: str) -> None:
    instant = instant_of(text)
    assert instant == NOON
    assert instant is not None
    assert instant.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        None,
        0,
        "",
        "now",
        "2026-11-03",
        "12:00:00",
        "2026-13-03T12:00:00Z",
        "2026-11-03T25:00:00Z",
        "2026-11-03T12:00:00+99:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-11-03X12:00:00Z",
        "2026-W45-2T12:00:00Z",
        "1762171200000000000",
        "٢٠٢٦-١١-٠٣T١٢:٠٠:٠٠Z",
    ],
)
def test_nonsense_is_no_instant(text: object) -> None:
    assert instant_of(text) is None


def test_a_leap_second_is_the_second_before_it() -> None:
    assert instant_of("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_clock_in_1970_is_believed_here() -> None:
    assert instant_of("1970-01-01T00:00:10Z") == datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC)


def test_we_write_utc_with_milliseconds() -> None:
    assert instant_text(NOON) == "2026-11-03T12:00:00.000Z"
