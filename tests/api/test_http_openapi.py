"""The API's description: examples that are true, failures that can happen, for every route."""

from typing import Any

import pytest

from api.app import create_app
from api.problems import STATUS_OF_CODE

DOCUMENT = create_app(lambda: pytest.fail("is not opened")).openapi()
OPERATIONS = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
EVERYWHERE = {"too_large", "rate_limited", "internal_error", "storage_failed", "timed_out"}
each_operation = pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS]
)


def failures_of(operation: Any) -> dict[str, int]:
    found = {}
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/problem+json")
        if content:
            for code, example in content["examples"].items():
                assert example["value"]["code"] == code
                assert example["value"]["status"] == int(status)
                assert example["value"]["title"]
                found[code] = int(status)
    return found


@each_operation
def test_a_route_says_what_it_does_and_how_it_can_fail(
    method: str, path: str, operation: Any
) -> None:
    assert operation["description"]
    assert operation["tags"]
    failures = failures_of(operation)
    assert set(failures) >= EVERYWHERE
    takes_input = operation.get("parameters") or "requestBody" in operation
    if takes_input and path != "/rpc":
        assert failures["bad_input"] == 422
    assert (
        "422" not in operation["responses"]
        or "application/problem+json" in (operation["responses"]["422"]["content"])
    )


@each_operation
def test_a_failure_has_the_status_that_the_service_gives_it(
    method: str, path: str, operation: Any
) -> None:
    for code, status in failures_of(operation).items():
        is_sign_in = path.endswith("/login") and code != "bad_input" and code not in EVERYWHERE
        assert status == (401 if is_sign_in else STATUS_OF_CODE[code])


@each_operation
def test_a_route_for_people_says_how_they_sign_in(method: str, path: str, operation: Any) -> None:
    has_failure = "not_authenticated" in failures_of(operation) and not path.endswith("/login")
    may_sign_in = bool(operation.get("security"))
    # Whoever is signed in may be shown more of what is for all.
    assert has_failure == may_sign_in or operation["x-who"].startswith("all")
    if may_sign_in:
        schemes = {name for each in operation["security"] for name in each}
        assert schemes == {"HTTPBearer", "APIKeyCookie"}


@each_operation
def test_a_route_shows_an_example_of_its_answer(method: str, path: str, operation: Any) -> None:
    [good, *_] = [status for status in operation["responses"] if status.startswith("2")]
    content = operation["responses"][good].get("content", {})
    if good == "204":
        assert not content
        return
    assert any("example" in each or has_examples(each.get("schema")) for each in content.values())


def has_examples(schema: Any) -> bool:
    """Whether a schema, or one that it is made of, has an example."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return has_examples(DOCUMENT["components"]["schemas"][name])
        return bool("examples" in schema or "example" in schema) or any(
            has_examples(each) for each in schema.values()
        )
    return isinstance(schema, list) and any(has_examples(each) for each in schema)
