"""Failures become RFC 9457 problems: the only module that knows which code has which status.

A problem repeats the typed facts of a refusal. Of a failure on our side it says the code alone: the
facts, which may name files and nodes, go to the log.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from api.errors import (
    BadInput,
    Internal,
    MethodNotAllowed,
    NotFound,
    SignInRefused,
    StorageFailed,
)
from api.exchange import note_problem
from api.facts import detail_of, json_of
from ledger.errors import LedgerError

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:wattledger:problem:"
RETRY_AFTER_S: Final = 5
OUR_FAULT: Final = 500
FIELDS_SHOWN: Final = 20
_NAME = re.compile(r"[A-Za-z0-9_\-]{1,40}")
_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "code", "errors"})

STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "bad_input": 422,
    "out_of_range": 422,
    "unknown_field": 422,
    "unknown_format": 422,
    "bad_signature": 422,
    "malleable_signature": 422,
    "bad_tariff": 422,
    "wrong_chain": 422,
    "order_expired": 422,
    "idempotency_key_reused": 422,
    "deposit_too_small": 422,
    "not_authenticated": 401,
    "funds_missing": 402,
    "not_allowed": 403,
    "not_found": 404,
    "charger_unknown": 404,
    "unknown_meter": 404,
    "method_not_allowed": 405,
    "order_used": 409,
    "nonce_used": 409,
    "nothing_owed": 409,
    "key_not_here": 409,
    "already_member": 409,
    "already_applied": 409,
    "already_paired": 409,
    "charger_busy": 409,
    "charger_offline": 409,
    "tariff_changed": 409,
    "wrong_state": 409,
    "empty_file": 422,
    "erased": 410,
    "too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "internal_error": 500,
    "chain_unavailable": 503,
    "overloaded": 503,
    "storage_failed": 503,
    "timed_out": 503,
}
ShowProblem = Callable[[Request, Response], Response]
"""Makes a page of a problem if a person asked for one; else gives it back as it is."""
_log = logging.getLogger("wattledger.http")


class Refused(HTTPException):
    """A refusal of a body while it is read: FastAPI lets no other failure through there."""

    def __init__(self, error: LedgerError) -> None:
        super().__init__(status_of(error))
        self.error = error


def status_of(error: LedgerError) -> int:
    """The status of a failure; 500 for one that no request should meet."""
    if isinstance(error, SignInRefused):
        return 401  # Whatever is wrong with a sign-in, nobody is signed in.
    return STATUS_OF_CODE.get(error.code, OUR_FAULT)


def problem_of(error: LedgerError) -> dict[str, object]:
    """The problem's JSON."""
    status = status_of(error)
    if status == OUR_FAULT:
        error = Internal()
    document: dict[str, object] = {
        "type": TYPE_PREFIX + error.code,
        "title": title_of(type(error)),
        "status": status,
        "code": error.code,
    }
    if status < OUR_FAULT:
        document["detail"] = detail_of(error)
        document.update(
            (name, json_of(name, fact))
            for name, fact in error.facts().items()
            if name not in _RESERVED
        )
    return document


def title_of(kind: type[LedgerError]) -> str:
    """What went wrong, in one sentence without particulars."""
    return (kind.__doc__ or kind.code).strip().split("\n")[0]


def problem_response(error: LedgerError) -> Response:
    """The answer to a request that failed."""
    status = status_of(error)
    if status >= OUR_FAULT:
        _log.error("%s", error, exc_info=error if status == OUR_FAULT else None)
    headers = {}
    if status == 401:  # noqa: PLR2004 (RFC 9110, section 15.5.2)
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:  # noqa: PLR2004 (RFC 9110, section 15.6.4)
        headers["Retry-After"] = str(RETRY_AFTER_S)
    retry_after_s = error.facts().get("retry_after_s")
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return _response(error, headers)


def install_problems(app: FastAPI, *, show: ShowProblem) -> None:
    """Makes every failure of the app a problem; a page, where a person asked for one."""

    def installed(kind: type[Exception], answer: Callable[[Request, Any], Response]) -> None:
        async def handle(request: Request, error: Exception) -> Response:
            response = answer(request, error)
            is_problem = response.media_type == MEDIA_TYPE
            return show(request, response) if is_problem else response

        app.exception_handler(kind)(handle)

    installed(LedgerError, _on_ledger_error)
    installed(DBAPIError, _on_database_error)
    installed(RequestValidationError, _on_invalid)
    installed(HTTPException, _on_http_error)


def unforeseen_response(error: Exception) -> Response:
    """The answer where a request met a fault of the program: what it was, only the log says."""
    _log.error("a request failed", exc_info=error)
    return _response(Internal(), {})


def _response(
    error: LedgerError,
    headers: Mapping[str, str],
    facts: Mapping[str, object] = MappingProxyType({}),
) -> Response:
    problem = {**problem_of(error), **facts}
    note_problem(str(problem["code"]))
    # ASCII, so that half a surrogate pair in a fact cannot fail to be sent.
    body = json.dumps(problem).encode("ascii")
    return Response(
        body, status_code=status_of(error), media_type=MEDIA_TYPE, headers=dict(headers)
    )


def _on_ledger_error(_request: Request, error: LedgerError) -> Response:
    return problem_response(error)


def _on_database_error(_request: Request, error: DBAPIError) -> Response:
    return problem_response(StorageFailed(path="database", reason=str(error.orig)))


def _on_http_error(request: Request, error: HTTPException) -> Response:
    if isinstance(error, Refused):
        return problem_response(error.error)
    match error.status_code:
        case 404:
            return problem_response(NotFound(rule="no such path"))
        case 405:
            response = problem_response(MethodNotAllowed(rule=f"not {request.method[:10]} here"))
            response.headers.update(error.headers or {})
            return response
        case 204 | 304 as status:
            return Response(status_code=status)
    return problem_response(BadInput(field="request", rule="cannot be read"))


def _on_invalid(_request: Request, error: RequestValidationError) -> Response:
    """Which fields break which rules; what was in them is not repeated."""
    errors = error.errors()[:FIELDS_SHOWN]
    found = [{"field": _field_of(each), "rule": _rule_of(each)} for each in errors]
    return _response(BadInput(**found[0]), {}, {"errors": found})


def _field_of(error: Mapping[str, Any]) -> str:
    # Names come from the request, too: only what looks like one is shown.
    parts = [str(part) for part in error["loc"] if not str(part).startswith("function-")]
    shown = [part if _NAME.fullmatch(part) else "?" for part in parts]
    return ".".join(shown[1:] if len(shown) > 1 else shown)


def _rule_of(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"not JSON: {error['ctx']['error']}"
    return str(error["msg"]).removeprefix("Value error, ")
