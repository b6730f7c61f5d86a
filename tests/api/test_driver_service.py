"""A driver's HTTP client, at servers that misbehave: every failure has a name, none a trace."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

import pytest

from api.cli.charge import _require_rpc
from api.clock import SystemClock
from api.driver.answers import Market, Session
from api.driver.desk import DriverDesk, fetch_charge_points, fetch_market
from api.driver.following import Following, Wishes
from api.driver.http import BadAnswer, Service, ServiceRefused, ServiceUnreachable
from api.driver.news import Inbox, Interrupted
from api.errors import BadInput
from charging.desk import SessionState
from charging.orders import SessionId
from ledger.chain.wallet import Wallet
from ledger.units import Address

WALLET = Wallet(b"\x07" * 32)
MARKET = Market(
    name="Street",
    clock=SystemClock(),
    currency="EUR",
    chain_id=1337,
    escrow=Address(b"\xe5" * 20),
    token=Address(b"\x70" * 20),
)
SESSION_ID = SessionId(b"\x5e" * 32)
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def served(answer: Answer) -> Iterator[Service]:
    """A server that answers everything in this way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer(self)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Service(f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(
    body: bytes | str, status: int = 200, kind: str = "application/json", **headers: str
) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        content = body.encode() if isinstance(body, str) else body
        request.send_response_only(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    return answer


def hangs_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


def breaks_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b"{")


def refuses_and_breaks_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(503)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()


def says_nonsense(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"\x1b[31m nonsense\r\n")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says("<html>"), BadAnswer),
        (says(b"\xff"), BadAnswer),
        (says("[]"), BadAnswer),
        (says("{}"), BadAnswer),
        (says('{"contracts": 1}'), BadAnswer),
        (says("not found", 404, "text/plain"), BadAnswer),
        (says("{}", 500), BadAnswer),
        (says("bad gateway", 502, "text/html"), ServiceUnreachable),
        (says("", 302, Location="http://127.0.0.1:9/"), BadAnswer),
        (hangs_up, ServiceUnreachable),
        (breaks_off, BadAnswer),
        (refuses_and_breaks_off, ServiceUnreachable),
        (says_nonsense, ServiceUnreachable),
        (says("", 302, Location="http://[::1/"), BadAnswer),
        (says('{"code": "a\\nb", "title": "\\u001b[2J"}', 400), ServiceRefused),
    ],
)
def test_whatever_answers_the_failure_has_a_name(answer: Answer, kind: type[Exception]) -> None:
    with served(answer) as service, pytest.raises(kind) as failed:
        fetch_market(service)
    assert str(failed.value).isprintable()


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 -2300",
        "Fri, 31 Dec 2020 23:59:59 +99999999999999999999",
        "Fri, 31 Dec 99999999999 23:59:59 GMT",
        "soon",
    ],
)
def test_a_date_that_no_calendar_has_says_nothing_of_the_clock(date: str) -> None:
    with served(says("{}", Date=date)) as service:
        assert service.ask("/") == {}
        assert service.ahead_s == 0


def test_where_nobody_listens_is_said_in_words() -> None:
    with pytest.raises(ServiceUnreachable) as failed:
        fetch_market(Service("http://127.0.0.1:9"))
    assert failed.value.detail == "url=http://127.0.0.1:9, rule=Connection refused"


@pytest.mark.parametrize(
    "url",
    [
        *("", "127.0.0.1:8000", "ftp://x", "http://", "http://a:b@c", "http://[::1", "http://a..b"),
        *("http://a:b", "http://a:99999", "http://a/\u00fc", "http://a b", f"http://{'a' * 64}"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        Service(url)


def test_a_problem_keeps_its_code_and_its_words() -> None:
    problem = {
        "code": "charger_busy",
        "title": "Another session is open at this charger.",
        "detail": "charger=CP1/1",
        "status": 409,
    }
    with served(says(json.dumps(problem), 409)) as service, pytest.raises(ServiceRefused) as failed:
        fetch_market(service)
    assert failed.value.code == "charger_busy"
    assert failed.value.detail == "Another session is open at this charger. charger=CP1/1"
    assert not failed.value.may_pass
    assert ServiceRefused.code == "ledger_error"  # Only this one failure has the problem's.


def test_where_the_chain_is_behind_a_node_its_address_is_asked_for() -> None:
    problem = json.dumps({"code": "not_found", "title": "Nothing here.", "status": 404})
    with served(says(problem, 404)) as service, pytest.raises(BadInput) as refused:
        _require_rpc(service)
    assert refused.value.field == "--rpc"


def test_pages_without_end_are_not_followed_for_ever() -> None:
    page = json.dumps({"items": [], "next": "again"})
    with served(says(page)) as service:
        assert list(fetch_charge_points(service)) == []


def test_time_is_the_services() -> None:
    answer = says("{}", Date="Wed, 25 Nov 2026 12:00:00 GMT")
    with served(answer) as service:
        service.ask("/")
        assert service.now_at().isoformat().startswith("2026-11-25T12:00:0")
    with served(says("{}", Date="soon")) as service:
        service.ask("/")


# Following.


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comes back at once: a test need not wait like a driver."""
    monkeypatch.setattr("api.driver.news.PAUSE_S", 0.01)


def document(state: str, **changes: Any) -> dict[str, Any]:
    """A session as the service shows it."""
    return {
        "session_id": "0x" + SESSION_ID.hex(),
        "state": state,
        "reason": "",
        "charge_point_id": "CP1",
        "connector_id": 1,
        "deposit_micro": "20000000",
        "energy_wh": 0,
        "power_w": None,
        "measured_at": None,
        "time_s": 0,
        "idle_s": 0,
        "cost_micro": "0",
        "paid_micro": None,
        "refunded_micro": None,
        "started_at": None,
        "transactions": {"open": None, "close": None},
        "tariff": {"something": "new"},
        **changes,
    }


class Script:
    """A service that says one thing after the other, and remembers what it was asked."""

    def __init__(self, *streams: Any) -> None:
        self.streams = list(streams)
        self.asked: list[tuple[str, str | None]] = []
        self.tokens = 0

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        self.asked.append((path, request.headers.get("Last-Event-ID")))
        if path.endswith("/nonce"):
            says('{"nonce": "12345678"}')(request)
        elif path.endswith("/login"):
            self.tokens += 1
            says(json.dumps({"access_token": f"t{self.tokens}"}))(request)
        elif path.endswith("/events"):
            stream = self.streams.pop(0)
            if callable(stream):
                stream(request)
            else:
                says(_events(stream), kind="text/event-stream")(request)
        else:
            says(json.dumps(document("charging")))(request)


def _events(stream: list[dict[str, Any]]) -> str:
    return ": hello\n\n" + "".join(
        f"event: session\nid: e{place}\ndata: {json.dumps(each)}\n\n"
        for place, each in enumerate(stream)
    )


class Followed:
    """A charge that is followed to its end, and all that was said on the way."""

    def __init__(self, script: Script, wishes: Wishes, *interrupts: int) -> None:
        self.shown: list[Session] = []
        self.notes: list[str] = []
        self.top_ups: list[int] = []
        inbox: Inbox = SimpleQueue()
        for _ in interrupts:
            inbox.put(Interrupted())
        with served(script) as service:
            self.ended = Following(
                DriverDesk(service, MARKET, WALLET),
                SESSION_ID,
                wishes,
                inbox=inbox,
                show=self.shown.append,
                note=self.notes.append,
                top_up=self.top_ups.append,
            ).run()


PROBLEM = {"code": "not_authenticated", "title": "Expired.", "status": 401}


def test_a_charge_is_followed_through_drops_and_a_new_sign_in() -> None:
    script = Script(
        [document("opening"), document("open")],
        hangs_up,
        says(json.dumps(PROBLEM), 401),
        says("bad gateway", 502, "text/html"),
        [document("charging", energy_wh=7)],
        [document("closed", paid_micro="1", refunded_micro="2")],
    )
    followed = Followed(script, Wishes())
    assert followed.ended.session.state is SessionState.CLOSED
    assert not followed.ended.stop_asked
    assert script.tokens == 2
    seen = [last for path, last in script.asked if path.endswith("/events")]
    assert seen == [None, "e1", "e1", "e1", "e1", "e0"]
    assert sum("the connection dropped" in note for note in followed.notes) == 3
    states = [session.state for session in followed.shown]
    assert list(dict.fromkeys(states)) == ["opening", "open", "charging", "closed"]


def test_what_cannot_pass_ends_the_following() -> None:
    problem = {"code": "not_allowed", "title": "Not yours.", "status": 403}
    with pytest.raises(ServiceRefused) as failed:
        Followed(Script(says(json.dumps(problem), 403)), Wishes())
    assert failed.value.code == "not_allowed"
    with pytest.raises(BadAnswer):
        Followed(Script([{"state": "levitating"}]), Wishes())


def test_an_energy_that_is_reached_stops_the_charge_once() -> None:
    script = Script(
        [
            document("charging", energy_wh=4_999),
            document("charging", energy_wh=5_000),
            document("charging", energy_wh=5_100),
            document("closed", energy_wh=5_100),
        ]
    )
    followed = Followed(script, Wishes(energy_wh=5_000))
    assert followed.ended.stop_asked
    assert [path for path, _ in script.asked].count(f"/v1/sessions/0x{'5e' * 32}/stop") == 1
    assert followed.notes == ["stopping: it has charged as much as was asked for"]


def test_a_time_that_has_passed_stops_the_charge() -> None:
    begun = {"started_at": "2026-11-25T12:00:00Z"}
    script = Script(
        [
            document("charging", **begun, time_s=30, idle_s=29),
            document("charging", **begun, time_s=30, idle_s=30),
            document("closed"),
        ]
    )
    followed = Followed(script, Wishes(charge_s=60))
    assert followed.notes == ["stopping: it has charged for as long as was asked for"]


def test_ctrl_c_stops_the_charge() -> None:
    followed = Followed(Script([document("charging"), document("closed")]), Wishes(), 1)
    assert followed.ended.stop_asked
    assert followed.notes[0].startswith("stopping; Ctrl-C again leaves")


def test_a_deposit_is_topped_up_once_when_it_is_nearly_used() -> None:
    script = Script(
        [
            document("open"),
            document("charging", cost_micro="16000000"),
            document("charging", cost_micro="16000001"),
            document("charging", cost_micro="17000000"),
            document("closed"),
        ]
    )
    followed = Followed(script, Wishes(top_up_micro=5_000_000))
    assert followed.top_ups == [5_000_000]


def test_a_deposit_is_nearly_used_when_it_lasts_for_less_than_the_charger_reports() -> None:
    wishes = Wishes(top_up_micro=1, full_micro_per_hour=4_290_000)

    def is_nearly_used(cost_micro: int, interval_s: int) -> bool:
        # 4.29 an hour: 300 s cost 0.3575, 3,600 s cost 4.29.
        session = Followed(
            Script([document("closed", deposit_micro="1000000", cost_micro=str(cost_micro))]),
            Wishes(),
        ).ended.session
        return wishes.is_nearly_used(session, interval_s)

    assert not is_nearly_used(642_500, 0)
    assert is_nearly_used(642_501, 0)
    assert is_nearly_used(0, 1_800)
