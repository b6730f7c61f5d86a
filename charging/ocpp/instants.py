"""Chargers' clocks: lenient in what is read, strict in what comes out."""

from datetime import UTC, datetime
from typing import Final

DATE_TIME_CHARS_MIN: Final = len("2026-01-01T00:00")
DATE_CHARS: Final = len("2026-01-01")
LEAP_SECOND: Final = ":60"
WEEK: Final = "W"  # ISO 8601 has dates by the week, RFC 3339 has not.


def instant_of(text: object) -> datetime | None:
    """An aware UTC instant of a charger's RFC 3339 text; None for what is none.

    A time without offset is taken as UTC (OCPP 1.6 §3.10 asks for UTC), a leap second as the one
    before it, and a space in place of the `T` is forgiven.
    """
    if type(text) is not str:
        return None
    text = text.strip().upper()
    if len(text) < DATE_TIME_CHARS_MIN or text[DATE_CHARS] not in "T " or WEEK in text:
        return None
    try:
        instant = datetime.fromisoformat(text.replace(LEAP_SECOND, ":59"))
    except ValueError:
        return None
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        return None


def instant_text(instant: datetime) -> str:
    """RFC 3339 with milliseconds and `Z`, at most 24 characters."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
