"""`/docs`: the API's own description as a page; its examples are what the API takes and gives."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.app import create_app
from api.callers import WHO
from api.errors import RateLimited
from api.pages.api_docs import Group, Operation, failures_anywhere, groups_of
from tests.api.http_world import World, community_in, world_of
from tests.api.test_pages import page

DOCUMENT: dict[str, Any] = create_app(lambda: pytest.fail("is not opened")).openapi()
GROUPS = groups_of(DOCUMENT)
OPERATIONS = [operation for group in GROUPS for operation in group.operations]


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][operation.path][operation.method.lower()]
    return found


def require_valid(example: str, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema_rs.validator_for(whole).validate(json.loads(example))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with community_in(tmp_path_factory.mktemp("docs")) as community, world_of(community) as world:
        yield world


def test_every_route_is_there_once_with_who_may_call_it() -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    }
    assert sorted(map(named, OPERATIONS)) == sorted(routes)
    assert len({operation.anchor for operation in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        assert operation.who == described(operation)[WHO]
        assert operation.who
        assert operation.summary.endswith(".")
        assert operation.answers


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_an_example_is_what_the_schema_takes(operation: Operation) -> None:
    found = described(operation)
    if operation.body:
        content = found["requestBody"]["content"]
        require_valid(operation.body, next(iter(content.values()))["schema"])
    for answer in operation.answers:
        if answer.media_type == "application/json":
            content = found["responses"][answer.status]["content"]["application/json"]
            require_valid(answer.example, content.get("schema", {}))


def test_codes_that_any_request_may_meet_are_told_once() -> None:
    anywhere = {failure.code for failure in failures_anywhere()}
    assert RateLimited.code in anywhere
    for operation in OPERATIONS:
        assert not anywhere & {failure.code for failure in operation.failures}, named(operation)


def test_groups_begin_with_what_people_do() -> None:
    assert [group.tag for group in GROUPS][:3] == ["people", "market", "accounts"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_shows_every_route(world: World, language: str) -> None:
    text = page(world, "/docs", **{"Accept-Language": language}).text
    for operation in OPERATIONS:
        assert f'id="{operation.anchor}"' in text
    assert 'href="/openapi.json"' in text
    assert "http://testserver/v1/market" in text


def test_what_a_description_says_is_text_and_never_markup(world: World) -> None:
    host = '"><script>alert(1)</script>'
    response = world.client.get("/docs", headers={"Accept": "text/html", "Host": host})
    assert "<script>alert" not in response.text


def test_a_description_may_hold_itself_and_leave_things_out() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Tree"}}}
    operation = {
        "tags": ["trees"],
        "summary": "Get Tree",
        "responses": {
            "200": {
                "description": "Successful Response",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}},
            }
        },
    }
    document = {
        "paths": {"/tree": {"get": operation}},
        "components": {"schemas": {"Tree": tree}},
    }
    (group,) = groups_of(document)
    assert isinstance(group, Group)
    (found,) = group.operations
    assert found.summary == "Get Tree"
    assert json.loads(found.answers[0].example)["child"]["child"] is not None
