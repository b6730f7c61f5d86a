"""`clear` as JSON in, JSON out (INTERFACES §6): the door between documents and problems.

Numbers are integers and nothing else: 1.0, "1" and true are refused. Fields of rules that were
not chosen are not looked at, so whatever stands in them is no error.
"""

from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import TypeVar, cast

from ledger.clearing.clear import clear
from ledger.clearing.document import parse_document
from ledger.clearing.errors import UnknownField, WrongShape
from ledger.clearing.types import (
    AUCTION_K_BPS,
    PRODUCER_KEY_RULES,
    Clearing,
    Flow,
    Limits,
    PriceRule,
    Problem,
    Residual,
    Tariff,
    VolumeRule,
    refuse_duplicates,
    require_member,
)
from ledger.clearing.wire_keys import keys_from_json, priorities_from_json
from ledger.errors import LedgerError
from ledger.units import LIMIT_PER_KWH_MAX, AccountId

PROBLEM_FIELDS = frozenset(
    {
        "tariff", "flows", "limits", "uncovered", "volume_rule", "price_rule", "residual",
        "keys", "priorities", "price_per_kwh", "auction_k_bps",
    }
)  # fmt: skip
TARIFF_FIELDS = frozenset({"grid_import_per_kwh", "grid_export_per_kwh", "local_fee_per_kwh"})
FLOW_FIELDS = frozenset({"account", "import_wh", "export_wh"})
LIMITS_FIELDS = frozenset({"account", "max_buy_per_kwh", "min_sell_per_kwh"})
DETAIL_LENGTH = 40  # Of a stranger's text, what an error repeats.
KEY_RULES = PRODUCER_KEY_RULES | {VolumeRule.DYNAMIC}

Rule = TypeVar("Rule", bound=StrEnum)


def clear_document(text: str) -> tuple[object, bool]:
    """The JSON answer to a problem or an array of problems, and whether all of them were valid."""
    try:
        document = parse_document(text)
    except LedgerError as error:
        return error_to_json(error), False
    if not isinstance(document, list):
        return _answer(document)
    answers = [_answer(item) for item in document]
    return [answer for answer, _ in answers], all(valid for _, valid in answers)


def _answer(item: object) -> tuple[object, bool]:
    try:
        return result_to_json(clear(problem_from_json(item))), True
    except LedgerError as error:
        return error_to_json(error), False


def error_to_json(error: LedgerError) -> dict[str, object]:
    """What stands in the place of a result."""
    return {"error": {"code": error.code, "detail": error.detail}}


def result_to_json(clearing: Clearing) -> dict[str, object]:
    """A clearing as JSON: energy and prices are integers, amounts decimal strings."""
    columns = clearing.columns
    names = ("account", "import_wh", "export_wh", "bought_wh", "sold_wh", "delta_nano")
    lines = zip(
        columns.account,
        columns.import_wh,
        columns.export_wh,
        columns.bought_wh,
        columns.sold_wh,
        map(str, columns.delta_nano),
        strict=True,
    )
    return {
        "local_per_kwh": clearing.local_per_kwh,
        "traded_wh": clearing.traded_wh,
        "eligible_import_wh": clearing.eligible_import_wh,
        "eligible_export_wh": clearing.eligible_export_wh,
        "rows": [dict(zip(names, line, strict=True)) for line in lines],
        "supplier_delta_nano": str(clearing.supplier_delta_nano),
        "operator_delta_nano": str(clearing.operator_delta_nano),
    }


def problem_from_json(item: object) -> Problem:
    """A problem from parsed JSON, or the typed error that says why it is none."""
    fields = _object("problem", item, allowed=PROBLEM_FIELDS, required={"tariff", "flows"})
    volume_rule = _rule(VolumeRule, "volume_rule", fields, VolumeRule.PROPORTIONAL)
    price_rule = _rule(PriceRule, "price_rule", fields, PriceRule.MID_MARKET)
    flows = _list("flows", fields["flows"])
    limits = _list("limits", fields.get("limits", []))
    with_keys = volume_rule in KEY_RULES and "keys" in fields
    with_priorities = volume_rule is VolumeRule.PRIORITY and "priorities" in fields
    with_k = price_rule is PriceRule.AUCTION and "auction_k_bps" in fields
    with_price = price_rule is PriceRule.FIXED and "price_per_kwh" in fields
    return Problem(
        tariff=_tariff(fields["tariff"]),
        flows=tuple(_flow(entry) for entry in flows),
        limits=tuple(_limits(entry) for entry in limits),
        uncovered=_uncovered(fields.get("uncovered", [])),
        volume_rule=volume_rule,
        price_rule=price_rule,
        residual=_rule(Residual, "residual", fields, Residual.SETTLED),
        keys=keys_from_json(fields["keys"]) if with_keys else {},
        priorities=priorities_from_json(fields["priorities"]) if with_priorities else {},
        price_per_kwh=cast("int | None", fields["price_per_kwh"]) if with_price else None,
        auction_k_bps=cast("int", fields["auction_k_bps"]) if with_k else AUCTION_K_BPS,
    )


# The values below check the types and ranges of what they hold themselves: each number is handed
# on as it came, and what is no integer does not become a tariff, a flow or limits.


def _tariff(item: object) -> Tariff:
    fields = _object("tariff", item, allowed=TARIFF_FIELDS, required=TARIFF_FIELDS)
    return Tariff(**cast("dict[str, int]", fields))


def _flow(item: object) -> Flow:
    fields = _object("flows", item, allowed=FLOW_FIELDS, required=FLOW_FIELDS)
    return Flow(
        account=cast("AccountId", fields["account"]),
        import_wh=cast("int", fields["import_wh"]),
        export_wh=cast("int", fields["export_wh"]),
    )


def _limits(item: object) -> Limits:
    fields = _object("limits", item, allowed=LIMITS_FIELDS, required={"account"})
    return Limits(
        account=cast("AccountId", fields["account"]),
        max_buy_per_kwh=cast("int", fields.get("max_buy_per_kwh", LIMIT_PER_KWH_MAX)),
        min_sell_per_kwh=cast("int", fields.get("min_sell_per_kwh", 0)),
    )


def _uncovered(item: object) -> frozenset[AccountId]:
    accounts = _list("uncovered", item)
    for account in accounts:
        require_member("uncovered", account)
    members = cast("list[AccountId]", accounts)
    refuse_duplicates("uncovered", members)
    return frozenset(members)


def _rule(rules: type[Rule], at: str, fields: dict[str, object], default: Rule) -> Rule:
    name = fields.get(at, default)
    for rule in rules:
        if rule == name:
            return rule
    found = ascii(name[:DETAIL_LENGTH]) if isinstance(name, str) else type(name).__name__
    raise WrongShape(field=at, expected=" | ".join(rules), found=found)


def _list(at: str, item: object) -> list[object]:
    if not isinstance(item, list):
        raise WrongShape(field=at, expected="array", found=type(item).__name__)
    return item


def _object(
    at: str, item: object, *, allowed: AbstractSet[str], required: AbstractSet[str]
) -> dict[str, object]:
    if not isinstance(item, dict):
        raise WrongShape(field=at, expected="object", found=type(item).__name__)
    if not item.keys() <= allowed:
        stranger = min(str(name) for name in item.keys() - allowed)
        raise UnknownField(field=f"{at}.{stranger[:DETAIL_LENGTH]!a}")
    for name in sorted(required - item.keys()):
        raise WrongShape(field=f"{at}.{name}", expected="a value", found="nothing")
    return item
