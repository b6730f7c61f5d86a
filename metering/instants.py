"""Instants as text: RFC 3339 with an offset, in whole seconds."""

import re
from datetime import UTC, datetime
from typing import Final

from ledger.units import EPOCH
from metering.errors import BadTime

TEXT_CHARS_MAX: Final = 40
_SHAPE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?P<fraction>[.,]\d+)?"
    r"(?P<offset>[Zz]|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)


def parse_instant(text: str) -> datetime:
    """The aware UTC instant that a text names; any offset is converted.

    Raises:
        BadTime: no RFC 3339 time, no offset, a fraction of a second, or before 1970.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise _bad(text, "a time looks like 2016-06-01T00:00:00Z")
    if shape["fraction"]:
        raise _bad(text, "a time is in whole seconds")
    if not shape["offset"]:
        raise _bad(text, "a time has an offset or Z")
    try:
        instant_at = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _bad(text, "no such date or time of day") from error
    if instant_at < EPOCH:
        raise _bad(text, "a time is not before 1970")
    return instant_at


def _bad(text: str, rule: str) -> BadTime:
    return BadTime(text=text[:TEXT_CHARS_MAX], rule=rule)
