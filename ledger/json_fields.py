"""Fields of JSON files that others gave us: each is taken once, in its one spelling."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, NoReturn, TypeVar

from ledger.errors import LedgerError
from ledger.units import from_unix_s, to_rfc3339, to_unix_s

T = TypeVar("T")
Reader = Callable[[object, str], T]  # Of a value and of its path, for messages.
INSTANT_S_MAX = 253_402_300_799  # The end of the year 9999, which four digits can tell.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_INTEGER = re.compile(r"0|-?[1-9]\d{0,77}", re.ASCII)


@dataclass(eq=False, kw_only=True)
class BadField(LedgerError):
    """A field of a file that does not have the form that it must have."""

    code: ClassVar[str] = "bad_field"
    field: str
    rule: str


class Fields:
    """One JSON object whose fields are taken by name, each exactly once.

    Raises:
        BadField: naming the field and the rule that it breaks; so does every reader below.
    """

    def __init__(self, document: object, path: str) -> None:
        if not isinstance(document, dict):
            refuse(path or "file", "must be a JSON object")
        self._left: dict[str, object] = dict(document)
        self._path = path

    def take(self, name: str, read: Reader[T]) -> T:
        """A field's value, which must be there."""
        path = f"{self._path}.{name}" if self._path else name
        if name not in self._left:
            refuse(path, "is missing")
        return read(self._left.pop(name), path)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def done(self) -> None:
        """Refuses what was not taken."""
        for name in self._left:
            refuse(f"{self._path}.{name}" if self._path else name, "is not a field of this format")


def refuse(field: str, rule: str) -> NoReturn:
    """Raises BadField."""
    raise BadField(field=field, rule=rule)


def whole(value_min: int, value_max: int) -> Reader[int]:
    """Reads a JSON integer."""

    def read(value: object, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            refuse(path, "must be an integer")
        if not value_min <= value <= value_max:
            refuse(path, f"must be between {value_min} and {value_max}")
        return value

    return read


def whole_text(value_min: int, value_max: int, rule: str) -> Reader[int]:
    """Reads a decimal string of an integer, in its only spelling; `rule` says what is refused."""

    def read(value: object, path: str) -> int:
        found = text(value, path)
        if not _INTEGER.fullmatch(found) or not value_min <= int(found) <= value_max:
            refuse(path, rule)
        return int(found)

    return read


def flag(value: object, path: str) -> bool:
    """Reads true or false."""
    if not isinstance(value, bool):
        refuse(path, "must be true or false")
    return value


def text(value: object, path: str) -> str:
    """Reads a string."""
    if not isinstance(value, str):
        refuse(path, "must be a string")
    return value


def choice(choices: Sequence[str]) -> Reader[str]:
    """Reads one of some words."""

    def read(value: object, path: str) -> str:
        found = text(value, path)
        if found not in choices:
            refuse(path, f"must be one of {', '.join(choices)}")
        return found

    return read


def octets(size: int) -> Reader[bytes]:
    """Reads so many bytes in hex."""
    pattern = re.compile(rf"0x[0-9a-fA-F]{{{2 * size}}}", re.ASCII)

    def read(value: object, path: str) -> bytes:
        found = text(value, path)
        if not pattern.fullmatch(found):
            refuse(path, f"must be 0x and {2 * size} hex digits")
        return bytes.fromhex(found[2:])

    return read


def instant_s(value: object, path: str) -> int:
    """Reads a time, as Unix seconds."""
    found = text(value, path)
    if not _INSTANT.fullmatch(found):
        refuse(path, "must be a time like 2016-06-01T00:00:00Z")
    try:
        unix_s = to_unix_s(datetime.fromisoformat(found))
    except ValueError:
        refuse(path, "must be a time that exists")
    if unix_s < 0 or instant_text(unix_s) != found:  # On the chain no time is before 1970.
        refuse(path, "must be a time from 1970 on, spelled in its only way")
    return unix_s


def instant_text(unix_s: int) -> str:
    """The one spelling of a time."""
    return to_rfc3339(from_unix_s(unix_s))


def listed(read_item: Reader[T]) -> Reader[tuple[T, ...]]:
    """Reads a list of things of one kind."""

    def read(value: object, path: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            refuse(path, "must be a list")
        return tuple(read_item(item, f"{path}[{place}]") for place, item in enumerate(value))

    return read


def if_any(read_value: Reader[T]) -> Reader[T | None]:
    """Reads a value, or null."""

    def read(value: object, path: str) -> T | None:
        return None if value is None else read_value(value, path)

    return read
