"""What pages are made of besides words: styles, scripts, pictures, and how long they are kept."""

import hashlib
from functools import cache
from importlib import resources
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC_PATH: Final = "/static"
VERSION: Final = "v"
VERSION_CHARS: Final = 12
FOR_GOOD: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"  # Answered with 304 by its ETag as long as it is the same.


@cache
def asset(name: str) -> str:
    """The address of a static file, which changes with its content."""
    return f"{STATIC_PATH}/{name}?{VERSION}={_version_of(name)}"


class Assets(StaticFiles):
    """The static files. Who names the version that is there may keep it for good.

    Modules that import each other name no version, so that each is loaded once.
    """

    def __init__(self) -> None:
        super().__init__(directory=str(resources.files("api") / "static"))

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long it may be kept."""
        response = await super().get_response(path, scope)
        asked = parse_qs(scope["query_string"].decode("latin-1")).get(VERSION)
        is_kept = bool(asked) and asked == [_version_of(path)]
        response.headers["Cache-Control"] = FOR_GOOD if is_kept else ASK_AGAIN
        return response


@cache
def _version_of(name: str) -> str:
    content = (resources.files("api") / "static" / name).read_bytes()
    return hashlib.sha256(content).hexdigest()[:VERSION_CHARS]
