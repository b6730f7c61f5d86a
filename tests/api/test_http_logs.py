"""What requests leave in the log: who did something and what they said is in none of its lines."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from api.jobs.community import Community
from api.jobs.create import meter_key
from api.logs import LogFormat, formatter_of
from ledger.keccak import checksum_address
from ledger.units import from_unix_s
from metering.readings import Reading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.api.community_worlds import START_S
from tests.api.http_world import World, community_in, world_of

NAME = "buyer"  # A member, and their meter.


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("logs")) as community:
        yield community


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, at every level, as JSON."""
    text, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(text)
    handler.setFormatter(formatter_of(LogFormat.JSON))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def world(community: Community, written: io.StringIO) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def lines_of(written: io.StringIO, logger: str = "wattledger.http") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in found if line["logger"] == logger]


def reading_of(community: Community) -> dict[str, object]:
    [meter_id] = [each.meter_id for each in community.readings.meters() if each.label == NAME]
    reading = Reading(
        meter_id=meter_id, taken_at=from_unix_s(START_S), import_wh=4_711_815, export_wh=0
    )
    secret = community.keys.secret(meter_key(NAME))
    return to_json(sign_reading(reading, secret, community.reading_domain))


def spoken(value: Any) -> Iterator[str]:
    """Every text in a request's or an answer's JSON that is long enough to tell somebody apart."""
    if isinstance(value, dict):
        for each in value.values():
            yield from spoken(each)
    elif isinstance(value, list):
        for each in value:
            yield from spoken(each)
    elif isinstance(value, str) and len(value) >= 20:
        yield value


def test_nothing_of_a_person_and_no_secret_is_in_the_log(
    world: World, community: Community, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = world.message(world.driver)
    answer = world.log_in(world.driver, message).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    order = world.body(world.order())
    placed = world.client.post("/v1/sessions", json=order)
    assert placed.status_code == 201
    session_id = placed.json()["session_id"]
    assert world.client.get(f"/v1/sessions/{session_id}", headers=headers).status_code == 200
    assert world.client.post("/v1/sessions", json={**order, "signature": "0x00"}).status_code == 422
    reading = reading_of(community)
    taken = world.client.post("/v1/readings", json={"readings": [reading]})
    assert taken.json()["accepted"] == 1
    world.client.get("/v1/me", headers={"Authorization": "Bearer " + "qA7" * 15})
    world.client.get(f"/nothing/{session_id}?address={world.driver.address.hex()}&name=Anna")

    def fails(address: bytes) -> None:
        raise RuntimeError(f"nobody foresaw {checksum_address(world.driver.address)}")

    monkeypatch.setattr(type(world.community.chain), "head", fails)
    monkeypatch.setattr(world.desk, "view", fails)
    failed = world.client.get(f"/v1/sessions/{session_id}", headers=headers)
    assert failed.json()["code"] == "internal_error"
    log = written.getvalue().lower()
    assert "nobody foresaw" in log  # All of this was logged.
    secrets = [
        checksum_address(world.driver.address),
        world.driver.address.hex(),
        world.driver.private_key.hex(),
        answer["access_token"],
        session_id,
        session_id[2:],
        "4711815",
        "see my charges",
        "anna",
        "address=",
        *[community.keys.secret(name).hex() for name in community.keys],
        *[community.keys.wallet(name).address.hex() for name in ("operator", "account:2")],
        *spoken([message, answer, order, reading, placed.json()]),
    ]
    assert len(secrets) > 30
    assert [secret for secret in secrets if secret.lower() in log] == []


def test_a_request_leaves_one_line_with_its_route_and_no_path(
    world: World, written: io.StringIO
) -> None:
    session_id = world.place()
    before = len(lines_of(written))
    response = world.client.get(f"/v1/sessions/{session_id}", headers=world.as_(world.driver))
    line = lines_of(written)[-1]
    assert line["event"] == "request"
    assert (line["method"], line["route"], line["status"]) == (
        "GET",
        "/v1/sessions/{session_id}",
        200,
    )
    assert 0 < line["duration_ms"] < 60_000
    assert line["request_id"] == response.headers["x-request-id"]
    assert len(lines_of(written)) == before + 3  # Nonce, login, and this.


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("GET /v1/market", ("/v1/market", 200, None)),
        ("GET /v1/me", ("/v1/me", 401, "not_authenticated")),
        ("GET /v1/chargers/NOBODY", ("/v1/chargers/{charge_point_id}", 404, "charger_unknown")),
        ("GET /v1/nothing/anna", ("unmatched", 404, "not_found")),
        ("DELETE /v1/market", ("/v1/market", 405, "method_not_allowed")),
        ("GET /static/charge.css", ("/static/*", 200, None)),
        ("BREW /v1/market", ("/v1/market", 405, "method_not_allowed")),
        ("POST /v1/auth/login", ("/v1/auth/login", 422, "bad_input")),
    ],
)
def test_routes_are_told_by_their_template_and_failures_by_their_code(
    world: World,
    written: io.StringIO,
    asked: str,
    answered: tuple[str, int, str | None],
) -> None:
    method, path = asked.split(" ")
    assert world.client.request(method, path).status_code == answered[1]
    line = lines_of(written)[-1]
    assert (line["route"], line["status"], line.get("code")) == answered
    assert line["method"] == (method if method != "BREW" else "OTHER")


def test_a_fault_of_the_program_keeps_its_traceback_in_the_log_alone(
    world: World, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: object) -> None:
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(type(world.community.chain), "chain_id", property(fails))
    response = world.client.get("/v1/market")
    assert response.status_code == 500
    assert "ZeroDivisionError" not in response.text
    fault, line = lines_of(written)[-2:]
    assert "ZeroDivisionError: in the middle" in fault["exception"]
    assert "Traceback" in fault["exception"]
    assert fault["request_id"] == line["request_id"] == response.headers["x-request-id"]
    assert (line["status"], line["code"]) == (500, "internal_error")


def test_every_request_has_an_id_of_its_own_whatever_the_visitor_says(world: World) -> None:
    told = {"X-Request-Id": "mine"}
    ids = [world.client.get("/healthz", headers=told).headers["x-request-id"] for _ in range(3)]
    assert len({*ids, "mine"}) == 4
