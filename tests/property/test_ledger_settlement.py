"""What must hold of every run, for any flows, limits, cover and funds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ledger.assignment import Assignment
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.settlement import SettlementPlan, plan
from ledger.statements import member_amount_nano, operator_amount_nano, supplier_amount_nano
from ledger.units import AccountId
from tests.ledger_market import (
    HOUR_S,
    RULES,
    SECRET,
    START_S,
    TARIFF,
    Flows,
    MemoryMarket,
    market_of,
)

WINDOWS = 3
MEMBERS = [AccountId(account) for account in range(2, 6)]
MATURED_S = START_S + 1 + RULES.withdrawal_delay_s
AMPLE_MICRO = 10**9

ENERGY_WH = st.sampled_from([0, 1, 2, 3, 100, 100, 999, 100_000]) | st.integers(0, 100_000)
CELLS = st.lists(st.tuples(ENERGY_WH, ENERGY_WH), min_size=WINDOWS, max_size=WINDOWS)
FLOWS = st.dictionaries(st.sampled_from(MEMBERS), CELLS, min_size=2)
# Import of 100,000 Wh in each of three windows costs 90 million micro.
ALL_MICRO = 90_000_000
FUNDS_MICRO = st.sampled_from([0, 30_000, ALL_MICRO, ALL_MICRO]) | st.integers(0, ALL_MICRO)
PER_ACCOUNT = st.lists(FUNDS_MICRO, min_size=len(MEMBERS), max_size=len(MEMBERS))
LITTLE = st.lists(st.just(0) | st.integers(0, 1_000), min_size=4, max_size=4)
LIMIT_PER_KWH = st.sampled_from([0, 80_000, 180_000, 200_000, 300_000]) | st.integers(0, 400_000)
LIMITS = st.just((2**64 - 1, 0)) | st.just((300_000, 0)) | st.tuples(LIMIT_PER_KWH, LIMIT_PER_KWH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """What is there before the first run: rules, money before and after the start, requests."""

    price_rule: PriceRule
    volume_rule: VolumeRule
    residual: Residual
    cover_micro: Sequence[int]
    later_micro: Sequence[int]
    requested_micro: Sequence[int]
    limits: Sequence[tuple[int, int]]

    def market(self) -> MemoryMarket:
        rules = replace(
            RULES,
            price_rule=self.price_rule,
            volume_rule=self.volume_rule,
            residual=self.residual,
            priorities={MEMBERS[0]: [MEMBERS[1], MEMBERS[2]], MEMBERS[1]: [MEMBERS[0]]},
            keys={MEMBERS[0]: {MEMBERS[1]: 3_333, MEMBERS[2]: 6_667}},
        )
        market = market_of(supplier_micro=AMPLE_MICRO, member_micro=0, rules=rules)
        for place, account in enumerate(MEMBERS):
            market.deposit(account, self.cover_micro[place], at_s=START_S)
            market.deposit(account, self.later_micro[place], at_s=START_S + 1)
            market.request(account, self.requested_micro[place], at_s=START_S + 1)
            max_buy, min_sell = self.limits[place]
            market.limit(
                account,
                effective_from_s=START_S,
                at_s=START_S - 1,
                max_buy_per_kwh=max_buy,
                min_sell_per_kwh=min_sell,
            )
        return market


@st.composite
def communities(draw: st.DrawFn, *, funds: str = "any") -> Community:
    price_rule = draw(st.sampled_from([rule for rule in PriceRule if rule != PriceRule.FIXED]))
    volume_rule = VolumeRule.PROPORTIONAL
    if price_rule != PriceRule.AUCTION:
        volume_rule = draw(
            st.sampled_from([VolumeRule.PROPORTIONAL, VolumeRule.STATIC, VolumeRule.PRIORITY])
        )
    nothing = [0] * len(MEMBERS)
    return Community(
        price_rule=price_rule,
        volume_rule=volume_rule,
        residual=draw(st.sampled_from(Residual)),
        cover_micro=draw(PER_ACCOUNT),
        later_micro=[AMPLE_MICRO] * len(MEMBERS) if funds == "ample" else draw(LITTLE),
        requested_micro=nothing if funds == "ample" else draw(PER_ACCOUNT),
        limits=draw(st.lists(LIMITS, min_size=len(MEMBERS), max_size=len(MEMBERS))),
    )


def deltas_of(planned: SettlementPlan) -> list[int]:
    return [result.delta_nano for result in planned.results]


def applied_nano(market: MemoryMarket, runs: int) -> list[int]:
    """What all runs of the period moved, by account."""
    return [
        market.history.applied_nano(START_S, account, before_run=runs)
        for account in range(market.history.account_count)
    ]


def check_sums(planned: SettlementPlan) -> None:
    assert sum(deltas_of(planned)) == 0
    assert sum(result.amount_nano for result in planned.results) == 0
    assert sum(result.shortfall_nano for result in planned.results) == 0
    for window, totals in enumerate(planned.totals):
        rows = [result.rows[window] for result in planned.results]
        assert sum(row.bought_wh for row in rows) == totals.traded_wh
        assert sum(row.sold_wh for row in rows) == totals.traded_wh
        assert sum(row.import_wh for row in rows) == totals.import_wh
        assert sum(row.export_wh for row in rows) == totals.export_wh
        uncovered_wh = sum(row.import_wh for row in rows if row.uncovered)
        assert uncovered_wh == totals.uncovered_import_wh
        assert totals.traded_wh <= min(totals.eligible_import_wh, totals.eligible_export_wh)


def check_amounts(planned: SettlementPlan, residual: str) -> None:
    supplier, operator, *members = planned.results
    assert supplier.amount_nano == supplier_amount_nano(planned.totals, planned.prices, residual)
    assert operator.amount_nano == operator_amount_nano(planned.totals, planned.prices)
    for result in members:
        assert result.amount_nano == member_amount_nano(result.rows, planned.prices, residual)


def check_shortfalls(planned: SettlementPlan, assignment: Assignment) -> None:
    for account, result in enumerate(planned.results[1:], start=1):
        available_nano = assignment.accounts[account].available_nano
        assert result.delta_nano >= -available_nano
        assert result.shortfall_nano >= 0
        if result.shortfall_nano:
            assert result.delta_nano == -available_nano  # The contract requires exactly this.
    assert [account for account, _ in planned.shorts] == sorted(dict(planned.shorts))
    assert planned.results[0].shortfall_nano == -sum(nano for _, nano in planned.shorts)


@settings(max_examples=120, deadline=None)
@given(communities(), FLOWS)
def test_every_run_is_balanced_recomputable_and_payable(community: Community, flows: Flows) -> None:
    market = community.market()
    assignment = market.assign(flows, at_s=MATURED_S)
    planned = plan(assignment, SECRET)
    event(f"shorts: {len(planned.shorts)}, traded: {any(t.traded_wh for t in planned.totals)}")
    check_sums(planned)
    check_amounts(planned, str(community.residual))
    check_shortfalls(planned, assignment)


@settings(max_examples=60, deadline=None)
@given(communities(funds="ample"), FLOWS)
def test_nobody_who_is_covered_is_worse_off_than_with_the_grid_alone(
    community: Community, flows: Flows
) -> None:
    planned = plan(community.market().assign(flows, at_s=MATURED_S), SECRET)
    for result in planned.results[2:]:
        grid_nano = sum(
            row.export_wh * TARIFF.grid_export_per_kwh
            - (0 if row.uncovered else row.import_wh * TARIFF.grid_import_per_kwh)
            for row in result.rows
        )
        if community.residual == Residual.SETTLED:
            assert result.amount_nano >= grid_nano


@settings(max_examples=60, deadline=None)
@given(communities(funds="ample"), st.lists(FLOWS, min_size=1, max_size=4))
def test_all_runs_together_move_what_the_last_flows_alone_would(
    community: Community, revisions: list[Flows]
) -> None:
    market = community.market()
    for run, flows in enumerate(revisions):
        planned = market.run(flows, run=run, at_s=MATURED_S + run * HOUR_S)
        assert planned.shorts == []
    alone = community.market()
    alone.run(revisions[-1], at_s=MATURED_S)
    assert applied_nano(market, len(revisions)) == applied_nano(alone, 1)
    assert market.history.balances_nano == alone.history.balances_nano


@settings(max_examples=80, deadline=None)
@given(communities(), st.lists(FLOWS, min_size=2, max_size=5))
def test_an_unpaid_shortfall_is_never_spent_whatever_the_revisions(
    community: Community, revisions: list[Flows]
) -> None:
    """However a period is revised up and down, all that was missing is still owed, once."""
    market = community.market()
    for run, flows in enumerate(revisions):
        at_s = MATURED_S + run * HOUR_S
        assignment = market.assign(flows, run=run, at_s=at_s)
        planned = plan(assignment, SECRET)
        check_sums(planned)
        check_shortfalls(planned, assignment)
        market.settle(planned, at_s=at_s)
        history = market.history
        assert sum(history.balances_nano) == history.deposited_micro() * 1_000
        assert min(history.balances_nano) >= 0
        event(f"shorts in a revision: {bool(run and planned.shorts)}")
        for applied, result in zip(applied_nano(market, run + 1), planned.results, strict=True):
            assert applied == result.amount_nano + result.shortfall_nano

    for account in (0, 1, *MEMBERS):  # Everybody pays in, nobody asks for anything any more.
        market.deposit(account, AMPLE_MICRO, at_s=MATURED_S + 100 * HOUR_S)
        market.request(account, 0, at_s=MATURED_S + 100 * HOUR_S)
    last = len(revisions)
    planned = market.run(revisions[-1], run=last, at_s=MATURED_S + 101 * HOUR_S)
    assert planned.shorts == []
    assert applied_nano(market, last + 1) == [result.amount_nano for result in planned.results]


@settings(max_examples=40, deadline=None)
@given(communities(), FLOWS, st.randoms(use_true_random=False))
def test_the_order_of_flows_changes_no_byte(
    community: Community, flows: Flows, random: Random
) -> None:
    market = community.market()
    order = list(flows)
    random.shuffle(order)
    here = plan(market.assign(flows, at_s=MATURED_S), SECRET)
    there = plan(market.assign({name: flows[name] for name in order}, at_s=MATURED_S), SECRET)
    assert here.leaves == there.leaves
    assert (here.tree.root, here.windows_hash, here.deltas_root) == (
        there.tree.root,
        there.windows_hash,
        there.deltas_root,
    )
