"""Answers that are sent as they are made."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from fastapi.responses import StreamingResponse

NOTHING: Final = ""


def streamed(pieces: Iterator[str], *, media_type: str, name: str) -> StreamingResponse:
    """A file in pieces. The first is made at once: what fails in it can still be told."""
    first = next(pieces, NOTHING)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(chain([first], pieces), media_type=media_type, headers=headers)
