"""Watches requests from outside: each has an id, is counted, and leaves one line in the log.

The line names the route and not the path, the kind of failure and not its facts: paths, queries
and bodies are people's.
"""

import logging
import secrets
import time
from typing import Final, Protocol

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.exchange import CURRENT, GONE, UNMATCHED, Exchange

REQUEST_ID: Final = "X-Request-Id"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "OTHER"
# Asked again and again by machines: their answers are counted, and no news.
UNREMARKABLE: Final = frozenset({"/healthz", "/readyz", "/metrics", "/static/*"})
_log = logging.getLogger("wattledger.http")


class Traffic(Protocol):
    """Whoever counts requests."""

    def exchanged(self, exchange: Exchange) -> None:
        """An answer has begun, or nobody waits for one any more."""
        ...


class Watch:
    """Wraps everything else (ASGI); websockets get an id, their log is the charger's."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else OTHER
        exchange = Exchange(request_id=secrets.token_hex(8), method=method)
        began_s, root = time.perf_counter(), scope.get("root_path", "")

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = exchange.request_id
                self._tell(exchange, scope, root, began_s)
            await send(message)

        noted = CURRENT.set(exchange)
        try:
            await self._app(scope, receive, answered)
        finally:
            CURRENT.reset(noted)
            if exchange.status == GONE:
                self._tell(exchange, scope, root, began_s)

    def _tell(self, exchange: Exchange, scope: Scope, root: str, began_s: float) -> None:
        exchange.seconds = time.perf_counter() - began_s
        exchange.route = route_of(scope, root)
        self._traffic.exchanged(exchange)
        is_news = exchange.status >= 500 or exchange.route not in UNREMARKABLE  # noqa: PLR2004
        _log.log(
            logging.INFO if is_news else logging.DEBUG,
            "request",
            extra={
                "request_id": exchange.request_id,
                "method": exchange.method,
                "route": exchange.route,
                "status": exchange.status,
                "duration_ms": round(exchange.seconds * 1_000, 1),
                **({"code": exchange.code} if exchange.code else {}),
            },
        )


def route_of(scope: Scope, root: str = "") -> str:
    """The template of the route that took a request: what it was asked for stays unsaid.

    Args:
        root: the path that the application lies under.
    """
    template: str | None = getattr(scope.get("route"), "path_format", None)
    if template is None:
        mounted = scope.get("root_path", "").removeprefix(root)
        return f"{mounted}/*" if mounted else UNMATCHED
    # The route knows its own part; what stands before it is the same for all of a router's.
    parts = scope["path"].split("/")
    return "/".join(parts[: len(parts) - template.count("/")]) + template
