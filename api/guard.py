"""What stands before every route: sizes, times, rates and the headers of a closed house (ASGI)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import TimedOut, TooLarge, UnsupportedMedia
from api.problems import Refused, problem_response, unforeseen_response
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
READINGS: Final = "/v1/readings"
LENGTH_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimit:
    """How large a body may be, and how long it may take to come."""

    bytes_max: int = 2**20
    within_s: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How much of what one visitor gets."""

    answer_s: int = 60  # To begin an answer in.
    body: BodyLimit = BodyLimit()
    readings_body: BodyLimit = BodyLimit(bytes_max=2**23, within_s=30)  # 10,000 with room to spare.
    requests_per_minute: int = 1_200  # From one network address.
    caller_requests_per_minute: int = 600  # With one person's token.
    sign_ins_per_minute: int = 60  # From one network address.
    orders_per_minute: int = 60  # From one network address.
    faucet_per_minute: int = 20  # From one network address.
    rpc_per_minute: int = 600  # From one network address.

    def body_of(self, path: str) -> BodyLimit:
        """The limit for the bodies of a path."""
        return self.readings_body if path == READINGS else self.body


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
            limit = self._limits.body_of(scope["path"])
            body = answer.body = _Body(receive, Headers(scope=scope), limit)
            async with asyncio.timeout(self._limits.answer_s) as answer.deadline:
                await self._app(scope, body.receive, answer.send)
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
        return problem_response(error)


class _Body:
    """Gives a body on only while it is small and comes in time."""

    def __init__(self, receive: Receive, headers: Headers, limit: BodyLimit) -> None:
        """Raises TooLarge, UnsupportedMedia: before anything of it is read."""
        self._receive = receive
        self._limit = limit
        self._ends_s: float | None = None  # By the loop's clock.
        self._bytes = 0
        self._is_complete = False
        length = headers.get("content-length", "0")
        is_number = length.isdecimal() and len(length) <= LENGTH_DIGITS_MAX
        if not is_number or int(length) > limit.bytes_max:
            raise TooLarge(bytes_max=limit.bytes_max)
        self._is_there = length != "0" or "transfer-encoding" in headers
        if headers.get("content-encoding", "identity") != "identity":
            rule = "send the body as it is: what is compressed is not unpacked here"
            raise UnsupportedMedia(field="content-encoding", rule=rule)

    @property
    def is_left(self) -> bool:
        """Whether some of it was not read, and will not be."""
        return self._is_there and not self._is_complete

    async def receive(self) -> Message:
        """The next part; raises Refused."""
        if self._is_complete:  # What comes now is the end of the connection.
            return await self._receive()
        if self._ends_s is None:
            self._ends_s = asyncio.get_running_loop().time() + self._limit.within_s
        try:
            async with asyncio.timeout_at(self._ends_s):
                message = await self._receive()
        except TimeoutError as error:
            raise Refused(TimedOut(limit_s=self._limit.within_s)) from error
        self._bytes += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._bytes > self._limit.bytes_max:
            raise Refused(TooLarge(bytes_max=self._limit.bytes_max))
        return message


class _Answer:
    """Adds headers to an answer, and lifts the deadline once it has begun."""

    def __init__(self, send: Send, *, is_https: bool) -> None:
        self._send: Callable[[Message], Awaitable[None]] = send
        self._is_https = is_https
        self.has_begun = False
        self.deadline: asyncio.Timeout | None = None
        self.body: _Body | None = None  # None: it was refused unseen.

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            if self.deadline is not None:
                self.deadline.reschedule(None)
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            if self.body is None or self.body.is_left:
                headers["Connection"] = "close"
            if self._is_https:
                headers.setdefault("Strict-Transport-Security", HSTS)
        await self._send(message)


def host_of(scope: Scope) -> str:
    """The network address that a request came from."""
    client = scope.get("client")
    return client[0] if client else "unknown"
