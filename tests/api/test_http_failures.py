"""What goes wrong over HTTP: one form, one code each, and nothing that is nobody's business."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

import api.jobs.demo  # noqa: F401 (makes all classes of failures known)
from api.bodies import BodyLimit
from api.errors import SignInRefused
from api.guard import HttpLimits
from api.jobs.community import Community
from api.problems import STATUS_OF_CODE, problem_of, status_of
from charging.errors import UnknownSession
from ledger.chain.errors import ChainUnavailable
from ledger.errors import LedgerError
from tests.api.http_world import ROOMY, World, community_in, problem, world_of

SECRET = "0x5ec4e7f00d"
# Codes that INTERFACES §3 promises over HTTP for charging and for all.
PROMISED = {
    "order_expired",
    "order_used",
    "bad_signature",
    "malleable_signature",
    "wrong_chain",
    "charger_unknown",
    "charger_busy",
    "tariff_changed",
    "deposit_too_small",
    "funds_missing",
    "not_authenticated",
    "not_allowed",
    "not_found",
    "too_large",
    "rate_limited",
    "chain_unavailable",
}


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("failures")) as community:
        yield community


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def raising(error: Exception) -> Any:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


# Codes.


def test_every_promised_code_has_a_status() -> None:
    assert set(STATUS_OF_CODE) >= PROMISED


def test_a_failure_of_ours_is_told_by_its_code_alone() -> None:
    found = problem_of(ChainUnavailable(rule="/secret/chain.sqlite is not writable"))
    assert (found["status"], found["code"]) == (503, "chain_unavailable")
    assert "secret" not in json.dumps(found)


def kinds(kind: type[LedgerError] = LedgerError) -> Iterator[type[LedgerError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from kinds(each)


def test_what_no_request_should_meet_is_an_internal_error() -> None:
    unforeseen = {kind.code for kind in kinds() if kind.code not in STATUS_OF_CODE}
    assert "bad_keystore" in unforeseen
    assert "data_directory_in_use" in unforeseen
    assert not unforeseen & PROMISED

    class Unforeseen(LedgerError):
        """Something new."""

        code = "never_heard_of"

    assert status_of(Unforeseen()) == 500
    assert problem_of(Unforeseen())["code"] == "internal_error"


def test_whatever_is_wrong_with_a_sign_in_is_401() -> None:
    assert {status_of(kind(field="x", rule="y")) for kind in kinds(SignInRefused)} == {401}


# Paths, methods and bodies.


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/nothing",
        "/static",
        "/static/x",
        "/static/%00",
        "/static/" + "a" * 5_000,
        "/%ed%a0%80",
    ],
)
def test_a_path_without_anything_is_not_found(world: World, path: str) -> None:
    problem(world.client.get(path, follow_redirects=True), 404, "not_found")


def test_a_path_out_of_the_static_files_is_not_found(world: World) -> None:
    for path in (
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2f__init__.py",
    ):
        problem(world.client.get(path), 404, "not_found")


def test_a_method_that_a_path_does_not_have_says_which_it_has(world: World) -> None:
    response = world.client.delete("/v1/market")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'{"order": NaN}', "not JSON"),
        (b'{"order": 1, "order": 2}', "twice"),
        (b"[" * 100_000, "deep"),
        (b'{"order": 1e999}', "range"),
        (b"\xff", "UTF-8"),
        (b"", "required"),
        (b"[]", "dictionary"),
        (b'"x"', "dictionary"),
    ],
)
def test_what_is_not_the_json_of_an_order_is_refused(world: World, body: bytes, words: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = world.client.post("/v1/sessions", content=body, headers=headers)
    found = problem(response, 422, "bad_input")
    assert words in json.dumps(found)


def test_a_form_is_not_json(world: World) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = world.client.post(
            "/v1/auth/login", content=b'{"message": ""}', headers={"Content-Type": kind}
        )
        problem(response, 422, "bad_input")


def test_names_and_values_of_a_request_are_not_repeated(world: World) -> None:
    body = {"message": [SECRET], "signature": SECRET + "!", "<b>" + SECRET: 1, "ok_name": 1}
    response = world.client.post("/v1/auth/login", json=body)
    found = problem(response, 422, "bad_input")
    assert SECRET not in response.text
    assert {each["field"] for each in found["errors"]} == {
        "message",
        "signature",
        "?",
        "ok_name",
    }


def test_half_a_character_is_answered(world: World) -> None:
    body = b'{"message": "\\ud800", "signature": "\\ud800", "\\ud800": 1}'
    headers = {"Content-Type": "application/json"}
    problem(world.client.post("/v1/auth/login", content=body, headers=headers), 422, "bad_input")
    good = b'{"message": "\\ud800", "signature": "0x"}'
    problem(world.client.post("/v1/auth/login", content=good, headers=headers), 422, "bad_input")


# Sizes, times, rates.


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 65_536 + 1):
        yield b" " * 65_536


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/auth/login", "/rpc"])
def test_a_body_beyond_the_limit_is_too_large_told_or_not(world: World, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    size = BodyLimit().bytes_max
    told = world.client.post(path, content=b" " * (size + 1), headers=headers)
    assert problem(told, 413, "too_large")["bytes_max"] == size
    untold = world.client.post(path, content=chunks(size), headers=headers)
    assert "content-length" not in untold.request.headers
    assert problem(untold, 413, "too_large")["bytes_max"] == size
    fits = world.client.post(path, content=b" " * size, headers=headers)
    assert fits.status_code != 413


def test_too_many_requests_are_told_when_to_come_back(community: Community) -> None:
    with world_of(community, HttpLimits(requests_per_minute=3)) as world:
        for _ in range(3):
            assert world.client.get("/healthz").status_code == 200
        response = world.client.get("/healthz")
        found = problem(response, 429, "rate_limited")
        assert 1 <= found["retry_after_s"] <= 60
        assert response.headers["retry-after"] == str(found["retry_after_s"])


def test_a_person_who_asks_too_often_is_told_on_a_page(community: Community) -> None:
    with world_of(community, HttpLimits(requests_per_minute=1)) as world:
        headers = {"Accept": "text/html"}
        assert world.client.get("/", headers=headers).status_code == 200
        page = world.client.get("/", headers=headers)
        assert page.status_code == 429
        assert page.headers["content-type"].startswith("text/html")
        assert 1 <= int(page.headers["retry-after"]) <= 60
        problem(world.client.get("/v1/market", headers=headers), 429, "rate_limited")


def test_what_a_page_is_made_of_is_counted_by_itself(community: Community) -> None:
    with world_of(community, HttpLimits(requests_per_minute=2, files_per_minute=3)) as world:
        for _ in range(3):
            assert world.client.get("/static/site.css").status_code == 200
        problem(world.client.get("/static/site.css"), 429, "rate_limited")
        for _ in range(2):
            assert world.client.get("/healthz").status_code == 200
        problem(world.client.get("/healthz"), 429, "rate_limited")


def test_orders_sign_ins_and_rpc_have_narrower_limits(community: Community) -> None:
    limits = HttpLimits(sign_ins_per_minute=2, orders_per_minute=1, rpc_per_minute=1)
    with world_of(community, limits) as world:
        world.nonce()
        world.nonce()
        problem(world.client.post("/v1/auth/nonce", json={}), 429, "rate_limited")
        problem(world.client.post("/v1/auth/login", json={}), 429, "rate_limited")
        world.place()
        problem(world.client.post("/v1/sessions", json={}), 429, "rate_limited")
        assert world.client.post("/rpc", json={}).status_code == 200
        problem(world.client.post("/rpc", json={}), 429, "rate_limited")
        assert world.client.get("/v1/market").status_code == 200


def test_a_person_has_a_limit_of_their_own(community: Community) -> None:
    with world_of(community, HttpLimits(caller_requests_per_minute=2)) as world:
        headers, other = world.as_(world.driver), world.as_(world.stranger)
        for _ in range(2):
            assert world.client.get("/v1/me", headers=headers).status_code == 200
        problem(world.client.get("/v1/me", headers=headers), 429, "rate_limited")
        assert world.client.get("/v1/me", headers=other).status_code == 200


def test_an_answer_that_does_not_come_is_timed_out(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio  # noqa: PLC0415

    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    with world_of(community, HttpLimits(answer_s=0)) as world:
        monkeypatch.setattr(world.desk, "charge_points", never)
        problem(world.client.get("/v1/chargers"), 503, "timed_out")


def test_a_body_that_does_not_come_is_timed_out(community: Community) -> None:
    import asyncio  # noqa: PLC0415

    sent: list[Any] = []

    async def silent() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/sessions",
        "raw_path": b"/v1/sessions",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"5")],
        "scheme": "http",
        "client": ("10.0.0.1", 1),
        "server": ("testserver", 80),
        "http_version": "1.1",
        "root_path": "",
    }
    with world_of(community, HttpLimits(body=BodyLimit(within_s=0))) as world:
        assert world.client.portal is not None
        world.client.portal.call(world.app, scope, silent, send)
    assert sent[0]["status"] == 503
    assert json.loads(sent[1]["body"])["code"] == "timed_out"


# Failures of ours.


def test_a_fault_of_the_program_says_nothing_and_is_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(world.desk, "charge_points", raising(ZeroDivisionError(SECRET)))
    with caplog.at_level(logging.ERROR):
        response = world.client.get("/v1/chargers")
    found = problem(response, 500, "internal_error")
    assert set(found) == {"type", "title", "status", "code"}
    assert SECRET not in response.text
    assert SECRET in caplog.text
    assert "nosniff" in response.headers["x-content-type-options"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ChainUnavailable(rule=SECRET), "chain_unavailable"),
        (OperationalError(SECRET, {}, Exception(SECRET)), "storage_failed"),
    ],
)
def test_what_may_work_later_says_so_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    monkeypatch.setattr(world.desk, "place", raising(error))
    response = world.client.post("/v1/sessions", json=world.body(world.order()))
    problem(response, 503, code)
    assert response.headers["retry-after"] == "5"
    assert SECRET not in response.text


def test_a_failure_within_events_is_told_in_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id, headers = world.place(), world.as_(world.driver)

    async def follow(_session_id: object) -> Any:
        raise UnknownSession(session="gone")
        yield

    monkeypatch.setattr(world.desk, "follow", follow)
    response = world.client.get(f"/v1/sessions/{session_id}/events", headers=headers)
    assert response.status_code == 200
    assert "event: problem" in response.text
    assert '"code":"not_found"' in response.text.replace(" ", "")


def test_readiness_tells_what_is_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.client.get("/readyz").json() == {"status": "ok", "problems": []}
    world.problems.append("outbox: stuck")
    monkeypatch.setattr(
        type(world.community.chain),
        "head",
        lambda _self: (_ for _ in ()).throw(ChainUnavailable(rule=SECRET)),
    )
    response = world.client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "not_ready"
    found = [(each["part"], each["code"]) for each in response.json()["problems"]]
    assert found == [("chain", "chain_unavailable"), ("outbox", "held_up")]
    assert SECRET not in response.text
    assert world.client.get("/healthz").status_code == 200


# A closed house.


@pytest.mark.parametrize("path", ["/healthz", "/v1/market", "/nothing", "/static/charge.css"])
def test_every_answer_closes_the_house(world: World, path: str) -> None:
    headers = world.client.get(path, headers={"Origin": "http://evil.example"}).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_other_origins_get_no_leave(world: World) -> None:
    response = world.client.options(
        "/v1/sessions",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert response.status_code == 405
    assert "access-control-allow-origin" not in response.headers


def test_the_default_limits_let_a_page_breathe(community: Community) -> None:
    with world_of(community, HttpLimits()) as world:
        for _ in range(50):
            assert world.client.get("/v1/market").status_code == 200
    assert ROOMY.answer_s == HttpLimits().answer_s
    assert isinstance(world.client, TestClient)
