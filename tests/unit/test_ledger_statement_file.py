"""Reading a statement file: strict, and naming the field that is wrong (INTERFACES §5)."""

import copy
import json
import math
from typing import Any

import pytest

from ledger.statement_file import (
    BadStatement,
    statement_file_name,
    statement_from_json,
    statement_to_json,
)
from ledger.statements import StatementMeter
from tests.ledger_market import HOUR_S, START_S, Flows, market_of

FLOWS: Flows = {2: [(0, 600), (0, 1), (5, 0)], 3: [(900, 0), (1, 0), (0, 0)]}
METER = StatementMeter(meter_id=bytes(range(32)), meter_class="imported")
INT_FIELDS = ("chain_id", "account", "run", "window_s")
AMOUNT_FIELDS = ("amount_nano", "applied_before_nano", "shortfall_nano")
BYTES32_FIELDS = ("totals_salt", "salt", "leaf", "statements_root", "deltas_root", "transaction")
LIST_FIELDS = ("rows", "prices", "totals", "proof", "meters")
INSTANT_FIELDS = ("period_start", "cutoff_at")
TOP_FIELDS = (
    *INT_FIELDS,
    *AMOUNT_FIELDS,
    *BYTES32_FIELDS,
    *LIST_FIELDS,
    *INSTANT_FIELDS,
    "format",
    "market",
    "residual",
)
NO_LISTS: tuple[object, ...] = (None, {}, "[]", 0)
NO_ITEMS: tuple[object, ...] = (None, [], 0)
ROW_WH = ("import_wh", "export_wh", "bought_wh", "sold_wh")
PRICES = ("local_per_kwh", "local_fee_per_kwh", "grid_import_per_kwh", "grid_export_per_kwh")
TOTALS = (
    "import_wh",
    "export_wh",
    "traded_wh",
    "uncovered_import_wh",
    "eligible_import_wh",
    "eligible_export_wh",
)
INT_PATHS = (
    *INT_FIELDS,
    *(f"rows[1].{name}" for name in ROW_WH),
    *(f"prices[1].{name}" for name in PRICES),
    *(f"totals[1].{name}" for name in TOTALS),
)
NESTED_PATHS = (
    *INT_PATHS[len(INT_FIELDS) :],
    "rows[1].start",
    "rows[1].estimated",
    "rows[1].uncovered",
    "meters[0].meter_id",
    "meters[0].class",
)


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    market = market_of()
    planned = market.run(FLOWS)
    return statement_to_json(market.statement(planned, 3, meters=(METER,)))


@pytest.fixture
def document(written: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(written)


def keys_of(path: str) -> list[str | int]:
    keys: list[str | int] = []
    for part in path.split("."):
        name, _, place = part.partition("[")
        keys.append(name)
        if place:
            keys.append(int(place.removesuffix("]")))
    return keys


def put(document: dict[str, Any], path: str, value: object) -> None:
    *parents, last = keys_of(path)
    holder: Any = document
    for key in parents:
        holder = holder[key]
    holder[last] = value


def drop(document: dict[str, Any], path: str) -> None:
    *parents, last = keys_of(path)
    holder: Any = document
    for key in parents:
        holder = holder[key]
    del holder[last]


def refused_field(document: object) -> str:
    with pytest.raises(BadStatement) as refused:
        statement_from_json(document)
    assert refused.value.code == "bad_statement"
    return refused.value.field


# What is written is read again.


@pytest.mark.parametrize("account", range(6))
@pytest.mark.parametrize("run", [0, 1])
def test_a_written_statement_is_read_again(account: int, run: int) -> None:
    market = market_of()
    planned = market.run(FLOWS)
    if run:
        planned = market.run({3: [(800, 0)] * 3}, run=1)
    statement = market.statement(planned, account, meters=(METER,) * (account > 1))
    text = json.dumps(statement_to_json(statement))
    assert statement_from_json(json.loads(text)) == statement


def test_a_statement_has_the_fields_of_the_format_in_their_order(document: dict[str, Any]) -> None:
    drop(document, "meters")
    assert " ".join(document) == (
        "format chain_id market account period_start run window_s residual rows prices totals "
        "totals_salt amount_nano applied_before_nano shortfall_nano salt leaf proof "
        "statements_root deltas_root cutoff_at transaction"
    )
    assert " ".join(document["rows"][0]) == (
        "start import_wh export_wh bought_wh sold_wh estimated uncovered"
    )
    assert tuple(document["prices"][0]) == PRICES
    assert tuple(document["totals"][0]) == TOTALS


def test_meters_may_be_absent(document: dict[str, Any]) -> None:
    drop(document, "meters")
    assert statement_from_json(document).meters is None


def test_hex_is_read_in_either_case(document: dict[str, Any]) -> None:
    lower = statement_from_json(document)
    for name in (*BYTES32_FIELDS, "market"):
        document[name] = "0x" + document[name][2:].upper()
    assert statement_from_json(document) == lower


@pytest.mark.parametrize(
    ("run", "name"), [(0, "3-20160601T000000Z.json"), (1, "3-20160601T000000Z-r1.json")]
)
def test_a_file_is_named_by_account_period_and_run(run: int, name: str) -> None:
    assert statement_file_name(START_S, 3, run) == name


# What is refused.


@pytest.mark.parametrize("path", sorted({*TOP_FIELDS, *NESTED_PATHS} - {"meters"}))
def test_each_field_must_be_there(document: dict[str, Any], path: str) -> None:
    drop(document, path)
    assert refused_field(document) == path


@pytest.mark.parametrize("path", INT_PATHS)
@pytest.mark.parametrize("value", [1.0, "1", True, False, None, math.nan, math.inf, [], {}, [1]])
def test_what_looks_like_an_integer_is_not_one(
    document: dict[str, Any], path: str, value: object
) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize("path", INT_PATHS)
@pytest.mark.parametrize("value", [-1, 2**256, 10**400])
def test_an_integer_out_of_range_is_refused(
    document: dict[str, Any], path: str, value: int
) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((f"rows[1].{name}", 10**8 + 1) for name in ROW_WH),
        *((f"prices[1].{name}", 10**8 + 1) for name in PRICES),
        *((f"totals[1].{name}", 2**64) for name in TOTALS),
        ("account", 2**32),
        ("run", 2**32),
        ("window_s", 0),
        ("chain_id", 0),
    ],
)
def test_the_first_number_beyond_a_range_is_refused(
    document: dict[str, Any], path: str, value: int
) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((f"rows[1].{name}", 10**8) for name in ROW_WH),
        *((f"prices[1].{name}", 10**8) for name in PRICES),
        *((f"totals[1].{name}", 2**64 - 1) for name in TOTALS),
        ("account", 2**32 - 1),
        ("run", 2**32 - 1),
    ],
)
def test_the_last_number_of_a_range_is_read(
    document: dict[str, Any], path: str, value: int
) -> None:
    put(document, path, value)
    assert statement_from_json(document)


@pytest.mark.parametrize("path", AMOUNT_FIELDS)
@pytest.mark.parametrize(
    "value",
    [
        0,
        1.0,
        True,
        None,
        "",
        "-",
        "-0",
        "00",
        "01",
        "+1",
        " 1",
        "1\n",
        "1.0",
        "1e3",
        "1_000",
        "0x1",
        "٣",
        "²",
        str(2**63),
        str(-(2**63) - 1),
        "9" * 5_000,
    ],
)
def test_an_amount_is_the_one_spelling_of_an_int64(
    document: dict[str, Any], path: str, value: object
) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize("value", ["0", "-1", str(2**63 - 1), str(1 - 2**63)])
def test_amounts_of_64_bits_are_read(document: dict[str, Any], value: str) -> None:
    document["amount_nano"] = value
    assert statement_from_json(document).amount_nano == int(value)


@pytest.mark.parametrize("path", [*INSTANT_FIELDS, "rows[1].start"])
@pytest.mark.parametrize(
    "value",
    [
        START_S,
        None,
        "",
        "2016-06-01",
        "2016-06-01T01:00:00",
        "2016-06-01T01:00:00z",
        "2016-06-01 01:00:00Z",
        "2016-06-01T01:00:00+00:00",
        "2016-06-01T01:00:00.0Z",
        "2016-06-01T01:00Z",
        "20160601T010000Z",
        "2016-06-01T24:00:00Z",
        "2016-06-01T23:59:60Z",
        "2016-02-30T00:00:00Z",
        "2016-06-01T01:00:00Z\n",
        "٢٠١٦-06-01T01:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
    ],
)
def test_a_time_is_utc_with_z_whole_seconds_and_not_before_1970(
    document: dict[str, Any], path: str, value: object
) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize("path", [*BYTES32_FIELDS, "proof[0]", "meters[0].meter_id", "market"])
@pytest.mark.parametrize(
    "value", [0, None, "", "0x", "0x0", "0x" + "0" * 63, "0x" + "0" * 65, "0x" + "g" * 64]
)
def test_bytes_have_their_exact_length_in_hex(
    document: dict[str, Any], path: str, value: object
) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize("path", BYTES32_FIELDS)
def test_bytes_carry_0x_and_no_line_break(document: dict[str, Any], path: str) -> None:
    for value in ("0" * 66, "0X" + "0" * 64, "0x" + "0" * 64 + "\n", " 0x" + "0" * 63):
        put(document, path, value)
        assert refused_field(document) == path


@pytest.mark.parametrize("path", ["rows[1].estimated", "rows[1].uncovered"])
@pytest.mark.parametrize("value", [0, 1, "false", "true", None, 0.0])
def test_a_flag_is_true_or_false(document: dict[str, Any], path: str, value: object) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "wattledger.statement/2"),
        ("format", 1),
        ("residual", "Settled"),
        ("residual", None),
        ("meters[0].class", "own"),
        *((name, value) for name in LIST_FIELDS for value in NO_LISTS),
        *((f"{name}[0]", value) for name in LIST_FIELDS for value in NO_ITEMS),
    ],
)
def test_a_value_of_another_kind_is_refused(
    document: dict[str, Any], path: str, value: object
) -> None:
    put(document, path, value)
    assert refused_field(document) == path


@pytest.mark.parametrize("value", [None, [], "{}", 0, 1.5, True])
def test_a_file_is_one_json_object(value: object) -> None:
    assert refused_field(value) == "file"


def test_an_empty_object_is_refused() -> None:
    assert refused_field({}) == "format"


@pytest.mark.parametrize("path", ["note", "rows[2].note", "prices[0].note", "totals[0].note"])
def test_an_unknown_field_is_refused(document: dict[str, Any], path: str) -> None:
    put(document, path, 1)
    assert refused_field(document) == path


def test_rows_start_one_window_after_the_other(document: dict[str, Any]) -> None:
    rows = document["rows"]
    rows[1]["start"], rows[2]["start"] = rows[2]["start"], rows[1]["start"]
    assert refused_field(document) == "rows[1].start"


def test_the_first_row_starts_with_the_period(document: dict[str, Any]) -> None:
    document["period_start"] = "2016-06-01T01:00:00Z"
    assert refused_field(document) == "rows[0].start"


def test_row_starts_follow_the_window(document: dict[str, Any]) -> None:
    document["window_s"] = HOUR_S // 2
    assert refused_field(document) == "rows[1].start"


@pytest.mark.parametrize("path", ["rows", "prices", "totals"])
def test_lists_of_windows_have_equal_lengths(document: dict[str, Any], path: str) -> None:
    document[path].pop()
    assert refused_field(document) == ("prices" if path == "rows" else path)


def test_a_statement_has_at_least_one_window(document: dict[str, Any]) -> None:
    document["rows"] = document["prices"] = document["totals"] = []
    assert refused_field(document) == "rows"


def test_a_statement_has_at_most_96_windows(document: dict[str, Any]) -> None:
    for name in ("rows", "prices", "totals"):
        document[name] = document[name][:1] * 97
    assert refused_field(document) == "rows"


def test_a_period_that_leaves_the_calendar_is_refused(document: dict[str, Any]) -> None:
    document["period_start"] = document["rows"][0]["start"] = "9999-12-31T23:00:00Z"
    assert refused_field(document) == "period_start"


def test_deep_nesting_is_refused_where_it_stands(document: dict[str, Any]) -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    document["rows"][0]["import_wh"] = nested
    assert refused_field(document) == "rows[0].import_wh"
    while nested:  # Taken apart by hand: freeing it at once would go as deep.
        nested = nested.pop()  # type: ignore[assignment]
