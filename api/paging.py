"""Lists in pages: a page's cursor is the name of its last item, and nobody's business."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from api.errors import BadInput

T = TypeVar("T")
LIMIT_DEFAULT = 50
LIMIT_MAX = 100
CURSOR_CHARS_MAX = 200
NUMBER_DIGITS_MAX = 18

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Items on a page.")]
LONG_LIMIT_MAX = 3_000
LongLimit = Annotated[int, Query(ge=1, le=LONG_LIMIT_MAX, description="Items on a page.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=CURSOR_CHARS_MAX,
        pattern="^[A-Za-z0-9_=-]+$",
        description="`next` of the page before.",
    ),
]


def page_of(
    items: Sequence[T], name: Callable[[T], str], *, limit: int, cursor: str | None
) -> tuple[Sequence[T], str | None]:
    """The items after a cursor, in the order of their names, and the next page's cursor.

    Raises:
        BadInput: it is not one of our cursors.
    """
    after = "" if cursor is None else read_cursor(cursor)
    rest = [item for item in sorted(items, key=name) if name(item) > after]
    page = rest[:limit]
    return page, write_cursor(name(page[-1])) if len(rest) > limit else None


def write_cursor(name: str) -> str:
    """A cursor that stands for a name."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def read_cursor(cursor: str) -> str:
    """The name that a cursor stands for; raises BadInput."""
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, ValueError) as error:
        raise BadInput(field="cursor", rule="is not one that a page gave") from error


def read_number(cursor: str | None) -> int | None:
    """The number that a cursor stands for, if there is a cursor; raises BadInput."""
    if cursor is None:
        return None
    name = read_cursor(cursor)
    if not (name.isascii() and name.isdecimal() and len(name) <= NUMBER_DIGITS_MAX):
        raise BadInput(field="cursor", rule="is not one that a page gave")
    return int(name)


def write_number(number: int | None) -> str | None:
    """A cursor that stands for a number, if there is one."""
    return None if number is None else write_cursor(str(number))


def read_place(cursor: str | None) -> tuple[int, int] | None:
    """The two numbers that a cursor stands for, if there is a cursor; raises BadInput."""
    if cursor is None:
        return None
    first, _, second = read_cursor(cursor).partition(".")
    numbers = [read_number(write_cursor(part)) for part in (first, second)]
    return numbers[0] or 0, numbers[1] or 0


def write_place(first: int, second: int) -> str:
    """A cursor that stands for two numbers."""
    return write_cursor(f"{first}.{second}")
