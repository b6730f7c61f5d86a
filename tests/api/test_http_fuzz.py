"""Whatever is sent, the service answers in its own words: never a 500."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.jobs.community import Community
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
