"""Where the items of a list stand in a JSON text, for people who look for one in an editor."""

import re
from collections.abc import Collection, Mapping
from typing import Final

# Strings are stepped over; the possessive `+` never goes back, so that it takes one pass.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)
_START: Final = re.compile(rb"\S")
_LIST_DEPTH: Final = 2  # The list is a member of the one object around it.


def lines_of_items(text: bytes, indices: Collection[int]) -> Mapping[int, int]:
    """The line, counted from 1, at which each item of `{"…": [item, …]}` begins.

    The text was read before: it is JSON of this form.
    """
    lines: dict[int, int] = {}
    depth = index = counted_to = 0
    line = 1
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                begins = depth == _LIST_DEPTH
            case b"]" | b"}":
                depth -= 1
                continue
            case b",":
                begins = depth == _LIST_DEPTH
                index += begins
            case _:
                continue
        start = _START.search(text, token.end()) if begins and index in indices else None
        if start is not None:
            line += text.count(b"\n", counted_to, start.start())
            counted_to = start.start()
            lines[index] = line
    return lines
