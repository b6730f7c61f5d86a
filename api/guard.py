"""What stands before every route: sizes, times, rates and the headers of a closed house (ASGI)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import TimedOut, TooLarge
from api.problems import BODY_BYTES_MAX, BODY_S, problem_response, unforeseen_response
from api.rates import Rates
from ledger.errors import LedgerError

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HSTS: Final = "max-age=31536000"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How much of what one visitor gets."""

    answer_s: int = 60  # To begin an answer in.
    requests_per_minute: int = 1_200  # From one network address.
    caller_requests_per_minute: int = 600  # With one person's token.
    sign_ins_per_minute: int = 60  # From one network address.
    orders_per_minute: int = 60  # From one network address.
    rpc_per_minute: int = 600  # From one network address.


class Guard:
    """Wraps an app; websockets pass, they have limits of their own."""

    def __init__(self, app: ASGIApp, limits: HttpLimits, rates: Rates) -> None:
        self._app = app
        self._limits = limits
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, is_https=scope["scheme"] == "https")
        try:
            self._rates.take("requests", host_of(scope), self._limits.requests_per_minute)
            _require_small(Headers(scope=scope))
            async with asyncio.timeout(self._limits.answer_s) as answer.deadline:
                await self._app(scope, _limited(receive), answer.send)
        except Exception as error:
            answer.deadline = None
            if answer.has_begun:
                raise
            await self._response_to(error)(scope, receive, answer.send)

    def _response_to(self, error: Exception) -> Response:
        """The answer in place of the one that did not come."""
        if isinstance(error, TimeoutError):
            error = TimedOut(limit_s=self._limits.answer_s)
        if not isinstance(error, LedgerError):
            return unforeseen_response(error)
        response = problem_response(error)
        # What is left of the request is not read.
        response.headers["Connection"] = "close"
        return response


def _require_small(headers: Headers) -> None:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
        raise TooLarge(bytes_max=BODY_BYTES_MAX)


def _limited(receive: Receive) -> Receive:
    """Gives a body on only while it is small and comes in time."""
    received_bytes, is_complete = 0, False

    async def limited() -> Message:
        nonlocal received_bytes, is_complete
        if is_complete:  # What comes now is the end of the connection.
            return await receive()
        try:
            async with asyncio.timeout(BODY_S):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408) from error
        received_bytes += len(message.get("body", b""))
        is_complete = not message.get("more_body", False)
        if received_bytes > BODY_BYTES_MAX:
            raise HTTPException(413)
        return message

    return limited


class _Answer:
    """Adds headers to an answer, and lifts the deadline once it has begun."""

    def __init__(self, send: Send, *, is_https: bool) -> None:
        self._send: Callable[[Message], Awaitable[None]] = send
        self._is_https = is_https
        self.has_begun = False
        self.deadline: asyncio.Timeout | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            if self.deadline is not None:
                self.deadline.reschedule(None)
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            if self._is_https:
                headers.setdefault("Strict-Transport-Security", HSTS)
        await self._send(message)


def host_of(scope: Scope) -> str:
    """The network address that a request came from."""
    client = scope.get("client")
    return client[0] if client else "unknown"
