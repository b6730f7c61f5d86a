"""Reading a JSON document so that nothing in it is guessed: the text side of `clear`."""

import json
from dataclasses import dataclass

from ledger.clearing.errors import EmptyDocument, NotJson
from ledger.json_text import require_shallow

DIGITS_MAX = 40  # No field holds as many, and Python gives up at some 4,300.


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedName:
    """Stands for an object that holds a name twice: which of the two counts would be a guess."""

    name: str


def parse_document(text: str) -> object:
    """Parsed JSON. An impossible number or a repeated name spoils its own problem only."""
    content = text.removeprefix("\ufeff")  # Editors write a byte-order mark, members send it.
    if not content.strip():
        raise EmptyDocument
    require_shallow(content)
    try:
        return json.loads(content, object_pairs_hook=_object, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise NotJson(reason=str(error)) from error


def _object(pairs: list[tuple[str, object]]) -> object:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return RepeatedName(name=name)


def _integer(digits: str) -> int:
    if len(digits) <= DIGITS_MAX:
        return int(digits)
    beyond: int = 10**DIGITS_MAX  # Beyond every range, as the number itself is.
    return -beyond if digits.startswith("-") else beyond
