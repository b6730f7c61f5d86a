"""JSON in the one form that is hashed (RFC 8785), of all but fractions."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from ledger.errors import OutOfRange

INTEGER_MAX: Final = 2**53 - 1  # RFC 8785 §3.2.2.3: beyond it numbers are not exact everywhere.

Canonical = str | int | bool | None | Sequence["Canonical"] | Mapping[str, "Canonical"]


def canonical_json(value: Canonical) -> str:
    """RFC 8785 text: no spaces, names in order of their UTF-16 code units, one way of escaping.

    Raises:
        OutOfRange: a number that not every reader has exactly, or half of a surrogate pair.
        TypeError: another type; a float among them.
    """
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if type(value) is int:
        if abs(value) > INTEGER_MAX:
            raise OutOfRange(
                field="number", value=value, value_min=-INTEGER_MAX, value_max=INTEGER_MAX
            )
        return str(value)
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be", "replace"))
        return (
            "{" + ",".join(f"{_text(name)}:{canonical_json(each)}" for name, each in members) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    raise TypeError(type(value).__name__)


def _text(text: str) -> str:
    for char in text:
        if 0xD800 <= ord(char) <= 0xDFFF:  # noqa: PLR2004 (Unicode's surrogates)
            raise OutOfRange(field="character", value=ord(char), value_min=0, value_max=0xD7FF)
    return json.dumps(text, ensure_ascii=False)
