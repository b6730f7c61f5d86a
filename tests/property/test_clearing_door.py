"""Whatever comes through the door, an answer or a typed error goes out, and nothing else."""

import contextlib
import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.clearing import clear_document, problem_from_json
from ledger.errors import LedgerError
from tests.strategies import json_values, problem_documents

Document = dict[str, Any]
# A slow machine is no failure: neither an example nor drawing one has a deadline.
EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(value=json_values())
def test_any_json_is_answered(value: object) -> None:
    answer, _ = clear_document(json.dumps(value))
    json.loads(json.dumps(answer, allow_nan=False))


@EXAMPLES
@given(text=st.text(max_size=40))
def test_any_text_is_answered(text: str) -> None:
    answer, _ = clear_document(text)
    json.dumps(answer, allow_nan=False)


@st.composite
def damaged_documents(draw: st.DrawFn) -> Document:
    """A valid problem with one value anywhere replaced by any JSON, or a name added."""
    document = copy.deepcopy(draw(problem_documents()))
    place: Any = document
    while True:
        names = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        name = draw(st.sampled_from(names)) if names else None
        if name is None or not isinstance(place[name], dict | list) or draw(st.booleans()):
            break
        place = place[name]
    if name is not None:
        place[name] = draw(json_values())
    elif isinstance(place, dict):
        place[draw(st.text(max_size=4))] = draw(json_values())
    else:
        place.append(draw(json_values()))
    return document


@EXAMPLES
@given(document=damaged_documents())
def test_a_damaged_problem_is_answered_or_refused_with_a_typed_error(document: Document) -> None:
    with contextlib.suppress(LedgerError):
        problem_from_json(document)
    answer, valid = clear_document(json.dumps([document]))
    assert isinstance(answer, list)
    assert ("error" not in answer[0]) == valid
    json.loads(json.dumps(answer, allow_nan=False))
