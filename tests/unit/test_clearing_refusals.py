"""What `clear` refuses, and with which code (INTERFACES §3 and §6)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger.clearing import (
    Flow,
    Limits,
    PriceRule,
    Problem,
    Tariff,
    VolumeRule,
    clear,
    clear_document,
    keys_from_json,
    priorities_from_json,
)
from ledger.clearing.errors import (
    BadKeys,
    DuplicateAccount,
    PriceOutOfBounds,
    ReservedAccount,
    RuleCombination,
    TariffNoMargin,
    WrongShape,
)
from ledger.errors import OutOfRange
from ledger.units import AccountId

Document = dict[str, Any]
NO_INTEGERS: tuple[object, ...] = (
    "1",
    1.0,
    1.5,
    True,
    False,
    None,
    [],
    {},
    float("nan"),
    float("inf"),
)


def document(**changes: object) -> Document:
    return {
        "tariff": {
            "grid_import_per_kwh": 300_000,
            "grid_export_per_kwh": 80_000,
            "local_fee_per_kwh": 20_000,
        },
        "flows": [
            {"account": 2, "import_wh": 900, "export_wh": 0},
            {"account": 3, "import_wh": 0, "export_wh": 600},
        ],
    } | changes


def with_tariff(**changes: object) -> Document:
    return document(tariff=document()["tariff"] | changes)


def with_flow(**changes: object) -> Document:
    flows = document()["flows"]
    return document(flows=[flows[0] | changes, flows[1]])


def with_keys(keys: object, rule: str = "static") -> Document:
    return document(volume_rule=rule, keys=keys)


def with_priorities(priorities: object) -> Document:
    return document(volume_rule="priority", priorities=priorities)


def code_of(problem: object) -> str:
    answer, valid = clear_document(json.dumps(problem))
    if valid:
        return "valid"
    assert isinstance(answer, dict)
    assert answer.keys() == {"error"}
    assert answer["error"].keys() == {"code", "detail"}
    assert isinstance(answer["error"]["detail"], str)
    return str(answer["error"]["code"])


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (with_tariff(grid_export_per_kwh=280_001), "tariff_no_margin"),
        (with_tariff(local_fee_per_kwh=300_001, grid_export_per_kwh=0), "tariff_no_margin"),
        (with_tariff(grid_export_per_kwh=280_000), "valid"),
        (document(price_rule="fixed"), "price_out_of_bounds"),
        (document(price_rule="fixed", price_per_kwh=None), "price_out_of_bounds"),
        (document(price_rule="fixed", price_per_kwh=79_999), "price_out_of_bounds"),
        (document(price_rule="fixed", price_per_kwh=280_001), "price_out_of_bounds"),
        (document(price_rule="fixed", price_per_kwh=-1), "price_out_of_bounds"),
        (document(price_rule="fixed", price_per_kwh=10**60), "price_out_of_bounds"),
        (document(price_rule="fixed", price_per_kwh=80_000), "valid"),
        (document(price_rule="fixed", price_per_kwh=280_000), "valid"),
        (document(flows=document()["flows"] * 2), "duplicate_account"),
        (document(limits=[{"account": 2}, {"account": 2}]), "duplicate_account"),
        (document(uncovered=[2, 2]), "duplicate_account"),
        (with_flow(account=0), "reserved_account"),
        (with_flow(account=1), "reserved_account"),
        (document(limits=[{"account": 1}]), "reserved_account"),
        (document(uncovered=[0]), "reserved_account"),
        (document(extra=1), "unknown_field"),
        (with_tariff(vat_bps=1), "unknown_field"),
        (with_flow(bought_wh=1), "unknown_field"),
        (document(limits=[{"account": 2, "maxBuyPerKwh": 1}]), "unknown_field"),
        (document(price_rule="auction", volume_rule="static"), "rule_combination"),
        (document(price_rule="auction", volume_rule="priority"), "rule_combination"),
        (document(price_rule="auction", volume_rule="proportional"), "valid"),
        (document(volume_rule="fair"), "out_of_range"),
        (document(price_rule="PriceRule.FIXED"), "out_of_range"),
        (document(residual="none"), "out_of_range"),
        (document(volume_rule=None), "out_of_range"),
        (document(price_rule="auction", auction_k_bps=-1), "out_of_range"),
        (document(price_rule="auction", auction_k_bps=10_001), "out_of_range"),
        (document(price_rule="auction", auction_k_bps=10_000), "valid"),
    ],
)
def test_a_problem_that_breaks_one_rule_has_that_rules_code(problem: Document, code: str) -> None:
    assert code_of(problem) == code


@pytest.mark.parametrize("rule", ["static", "full_dynamic", "dynamic"])
@pytest.mark.parametrize(
    "shares",
    [
        {"2": 5_000, "4": 5_001},
        {"2": 10_001},
        {"2": -1},
        {"2": 1.0},
        {"2": "1"},
        {"2": True},
        {"2": None},
        {"1": 1},
        {"0": 1},
        {"-2": 1},
        {"02": 1},
        {" 2": 1},
        {"2.0": 1},
        {"two": 1},
        {"": 1},
        {"pool": 1},
        {"\u0662": 1},
        {"4294967296": 1},
        {"9" * 50: 1},
        [2],
        None,
        7,
    ],
    ids=repr,
)
def test_keys_that_share_out_no_part_of_the_whole_are_bad(rule: str, shares: object) -> None:
    name = "pool" if rule == "dynamic" else "3"
    assert code_of(with_keys({name: shares}, rule)) == "bad_keys"


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ("static", {"pool": {"2": 1}}),
        ("full_dynamic", {"1": {"2": 1}}),
        ("static", {"x": {}}),
        ("static", []),
        ("static", None),
        ("dynamic", {"3": {"2": 1}}),
        ("dynamic", {"Pool": {"2": 1}}),
        ("dynamic", {"pool": {"2": 1}, "3": {}}),
        ("dynamic", {"2": 1}),
        ("dynamic", "pool"),
    ],
)
def test_keys_of_something_else_than_the_rule_shares_are_bad(rule: str, keys: object) -> None:
    assert code_of(with_keys(keys, rule)) == "bad_keys"


@pytest.mark.parametrize(
    "priorities",
    [
        {"3": [2, 4, 2]},
        {"3": [1]},
        {"3": [0]},
        {"3": [-2]},
        {"3": ["2"]},
        {"3": [2.0]},
        {"3": [True]},
        {"3": [None]},
        {"3": [[2]]},
        {"3": [2**32]},
        {"3": 2},
        {"3": "24"},
        {"3": {"2": 1}},
        {"1": [2]},
        {"pool": [2]},
        {"03": [2]},
        [[2]],
        None,
    ],
    ids=repr,
)
def test_priorities_that_are_no_lists_of_accounts_are_bad(priorities: object) -> None:
    assert code_of(with_priorities(priorities)) == "bad_keys"


@pytest.mark.parametrize(
    "problem",
    [
        with_keys({"3": {"2": 10_000, "4": 0}}),
        with_keys({"3": {"3": 1}, "4294967295": {"4294967295": 10_000}}),
        with_keys({"3": {}}),
        with_keys({}, "dynamic"),
        with_keys({"pool": {}}, "dynamic"),
        document(volume_rule="static"),
        document(volume_rule="dynamic"),
        document(volume_rule="priority"),
        with_priorities({"3": [], "9": [3, 2]}),
        document(keys="nonsense", priorities=[1], price_per_kwh="x", auction_k_bps=-5),
        document(keys={"1": {"1": 99_999}}, priorities={"3": [2, 2]}, price_per_kwh=10**9),
        document(flows=[]),
        document(limits=[{"account": 2, "max_buy_per_kwh": 2**64 - 1, "min_sell_per_kwh": 0}]),
    ],
)
def test_harmless_keys_and_inputs_of_other_rules_are_no_error(problem: Document) -> None:
    assert code_of(problem) == "valid"


@pytest.mark.parametrize("value", [*NO_INTEGERS, -1], ids=repr)
@pytest.mark.parametrize(
    "place",
    [
        lambda value: with_tariff(grid_import_per_kwh=value),
        lambda value: with_tariff(grid_export_per_kwh=value),
        lambda value: with_tariff(local_fee_per_kwh=value),
        lambda value: with_flow(account=value),
        lambda value: with_flow(import_wh=value),
        lambda value: with_flow(export_wh=value),
        lambda value: document(limits=[{"account": value}]),
        lambda value: document(limits=[{"account": 2, "max_buy_per_kwh": value}]),
        lambda value: document(limits=[{"account": 2, "min_sell_per_kwh": value}]),
        lambda value: document(uncovered=[value]),
        lambda value: document(price_rule="auction", auction_k_bps=value),
    ],
)
def test_what_is_no_integer_from_nought_is_out_of_range(
    place: Callable[[object], Document], value: object
) -> None:
    assert code_of(place(value)) == "out_of_range"


@pytest.mark.parametrize("value", [value for value in NO_INTEGERS if value is not None], ids=repr)
def test_a_fixed_price_that_is_no_integer_is_out_of_range(value: object) -> None:
    assert code_of(document(price_rule="fixed", price_per_kwh=value)) == "out_of_range"


@pytest.mark.parametrize(
    ("largest", "place"),
    [
        (10**8, lambda value: with_tariff(grid_import_per_kwh=value)),
        (10**8, lambda value: with_flow(import_wh=value)),
        (10**8, lambda value: with_flow(export_wh=value)),
        (2**32 - 1, lambda value: with_flow(account=value)),
        (2**64 - 1, lambda value: document(limits=[{"account": 2, "max_buy_per_kwh": value}])),
        (2**64 - 1, lambda value: document(limits=[{"account": 2, "min_sell_per_kwh": value}])),
    ],
)
def test_a_number_may_reach_its_range_and_not_pass_it(
    largest: int, place: Callable[[object], Document]
) -> None:
    assert code_of(place(largest)) == "valid"
    assert code_of(place(largest + 1)) == "out_of_range"
    assert code_of(place(10**400)) == "out_of_range"


@pytest.mark.parametrize("name", ["tariff", "flows"])
def test_a_problem_without_tariff_or_flows_is_refused(name: str) -> None:
    assert code_of({key: value for key, value in document().items() if key != name}) == (
        "out_of_range"
    )


@pytest.mark.parametrize("name", ["grid_import_per_kwh", "local_fee_per_kwh"])
def test_a_tariff_without_one_of_its_prices_is_refused(name: str) -> None:
    tariff = {key: value for key, value in document()["tariff"].items() if key != name}
    assert code_of(document(tariff=tariff)) == "out_of_range"


@pytest.mark.parametrize("name", ["account", "import_wh", "export_wh"])
def test_a_flow_without_one_of_its_numbers_is_refused(name: str) -> None:
    flow = {"account": 2, "import_wh": 1, "export_wh": 1}
    del flow[name]
    assert code_of(document(flows=[flow])) == "out_of_range"


@pytest.mark.parametrize("value", [None, 1, "x", True, {}, [1], [None], [[]]], ids=repr)
@pytest.mark.parametrize("name", ["flows", "limits"])
def test_lists_of_anything_else_are_refused(name: str, value: object) -> None:
    assert code_of(document(**{name: value})) == "out_of_range"


@pytest.mark.parametrize("item", [None, 1, "x", True, 1.5, [[]]], ids=repr)
def test_what_is_no_object_is_no_problem(item: object) -> None:
    assert clear_document(json.dumps([item]))[1] is False
    assert clear_document(json.dumps([item, document()]))[0][1]["traded_wh"] == 600  # type: ignore[index]


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: Flow(account=AccountId(1), import_wh=0, export_wh=0), ReservedAccount),
        (lambda: Flow(account=AccountId(2), import_wh=-1, export_wh=0), OutOfRange),
        (lambda: Flow(account=AccountId(2), import_wh=0, export_wh=10**8 + 1), OutOfRange),
        (lambda: Flow(account=AccountId(2), import_wh=True, export_wh=0), WrongShape),
        (lambda: Limits(account=AccountId(2), max_buy_per_kwh=2**64), OutOfRange),
        (lambda: Limits(account=AccountId(2), max_buy_per_kwh=10**5000), OutOfRange),
        (lambda: problem(tariff=tariff(grid_export_per_kwh=280_001)), TariffNoMargin),
        (lambda: problem(price_rule=PriceRule.FIXED), PriceOutOfBounds),
        (lambda: problem(price_rule=PriceRule.FIXED, price_per_kwh=10**5000), PriceOutOfBounds),
        (
            lambda: problem(price_rule=PriceRule.AUCTION, volume_rule=VolumeRule.DYNAMIC),
            RuleCombination,
        ),
        (lambda: problem(volume_rule=VolumeRule.STATIC, keys={"3": {}}), BadKeys),
        (lambda: problem(flows=(flow(2), flow(2))), DuplicateAccount),
    ],
)
def test_a_value_refuses_to_exist_when_invalid(
    build: Callable[[], object], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        build()
    assert str(caught.value)  # Its facts can be printed, however large they are.


def tariff(**changes: int) -> Tariff:
    return Tariff(**(document()["tariff"] | changes))


def flow(account: int) -> Flow:
    return Flow(account=AccountId(account), import_wh=1, export_wh=1)


def problem(**changes: Any) -> Problem:
    arguments: dict[str, Any] = {"tariff": tariff(), "flows": ()}
    return Problem(**arguments | changes)


def test_keys_and_priorities_of_a_document_fit_a_problem() -> None:
    keys = keys_from_json({"2": {"2": 10_000}})
    assert clear(
        problem(flows=(flow(2),), volume_rule=VolumeRule.STATIC, keys=keys)
    ).columns.sold_wh == (1,)
    priorities = priorities_from_json({"2": [2]})
    assert clear(
        problem(flows=(flow(2),), volume_rule=VolumeRule.PRIORITY, priorities=priorities)
    ).columns.bought_wh == (1,)
