"""Whatever JSON a file holds, reading and checking it ends in a statement or in `BadStatement`."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.statement_file import BadStatement, statement_from_json, statement_to_json
from ledger.verify import check_alone, check_with_chain
from tests.ledger_market import market_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 2**256, "", "0x", "-1", "1"])
    | st.sampled_from(["9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.binary(min_size=32, max_size=32).map(lambda data: "0x" + data.hex())
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
MARKET = market_of()
PLANNED = MARKET.run({2: [(0, 600), (0, 1), (5, 0)], 3: [(900, 0), (1, 0), (0, 0)]})
FACTS = MARKET.facts(PLANNED)
DOCUMENT = json.loads(json.dumps(statement_to_json(MARKET.statement(PLANNED, 3))))

del DOCUMENT["meters"]  # The one part that may be absent.


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of a document, from the outermost to the innermost."""
    found = [path]
    if isinstance(value, dict):
        for name, inner in value.items():
            found += places(inner, (*path, name))
    if isinstance(value, list):
        for place, inner in enumerate(value):
            found += places(inner, (*path, place))
    return found


PLACES = places(DOCUMENT)[1:]


def read_and_check(document: object) -> bool:
    """Whether it is a statement, and everything of it is right."""
    try:
        statement = statement_from_json(document)
    except BadStatement as refused:
        return not refused.field  # Without a name it would count as accepted.
    checks = [*check_alone(statement), *check_with_chain(statement, FACTS)]
    return all(check.passed for check in checks)


def test_the_document_itself_is_right() -> None:
    assert read_and_check(DOCUMENT)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_json_is_refused_by_name(document: object) -> None:
    assert not read_and_check(document)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
def test_a_changed_statement_is_refused_or_fails_a_check(
    changes: list[tuple[tuple[str | int, ...], object]],
) -> None:
    document = copy.deepcopy(DOCUMENT)
    for path, value in changes:
        holder: Any = document
        try:
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = value
        except (TypeError, IndexError, KeyError):
            continue  # An earlier change took this place away.
    same = json.dumps(document) == json.dumps(DOCUMENT)
    assert read_and_check(document) == same


@given(st.sampled_from(PLACES))
def test_a_statement_without_one_of_its_parts_is_refused(path: tuple[str | int, ...]) -> None:
    document = copy.deepcopy(DOCUMENT)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    assert not read_and_check(document)
