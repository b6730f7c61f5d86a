"""What a member checks of the rules: price, limits, cover and share, each broken by the least."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ledger.assignment import Tariff
from ledger.clearing import PriceRule, VolumeRule
from ledger.clearing.keys import Keys
from ledger.statements import Statement, StatementMeter
from ledger.units import AccountId
from ledger.verify import ChainFacts, check_rules
from tests.ledger_market import HOUR_S, RULES, START_S, TARIFF, Flows, MemoryMarket, market_of

# INTERFACES §6's worked flows, then a window without import, then one without export.
FLOWS: Flows = {
    2: [(900, 0), (0, 0), (10, 0)],
    3: [(0, 600), (0, 50), (0, 0)],
    4: [(300, 0), (0, 0), (30, 0)],
    5: [(0, 201), (0, 7), (0, 0)],
    6: [(101, 0), (0, 0), (60, 0)],
}
METERS = (StatementMeter(meter_id=bytes(32), meter_class="certified"),)
ALL = {"price", "limits", "cover", "share"}
WITH_FIXED = replace(TARIFF, fixed_per_kwh=123_457)
PRICES = {  # By INTERFACES §6, by hand: window by window.
    PriceRule.MID_MARKET: (180_000, 180_000, 180_000),
    PriceRule.FIXED: (123_457, 123_457, 123_457),
    PriceRule.SUPPLY_DEMAND_RATIO: (156_863, 80_000, 280_000),
}
KEYS: Keys = {AccountId(3): {AccountId(2): 5_000, AccountId(4): 3_000}}


def market_with(tariff: Tariff = TARIFF, **rules: Any) -> MemoryMarket:
    """Five members, everybody covered, nobody with limits."""
    return market_of(5, rules=replace(RULES, **rules), tariff=tariff)


def settled(market: MemoryMarket, flows: Flows = FLOWS) -> tuple[dict[int, Statement], ChainFacts]:
    """The statements of the first period, and what they are compared with."""
    planned = market.run(flows)
    facts = market.facts(planned, meters=METERS)
    accounts = range(market.history.account_count)
    return {account: market.statement(planned, account) for account in accounts}, facts


def wrong(statement: Statement, facts: ChainFacts) -> dict[str, str]:
    """The checks that failed, with what they say; there is one of each name."""
    checks = list(check_rules(statement, facts))
    assert {check.name for check in checks} == ALL
    assert len(checks) == len(ALL)
    return {check.name: check.detail for check in checks if not check.passed}


def with_row(statement: Statement, window: int = 0, **changes: Any) -> Statement:
    rows = list(statement.rows)
    rows[window] = replace(rows[window], **changes)
    return replace(statement, rows=tuple(rows))


def with_price(statement: Statement, window: int, local_per_kwh: int) -> Statement:
    prices = list(statement.prices)
    prices[window] = replace(prices[window], local_per_kwh=local_per_kwh)
    return replace(statement, prices=tuple(prices))


def with_totals(statement: Statement, window: int = 0, **changes: int) -> Statement:
    totals = list(statement.totals)
    totals[window] = replace(totals[window], **changes)
    return replace(statement, totals=tuple(totals))


# Price.


@pytest.mark.parametrize("rule", PRICES)
@pytest.mark.parametrize("account", [0, 1, 2, 3])
def test_the_prices_that_the_rule_gives_pass(rule: PriceRule, account: int) -> None:
    statements, facts = settled(market_with(WITH_FIXED, price_rule=rule))
    statement = statements[account]
    assert tuple(price.local_per_kwh for price in statement.prices) == PRICES[rule]
    assert wrong(statement, facts) == {}


@pytest.mark.parametrize("rule", PRICES)
@pytest.mark.parametrize("window", [0, 1, 2])
@pytest.mark.parametrize("off", [-1, 1])
def test_a_price_that_is_off_by_one_is_named_by_its_window(
    rule: PriceRule, window: int, off: int
) -> None:
    statements, facts = settled(market_with(WITH_FIXED, price_rule=rule))
    stated = PRICES[rule][window] + off
    forged = with_price(statements[2], window, stated)
    assert wrong(forged, facts) == {
        "price": f"prices[{window}]: stated {stated}, is {PRICES[rule][window]}"
    }


def test_a_price_half_way_is_rounded_down() -> None:
    odd = replace(TARIFF, grid_export_per_kwh=80_001)
    statements, facts = settled(market_with(odd))
    assert statements[2].prices[0].local_per_kwh == 180_000
    assert wrong(statements[2], facts) == {}


def test_with_more_supply_than_demand_the_ratio_gives_the_grids_export_price() -> None:
    market = market_with(price_rule=PriceRule.SUPPLY_DEMAND_RATIO)
    statements, facts = settled(market, {2: [(10, 0)] * 3, 3: [(0, 11)] * 3})
    assert statements[2].prices[0].local_per_kwh == 80_000
    assert wrong(statements[2], facts) == {}


def test_the_price_follows_the_tariff_of_the_period_and_not_the_last_one() -> None:
    market = market_with()
    statements, facts = settled(market)
    dearer = replace(TARIFF, grid_import_per_kwh=400_000)
    market.enact(dearer, starts_at_s=market.schedule.period_end(START_S), at_s=START_S + HOUR_S)
    assert wrong(statements[2], facts) == {}


@pytest.mark.parametrize("off", [-1, 1])
def test_the_price_of_an_auction_is_not_judged_for_it_needs_all_bids(off: int) -> None:
    statements, facts = settled(market_with(price_rule=PriceRule.AUCTION))
    assert wrong(statements[2], facts) == {}
    price = statements[2].prices[0].local_per_kwh
    assert wrong(with_price(statements[2], 0, price + off), facts) == {}


# Limits.


def under_keys_with_limit(account: int, **limits: int) -> tuple[Statement, ChainFacts]:
    """A statement of a market under keys, where shares are not judged."""
    market = market_with(volume_rule=VolumeRule.STATIC, keys=KEYS)
    market.limit(account, effective_from_s=START_S, at_s=START_S - 1, **limits)
    statements, facts = settled(market)
    return statements[account], facts


@pytest.mark.parametrize(("max_buy", "failed"), [(199_999, {"limits"}), (200_000, set())])
def test_a_buyer_pays_price_and_fee_up_to_the_limit_and_no_more(
    max_buy: int, failed: set[str]
) -> None:
    statement, facts = under_keys_with_limit(2, max_buy_per_kwh=max_buy)
    assert wrong(statement, facts) == {}
    assert wrong(with_row(statement, bought_wh=1), facts).keys() == failed


@pytest.mark.parametrize(("min_sell", "failed"), [(180_001, {"limits"}), (180_000, set())])
def test_a_seller_gets_the_price_from_the_limit_on_and_no_less(
    min_sell: int, failed: set[str]
) -> None:
    statement, facts = under_keys_with_limit(3, min_sell_per_kwh=min_sell)
    assert wrong(statement, facts) == {}
    assert wrong(with_row(statement, sold_wh=1), facts).keys() == failed


def test_a_broken_limit_is_named_by_its_row() -> None:
    statement, facts = under_keys_with_limit(2, max_buy_per_kwh=1)
    forged = with_row(statement, window=2, bought_wh=1)
    assert wrong(forged, facts) == {"limits": "rows[2]: trades outside the account's limits"}


def test_a_limit_that_was_set_for_later_periods_breaks_nothing() -> None:
    market = market_with()
    end_s = market.schedule.period_end(START_S)
    market.limit(2, effective_from_s=end_s, at_s=START_S, max_buy_per_kwh=0)
    statements, facts = settled(market)
    assert statements[2].rows[0].bought_wh
    assert wrong(statements[2], facts) == {}


def test_an_auction_that_trades_outside_a_limit_is_caught() -> None:
    market = market_with(price_rule=PriceRule.AUCTION)
    market.limit(2, effective_from_s=START_S, at_s=START_S - 1, max_buy_per_kwh=250_000)
    statements, facts = settled(market)
    assert wrong(statements[2], facts) == {}
    dearer = with_price(statements[2], 0, 230_001)
    assert wrong(dearer, facts).keys() == {"limits"}


# Cover.


def without_cover(*, short_micro: int = 1, **rules: Any) -> tuple[Statement, ChainFacts]:
    """Account 2 asked for one micro too much before the period began."""
    market = market_with(**rules)
    needed_micro = (900 + 10) * TARIFF.grid_import_per_kwh // 1_000
    market.request(2, 10**7 - needed_micro + short_micro, at_s=START_S)
    statements, facts = settled(market)
    return statements[2], facts


def test_an_account_one_micro_short_of_cover_is_uncovered_in_every_row() -> None:
    statement, facts = without_cover()
    assert [row.uncovered for row in statement.rows] == [True, True, True]
    assert [row.bought_wh for row in statement.rows] == [0, 0, 0]
    assert wrong(statement, facts) == {}


def test_an_account_with_exactly_its_cover_is_covered() -> None:
    statement, facts = without_cover(short_micro=0)
    assert not any(row.uncovered for row in statement.rows)
    assert statement.rows[0].bought_wh
    assert wrong(statement, facts) == {}


@pytest.mark.parametrize("window", [0, 1, 2])
def test_an_uncovered_account_that_is_stated_as_covered_is_caught(window: int) -> None:
    statement, facts = without_cover(volume_rule=VolumeRule.STATIC, keys=KEYS)
    forged = with_row(statement, window, uncovered=False)
    assert wrong(forged, facts) == {"cover": f"rows[{window}]: uncovered is False, is True"}


@pytest.mark.parametrize("window", [0, 1, 2])
def test_a_covered_account_that_is_stated_as_uncovered_is_caught(window: int) -> None:
    statements, facts = settled(market_with(volume_rule=VolumeRule.STATIC, keys=KEYS))
    forged = with_row(statements[2], window, uncovered=True)
    assert wrong(forged, facts) == {"cover": f"rows[{window}]: uncovered is True, is False"}


def test_deposits_after_the_period_began_cover_nothing() -> None:
    market = market_with()
    market.request(2, 10**7, at_s=START_S)
    market.deposit(2, 10**8, at_s=START_S + 1)
    statements, facts = settled(market)
    assert statements[2].rows[0].uncovered
    assert wrong(statements[2], facts) == {}


def test_cover_of_an_account_without_meters_is_not_judged() -> None:
    market = market_of(6)
    market.request(7, 10**7 + 1, at_s=START_S)  # Less than nothing: and it takes nothing.
    planned = market.run(FLOWS)
    statement = market.statement(planned, 7)
    assert wrong(statement, market.facts(planned)) == {}


# Share.


@pytest.mark.parametrize(
    ("account", "bought_wh", "fits"),
    [
        (2, 553, False),  # 801 * 900 / 1301 = 554.11…
        (2, 554, True),
        (2, 555, True),
        (2, 556, False),
        (6, 61, False),  # 801 * 101 / 1301 = 62.18…
        (6, 62, True),
        (6, 63, True),
        (6, 64, False),
    ],
)
def test_a_share_of_the_demand_may_be_rounded_and_no_more(
    account: int, bought_wh: int, *, fits: bool
) -> None:
    statements, facts = settled(market_with())
    forged = with_row(statements[account], bought_wh=bought_wh)
    assert wrong(forged, facts).keys() == (set() if fits else {"share"})


@pytest.mark.parametrize("off_wh", [-1, 1])
def test_a_share_that_is_a_whole_number_is_exact(off_wh: int) -> None:
    """All export is sold, so a seller's share is its export."""
    statements, facts = settled(market_with())
    assert wrong(statements[3], facts) == {}
    forged = with_row(statements[3], sold_wh=600 + off_wh)
    assert wrong(forged, facts) == {
        "share": "rows[0], totals[0]: not the share by the volume rule",
    }


@pytest.mark.parametrize("off_wh", [-1, 1])
def test_traded_energy_that_is_not_the_lesser_side_is_caught(off_wh: int) -> None:
    statements, facts = settled(market_with())
    for account in (0, 1, 2, 3):
        forged = with_totals(statements[account], traded_wh=801 + off_wh)
        assert wrong(forged, facts).keys() == {"share"}


@pytest.mark.parametrize(
    ("account", "window", "changes"),
    [(2, 0, {"eligible_import_wh": 0, "traded_wh": 0}), (3, 1, {"eligible_export_wh": 0})],
)
def test_an_eligible_side_that_leaves_out_ones_own_energy_is_caught(
    account: int, window: int, changes: Mapping[str, int]
) -> None:
    statements, facts = settled(market_with())
    nothing = with_row(statements[account], window, bought_wh=0, sold_wh=0)
    assert wrong(with_totals(nothing, window, **changes), facts).keys() == {"share"}


def test_a_side_that_is_less_than_ones_own_energy_is_caught() -> None:
    """The proportion alone would fit: 900 of 900 is 600 of 600."""
    statements, facts = settled(market_with())
    forged = with_totals(statements[2], eligible_import_wh=600, traded_wh=600)
    assert wrong(with_row(forged, bought_wh=900), facts).keys() == {"share"}


@pytest.mark.parametrize("limits", [{"max_buy_per_kwh": 200_000}, {"min_sell_per_kwh": 180_000}])
def test_an_account_whose_limit_is_just_met_gets_its_share(limits: Mapping[str, int]) -> None:
    market = market_with()
    for account in (2, 3):
        market.limit(account, effective_from_s=START_S, at_s=START_S - 1, **limits)
    statements, facts = settled(market)
    for account in (2, 3):
        assert statements[account].rows[0].bought_wh + statements[account].rows[0].sold_wh
        assert wrong(statements[account], facts) == {}


@pytest.mark.parametrize(("window", "changes"), [(1, {"bought_wh": 1}), (2, {"sold_wh": 1})])
def test_a_share_of_no_energy_is_caught(window: int, changes: Mapping[str, int]) -> None:
    statements, facts = settled(market_with())
    assert wrong(with_row(statements[2], window, **changes), facts).keys() == {"share"}


@pytest.mark.parametrize(
    "rules",
    [
        {"volume_rule": VolumeRule.STATIC, "keys": KEYS},
        {"volume_rule": VolumeRule.PRIORITY, "priorities": {AccountId(3): [AccountId(4)]}},
        {"price_rule": PriceRule.AUCTION},
    ],
)
def test_shares_under_keys_priorities_and_auction_are_for_the_audit(
    rules: Mapping[str, Any],
) -> None:
    statements, facts = settled(market_with(**rules))
    assert wrong(with_row(statements[2], bought_wh=0), facts) == {}
    assert wrong(with_totals(statements[2], traded_wh=0), facts) == {}


def test_one_false_statement_can_break_several_rules_at_once() -> None:
    statement, facts = under_keys_with_limit(2, max_buy_per_kwh=1)
    forged = with_price(with_row(statement, bought_wh=1, uncovered=True), 1, 179_999)
    assert wrong(forged, facts).keys() == {"price", "limits", "cover"}
