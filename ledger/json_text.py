"""JSON from strangers: nothing in it is guessed, and nothing in it can bring the process down.

Whatever the text, the time that it takes grows as its length does.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import ClassVar

from ledger.errors import LedgerError

DEPTH_MAX = 64
NAME_CHARS_SHOWN = 40
# Strings are stepped over, one that is not closed to the text's end: the parser will refuse it. The
# possessive `+` never goes back, or a megabyte of escaped quotes would be read from each anew.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


@dataclass(eq=False, kw_only=True)
class NotJson(LedgerError):
    """A text that is not JSON as we take it."""

    code: ClassVar[str] = "unknown_format"
    rule: str


def require_shallow(text: str) -> None:
    """Refuses deep nesting before a parser sees it.

    Some libraries raise Python's recursion limit, and the parser then overruns its stack.

    Raises:
        NotJson: nested more than `DEPTH_MAX` deep.
    """
    depth = 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
                if depth > DEPTH_MAX:
                    raise NotJson(rule=f"nested more than {DEPTH_MAX} deep")
            case "]" | "}":
                depth -= 1


def parse_json(text: str) -> object:
    """Parses a text in which no object names a thing twice and every number is finite.

    Raises:
        NotJson: saying where and why.
    """
    require_shallow(text)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except ValueError as error:
        raise NotJson(rule=str(error)) from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotJson(rule=f"{name[:NAME_CHARS_SHOWN]!r} stands twice in one object")
            seen.add(name)
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # Python reads 1e999 as infinity.
        raise NotJson(rule="a number is beyond every range")
    return number


def _refuse_constant(name: str) -> object:
    raise NotJson(rule=f"{name} is not a number")
