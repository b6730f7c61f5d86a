"""Whatever is sent, the service answers in its own words: never a 500."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.jobs.community import Community
from api.paging import write_cursor
from ledger.units import AccountId
from tests.api.http_world import World, community_in, world_of

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**260), 2**260)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["0x", "0x00", "0x" + "00" * 20, "0x" + "11" * 32, "0x" + "22" * 65, "-1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BODIES = [
    "/v1/auth/nonce",
    "/v1/auth/login",
    "/v1/sessions",
    "/v1/sessions/{session_id}/top-up",
    "/v1/sessions/{session_id}/stop",
    "/v1/accounts/2/deposits",
    "/v1/accounts/2/withdrawals",
    "/v1/join",
    "/v1/meters",
    "/v1/demo/tokens",
    "/rpc",
]


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("fuzz")) as community:
        yield community


@pytest.fixture(scope="module")
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


@pytest.fixture(scope="module")
def session_id(world: World) -> str:
    return world.place()


@pytest.fixture(scope="module")
def headers(world: World) -> dict[str, str]:
    return {**world.as_(world.driver), "Content-Type": "application/json"}


def sound(response: Any) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert json.loads(response.content)["code"]


@pytest.mark.parametrize("path", BODIES)
@many
@given(value=json_values)
def test_any_json_is_answered(
    world: World, session_id: str, headers: dict[str, str], path: str, value: Any
) -> None:
    url = path.format(session_id=session_id)
    sound(world.client.post(url, content=json.dumps(value), headers=headers))


@pytest.mark.parametrize("path", BODIES)
@many
@given(body=st.binary(max_size=200))
def test_any_bytes_are_answered(
    world: World, session_id: str, headers: dict[str, str], path: str, body: bytes
) -> None:
    sound(world.client.post(path.format(session_id=session_id), content=body, headers=headers))


def places_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places_of(inner, (*path, name))


@many
@given(data=st.data())
def test_a_good_order_with_one_thing_changed_is_answered(
    world: World, headers: dict[str, str], data: st.DataObject
) -> None:
    body: Any = world.body(world.order())
    body["permit"] = {"deadline": 1, "signature": "0x" + "00" * 65}
    path = data.draw(st.sampled_from([each for each in places_of(body) if each]))
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = data.draw(json_values)
    sound(world.client.post("/v1/sessions", content=json.dumps(body), headers=headers))


@many
@given(data=st.data())
def test_a_good_sign_in_with_one_thing_changed_is_answered(
    world: World, headers: dict[str, str], data: st.DataObject
) -> None:
    text = world.message(world.driver, nonce="a" * 32)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 8))
    text = text[:at] + data.draw(st.text(max_size=8)) + text[at + cut :]
    body = {"message": text, "signature": "0x" + "11" * 64 + "1b"}
    sound(world.client.post("/v1/auth/login", content=json.dumps(body), headers=headers))


@many
@given(
    path=st.text(max_size=30),
    query=st.dictionaries(st.sampled_from(["limit", "cursor", "x"]), st.text(max_size=20)),
)
def test_any_path_and_query_are_answered(
    world: World, headers: dict[str, str], path: str, query: dict[str, str]
) -> None:
    for start in ("/", "/v1/", "/v1/chargers/", "/v1/sessions/", "/static/"):
        url = start + quote(path, safe="/.", errors="surrogatepass")
        sound(world.client.get(url, params=query, headers=headers))
    for listed in ("/v1/chargers", "/v1/sessions"):
        sound(world.client.get(listed, params=query, headers=headers))


INSTANTS = st.sampled_from(
    [
        "1970-01-01T00:00:00Z",
        "2016-06-01T00:00:00Z",
        "2016-06-01T00:00:00+14:00",
        "2016-06-02T12:34:56-00:30",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ]
)
CURSORS = st.one_of(
    st.integers(0, 10**20).map(lambda number: write_cursor(str(number))),
    st.tuples(st.integers(0, 10**20), st.integers(0, 10**20)).map(
        lambda pair: write_cursor(f"{pair[0]}.{pair[1]}")
    ),
    st.text(max_size=20).map(write_cursor),
)
BOOKS = [
    "/v1/windows",
    "/v1/periods",
    "/v1/periods/{start}",
    "/v1/accounts/{account}",
    "/v1/accounts/{account}/statements",
    "/v1/accounts/{account}/statements.csv",
    "/v1/accounts/{account}/statements/{start}",
    "/v1/meters/{meter_id}/readings",
    "/v1/audit/bundle",
    "/v1/open-data/windows.csv",
]


PLACES = st.fixed_dictionaries(
    {
        "start": st.one_of(INSTANTS, st.text(min_size=1, max_size=30)),
        "account": st.one_of(st.integers(-1, 5), st.integers(), st.text(min_size=1, max_size=8)),
        "meter_id": st.one_of(st.none(), st.just("0x" + "77" * 32), st.text(min_size=1)),
    }
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "from": st.one_of(INSTANTS, st.text(max_size=30)),
        "to": st.one_of(INSTANTS, st.text(max_size=30)),
        "limit": st.one_of(st.integers(-1, 5_000), st.text(max_size=5)),
        "cursor": st.one_of(CURSORS, st.text(max_size=30)),
        "run": st.one_of(st.integers(-1, 2**32), st.text(max_size=5)),
    },
)


@pytest.fixture(scope="module")
def auditor(world: World) -> dict[str, str]:
    return world.as_(world.auditor)


@pytest.mark.parametrize("path", BOOKS)
@many
@given(places=PLACES, query=QUERIES)
def test_any_question_to_the_books_is_answered(
    world: World, auditor: dict[str, str], path: str, places: dict[str, Any], query: dict[str, Any]
) -> None:
    if places["meter_id"] is None:
        (term,) = world.community.book().terms_of_account(AccountId(2))
        places["meter_id"] = "0x" + term.meter_id.hex()
    quoted = {
        name: quote(str(each), safe="", errors="surrogatepass") for name, each in places.items()
    }
    sound(world.client.get(path.format(**quoted), params=query, headers=auditor))


@many
@given(
    token=st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=120),
    accept=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    seen=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
)
def test_any_header_is_answered(
    world: World, session_id: str, token: str, accept: str, seen: str
) -> None:
    headers = {
        "Authorization": b"Bearer " + token.encode("latin-1"),
        "Accept": accept,
        "Last-Event-ID": seen,
        "Cookie": b"wattledger_session=" + token.encode("latin-1"),
        "Origin": accept,
    }
    sound(world.client.get(f"/v1/sessions/{session_id}/receipt", headers=headers))
    del headers["Authorization"]
    sound(world.client.post(f"/v1/sessions/{session_id}/stop", headers=headers))
