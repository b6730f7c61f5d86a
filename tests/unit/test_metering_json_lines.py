"""The lines at which a list's items begin."""

import json

import pytest

from metering.json_lines import lines_of_items

ITEMS = [{"a": [1, {"b": ']},{[\\" , \n'}]}, {}, 7, [], "x,\\", {"meter_id": "0x"}]


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_each_item_has_the_line_that_an_editor_shows(indent: int | None, mark: str) -> None:
    text = mark + json.dumps({"readings": ITEMS}, indent=indent)
    found = lines_of_items(text.encode(), range(len(ITEMS)))
    assert list(found) == list(range(len(ITEMS)))
    rows = text.split("\n")
    if indent is None:
        assert set(found.values()) == {1}
    else:
        begins = [json.dumps(each, indent=indent).split("\n")[0].rstrip(",") for each in ITEMS]
        assert [rows[found[place] - 1].strip().rstrip(",") for place in found] == begins


def test_only_what_is_asked_for_is_counted() -> None:
    text = b'{\r\n"readings":\r\n[1,\r\n\r\n2 ,\r\n3]}'
    assert lines_of_items(text, {0, 2}) == {0: 3, 2: 6}
