"""Whatever the text, it is read as Python reads it or refused: nothing else comes out."""

import json
import math
from typing import Any

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from ledger.json_text import DEPTH_MAX, NotJson, parse_json
from tests.strategies import json_values

PIECES = st.sampled_from('[]{}"\\:, \n0-1.aé\ud800\u2028\x00') | st.sampled_from(
    ["e9", "e999", "true", "null", "NaN", "Infinity", '"a":', "\\u"]
)
NEARLY_JSON = st.lists(PIECES, max_size=40).map("".join)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """JSON with a few pieces put in anywhere."""
    text = json.dumps(draw(json_values()), ensure_ascii=draw(st.booleans()))
    for piece in draw(st.lists(PIECES, max_size=3)):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + piece + text[place:]
    return text


def is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    return all(map(is_finite, value)) if isinstance(value, list) else True


def outcome_of(text: str) -> tuple[object, NotJson | None]:
    """What was read, or why it was refused."""
    try:
        return parse_json(text), None
    except NotJson as refused:
        return None, refused


@settings(max_examples=300, deadline=None)
@given(st.text() | NEARLY_JSON | spoiled())
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example('"' + '\\"' * 5_000)
def test_any_text_is_read_as_python_reads_it_or_refused(text: str) -> None:
    value, refused = outcome_of(text)
    event("read" if refused is None else "refused")
    if refused is not None:
        assert refused.rule
        str(refused).encode()  # It can be printed whatever was in the text.
        return
    assert is_finite(value)
    assert value == json.loads(text)


@settings(max_examples=100, deadline=None)
@given(json_values().filter(is_finite))
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


@settings(max_examples=60, deadline=None)
@given(json_values().filter(is_finite), st.lists(st.booleans(), max_size=DEPTH_MAX - 12))
def test_whatever_is_nested_less_deep_is_read(value: Any, lists: list[bool]) -> None:
    for in_list in lists:
        value = [value] if in_list else {"a": value}
    assert parse_json(json.dumps(value)) == value


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=3), min_size=1, max_size=8), st.data())
def test_a_name_that_stands_twice_is_refused_wherever_it_stands(
    names: list[str], data: st.DataObject
) -> None:
    twice = data.draw(st.sampled_from(names))
    others = [name for name in names if name != twice]
    order = data.draw(st.permutations([*dict.fromkeys(others), twice, twice]))
    text = "{" + ", ".join(f"{json.dumps(name)}: 0" for name in order) + "}"
    _, refused = outcome_of(f'{{"inner": [{text}]}}')
    assert refused is not None
    assert repr(twice) in refused.rule
