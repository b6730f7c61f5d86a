"""A community's time comes from one place, and goes the way that its kind says."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.clock import SPEED_MAX, ChainClock, NotBehindChain, RunningClock, SystemClock
from api.errors import BadInput
from ledger.units import from_unix_s, to_unix_s

ROOT = Path(__file__).parents[2]
START_AT = datetime(2016, 6, 8, tzinfo=UTC)

# Who may ask the machine for its time, and why that is no community's time.
OF_THE_MACHINE = {
    "api/clock.py": "the one source",
    "api/rates.py": "requests a minute",
    "charging/simulator/clock.py": "a charge point's own clock",
}
ASKING = re.compile(r"\btime\.time(_ns)?\(|datetime\.(now|utcnow|today)\(|date\.today\(")


def test_nobody_else_asks_the_machine_what_time_it_is_in_a_community() -> None:
    asking = {
        str(path.relative_to(ROOT))
        for package in ("api", "charging", "ledger", "metering")
        for path in (ROOT / package).rglob("*.py")
        if ASKING.search(path.read_text())
    }
    assert asking == set(OF_THE_MACHINE)


def test_running_time_passes_as_fast_as_it_is_told_to() -> None:
    clock = RunningClock(START_AT, speed=3_600)
    began_ns = time.monotonic_ns()
    time.sleep(0.05)
    passed_s = (clock.now() - START_AT) / timedelta(seconds=1)
    most_s = (time.monotonic_ns() - began_ns) * 3_600 / 10**9 + 3_600  # Made before it was timed.
    assert 0.05 * 3_600 <= passed_s <= most_s
    assert clock.speed == 3_600


def test_every_clock_tells_whole_seconds_of_utc() -> None:
    for clock in (SystemClock(), RunningClock(START_AT), NotBehindChain(SystemClock(), lambda: 0)):
        now_at = clock.now()
        assert (now_at.tzinfo, now_at.microsecond) == (UTC, 0)


def test_time_that_follows_data_stands_where_the_chain_stands() -> None:
    head_s = 1_465_000_000
    clock = ChainClock(lambda: head_s)
    assert clock.now() == from_unix_s(head_s)
    head_s += 7
    assert clock.now() == from_unix_s(head_s)


def test_a_chain_that_is_ahead_of_the_machine_takes_time_along() -> None:
    ahead_s = to_unix_s(SystemClock().now()) + 1_000
    assert NotBehindChain(SystemClock(), lambda: ahead_s).now() == from_unix_s(ahead_s)
    assert NotBehindChain(SystemClock(), lambda: 1_000).now() >= START_AT


@pytest.mark.parametrize("speed", [0, -1, SPEED_MAX + 1])
def test_no_clock_stands_runs_backwards_or_races(speed: int) -> None:
    with pytest.raises(BadInput) as refused:
        RunningClock(START_AT, speed=speed)
    assert refused.value.field == "--speed"
