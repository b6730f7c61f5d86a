"""Routes whose JSON bodies are read by our own reader, and that say who may call them."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from ledger.json_text import NotJson, parse_json

COLONS_MAX: Final = 2_000  # Each name that is unknown is a fault to be told, which takes its time.


class _StrictRequest(Request):
    async def json(self) -> Any:
        """The body, in which no name stands twice, nothing is deep and every number is finite."""
        body = await self.body()
        if body.count(b":") > COLONS_MAX:
            raise json.JSONDecodeError("more names than any request has", "", 0)
        try:
            return parse_json(body.decode())
        except NotJson as error:
            raise json.JSONDecodeError(error.rule, "", 0) from error
        except UnicodeDecodeError as error:
            raise json.JSONDecodeError("not UTF-8", "", 0) from error


class JsonRoute(APIRoute):
    """A route that is strict about JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given our kind of request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly
