"""No honest statement is ever called false, whatever the rules, limits, cover and flows."""

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ledger.assignment import Rules
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.clearing.keys import Keys
from ledger.statements import StatementMeter
from ledger.units import AccountId
from ledger.verify import check_alone, check_rules, check_with_chain
from tests.ledger_market import HOUR_S, RULES, START_S, TARIFF, Flows, MemoryMarket, market_of
from tests.property.test_ledger_settlement import (
    ALL_MICRO,
    AMPLE_MICRO,
    FLOWS,
    LIMITS,
    MATURED_S,
    MEMBERS,
)

METERS = (StatementMeter(meter_id=bytes(32), meter_class="gateway"),)
LOW = TARIFF.grid_export_per_kwh
HIGH = TARIFF.grid_import_per_kwh - TARIFF.local_fee_per_kwh
FIXED_PER_KWH = st.sampled_from([LOW, LOW + 1, 180_000, HIGH]) | st.integers(LOW, HIGH)
BY_PRODUCER: Keys = {
    MEMBERS[0]: {MEMBERS[1]: 3_333, MEMBERS[2]: 6_667},
    MEMBERS[1]: {MEMBERS[1]: 1},
}
POOL: Keys = {"pool": {MEMBERS[0]: 5_000, MEMBERS[1]: 1, MEMBERS[3]: 4_999}}
KEYS_OF: dict[VolumeRule, Keys] = {
    VolumeRule.STATIC: BY_PRODUCER,
    VolumeRule.FULL_DYNAMIC: BY_PRODUCER,
    VolumeRule.DYNAMIC: POOL,
}


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    price_rule = draw(st.sampled_from(PriceRule))
    volume_rule = draw(st.sampled_from(VolumeRule))
    if price_rule is PriceRule.AUCTION or draw(st.booleans()):
        volume_rule = VolumeRule.PROPORTIONAL
    priorities = {MEMBERS[0]: [MEMBERS[1], MEMBERS[2]], MEMBERS[1]: [MEMBERS[0]]}
    return replace(
        RULES,
        price_rule=price_rule,
        volume_rule=volume_rule,
        residual=draw(st.sampled_from(Residual)),
        auction_k_bps=draw(st.sampled_from([0, 1, 5_000, 10_000])),
        keys=KEYS_OF.get(volume_rule, {}),
        priorities=priorities if volume_rule is VolumeRule.PRIORITY else {},
    )


@st.composite
def markets(draw: st.DrawFn) -> MemoryMarket:
    """Members with limits, and money before or only after the period's start."""
    tariff = replace(TARIFF, fixed_per_kwh=draw(FIXED_PER_KWH))
    market = market_of(
        supplier_micro=AMPLE_MICRO, member_micro=0, rules=draw(rules()), tariff=tariff
    )
    for account in MEMBERS:
        cover_micro = draw(st.sampled_from([0, 30_000, ALL_MICRO, ALL_MICRO, ALL_MICRO]))
        market.deposit(account, cover_micro, at_s=START_S)
        market.deposit(account, draw(st.sampled_from([0, AMPLE_MICRO])), at_s=START_S + 1)
        market.request(account, draw(st.sampled_from([0, 0, 1])), at_s=START_S)
        for _ in range(draw(st.integers(0, 2))):
            max_buy, min_sell = draw(LIMITS)
            market.limit(
                account,
                effective_from_s=draw(st.sampled_from([START_S - 1, START_S, START_S + 1])),
                at_s=START_S - 1,
                max_buy_per_kwh=max_buy,
                min_sell_per_kwh=min_sell,
            )
    return market


@settings(max_examples=150, deadline=None)
@given(markets(), FLOWS, FLOWS)
def test_every_honest_statement_passes_every_check(
    market: MemoryMarket, flows: Flows, revised: Flows
) -> None:
    for run, known in enumerate((flows, revised)):
        planned = market.run(known, run=run, at_s=MATURED_S + run * HOUR_S)
        event(f"traded: {any(total.traded_wh for total in planned.totals)}")
        for account in range(market.history.account_count):
            meters = METERS if account in known else ()
            statement = market.statement(planned, account, meters=meters)
            facts = market.facts(planned, meters=meters)
            checks = [*check_alone(statement), *check_with_chain(statement, facts)]
            assert [check for check in checks if not check.passed] == []
            assert {"price", "limits", "cover", "share"} <= {check.name for check in checks}


@settings(max_examples=80, deadline=None)
@given(markets(), FLOWS, st.sampled_from(MEMBERS), st.integers(0, 2), st.sampled_from([-2, 2]))
def test_two_wh_more_or_less_than_one_traded_are_never_a_share(
    market: MemoryMarket, flows: Flows, account: AccountId, window: int, off_wh: int
) -> None:
    proportional = replace(
        market.rules, volume_rule=VolumeRule.PROPORTIONAL, keys={}, priorities={}
    )
    if proportional.price_rule is PriceRule.AUCTION:
        proportional = replace(proportional, price_rule=PriceRule.MID_MARKET)
    market.rules = proportional
    planned = market.run(flows, at_s=MATURED_S)
    facts = market.facts(planned, meters=METERS if account in flows else ())
    statement = market.statement(planned, account)
    for side in ("bought_wh", "sold_wh"):
        rows = list(statement.rows)
        other_wh = getattr(rows[window], side) + off_wh
        if other_wh < 0:
            continue
        rows[window] = replace(rows[window], **{side: other_wh})
        checks = check_rules(replace(statement, rows=tuple(rows)), facts)
        assert "share" in {check.name for check in checks if not check.passed}
