"""`clear` as text in, JSON out: whole documents, and those that are none."""

import json
from typing import Any

import pytest

from ledger.clearing import clear_document

Document = dict[str, Any]
VALID: Document = {
    "tariff": {
        "grid_import_per_kwh": 300_000,
        "grid_export_per_kwh": 80_000,
        "local_fee_per_kwh": 20_000,
    },
    "flows": [{"account": 2, "import_wh": 10, "export_wh": 4}],
}
ANSWER: Document = {
    "local_per_kwh": 180_000,
    "traded_wh": 4,
    "eligible_import_wh": 10,
    "eligible_export_wh": 4,
    "rows": [
        {
            "account": 2,
            "import_wh": 10,
            "export_wh": 4,
            "bought_wh": 4,
            "sold_wh": 4,
            "delta_nano": "-1880000",
        }
    ],
    "supplier_delta_nano": "1800000",
    "operator_delta_nano": "80000",
}


def code_of(answer: object) -> str:
    assert isinstance(answer, dict)
    return str(answer["error"]["code"])


def test_a_single_problem_has_a_single_answer() -> None:
    assert clear_document(json.dumps(VALID)) == (ANSWER, True)


def test_a_byte_order_mark_is_read_over() -> None:
    assert clear_document("\ufeff" + json.dumps(VALID)) == (ANSWER, True)


def test_an_array_answers_the_valid_problems_around_an_invalid_one() -> None:
    invalid = VALID | {"flows": [{"account": 1, "import_wh": 0, "export_wh": 0}]}
    answers, valid = clear_document(json.dumps([VALID, invalid, VALID]))
    assert not valid
    assert isinstance(answers, list)
    assert (answers[0], answers[2]) == (ANSWER, ANSWER)
    assert code_of(answers[1]) == "reserved_account"


def test_an_empty_array_has_an_empty_answer() -> None:
    assert clear_document("[]") == ([], True)


def test_an_invalid_single_problem_is_answered_with_its_error_alone() -> None:
    answer, valid = clear_document("{}")
    assert not valid
    assert code_of(answer) == "out_of_range"


@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
def test_an_empty_document_is_an_empty_file(text: str) -> None:
    answer, valid = clear_document(text)
    assert not valid
    assert code_of(answer) == "empty_file"


@pytest.mark.parametrize(
    "text", ["{", "[1,]", "{'a': 1}", "flows", "[" * 100_000, '{"a":' * 50_000]
)
def test_what_is_not_json_is_of_unknown_format(text: str) -> None:
    answer, valid = clear_document(text)
    assert not valid
    assert code_of(answer) == "unknown_format"


def test_a_name_that_stands_twice_in_an_object_is_refused() -> None:
    flow = '{"account": 2, "import_wh": 10, "import_wh": 11, "export_wh": 4}'
    text = json.dumps(VALID).replace(json.dumps(VALID["flows"][0]), flow)
    assert text != json.dumps(VALID)
    answer, valid = clear_document(text)
    assert not valid
    assert code_of(answer) == "out_of_range"


def test_a_consumer_that_stands_twice_in_keys_is_bad_keys() -> None:
    keys = '"volume_rule": "static", "keys": {"2": {"2": 1000, "2": 2000}}, "flows"'
    answer, valid = clear_document(json.dumps(VALID).replace('"flows"', keys))
    assert not valid
    assert code_of(answer) == "bad_keys"


@pytest.mark.parametrize("number", ["1" + "0" * 5_000, "-1" + "0" * 5_000, "NaN", "-Infinity"])
def test_an_impossible_number_spoils_its_own_problem_only(number: str) -> None:
    spoilt = json.dumps(VALID).replace('"import_wh": 10', f'"import_wh": {number}')
    answers, valid = clear_document(f"[{spoilt}, {json.dumps(VALID)}]")
    assert not valid
    assert isinstance(answers, list)
    assert code_of(answers[0]) == "out_of_range"
    assert answers[1] == ANSWER


def test_amounts_are_strings_and_energies_are_integers_without_exception() -> None:
    answer, _ = clear_document(json.dumps(VALID))
    assert isinstance(answer, dict)
    numbers = [value for name, value in answer.items() if name != "rows"]
    numbers += [value for row in answer["rows"] for value in row.values()]
    assert {type(number) for number in numbers} == {int, str}
    amounts = [name for name, value in answer.items() if isinstance(value, str)]
    assert amounts == ["supplier_delta_nano", "operator_delta_nano"]
