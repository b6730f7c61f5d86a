"""What stands before every route: sizes, times, rates and the headers of a closed house (ASGI)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bodies import Body, BodyLimit, Held
from api.errors import TimedOut
from api.problems import ShowProblem, problem_response, unforeseen_response
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
RPC: Final = "/rpc"
FILES: Final = "/static/"
STREAMS: Final = "/events"  # Ends the path of each stream of events.
BODY: Final = BodyLimit()
READINGS_BODY: Final = BodyLimit(bytes_max=2**23, within_s=30)  # 10,000, with room to spare.


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How much of what one visitor gets."""

    answer_s: int = 60  # To begin an answer in.
    body: BodyLimit = BODY
    readings_body: BodyLimit = READINGS_BODY
    held_bytes_max: int = 2**27  # Of all bodies at a time.
    host_held_bytes_max: int = 2**25  # Of those from one network address.
    streams_max: int = 2_000  # Of events, open at a time.
    host_streams_max: int = 200  # Of those to one network address.
    requests_per_minute: int = 1_200  # From one network address.
    readings_requests_per_minute: int = 12_000  # From one network address: many gateways, one door.
    files_per_minute: int = 12_000  # From one network address: a page has some forty.
    refused_readings_per_minute: int = 30_000  # From one network address.
    caller_requests_per_minute: int = 600  # With one person's token.
    sign_ins_per_minute: int = 60  # From one network address.
    orders_per_minute: int = 60  # From one network address.
    faucet_per_minute: int = 20  # From one network address.
    rpc_per_minute: int = 6_000  # From one network address: an audit asks for each block.

    def body_of(self, path: str) -> BodyLimit:
        """The limit for the bodies of a path."""
        return self.readings_body if path == READINGS else self.body

    def rate_of(self, path: str) -> tuple[str, int]:
        """What requests for a path are counted as, and how many are too many."""
        if path == READINGS:
            return "readings", self.readings_requests_per_minute
        if path == RPC:
            return "rpc", self.rpc_per_minute
        if path.startswith(FILES):
            return "files", self.files_per_minute
        return "requests", self.requests_per_minute


class Guard:
    """Wraps an app; websockets pass, they have limits of their own."""

    def __init__(self, app: ASGIApp, limits: HttpLimits, rates: Rates, show: ShowProblem) -> None:
        """`show` makes a page of a refusal where a person asked for one."""
        self._app = app
        self._show = show
        self._limits = limits
        self._rates = rates
        self._held = Held(most=limits.held_bytes_max, host_most=limits.host_held_bytes_max)
        self._streams = Held(most=limits.streams_max, host_most=limits.host_streams_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer, host = _Answer(send, is_https=scope["scheme"] == "https"), host_of(scope)
        try:
            what, per_minute = self._limits.rate_of(scope["path"])
            self._rates.take(what, host, per_minute)
            limit = self._limits.body_of(scope["path"])
            body = answer.body = Body(receive, Headers(scope=scope), limit, self._held, host)
            with self._stream(scope["path"], host):
                async with asyncio.timeout(self._limits.answer_s) as answer.deadline:
                    await self._app(scope, body.receive, answer.send)
        except ClientDisconnect:
            answer.deadline = None  # In the middle of its own request: nobody is there to be told.
        except Exception as error:
            answer.deadline = None
            if answer.has_begun:
                raise
            await self._response_to(error, Request(scope))(scope, receive, answer.send)
        finally:
            if answer.body is not None:
                answer.body.release()

    @contextmanager
    def _stream(self, path: str, host: str) -> Iterator[None]:
        """Counts a stream of events while it is open. Raises Overloaded: there are too many."""
        if not path.endswith(STREAMS):
            yield
            return
        self._streams.hold(host, 1)
        try:
            yield
        finally:
            self._streams.release(host, 1)

    def _response_to(self, error: Exception, request: Request) -> Response:
        """The answer in place of the one that did not come."""
        if isinstance(error, TimeoutError):
            error = TimedOut(limit_s=self._limits.answer_s)
        if not isinstance(error, LedgerError):
            return unforeseen_response(error)
        return self._show(request, problem_response(error))


class _Answer:
    """Adds headers to an answer, and lifts the deadline once it has begun."""

    def __init__(self, send: Send, *, is_https: bool) -> None:
        self._send: Callable[[Message], Awaitable[None]] = send
        self._is_https = is_https
        self.has_begun = False
        self.deadline: asyncio.Timeout | None = None
        self.body: Body | None = None  # None: it was refused unseen.

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
