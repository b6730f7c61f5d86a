"""The golden vectors, each through the JSON door."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.clearing import clear_document

GOLDEN = Path(__file__).parents[1] / "golden" / "clearing.json"
VECTORS = json.loads(GOLDEN.read_text(encoding="utf-8"))["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_golden_problem_has_its_golden_answer(vector: dict[str, Any]) -> None:
    assert clear_document(json.dumps(vector["problem"])) == (vector["result"], True)


def test_an_array_of_all_golden_problems_has_the_array_of_their_answers() -> None:
    text = json.dumps([vector["problem"] for vector in VECTORS])
    assert clear_document(text) == ([vector["result"] for vector in VECTORS], True)
