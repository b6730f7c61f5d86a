"""Texts that are no JSON for us, each refused by name and in a moment."""

import subprocess
import sys

import pytest

from ledger.json_text import DEPTH_MAX, NotJson, parse_json

# In a process of its own: a parser that overruns its stack takes everything down with it.
DEEP_PROGRAM = """
import sys
from ledger.json_text import NotJson, parse_json
sys.setrecursionlimit(10_000_000)  # Some libraries leave it as high as this.
for opening in ("[", '{"a":', '[{"a":'):
    for text in (opening * 1_000_000, '"[",' + opening * 1_000_000):
        try:
            parse_json(text)
        except NotJson as refused:
            print(refused.rule)
"""


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("NaN", "NaN is not a number"),
        ('{"a": [Infinity]}', "Infinity is not a number"),
        ("-Infinity", "-Infinity is not a number"),
        ("1e999", "a number is beyond every range"),
        ('{"a": -1.5e400}', "a number is beyond every range"),
        ('{"a": 1, "b": 2, "a": 1}', "'a' stands twice in one object"),
        ('[{"x": {"b": 0, "b": 0}}]', "'b' stands twice in one object"),
        ('{"a": 1, "\\u0061": 2}', "'a' stands twice in one object"),
        ("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), "nested more than 64 deep"),
        ("", "Expecting value"),
        ("{'a': 1}", "Expecting property name"),
        ('{"a": 1,}', "property name"),
        ("[1] [2]", "Extra data"),
        ("\ufeff1", "BOM"),
        ('"a', "Unterminated string"),
        ('"\n"', "Invalid control character"),
        ("1" * 5_000, "5000 digits"),
        ("01", "Extra data"),
        ("// one\n1", "Expecting value"),
    ],
)
def test_a_text_is_refused_and_the_rule_says_why(text: str, rule: str) -> None:
    with pytest.raises(NotJson) as refused:
        parse_json(text)
    assert rule in refused.value.rule
    assert refused.value.code == "unknown_format"


def test_nesting_as_deep_as_the_limit_is_read() -> None:
    value = parse_json("[" * DEPTH_MAX + "]" * DEPTH_MAX)
    for _ in range(DEPTH_MAX - 1):
        assert isinstance(value, list)
        (value,) = value
    assert value == []


def test_brackets_inside_strings_nest_nothing() -> None:
    name = '[{"\\' * 100
    assert parse_json('{"[[{\\"": "' + "[" * 1_000 + '"}') == {'[[{"': "[" * 1_000}
    assert parse_json('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"') == name


def test_the_same_name_in_different_objects_is_fine() -> None:
    assert parse_json('[{"a": {"a": 1}}, {"a": 2}]') == [{"a": {"a": 1}}, {"a": 2}]


def test_a_repeated_name_of_a_megabyte_is_not_printed_whole() -> None:
    name = "a" * 1_000_000
    with pytest.raises(NotJson) as refused:
        parse_json(f'{{"{name}": 1, "{name}": 2}}')
    assert len(str(refused.value)) < 200


def test_deep_nesting_ends_no_process_with_a_raised_recursion_limit() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", DEEP_PROGRAM], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines() == ["nested more than 64 deep"] * 6


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 1_000_000,
        "{" + ",".join(f'"{name}": 0' for name in range(200_000)) + ', "199999": 0}',
        "[" + '"",' * 500_000,
        '"[' * 500_000,
    ],
    ids=["escaped quotes, not closed", "one name twice of many", "empty strings", "quotes"],
)
def test_megabytes_made_to_be_slow_are_refused_in_a_moment(text: str) -> None:
    with pytest.raises(NotJson):
        parse_json(text)
