"""What the API's description says of failures: the same examples that the service would send."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.errors import Internal, RateLimited, StorageFailed, TimedOut, TooLarge
from api.problems import MEDIA_TYPE, STATUS_OF_CODE, TYPE_PREFIX, title_of
from api.schemas.health import Problem
from ledger.errors import LedgerError

_SCHEMA = Problem.model_json_schema()
ANYWHERE: tuple[type[LedgerError], ...] = (TooLarge, RateLimited, Internal, StorageFailed, TimedOut)
Responses = dict[int | str, dict[str, Any]]


def failures(*kinds: type[LedgerError], status: int | None = None) -> Responses:
    """Responses of a route that may fail in these ways and in those that all can.

    Args:
        status: where it is not the code's own, as when signing in.
    """
    examples: dict[int, dict[str, Any]] = {}
    for kind in (*kinds, *ANYWHERE):
        code_status = STATUS_OF_CODE[kind.code] if status is None or kind in ANYWHERE else status
        examples.setdefault(code_status, {})[kind.code] = {"value": _example(kind, code_status)}
    return {
        code_status: {
            "description": ", ".join(sorted(by_code)),
            "content": {MEDIA_TYPE: {"schema": _SCHEMA, "examples": by_code}},
        }
        for code_status, by_code in examples.items()
    }


def merged(*all_responses: Responses) -> Responses:
    """Failures and other answers together, examples of one status side by side."""
    found: Responses = {}
    for responses in all_responses:
        for status, response in responses.items():
            before = found.get(status)
            found[status] = response if before is None else _both(before, response)
    return found


def example(value: object) -> dict[str, Any]:
    """An example of a successful answer."""
    return {"content": {"application/json": {"example": value}}}


def table_of(columns: Sequence[str]) -> Responses:
    """A table for an answer, with a header line."""
    content = {"text/csv": {"schema": {"type": "string"}, "example": ",".join(columns) + "\r\n"}}
    return {200: {"description": "A table with a header line (RFC 4180).", "content": content}}


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    content = {**one.get("content", {}), **other.get("content", {})}
    examples = {
        code: value
        for each in (one, other)
        for code, value in each.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items()
    }
    content[MEDIA_TYPE] = {"schema": _SCHEMA, "examples": examples}
    return {**other, **one, "content": content}


def _example(kind: type[LedgerError], status: int) -> dict[str, object]:
    return {
        "type": TYPE_PREFIX + kind.code,
        "title": title_of(kind),
        "status": status,
        "code": kind.code,
    }
