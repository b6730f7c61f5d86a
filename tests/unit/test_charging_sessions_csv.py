"""Recorded stays of cars: local times without offset, and the rows that are none."""

from datetime import UTC, datetime
from io import BytesIO

import pytest

from charging.sessions_csv import COLUMNS, RecordedSession, read_sessions
from metering.errors import Problem


def read(*rows: str) -> tuple[list[RecordedSession], list[Problem]]:
    text = "\n".join([",".join(COLUMNS), *(f"{n},u,,{row}" for n, row in enumerate(rows))])
    return read_sessions(BytesIO(text.encode()))


def test_a_stay_may_go_over_night() -> None:
    ((stay,), _) = read("2019-06-05T18:00,2019-06-06T07:00,12.34,13.0")
    assert stay.plugin_at == datetime(2019, 6, 5, 16, tzinfo=UTC)
    assert stay.plugout_at == datetime(2019, 6, 6, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("plugout", "reported", "minutes"),
    [("02:10", "0.3333", 20), ("02:50", "1", 60), ("02:50", "", 60), ("02:55", "1.0833", 65)],
)
def test_in_the_hour_that_comes_twice_a_clock_may_go_back(
    plugout: str, reported: str, minutes: int
) -> None:
    (stays, problems) = read(f"2019-10-27T02:50,2019-10-27T{plugout},0.5,{reported}")
    assert problems == []
    assert (stays[0].plugout_at - stays[0].plugin_at).total_seconds() == minutes * 60


@pytest.mark.parametrize(
    "row",
    [
        "2019-06-05T09:00,2019-06-05T08:00,3.0,1.0",
        "2019-06-05T09:00,2019-06-05T08:59,0.1,24",
        "2019-06-05T09:00,2019-06-05T09:00,0.1,0.0333",
        "2019-06-05T09:00,2019-06-05T09:00,0.01,",
        "2019-10-27T03:10,2019-10-27T02:50,0.1,0.6667",
    ],
)
def test_a_car_that_leaves_before_it_comes_is_refused(row: str) -> None:
    (stays, problems) = read(row)
    assert stays == []
    assert [(each.position, each.detail) for each in problems] == [
        (2, "rule=plugout_local is after plugin_local")
    ]
