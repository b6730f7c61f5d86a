"""Every rule of a market, from its configuration to audited statements."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.clearing import clear_document
from tests.api.community_worlds import (
    BUYER,
    HOUR_S,
    SELLER,
    START_S,
    STREET,
    community_of,
    document,
    set_limits,
    settle_all,
    statements,
    take,
)

TARIFF = {
    "grid_import_per_kwh": 300_000,
    "grid_export_per_kwh": 80_000,
    "local_fee_per_kwh": 20_000,
}
# What is configured, and what `clear` is told of it.
RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    "external": ({"residual": "external"}, {}),
    "ratio": ({"price_rule": "supply_demand_ratio"}, {}),
    "fixed": ({"price_rule": "fixed"}, {"price_per_kwh": 123_456}),
    "auction": ({"price_rule": "auction", "auction_k_bps": 2_500}, {}),
    "static": (
        {"volume_rule": "static", "keys": {"3": {"2": 5_000, "4": 3_333}, "4": {"2": 10_000}}},
        {},
    ),
    "priority": ({"volume_rule": "priority", "priorities": {"3": [4, 2], "4": [2]}}, {}),
    "no dispute": ({"dispute_period_s": 0, "finalize_within_s": 0}, {}),
}


def rows_of_clear(answer: dict[str, Any]) -> dict[int, tuple[int, int]]:
    return {row["account"]: (row["bought_wh"], row["sold_wh"]) for row in answer["rows"]}


@pytest.mark.parametrize("name", RULES)
def test_each_rule_settles_what_clear_says_of_each_window(name: str, tmp_path: Path) -> None:
    market, told = RULES[name]
    tariff = {**TARIFF, "fixed_per_kwh": told.get("price_per_kwh", 0)}
    limits = [
        {"account": 2, "max_buy_per_kwh": 260_000},
        {"account": 3, "min_sell_per_kwh": 90_000},
    ]
    with community_of(
        tmp_path / "data", document(list(STREET), market=market, tariff=tariff)
    ) as community:
        for each in limits:
            values = {key: value for key, value in each.items() if key != "account"}
            set_limits(community, each["account"], **values)
        assert take(community, STREET).accepted == 75
        assert [each.run for each in settle_all(community)] == [0]
        found = statements(community)
        history = community.refresh()
    rules = {
        key: value for key, value in market.items() if not key.startswith(("dispute", "finalize"))
    }
    for window in range(24):
        flows = [
            {"account": account, "import_wh": profile[window][0], "export_wh": profile[window][1]}
            for account, profile in enumerate(STREET.values(), start=2)
        ]
        problem = {"tariff": TARIFF, "flows": flows, "limits": limits, **rules, **told}
        answer, cleared = clear_document(json.dumps(problem))
        assert cleared, answer
        assert isinstance(answer, dict)
        assert rows_of_clear(answer) == {
            account: (row.bought_wh, row.sold_wh)
            for account in (2, 3, 4)
            for row in [found[START_S, 0, account].rows[window]]
        }
        price = found[START_S, 0, 2].prices[window]
        assert price.local_per_kwh == answer["local_per_kwh"]
        assert found[START_S, 0, 2].totals[window].traded_wh == answer["traded_wh"]
    amounts = [found[START_S, 0, account].amount_nano for account in range(5)]
    assert sum(amounts) == 0
    assert any(amount for amount in amounts[2:])
    assert sum(history.runs[START_S, 0].deltas_nano) == 0
    assert (amounts[0] == 0) == (name == "external")


def test_a_market_of_single_windows_settles_each_by_itself(tmp_path: Path) -> None:
    market = {"period_windows": 1, "dispute_period_s": 900, "finalize_within_s": 900}
    with community_of(tmp_path / "data", document(list(STREET), market=market)) as community:
        take(community, {label: profile[:6] for label, profile in STREET.items()})
        settled = settle_all(community)
        assert [each.period_start_s for each in settled] == [
            START_S + hour * HOUR_S for hour in range(6)
        ]
        found = statements(community)
    assert all(len(each.rows) == 1 for each in found.values())


def test_a_limit_is_kept_and_equality_trades(tmp_path: Path) -> None:
    profiles = {"strict": BUYER, "seller": SELLER, "just": BUYER}
    with community_of(tmp_path / "data", document(list(profiles))) as community:
        # The buyer's price is 180,000 and the fee of 20,000.
        set_limits(community, 2, max_buy_per_kwh=199_999)
        set_limits(community, 4, max_buy_per_kwh=200_000)
        take(community, profiles)
        settle_all(community)
        found = statements(community)
    assert sum(row.bought_wh for row in found[START_S, 0, 2].rows) == 0
    assert sum(row.bought_wh for row in found[START_S, 0, 4].rows) > 0


def test_limits_count_from_the_first_period_that_begins_after_them(tmp_path: Path) -> None:
    profiles = {"buyer": [*BUYER, *BUYER], "seller": [*SELLER, *SELLER]}
    with community_of(tmp_path / "data", document(list(profiles))) as community:
        set_limits(community, 3, min_sell_per_kwh=200_000, valid_from_s=START_S + 1)
        take(community, profiles)
        assert len(settle_all(community)) == 2
        found = statements(community)
    assert sum(row.sold_wh for row in found[START_S, 0, 3].rows) > 0
    assert sum(row.sold_wh for row in found[START_S + 24 * HOUR_S, 0, 3].rows) == 0


def test_who_is_not_covered_buys_nothing_and_is_not_billed_here(tmp_path: Path) -> None:
    profiles = {"poor": BUYER, "seller": SELLER, "rich": BUYER}
    config = document(list(profiles), deposits={2: 1_000})
    with community_of(tmp_path / "data", config) as community:
        take(community, profiles)
        settle_all(community)
        found = statements(community)
        balances = list(community.refresh().balances_nano)
    poor = found[START_S, 0, 2]
    assert all(row.uncovered and row.bought_wh == 0 for row in poor.rows if row.import_wh)
    assert poor.amount_nano == 0
    assert balances[2] == 1_000 * 1_000
    assert sum(row.bought_wh for row in found[START_S, 0, 4].rows) > 0
    totals = found[START_S, 0, 4].totals
    assert sum(total.uncovered_import_wh for total in totals) == sum(flow[0] for flow in BUYER)
