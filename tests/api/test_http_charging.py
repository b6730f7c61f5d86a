"""A charge over HTTP: chargers and prices, orders, states, live events, receipts."""

import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api.jobs.community import Community
from charging.orders import SessionId, TopUp, charger_id_of
from charging.tariffs import ChargeTariff
from ledger.chain.wallet import new_wallet
from ledger.keccak import HALF_ORDER, checksum_address
from tests.api.http_world import World, community_in, problem, world_of

TARIFF_JSON = {
    "energyPerKwh": "390000",
    "startFee": "500000",
    "timePerHour": "0",
    "idlePerHour": "2400000",
}


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("charging")) as community:
        yield community


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def post(world: World, body: Any) -> httpx2.Response:
    response: httpx2.Response = world.client.post("/v1/sessions", json=body)
    return response


# The market and its chargers.


def test_the_market_says_what_a_wallet_must_know(world: World) -> None:
    found = world.client.get("/v1/market").json()
    contracts = world.community.contracts
    assert found["chain_id"] == 1337
    assert found["contracts"]["market"] == checksum_address(contracts.market)
    assert found["domains"]["escrow"] == {
        "name": "Wattledger",
        "version": "1",
        "chainId": 1337,
        "verifyingContract": checksum_address(contracts.escrow),
    }
    assert found["tariff"] == {
        "grid_import_per_kwh": 300_000,
        "grid_export_per_kwh": 80_000,
        "local_fee_per_kwh": 20_000,
        "vat_bps": None,
    }
    assert found["rules"]["volume_rule"] == "proportional"
    assert (found["window_s"], found["period_windows"], found["period_s"]) == (3600, 24, 86_400)
    assert found["first_period_start"] == "2016-06-01T00:00:00Z"
    assert found["operator"] == checksum_address(world.operator.address)
    assert (found["pending"], found["alarms"]) == (None, [])


def test_the_market_shows_what_holds_the_service_up(world: World) -> None:
    world.problems.append("the chain does not answer")
    assert world.client.get("/v1/market").json()["alarms"] == ["the chain does not answer"]


def test_chargers_show_place_state_and_the_tariff_to_sign(world: World) -> None:
    found = world.client.get("/v1/chargers").json()
    assert found["next"] is None
    assert [point["id"] for point in found["items"]] == ["CP1", "CP2"]
    point = found["items"][0]
    assert point == world.client.get("/v1/chargers/CP1").json()
    assert point["place"] == {"name": "Street of CP1", "latitude": "47.66"}
    assert point["state"] == "online"
    assert point["connectors"][0] == {
        "connector_id": 1,
        "charger_id": "0x" + charger_id_of("CP1", 1).hex(),
        "state": "available",
        "busy": False,
        "power_w": 11_000,
        "host": checksum_address(world.host.address),
        "tariff": TARIFF_JSON,
        "tariff_until": None,
        "vat_bps": 1_900,
        "deposit_micro_min": "1000000",
        "interval_s": 10,
    }


def test_chargers_come_in_pages(world: World) -> None:
    first = world.client.get("/v1/chargers?limit=1").json()
    assert [point["id"] for point in first["items"]] == ["CP1"]
    second = world.client.get(f"/v1/chargers?limit=1&cursor={first['next']}").json()
    assert ([point["id"] for point in second["items"]], second["next"]) == (["CP2"], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=abc"])
def test_a_page_that_cannot_be_is_refused(world: World, query: str) -> None:
    found = problem(world.client.get(f"/v1/chargers?{query}"), 422, "bad_input")
    assert found["field"] == query.split("=", maxsplit=1)[0]


@pytest.mark.parametrize("name", ["CP3", "cp1", "%F0%9F%94%8C", "..%2Fme", "a" * 48])
def test_an_unknown_charger_is_not_found(world: World, name: str) -> None:
    response = world.client.get(f"/v1/chargers/{name}")
    assert problem(response, 404, response.json()["code"])["code"] in {
        "charger_unknown",
        "not_found",  # A path with one slash more.
    }


# Orders.


def test_a_signed_order_opens_a_session_without_signing_in(world: World) -> None:
    order = world.order()
    response = post(world, world.body(order))
    assert response.status_code == 201
    session = response.json()
    assert session["session_id"] == "0x" + order.session_id(world.desk.separator).hex()
    assert response.headers["location"] == f"/v1/sessions/{session['session_id']}"
    assert session == {
        "session_id": session["session_id"],
        "state": "opening",
        "reason": "",
        "driver": checksum_address(world.driver.address),
        "host": checksum_address(world.host.address),
        "charge_point_id": "CP1",
        "connector_id": 1,
        "charger_id": "0x" + order.charger_id.hex(),
        "tariff": TARIFF_JSON,
        "vat_bps": 1_900,
        "deposit_micro": "20000000",
        "stops_at_micro": "19925276",  # Less 40 s of 11 kW and of idling, and a Wh, rounded up.
        "interval_s": 10,
        "energy_wh": 0,
        "power_w": None,
        "measured_at": None,
        "time_s": 0,
        "idle_s": 0,
        "cost_micro": "0",
        "paid_micro": None,
        "refunded_micro": None,
        "created_at": "2026-11-25T12:00:00Z",
        "opened_at": None,
        "started_at": None,
        "stopped_at": None,
        "transactions": {"open": None, "close": None},
    }


def test_the_same_order_again_is_the_same_session(world: World) -> None:
    body = world.body(world.order())
    first, second = post(world, body), post(world, body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(world.desk.views) == 1


def test_numbers_of_an_order_may_be_strings_or_integers(world: World) -> None:
    body = world.body(world.order())
    order = body["order"]
    order["depositMicro"], order["nonce"] = int(order["depositMicro"]), int(order["nonce"])
    order["validUntil"] = str(order["validUntil"])
    order["tariff"] = {name: int(value) for name, value in order["tariff"].items()}
    assert post(world, body).status_code == 201


def test_an_order_may_bring_a_permit(world: World) -> None:
    body = world.body(world.order())
    body["permit"] = {"deadline": str(2**256 - 1), "signature": "0x" + "00" * 65}
    assert post(world, body).status_code == 201


@pytest.mark.parametrize(
    ("changes", "status", "code", "facts"),
    [
        (
            {"valid_until_s": 1_700_000_000},
            422,
            "order_expired",
            {"valid_until": "2023-11-14T22:13:20Z", "now_at": "2026-11-25T12:00:00Z"},
        ),
        (
            {"charger_id": b"\x01" * 32},
            404,
            "charger_unknown",
            {"charger": "0x" + "01" * 32},
        ),
        (
            {"tariff": ChargeTariff(energy_per_kwh=1)},
            409,
            "tariff_changed",
            {"field": "energy_per_kwh", "stated": 1, "current": 390_000},
        ),
        (
            {"deposit_micro": 999_999},
            422,
            "deposit_too_small",
            {"deposit_micro": "999999", "deposit_micro_min": "1000000"},
        ),
    ],
)
def test_an_order_that_cannot_be_taken_says_why_in_typed_facts(
    world: World, changes: Any, status: int, code: str, facts: Any
) -> None:
    found = problem(post(world, world.body(world.order(**changes))), status, code)
    assert {name: found[name] for name in facts} == facts
    assert world.desk.views == {}


def test_a_nonce_is_used_once(world: World) -> None:
    world.place(nonce=2**256 - 1)
    body = world.body(world.order(nonce=2**256 - 1, charger_id=charger_id_of("CP2", 1)))
    assert problem(post(world, body), 409, "order_used")["nonce"] == str(2**256 - 1)


def test_a_busy_charger_takes_nobody_else(world: World) -> None:
    world.place()
    problem(post(world, world.body(world.order())), 409, "charger_busy")


def test_missing_funds_are_said_in_numbers(world: World) -> None:
    world.desk.funds_micro[world.driver.address] = 5
    found = problem(post(world, world.body(world.order())), 402, "funds_missing")
    assert (found["needed_micro"], found["available_micro"]) == ("20000000", "5")


def test_only_the_driver_can_sign_an_order(world: World) -> None:
    problem(post(world, world.body(world.order(), world.stranger)), 422, "bad_signature")


@pytest.mark.parametrize("signature", ["0x", "0x00", "0x" + "00" * 65, "0x" + "ff" * 64 + "1b"])
def test_what_is_no_signature_opens_nothing(world: World, signature: str) -> None:
    body = {**world.body(world.order()), "signature": signature}
    response = post(world, body)
    assert response.json()["code"] in {"bad_signature", "malleable_signature"}
    assert response.status_code == 422


def test_a_signature_of_the_second_form_opens_nothing(world: World) -> None:
    body = world.body(world.order())
    good = bytes.fromhex(body["signature"][2:])
    high = (2 * HALF_ORDER + 1 - int.from_bytes(good[32:64])).to_bytes(32)
    body["signature"] = "0x" + (good[:32] + high + bytes([55 - good[64]])).hex()
    problem(post(world, body), 422, "malleable_signature")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order.driver", "0x12"),
        ("order.driver", None),
        ("order.chargerId", "0x" + "zz" * 32),
        ("order.depositMicro", -1),
        ("order.depositMicro", str(2**64)),
        ("order.depositMicro", "1e6"),
        ("order.depositMicro", "０"),
        ("order.depositMicro", True),
        ("order.depositMicro", 1.0),
        ("order.validUntil", "01"),
        ("order.nonce", str(2**256)),
        ("order.tariff.startFee", None),
        ("order.extra", 1),
        ("signature", "no hex"),
        ("signature", "0x" + "00" * 2000),
        ("permit", {}),
        ("extra", 1),
    ],
)
def test_a_field_that_is_wrong_is_named_and_not_repeated(
    world: World, field: str, value: Any
) -> None:
    body = world.body(world.order())
    *path, last = field.split(".")
    place = body
    for name in path:
        place = place[name]
    place[last] = value
    found = problem(post(world, body), 422, "bad_input")
    assert found["field"].startswith(field)
    assert found["errors"][0] == {"field": found["field"], "rule": found["rule"]}
    if isinstance(value, str) and len(value) > 4:
        assert value not in json.dumps(found)


def test_a_tariff_beyond_every_price_is_a_bad_tariff(world: World) -> None:
    body = world.body(world.order())
    body["order"]["tariff"]["startFee"] = str(2**64 - 1)
    assert problem(post(world, body), 422, "bad_tariff")["field"] == "start_fee"


# What becomes of a session.


def test_a_session_goes_from_deposit_to_refund(world: World) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    url = f"/v1/sessions/{session_id}"
    world.change("charge", session_id, 11_700)
    charging = world.client.get(url, headers=headers).json()
    assert (charging["state"], charging["energy_wh"], charging["power_w"]) == (
        "charging",
        11_700,
        11_000,
    )
    assert charging["cost_micro"] == str(500_000 + 11_700 * 390)
    assert charging["measured_at"] == "2026-11-25T13:00:00Z"
    stopping = world.client.post(url + "/stop", headers=headers).json()
    assert stopping["state"] == "stopping"
    world.change("close", session_id)
    closed = world.client.get(url, headers=headers).json()
    assert closed["state"] == "closed"
    assert int(closed["paid_micro"]) + int(closed["refunded_micro"]) == 20_000_000
    assert closed["transactions"] == {"open": "0x" + "0a" * 32, "close": "0x" + "0c" * 32}
    found = problem(world.client.post(url + "/stop", headers=headers), 409, "wrong_state")
    assert (found["session"], found["state"]) == (session_id, "closed")


def top_up_body(world: World, session_id: str, **changes: Any) -> Any:
    top_up = TopUp(
        session_id=SessionId(bytes.fromhex(session_id[2:])), add_micro=5_000_000, nonce=9
    )
    signature = world.driver.sign_digest(top_up.digest(world.desk.separator))
    return {
        "top_up": {"sessionId": session_id, "addMicro": "5000000", "nonce": 9, **changes},
        "signature": "0x" + signature.hex(),
    }


def test_a_signed_top_up_adds_to_the_deposit(world: World) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    url = f"/v1/sessions/{session_id}/top-up"
    response = world.client.post(url, headers=headers, json=top_up_body(world, session_id))
    assert (response.status_code, response.json()["deposit_micro"]) == (200, "25000000")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sessionId": "0x" + "11" * 32}, "bad_input"),
        ({"addMicro": "0"}, "out_of_range"),
        ({"addMicro": "6000000"}, "bad_signature"),
    ],
)
def test_a_top_up_of_something_else_is_refused(world: World, changes: Any, code: str) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    url = f"/v1/sessions/{session_id}/top-up"
    body = top_up_body(world, session_id, **changes)
    problem(world.client.post(url, headers=headers, json=body), 422, code)
    assert world.client.get(url[:-7], headers=headers).json()["deposit_micro"] == "20000000"


def test_an_ended_session_takes_no_top_up(world: World) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    world.end_all()
    url = f"/v1/sessions/{session_id}/top-up"
    body = top_up_body(world, session_id)
    problem(world.client.post(url, headers=headers, json=body), 409, "wrong_state")


def test_i_see_my_own_sessions_newest_first_in_pages(world: World) -> None:
    mine = []
    for _ in range(3):
        mine.append(world.place())
        world.end_all()
    other = new_wallet()
    theirs = world.order(driver=other.address, charger_id=charger_id_of("CP2", 2))
    assert post(world, world.body(theirs, other)).status_code == 201
    headers, found, cursor = world.as_(world.driver), [], ""
    while cursor is not None:
        page = world.client.get(f"/v1/sessions?limit=2{cursor}", headers=headers).json()
        found += [item["session_id"] for item in page["items"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    assert found == mine[::-1]
    hosted = world.client.get("/v1/sessions", headers=world.as_(world.other_host)).json()
    assert [item["driver"] for item in hosted["items"]] == [checksum_address(other.address)]


def test_i_find_the_charge_that_runs_at_a_charger(world: World) -> None:
    headers = world.as_(world.driver)
    ended_one = world.place()
    world.end_all()
    at_one = world.place()
    at_two = world.place(charger_id=charger_id_of("CP2", 1))

    def found(query: str) -> list[str]:
        page = world.client.get(f"/v1/sessions?{query}", headers=headers).json()
        return [item["session_id"] for item in page["items"]]

    assert found("live=true") == [at_two, at_one]
    assert found("charge_point_id=CP1") == [at_one, ended_one]
    assert found("charge_point_id=CP1&live=true") == [at_one]
    assert found("charge_point_id=CP9") == []
    problem(world.client.get("/v1/sessions?live=2", headers=headers), 422, "bad_input")


@pytest.mark.parametrize("session_id", ["0x12", "12", "0x" + "g" * 64, "0x" + "00" * 33])
def test_what_is_no_session_id_is_refused(world: World, session_id: str) -> None:
    headers = world.as_(world.driver)
    response = world.client.get(f"/v1/sessions/{session_id}", headers=headers)
    assert problem(response, 422, "bad_input")["field"] == "session_id"


# Live events.


def events(text: str) -> list[dict[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")]
        fields = dict(line for line in lines if len(line) == 2)
        if fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


def test_events_tell_every_change_until_the_end_and_say_what_get_says(world: World) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    url, answers = f"/v1/sessions/{session_id}", []

    def listen() -> None:
        answers.append(world.client.get(url + "/events", headers=headers))

    listener = threading.Thread(target=listen)
    listener.start()
    said = [world.client.get(url, headers=headers).json()]
    for change in (("charge", 1_000), ("charge", 2_000), ("close",)):
        time.sleep(0.1)
        name, *arguments = change
        world.change(name, session_id, *arguments)
        said.append(world.client.get(url, headers=headers).json())
    listener.join(timeout=20)
    [response] = answers
    assert response.headers["content-type"].startswith("text/event-stream")
    heard = events(response.text)
    assert [event["event"] for event in heard] == ["session"] * len(heard)
    assert [event["data"] for event in heard] == said
    assert len({event["id"] for event in heard}) == len(said)


def test_who_reconnects_hears_only_what_is_new(world: World) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    url = f"/v1/sessions/{session_id}/events"
    world.end_all()
    [end] = events(world.client.get(url, headers=headers).text)
    assert end["data"]["state"] == "closed"
    again = world.client.get(url, headers={**headers, "Last-Event-ID": end["id"]})
    assert (again.status_code, again.content) == (204, b"")  # An EventSource stays away then.
    [late] = events(world.client.get(url, headers={**headers, "Last-Event-ID": "older"}).text)
    assert late == end


def test_pages_listen_with_their_cookie(world: World) -> None:
    session_id = world.place()
    world.end_all()
    world.log_in(world.driver, cookie=True)
    assert world.client.get(f"/v1/sessions/{session_id}/events").status_code == 200


# Receipts.


def ended(world: World) -> tuple[str, dict[str, str]]:
    session_id, headers = world.place(), world.as_(world.driver)
    world.end_all()
    return f"/v1/sessions/{session_id}/receipt", headers


def test_a_receipt_is_a_file(world: World) -> None:
    url, headers = ended(world)
    response = world.client.get(url, headers=headers)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["vary"] == "Accept"
    found = response.json()
    assert found["format"] == "wattledger.receipt/1"
    assert (found["energy_wh"], found["paid_micro"]) == (11_700, str(500_000 + 11_700 * 390))


def test_a_receipt_is_a_page_for_whoever_prefers_one(world: World) -> None:
    url, headers = ended(world)
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    response = world.client.get(url, headers={**headers, "Accept": accept})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = response.text
    for words in (
        "11.7\xa0kWh for €5.063; €14.937 came back",  # 0.50 + 11.7 · 0.39.
        "€0.39",  # Per kWh.
        "120.0\xa0kWh",  # Register at the start.
        "131.7\xa0kWh",  # Register at the end.
        "19%",
        "€0.808378",  # VAT: 5.063 · 19 / 119, rounded down.
        "The host’s service signed what the charger reported.",
        "signed its values (OCMF), and the signature is good.",
        "0x" + "ee" * 32,
        "Noted: signed_differs: 3 Wh.",
        "0.003\xa0kWh were measured by one source and not billed.",
        "0x" + "0a" * 32,
        "0x" + "0c" * 32,
        "wattledger verify",
    ):
        assert words in page, words
    assert re.findall(r"<script[^>]*>(?=[^<])", page) == [
        '<script type="application/json" id="words">'
    ]
    assert "style=" not in page
    assert "<style" not in page


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/*", "text/html"),
        ("text/html;q=0.5, application/json;q=0.9", "application/json"),
        ("text/html;q=0.9, application/json;q=0.5", "text/html"),
        ("text/html;q=x", "application/json"),
        ("", "application/json"),
        (",;q=,,text/html", "text/html"),
    ],
)
def test_what_is_preferred_is_given(world: World, accept: str, kind: str) -> None:
    url, headers = ended(world)
    response = world.client.get(url, headers={**headers, "Accept": accept})
    assert response.headers["content-type"].startswith(kind)


def test_a_link_names_the_form_of_a_receipt(world: World) -> None:
    url, headers = ended(world)
    html, json_ = ({**headers, "Accept": kind} for kind in ("application/json", "text/html"))
    page = world.client.get(f"{url}?format=html", headers=html)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    file = world.client.get(f"{url}?format=json", headers=json_)
    assert file.json()["format"] == "wattledger.receipt/1"
    problem(world.client.get(f"{url}?format=pdf", headers=headers), 422, "bad_input")


def test_there_is_no_receipt_before_the_end(world: World) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    response = world.client.get(f"/v1/sessions/{session_id}/receipt", headers=headers)
    problem(response, 409, "wrong_state")


def test_what_a_receipt_says_cannot_become_html(world: World) -> None:
    session_id, headers = world.place(), world.as_(world.driver)
    world.end_all()
    world.change("change", session_id, reason="<script>alert(1)</script>")
    url = f"/v1/sessions/{session_id}/receipt"
    page = world.client.get(url, headers={**headers, "Accept": "text/html"}).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
