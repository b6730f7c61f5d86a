"""A meter's line that breaks, goes silent or tells odd times: it is opened again, and told of."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from api.clock import SystemClock
from api.errors import BadInput
from api.gateway import reading, sources
from api.gateway.errors import MeterLost
from api.gateway.key_file import MeterKey, ReadingDomain
from api.gateway.queue_file import ReadingQueue
from api.gateway.reading import MeterReader
from api.gateway.sources import Source, Stream, TcpPort, source_of
from ledger.units import Address, from_unix_s, to_unix_s
from metering.dsmr import DSMR
from metering.readings import MeterId
from tests.meters import p1_of

WITHIN_S: Final = 20
EVERY_S: Final = 60
BEGIN_AT: Final = from_unix_s(1_464_739_200)
DOMAIN: Final = ReadingDomain(chain_id=1337, registry=Address(b"\xe5" * 20))
KEY: Final = MeterKey(
    meter_id=MeterId(b"\x3e" * 32), label="Roof", secret=b"\x07" * 32, service=None, domain=DOMAIN
)
Say = Callable[[socket.socket, int], None]


@contextmanager
def adapter(say: Say) -> Iterator[TcpPort]:
    """A network adapter that says something to each connection, by its number, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            number = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    say(connection, number)
                number += 1

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        yield TcpPort(name=f"tcp://127.0.0.1:{port}", host="127.0.0.1", port=port)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSE_S", 0)
    monkeypatch.setattr(sources, "WAIT_S", 0.05)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[ReadingQueue]:
    with ReadingQueue(tmp_path / "gateway.sqlite") as opened:
        opened.bind(DOMAIN)
        yield opened


@contextmanager
def reading_from(source: Source, queue: ReadingQueue) -> Iterator[MeterReader]:
    reader = MeterReader(source, DSMR, key=KEY, queue=queue, every_s=EVERY_S, wake=lambda: None)
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        yield reader
    finally:
        reader.stop()
        thread.join(WITHIN_S)
        assert not thread.is_alive()


def until(look: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + WITHIN_S
    while not look():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def kept(queue: ReadingQueue) -> list[int]:
    """Boundaries of which there is a reading, counted from the beginning."""
    batch = queue.next_batch(to_unix_s(SystemClock().now()), 100)
    return [(to_unix_s(each.reading.taken_at) - to_unix_s(BEGIN_AT)) // EVERY_S for each in batch]


def boundary(number: int) -> datetime:
    return BEGIN_AT + timedelta(seconds=EVERY_S * number)


def test_a_line_that_breaks_after_each_telegram_loses_none_that_was_whole(
    queue: ReadingQueue,
) -> None:
    def say(connection: socket.socket, number: int) -> None:
        whole = p1_of(boundary(number), 5_000 + number)
        connection.sendall(whole + whole[:100])  # What is cut off must not meet the next one.

    with adapter(say) as source, reading_from(source, queue) as reader:
        until(lambda: len(kept(queue)) >= 4)
    assert kept(queue)[:4] == [0, 1, 2, 3]
    assert reader.heard.unreadable == {}


def test_a_line_on_which_nothing_comes_is_opened_anew(
    queue: ReadingQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading, "SILENT_S", 0.2)

    def say(connection: socket.socket, number: int) -> None:
        if number == 0:
            time.sleep(0.3)
        else:
            connection.sendall(p1_of(boundary(0), 5_000))

    with (
        caplog.at_level(logging.WARNING, "wattledger.gateway"),
        adapter(say) as source,
        reading_from(source, queue),
    ):
        until(lambda: kept(queue) == [0])
    assert any("silent" in line for line in caplog.messages)


def test_a_meter_whose_clock_is_wrong_is_told_of_once_each_time(
    queue: ReadingQueue, caplog: pytest.LogCaptureFixture
) -> None:
    right_at = SystemClock().now()
    times = [BEGIN_AT, BEGIN_AT, right_at, right_at + timedelta(hours=1)]

    def say(connection: socket.socket, number: int) -> None:
        connection.sendall(p1_of(times[min(number, 3)], 5_000))

    with (
        caplog.at_level(logging.WARNING, "wattledger.gateway"),
        adapter(say) as source,
        reading_from(source, queue) as reader,
    ):
        until(lambda: reader.heard.telegrams >= 5)
    told = [line for line in caplog.messages if "the meter's clock" in line]
    assert [" behind " in line for line in told] == [True, False]
    assert " ahead of this machine's" in told[1]


def test_telegrams_that_cannot_be_read_are_counted_and_told_of_now_and_then(
    queue: ReadingQueue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = p1_of(boundary(1), 5_000)
    spoiled = good.replace(b"005.000", b"006.000").replace(b"001.666", b"002.666")
    assert spoiled != good
    recorded = tmp_path / "recorded.txt"
    recorded.write_bytes(spoiled * 5 + good[:50] + good)
    source = Stream(name=str(recorded))
    with (
        caplog.at_level(logging.WARNING, "wattledger.gateway"),
        reading_from(source, queue) as reader,
    ):
        until(lambda: kept(queue) == [1])
    assert reader.heard.unreadable == {"bad_checksum": 5, "bad_telegram": 1}
    assert len([line for line in caplog.messages if "passed over" in line]) == 1


def test_one_reading_is_not_waited_for_without_end(
    queue: ReadingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FIRST_WITHIN_S", 0.2)
    over = threading.Event()
    with adapter(lambda *_: bool(over.wait(WITHIN_S))) as source:
        reader = MeterReader(source, DSMR, key=KEY, queue=queue, every_s=EVERY_S, wake=lambda: None)
        with pytest.raises(MeterLost, match="no whole telegram of the format dsmr"):
            reader.read_one()
        over.set()
    assert kept(queue) == []


def test_a_line_that_cannot_be_opened_has_its_reason(queue: ReadingQueue, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for source in (
        TcpPort(name="tcp://127.0.0.1", host="127.0.0.1", port=port),
        Stream(name=str(tmp_path / "nowhere.txt")),
    ):
        with pytest.raises(MeterLost), source.open():
            pytest.fail("is open")


@pytest.mark.parametrize(
    "stated",
    [
        *("", "\0", "a" * 5_000, "/", "udp://192.0.2.7:1", "tcp://192.0.2.7", "tcp://192.0.2.7:0"),
        *("tcp://[::1", "tcp://a..b:1", f"tcp://{'a' * 64}:1"),
    ],
)
def test_what_is_no_source_is_refused_before_anything_is_opened(stated: str) -> None:
    with pytest.raises(BadInput):
        source_of(stated, 9_600)


def test_a_standard_input_that_is_closed_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(BadInput, match="closed"):
        source_of("-", 9_600)
