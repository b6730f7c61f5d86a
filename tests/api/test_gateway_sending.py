"""What a gateway makes of a service's answers: nothing is lost, whatever they are."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from api.clock import SystemClock
from api.driver.http import BadAnswer, Service, ServiceRefused, ServiceUnreachable
from api.gateway import sending
from api.gateway.errors import OtherCommunity
from api.gateway.key_file import ReadingDomain
from api.gateway.queue_file import ReadingQueue, State
from api.gateway.sending import Sender
from ledger.units import Address, to_rfc3339, to_unix_s
from tests.api.test_gateway_queue import signed

NOW_S = to_unix_s(SystemClock().now())
REGISTRY = "0x" + "e5" * 20
Json = dict[str, Any]
Answer = tuple[int, Any, dict[str, str]]


def market(**changes: Any) -> Json:
    now = to_rfc3339(SystemClock().now())
    facts = {"chain_id": 1337, "contracts": {"registry": REGISTRY}, "window_s": 900}
    return facts | {"now": now, "speed": 1, "more": {}} | changes


def taken(accepted: int, duplicates: int = 0, *rejected: tuple[int, str]) -> Answer:
    refused = [{"index": index, "code": code, "detail": ""} for index, code in rejected]
    return 200, {"accepted": accepted, "duplicates": duplicates, "rejected": refused}, {}


def problem(status: int, code: str, **headers: str) -> Answer:
    return status, {"status": status, "code": code, "title": code, "detail": ""}, headers


@dataclass
class Counter:
    """A service that answers batches as it is told to, then accepts everything."""

    answers: list[Answer] = field(default_factory=list)
    market: Json = field(default_factory=market)
    date: str | None = None
    batches: list[list[str]] = field(default_factory=list)  # Times of readings, by request.
    asked_s: list[float] = field(default_factory=list)

    def answer(self, path: str, body: bytes) -> Answer:
        if path == "/v1/market":
            return 200, self.market, {}
        assert path == "/v1/readings"
        self.asked_s.append(time.monotonic())
        readings = json.loads(body)["readings"]
        self.batches.append([each["taken_at"] for each in readings])
        return self.answers.pop(0) if self.answers else taken(len(readings))


@contextmanager
def served(counter: Counter) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, document, headers = counter.answer(self.path, body)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response_only(status)
            if counter.date is not None:
                self.send_header("Date", counter.date)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def url(counter: Counter) -> Iterator[str]:
    with served(counter) as address:
        yield address


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[ReadingQueue]:
    with ReadingQueue(tmp_path / "gateway.sqlite") as opened:
        for second in range(5):
            opened.add(signed(second), now_s=NOW_S)
        yield opened


@pytest.fixture
def sender(url: str, queue: ReadingQueue) -> Sender:
    return Sender(Service(url), queue, every_s=900)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PAUSE_S", 0)


def drained(sender: Sender) -> None:
    """Sends until nothing more may be sent."""
    ended = threading.Event()
    ended.set()
    sender.run(until_empty=ended)


def test_what_is_accepted_or_known_already_is_done(
    sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    counter.answers = [taken(3, 2)]
    drained(sender)
    assert queue.counts() == {State.DONE: 5}
    assert (sender.sent.accepted, sender.sent.duplicates) == (3, 2)
    assert counter.batches == [sorted(counter.batches[0])]
    drained(sender)
    assert len(counter.batches) == 1


def test_each_reading_ends_as_its_own_answer_says(
    sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    codes = ("bad_signature", "unknown_meter", "register_decreased", "meter_not_valid_at")
    counter.answers = [taken(1, 0, *enumerate(codes))]
    drained(sender)
    assert queue.counts() == {State.DONE: 1, State.REFUSED: 2, State.WAITING: 2}
    assert [(each["code"], each["again"]) for each in sender.sent.refused.values()] == [
        ("bad_signature", False),
        ("unknown_meter", True),
        ("register_decreased", False),
        ("meter_not_valid_at", True),
    ]
    # They are not asked for again at once.
    assert [len(batch) for batch in counter.batches] == [5]
    later_s = to_unix_s(SystemClock().now()) + 61
    assert queue.next_batch(later_s, 9) == [signed(1), signed(3)]


def test_a_time_that_is_early_comes_and_one_that_is_wrong_does_not(
    url: str, tmp_path: Path, counter: Counter
) -> None:
    now_s = to_unix_s(SystemClock().now())
    signed_from_s = to_unix_s(signed(0).reading.taken_at)
    counter.answers = [taken(0, 0, (0, "time_in_future"), (1, "time_in_future"))]
    with ReadingQueue(tmp_path / "ahead.sqlite") as queue:
        for ahead_s in (60, 3_600):  # The other one is of a meter that is set to another zone.
            queue.add(signed(now_s + ahead_s - signed_from_s), now_s=now_s)
        drained(Sender(Service(url), queue, every_s=900))
        assert queue.counts() == {State.WAITING: 1, State.REFUSED: 1}


def test_a_reading_that_was_refused_and_is_accepted_later_is_not_told_as_refused(
    sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    counter.answers = [taken(0, 0, *((place, "unknown_meter") for place in range(5)))]
    drained(sender)
    assert len(sender.sent.refused) == 5
    queue.add(signed(9), now_s=NOW_S)
    drained(sender)
    assert [len(batch) for batch in counter.batches] == [5, 1, 5]
    assert queue.counts() == {State.DONE: 6}
    assert sender.sent.refused == {}


def test_many_readings_go_in_batches_oldest_first(
    sender: Sender, queue: ReadingQueue, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BATCH", 2)
    drained(sender)
    assert [len(batch) for batch in counter.batches] == [2, 2, 1]
    together = [each for batch in counter.batches for each in batch]
    assert together == sorted(together)
    assert queue.counts() == {State.DONE: 5}


FAILURES: list[Answer] = [
    problem(503, "chain_unavailable"),
    problem(429, "rate_limited"),
    problem(500, "internal_error"),
    problem(400, "unknown_format"),
    problem(404, "not_found"),
    (503, b"<html>proxy</html>", {}),
    (301, b"", {"Location": "http://127.0.0.1:1/"}),
    (200, b"<html>captive portal</html>", {}),
    (200, [], {}),
    taken(4),
    taken(6),
    taken(5, 0, (0, "bad_signature")),
    taken(3, 0, (0, "bad_signature"), (0, "bad_signature")),
    taken(4, 0, (5, "bad_signature")),
    (200, {"accepted": 5, "duplicates": 0, "rejected": [{"index": 0}]}, {}),
    (200, {"accepted": True, "duplicates": 4, "rejected": []}, {}),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: f"{each[0]} {str(each[1])[:40]}")
def test_an_answer_that_is_none_changes_nothing_and_is_asked_for_again(
    failure: Answer, sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    counter.answers = [failure, failure]
    with pytest.raises((BadAnswer, ServiceRefused, ServiceUnreachable)):
        sender.send_all()
    assert queue.counts() == {State.WAITING: 5}
    drained(sender)
    assert len(counter.batches) == 3
    assert queue.counts() == {State.DONE: 5}


def test_a_service_that_asks_for_patience_is_given_it(
    sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    counter.answers = [problem(429, "rate_limited", Retry_After="1")]
    drained(sender)
    first_s, second_s = counter.asked_s
    assert second_s - first_s >= 1
    assert queue.counts() == {State.DONE: 5}


def test_pauses_grow_and_a_stop_ends_them_at_once(
    queue: ReadingQueue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sending, "PAUSE_S", 1)
    sender = Sender(Service("http://127.0.0.1:9"), queue, every_s=900)
    thread = threading.Thread(target=sender.run)
    with caplog.at_level(logging.WARNING, "wattledger.gateway"):
        thread.start()
        ends_s = time.monotonic() + 20
        while not any("again in 2 s" in line for line in caplog.messages):
            assert time.monotonic() < ends_s
            time.sleep(0.02)
        began_s = time.monotonic()
        sender.stop()
        thread.join(10)
    assert time.monotonic() - began_s < 1
    assert any("again in 1 s" in line for line in caplog.messages)
    assert queue.counts() == {State.WAITING: 5}


def test_a_reading_that_comes_is_sent_at_once(
    sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    thread = threading.Thread(target=sender.run)
    thread.start()
    try:
        for count in (1, 2):
            ends_s = time.monotonic() + 20
            while len(counter.batches) < count:
                assert time.monotonic() < ends_s
                time.sleep(0.01)
            queue.add(signed(100 + count), now_s=NOW_S)
            sender.wake()
    finally:
        sender.stop()
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "changes", [{"chain_id": 1}, {"contracts": {"registry": "0x" + "07" * 20}}]
)
def test_readings_for_one_community_are_never_sent_to_another(
    changes: Json, sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    queue.bind(ReadingDomain(chain_id=1337, registry=Address(b"\xe5" * 20)))
    counter.market = market(**changes)
    with pytest.raises(OtherCommunity):
        sender.send_all()
    # A service that was mixed up is waited for; what is read meanwhile is kept.
    thread = threading.Thread(target=sender.run)
    thread.start()
    time.sleep(0.1)
    assert (thread.is_alive(), counter.batches) == (True, [])
    counter.market = market()
    ends_s = time.monotonic() + 20
    while queue.counts() != {State.DONE: 5}:
        assert time.monotonic() < ends_s
        time.sleep(0.01)
    sender.stop()
    thread.join(10)


@pytest.mark.parametrize("changes", [{"chain_id": "1337"}, {"contracts": None}, {"window_s": 0}])
def test_a_market_that_is_none_is_asked_for_again(
    changes: Json, sender: Sender, queue: ReadingQueue, counter: Counter
) -> None:
    counter.market = market(**changes)
    with pytest.raises(BadAnswer):
        sender.send_all()
    assert queue.counts() == {State.WAITING: 5}


def test_a_reading_that_is_refused_again_and_again_is_told_of_once(
    sender: Sender,
    queue: ReadingQueue,
    counter: Counter,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter.answers = [taken(0, 0, *((place, "meter_not_valid_at") for place in range(5)))] * 3
    with caplog.at_level(logging.WARNING, "wattledger.gateway"):
        for hours in range(3):
            now_s = to_unix_s(SystemClock().now()) + 7 * 3_600 * hours
            monkeypatch.setattr(sender, "_now_s", lambda now_s=now_s: now_s)
            drained(sender)
    assert len(counter.batches) == 3
    assert len(caplog.messages) == 5


def test_a_clock_that_is_wrong_is_told_of_once(
    sender: Sender, queue: ReadingQueue, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    def said(date: str | None) -> list[str]:
        counter.date = date
        queue.add(signed(1_000 + len(counter.batches)), now_s=NOW_S)
        caplog.clear()
        drained(sender)
        return [line for line in caplog.messages if "this machine's clock" in line]

    late = format_datetime(SystemClock().now().replace(year=2040), usegmt=True)
    with caplog.at_level(logging.WARNING, "wattledger.gateway"):
        assert said(format_datetime(SystemClock().now(), usegmt=True)) == []
        (line,) = said(late)
        assert "behind the service's" in line
        assert said(late) == []
        assert said(format_datetime(SystemClock().now(), usegmt=True)) == []
        assert len(said(late)) == 1


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"window_s": 1_000}, "with --every 900"),
        ({"speed": 60}, "a time of its own"),
        ({"now": "2016-06-01T00:00:00Z"}, "a time of its own"),
        ({}, None),
    ],
)
def test_what_makes_readings_useless_is_said(
    changes: Json,
    part: str | None,
    sender: Sender,
    counter: Counter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    counter.market = market(**changes)
    with caplog.at_level(logging.WARNING, "wattledger.gateway"):
        drained(sender)
    assert [part in line for line in caplog.messages if part] == ([True] if part else [])
    assert len(caplog.messages) == (1 if part else 0)


def test_a_reason_that_no_file_and_no_terminal_takes_is_kept_as_one_line(
    sender: Sender, queue: ReadingQueue, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    said = {"index": 0, "code": "odd\n", "detail": "\x1b[2J\ud800" + "long\n" * 10**6}
    counter.answers = [(200, {"accepted": 4, "duplicates": 0, "rejected": [said]}, {})]
    with caplog.at_level(logging.WARNING, "wattledger.gateway"):
        drained(sender)
    assert queue.counts() == {State.DONE: 4, State.REFUSED: 1}
    (line,) = caplog.messages
    assert line.isprintable()
    assert len(line) < 1_000
