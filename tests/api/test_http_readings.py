"""Readings over HTTP: each is accepted, a duplicate, or rejected by its index with its reason."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from api.jobs.community import Community
from api.jobs.create import meter_key
from api.jobs.taking.books import Books
from api.jobs.taking.in_process import THREADS
from ledger.units import from_unix_s
from metering.meters import MeterBook
from metering.readings import MeterId, Reading, SignedReading
from metering.readings_json import to_json
from metering.signing import sign_reading
from tests.api.community_worlds import START_S, community_of, document
from tests.api.http_world import ROOMY, World, problem, world_of
from tests.e2e.charging_service import charger_section

STRANGER = bytes(31) + b"\x07"
START_AT = from_unix_s(START_S)
HOUR = timedelta(hours=1)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
Json = dict[str, Any]


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    home = tmp_path_factory.mktemp("readings") / "data"
    chargers = [charger_section("CP1", "0123456789")]
    config = document(["one", "two"], market={"debit_max_wh": 1_000_000}, chargers=chargers)
    with community_of(home, config) as community:
        yield community


@pytest.fixture(scope="module")
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


class Instants:
    """Hours that no other test uses: what one stored may not bear on another.

    Registers rise by 100 Wh an hour, so that tests may run in any order.
    """

    next_at: datetime = START_AT

    @classmethod
    def take(cls, count: int = 1) -> datetime:
        first_at = cls.next_at
        cls.next_at += count * HOUR
        return first_at


def meter(community: Community, label: str) -> MeterId:
    [found] = [each.meter_id for each in community.readings.meters() if each.label == label]
    return found


def register_wh(taken_at: datetime) -> int:
    return (taken_at - START_AT) // HOUR * 100 + 50


def signed(
    community: Community,
    label: str,
    taken_at: datetime,
    extra_wh: int = 0,
    *,
    key: bytes | None = None,
    meter_id: MeterId | None = None,
) -> Json:
    """One item of a request, signed by the meter's own key or another."""
    reading = Reading(
        meter_id=meter_id or meter(community, label),
        taken_at=taken_at,
        import_wh=register_wh(taken_at) + extra_wh,
        export_wh=0,
    )
    key = key or community.keys.secret(meter_key(label))
    return to_json(sign_reading(reading, key, community.reading_domain))


def post(world: World, *items: Any) -> httpx2.Response:
    response: httpx2.Response = world.client.post("/v1/readings", json={"readings": items})
    return response


def answer(world: World, *items: Any) -> Json:
    response = post(world, *items)
    assert response.status_code == 200, response.text
    found: Json = response.json()
    assert set(found) == {"accepted", "duplicates", "rejected"}
    return found


def codes(found: Json) -> list[tuple[int, str]]:
    for each in found["rejected"]:
        assert set(each) == {"index", "code", "detail"}
        assert each["detail"]
    return [(each["index"], each["code"]) for each in found["rejected"]]


def kept(community: Community, label: str, taken_at: datetime) -> list[int]:
    versions = community.readings.versions(
        [meter(community, label)], from_at=taken_at, until_at=taken_at
    )
    return [each.signed.reading.import_wh for each in versions]


def test_readings_are_accepted_without_a_sign_in_and_kept(
    world: World, community: Community
) -> None:
    at = Instants.take(2)
    first, second = signed(community, "one", at), signed(community, "one", at + HOUR)
    assert answer(world, second, first) == {"accepted": 2, "duplicates": 0, "rejected": []}
    assert kept(community, "one", at) == [register_wh(at)]
    assert kept(community, "one", at + HOUR) == [register_wh(at + HOUR)]


def test_the_same_reading_twice_is_a_duplicate(world: World, community: Community) -> None:
    item = signed(community, "two", Instants.take())
    assert answer(world, item, item) == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert answer(world, item) == {"accepted": 0, "duplicates": 1, "rejected": []}


def test_another_value_for_the_same_instant_is_kept_as_a_new_version(
    world: World, community: Community
) -> None:
    at = Instants.take()
    assert answer(world, signed(community, "one", at, 0))["accepted"] == 1
    assert answer(world, signed(community, "one", at, 1))["accepted"] == 1
    assert kept(community, "one", at) == [register_wh(at), register_wh(at) + 1]


def test_one_bad_reading_does_not_sink_the_others(world: World, community: Community) -> None:
    at = Instants.take(3)
    good = [signed(community, "two", at + number * HOUR) for number in range(3)]
    bad = [
        {**good[0], "import_wh": 1.0},
        {**good[0], "import_wh": "1"},
        {**good[0], "export_wh": True},
        {**good[0], "more": 1},
        {key: value for key, value in good[0].items() if key != "taken_at"},
        None,
        [],
        {**good[0], "import_wh": {"deep": [1]}},
    ]
    found = answer(world, good[0], *bad, good[1], {**good[2], "taken_at": "today"}, good[2])
    assert found["accepted"] == 3
    assert codes(found) == [*((place, "bad_row") for place in range(1, 9)), (10, "bad_time")]


def high_s(signature: str) -> str:
    """The other form of a signature, which another could make of it."""
    raw = bytes.fromhex(signature[2:])
    flipped = (ORDER - int.from_bytes(raw[32:64])).to_bytes(32)
    return "0x" + (raw[:32] + flipped + bytes([55 - raw[64]])).hex()


def test_each_refusal_has_the_code_that_is_promised(world: World, community: Community) -> None:
    at = Instants.take(3)
    assert answer(world, signed(community, "one", at))["accepted"] == 1
    good = signed(community, "one", at + HOUR)
    later_at = community.system_now() + timedelta(days=1)
    unknown = MeterId(b"\x55" * 32)
    items = {
        "unknown_meter": signed(community, "one", at, meter_id=unknown),
        "bad_signature": signed(community, "one", at + HOUR, key=STRANGER),
        "malleable_signature": {**good, "signature": high_s(str(good["signature"]))},
        "time_in_future": signed(community, "one", later_at),
        "bad_time": {**good, "taken_at": "2016-06-01T00:00:00"},
        "register_decreased": signed(community, "one", at + HOUR, -101),
        "register_jump": signed(community, "one", at + 2 * HOUR, 900_000_000),
        "register_out_of_range": {**good, "import_wh": 10**12 + 1},
        "bad_row": {**good, "meter_id": "one"},
    }
    found = answer(world, *items.values())
    assert codes(found) == list(enumerate(items))
    assert found["accepted"] == 0


def test_a_meter_that_is_not_registered_at_an_instant_is_refused_there(
    world: World, community: Community
) -> None:
    [term] = community.book().terms_of_meter(meter(community, "one"))
    before_at = term.valid_from - timedelta(seconds=1)
    found = answer(world, signed(community, "one", before_at, 100))
    assert codes(found) == [(0, "meter_not_valid_at")]


def test_a_stranger_cannot_write_to_a_chargers_meter(world: World, community: Community) -> None:
    at = START_AT + 2_000 * HOUR
    label = "CP1/1"
    found = answer(world, signed(community, label, at, key=STRANGER))
    assert codes(found) == [(0, "bad_signature")]
    assert kept(community, label, at) == []


def test_another_members_meter_cannot_be_written_to_with_ones_own_key(
    world: World, community: Community
) -> None:
    key = community.keys.secret(meter_key("one"))
    found = answer(world, signed(community, "two", Instants.take(), key=key))
    assert codes(found) == [(0, "bad_signature")]


def test_a_signature_for_another_chain_is_refused(world: World, community: Community) -> None:
    reading = Reading(
        meter_id=meter(community, "one"), taken_at=Instants.take(), import_wh=1, export_wh=1
    )
    key = community.keys.secret(meter_key("one"))
    other: SignedReading = sign_reading(reading, key, bytes(32))  # type: ignore[arg-type]
    assert codes(answer(world, to_json(other))) == [(0, "bad_signature")]


def test_a_name_that_stands_twice_spoils_its_reading_only(
    world: World, community: Community
) -> None:
    at = Instants.take(2)
    first, second = (json.dumps(signed(community, "two", at + place * HOUR)) for place in range(2))
    doubled = first.replace('"import_wh"', '"import_wh": 1, "import_wh"')
    spelled = first.replace('"import_wh"', '"import_wh": 1, "import_w\\u0068"')
    body = f'{{"readings": [{doubled}, {second}, {spelled}]}}'
    found = world.client.post("/v1/readings", content=body, headers=JSON).json()
    assert found["accepted"] == 1
    assert codes(found) == [(0, "bad_row"), (2, "bad_row")]


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b" \n\t", 422, "empty_file"),
        (b"{", 422, "unknown_format"),
        (b"[]", 422, "unknown_format"),
        (b"null", 422, "unknown_format"),
        (b'{"readings": {}}', 422, "unknown_format"),
        (b'{"readings": [], "readings": []}', 422, "unknown_format"),
        (b'{"readings": [], "more": 1}', 422, "unknown_format"),
        (b'{"readings": ["\xff"]}', 422, "unknown_format"),
        (b"[" * 500_000, 422, "unknown_format"),
        (b'{"readings":' * 500_000, 422, "unknown_format"),
        (b'{"readings": []}', 422, "empty_file"),
        (b'{"readings": [' + b"0," * 10_000 + b"0]}", 413, "too_large"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
def test_what_is_no_list_of_readings_is_a_problem(
    world: World, body: bytes, status: int, code: str
) -> None:
    response = world.client.post("/v1/readings", content=body, headers=JSON)
    problem(response, status, code)


def test_a_number_that_is_none_spoils_its_reading_only(world: World, community: Community) -> None:
    at = Instants.take()
    good = json.dumps(signed(community, "two", at))
    number_of = f'"import_wh": {register_wh(at)}'
    bad = [
        good.replace(number_of, f'"import_wh": {number}')
        for number in ("NaN", "1e999", "-0.0", "9" * 400)
    ]
    body = f'{{"readings": [{", ".join([*bad, good])}]}}'
    found = world.client.post("/v1/readings", content=body, headers=JSON).json()
    assert found["accepted"] == 1
    assert codes(found) == [
        (0, "bad_row"),
        (1, "bad_row"),
        (2, "bad_row"),
        (3, "register_out_of_range"),
    ]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x", ""])
def test_another_content_type_is_refused(world: World, kind: str) -> None:
    headers = {"Content-Type": kind}
    response = world.client.post("/v1/readings", content=b'{"readings": []}', headers=headers)
    problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/v1/readings", "/v1/sessions", "/v1/auth/login", "/rpc"])
def test_a_compressed_body_is_refused_before_it_is_read(world: World, path: str) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    response = world.client.post(path, content=b"\x1f\x8b" + bytes(100), headers=headers)
    problem(response, 415, "unsupported_media_type")


def test_ten_thousand_readings_go_in_one_request(world: World, community: Community) -> None:
    item = signed(community, "two", Instants.take())
    items = [item] * 10_000
    body = json.dumps({"readings": items}, indent=4).encode()
    response = world.client.post("/v1/readings", content=body, headers=JSON)
    assert response.json() == {"accepted": 1, "duplicates": 9_999, "rejected": []}


def test_a_request_beyond_the_limit_for_readings_is_refused(world: World) -> None:
    told = world.client.post("/v1/readings", content=b" " * (2**23 + 1), headers=JSON)
    assert problem(told, 413, "too_large")["bytes_max"] == 2**23
    fits = world.client.post("/v1/readings", content=b" " * 2**21, headers=JSON)
    problem(fits, 422, "empty_file")


def test_what_becomes_of_readings_is_counted_by_code(world: World, community: Community) -> None:
    def count(code: str) -> int:
        return world.app.state.service.readings.counts().get(code, 0)

    codes_of_interest = ("accepted", "duplicates", "bad_row")
    before = [count(code) for code in codes_of_interest]
    item = signed(community, "one", Instants.take())
    answer(world, item, item, None)
    after = [count(code) for code in codes_of_interest]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


def test_a_fault_while_the_book_of_meters_is_read_holds_nobody_up_afterwards(
    world: World, community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(_books: Books) -> MeterBook:
        raise RuntimeError("a fault of the program")

    reading = signed(community, "one", Instants.take())
    with monkeypatch.context() as patch:
        patch.setattr(Books, "newest", fault)
        for _ in range(THREADS + 1):
            problem(post(world, reading), 500, "internal_error")
    assert answer(world, reading)["accepted"] == 1


def test_whoever_sends_too_many_bad_readings_is_told_when_to_come_back(
    community: Community,
) -> None:
    limits = replace(ROOMY, refused_readings_per_minute=3)
    with world_of(community, limits) as world:
        item = signed(community, "one", Instants.take())
        bad = {**item, "signature": "0x"}
        for _ in range(5):
            assert answer(world, item)["rejected"] == []
        answer(world, bad, bad)
        answer(world, bad)
        response = post(world, item)
        found = problem(response, 429, "rate_limited")
        assert response.headers["retry-after"] == str(found["retry_after_s"])


def test_readings_have_a_request_limit_of_their_own(community: Community) -> None:
    limits = replace(ROOMY, readings_requests_per_minute=2, requests_per_minute=3)
    with world_of(community, limits) as world:
        item = signed(community, "one", Instants.take())
        answer(world, item)
        answer(world, item)
        problem(post(world, item), 429, "rate_limited")
        for _ in range(3):
            assert world.client.get("/healthz").status_code == 200


def test_what_one_meter_sends_too_much_is_rejected_by_its_index(community: Community) -> None:
    with world_of(community, meter_readings_per_minute=2) as world:
        at = Instants.take(4)
        items = [signed(community, "one", at + place * HOUR) for place in range(4)]
        found = answer(world, *items, signed(community, "two", at))
        assert found["accepted"] == 3
        assert codes(found) == [(2, "rate_limited"), (3, "rate_limited")]


def test_more_bodies_than_fit_into_memory_are_put_off(community: Community) -> None:
    with world_of(community, replace(ROOMY, host_held_bytes_max=500)) as world:
        item = signed(community, "one", Instants.take())
        answer(world, item)
        response = post(world, item, item)
        problem(response, 503, "overloaded")
        assert response.headers["retry-after"] == "5"
        answer(world, item)  # What was put off is not held any more.
