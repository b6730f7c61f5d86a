"""What one run moves: shortfalls, revisions, caps, cover (DESIGN §2)."""

from dataclasses import replace

import pytest

from ledger.assignment import (
    FlowCell,
)
from ledger.clearing import PriceRule, Residual
from ledger.settlement import (
    RunSalts,
    SettlementPlan,
    derive_salt,
    derive_salts,
    plan,
    plan_salted,
    uncovered_accounts,
)
from ledger.units import AccountId, Hash32
from ledger.words import WindowPrice
from tests.ledger_market import (
    HOUR_S,
    RULES,
    SCHEDULE,
    SECRET,
    START_S,
    TARIFF,
    Flows,
    importing,
    market_of,
    with_state,
)

# Account 2 sells 600 Wh to 3, 4 and 5 in the first window; in the others each is alone.
FLOWS: Flows = {
    2: [(0, 600), (0, 100), (5, 0)],
    3: [(900, 0), (0, 0), (0, 0)],
    4: [(300, 0), (0, 0), (7, 0)],
    5: [(101, 201), (0, 0), (0, 0)],
}
GRID_IMPORT = TARIFF.grid_import_per_kwh
MATURED_S = START_S + 1 + RULES.withdrawal_delay_s  # Of a request at START_S + 1.


def deltas_of(planned: SettlementPlan) -> list[int]:
    return [result.delta_nano for result in planned.results]


# Amounts.


def test_the_worked_flows_are_settled_to_the_nano() -> None:
    planned = market_of().run(FLOWS)
    first = planned.results[2].rows[0], planned.results[3].rows[0], planned.results[4].rows[0]
    assert [row.sold_wh for row in first] == [600, 0, 0]
    assert [row.bought_wh for row in first] == [0, 554, 185]
    assert planned.prices[0] == WindowPrice(
        local_per_kwh=180_000,
        local_fee_per_kwh=20_000,
        grid_import_per_kwh=300_000,
        grid_export_per_kwh=80_000,
    )
    # 600 Wh sold at 0.18, 100 Wh fed in at 0.08, 5 Wh taken at 0.30.
    assert planned.results[2].amount_nano == 600 * 180_000 + 100 * 80_000 - 5 * 300_000
    # 554 Wh bought at 0.18 and the fee of 0.02, the other 346 Wh from the grid.
    assert planned.results[3].amount_nano == -554 * 200_000 - 346 * 300_000
    assert planned.results[1].amount_nano == 801 * 20_000
    assert planned.results[0].amount_nano == (1301 - 801 + 12) * 300_000 - 100 * 80_000
    assert sum(deltas_of(planned)) == 0


def test_external_residual_settles_only_what_neighbours_traded() -> None:
    market = market_of(rules=replace(RULES, residual=Residual.EXTERNAL))
    planned = market.run(FLOWS)
    assert planned.results[0].amount_nano == 0
    assert planned.results[1].amount_nano == 801 * 20_000
    assert planned.results[2].amount_nano == 600 * 180_000
    assert planned.results[3].amount_nano == -554 * 200_000
    assert sum(deltas_of(planned)) == 0


def test_the_fixed_price_is_the_tariffs() -> None:
    market = market_of(
        rules=replace(RULES, price_rule=PriceRule.FIXED),
        tariff=replace(TARIFF, fixed_per_kwh=111_111),
    )
    planned = market.run(FLOWS)
    assert {price.local_per_kwh for price in planned.prices} == {111_111}


def test_limits_of_the_chain_reach_the_clearing() -> None:
    market = market_of()
    market.limit(3, effective_from_s=START_S, at_s=START_S - 1, max_buy_per_kwh=199_999)
    planned = market.run(FLOWS)
    assert planned.results[3].rows[0].bought_wh == 0
    assert planned.totals[0].eligible_import_wh == 401


def test_who_has_no_meters_has_rows_of_zeros_and_a_leaf() -> None:
    planned = market_of().run(importing(100))
    assert len(planned.leaves) == 6
    assert all(row.word == 0 for row in planned.results[5].rows)
    assert len(planned.results[5].rows) == 3
    assert all(row.word == 0 for account in (0, 1) for row in planned.results[account].rows)


def test_an_estimated_cell_is_marked_in_its_row_only() -> None:
    assignment = market_of().assign(importing(100))
    cells = list(assignment.flows[AccountId(3)])
    cells[1] = FlowCell(import_wh=0, export_wh=0, estimated=True)
    planned = plan(replace(assignment, flows={AccountId(3): cells}), SECRET)
    assert [row.estimated for row in planned.results[3].rows] == [False, True, False]


def test_nobody_with_flows_settles_to_nothing() -> None:
    planned = market_of().run({})
    assert planned.moves_nothing
    assert planned.shorts == []
    assert {price.local_per_kwh for price in planned.prices} == {180_000}


# Cover.


def test_cover_that_is_exactly_the_periods_import_covers() -> None:
    assignment = market_of().assign(importing(1_000))
    needed_nano = 1_000 * GRID_IMPORT
    assert uncovered_accounts(with_state(assignment, 3, cover_nano=needed_nano)) == frozenset()
    assert uncovered_accounts(with_state(assignment, 3, cover_nano=needed_nano - 1)) == {3}


def test_cover_is_for_the_import_of_all_windows_together() -> None:
    flows = {3: [(400, 0), (300, 0), (300, 0)]}
    assignment = with_state(market_of().assign(flows), 3, cover_nano=1_000 * GRID_IMPORT - 1)
    assert uncovered_accounts(assignment) == {3}
    planned = plan(assignment, SECRET)
    assert all(row.uncovered for row in planned.results[3].rows)


@pytest.mark.parametrize("residual", [Residual.SETTLED, Residual.EXTERNAL])
def test_an_uncovered_account_buys_nothing_and_is_still_paid_for_what_it_sold(
    residual: Residual,
) -> None:
    market = market_of(rules=replace(RULES, residual=residual))
    flows = {2: [(50, 600), (0, 0), (9, 0)], 3: [(900, 0), (0, 0), (0, 0)]}
    planned = plan(with_state(market.assign(flows), 2, cover_nano=59 * GRID_IMPORT - 1), SECRET)
    assert planned.results[2].amount_nano == 600 * 180_000  # Its import is not billed here.
    assert [row.bought_wh for row in planned.results[2].rows] == [0, 0, 0]
    assert [total.uncovered_import_wh for total in planned.totals] == [50, 0, 9]
    assert sum(deltas_of(planned)) == 0


def test_an_account_without_import_and_without_cover_is_covered() -> None:
    assignment = with_state(market_of().assign({2: [(0, 600)] * 3}), 2, cover_nano=0)
    assert uncovered_accounts(assignment) == frozenset()


# Shortfalls. Cover was there when the period began; a withdrawal asked for since has matured.


def test_what_an_account_cannot_pay_is_advanced_by_account_0() -> None:
    market = market_of(member_micro=300_000)
    market.request(3, 100_000, at_s=START_S + 1)
    planned = market.run(importing(1_000), at_s=MATURED_S)
    assert planned.results[3].amount_nano == -300_000_000
    assert planned.results[3].shortfall_nano == 100_000_000
    assert planned.results[0].shortfall_nano == -100_000_000
    assert planned.results[0].delta_nano == 200_000_000
    assert planned.shorts == [(3, 100_000_000)]
    assert market.history.balances_nano[3] == 100_000_000  # What was asked for stays.
    assert sum(deltas_of(planned)) == 0


def test_a_request_that_has_not_matured_still_pays_the_bill() -> None:
    market = market_of(member_micro=300_000)
    market.request(3, 100_000, at_s=START_S + 1)
    planned = market.run(importing(1_000), at_s=MATURED_S - 1)
    assert planned.shorts == []
    assert market.history.balances_nano[3] == 0


def test_an_account_that_can_pay_to_the_nano_is_not_short() -> None:
    assignment = market_of().assign(importing(1_000))
    exact = plan(with_state(assignment, 3, available_nano=300_000_000), SECRET)
    assert exact.shorts == []
    one_less = plan(with_state(assignment, 3, available_nano=299_999_999), SECRET)
    assert one_less.shorts == [(3, 1)]
    assert one_less.results[3].delta_nano == -299_999_999


def test_the_grid_operator_can_be_short_too() -> None:
    market = market_of()
    market.run(FLOWS)
    market.request(1, 5_000, at_s=START_S + 1)
    planned = market.run({}, run=1, at_s=MATURED_S)
    assert planned.results[1].amount_nano == 0
    assert planned.results[1].delta_nano == -(801 * 20_000 - 5_000_000)
    assert planned.shorts == [(1, 5_000_000)]


def test_the_supplier_is_never_listed_as_short() -> None:
    market = market_of(member_micro=300_000)
    market.request(3, 100_000, at_s=START_S + 1)
    planned = market.run(importing(1_000), at_s=MATURED_S)
    assert all(account != 0 for account, _ in planned.shorts)


# Revisions.


def test_a_revision_moves_the_difference_only() -> None:
    market = market_of()
    market.run(importing(1_000))
    revised = market.run(importing(900), run=1)
    assert revised.results[3].applied_before_nano == -300_000_000
    assert revised.results[3].amount_nano == -270_000_000
    assert revised.results[3].delta_nano == 30_000_000
    assert sum(deltas_of(revised)) == 0


def test_a_revision_without_a_difference_moves_nothing() -> None:
    market = market_of()
    market.run(FLOWS)
    assert market.run(FLOWS, run=1).moves_nothing


def test_a_later_run_collects_a_shortfall() -> None:
    market = market_of(member_micro=300_000)
    market.request(3, 100_000, at_s=START_S + 1)
    market.run(importing(1_000), at_s=MATURED_S)
    market.request(3, 0, at_s=MATURED_S + HOUR_S)
    collected = market.run(importing(1_000), run=1, at_s=MATURED_S + 2 * HOUR_S)
    assert collected.results[3].delta_nano == -100_000_000
    assert collected.results[0].delta_nano == 100_000_000
    assert collected.shorts == []


def test_an_unpaid_shortfall_is_not_paid_out_by_a_revision_down() -> None:
    """1,000 Wh billed, 200 paid for; a revision to 800 Wh still leaves 600 unpaid."""
    market = market_of(member_micro=300_000)
    market.request(3, 240_000, at_s=START_S + 1)
    market.run(importing(1_000), at_s=MATURED_S)
    assert market.history.balances_nano[3] == 240_000_000
    down = market.run(importing(800), run=1, at_s=MATURED_S + HOUR_S)
    assert down.results[3].delta_nano == 0
    assert down.results[3].shortfall_nano == 800 * GRID_IMPORT - 60_000_000
    up = market.run(importing(1_000), run=2, at_s=MATURED_S + 2 * HOUR_S)
    assert up.results[3].delta_nano == 0
    assert up.results[3].shortfall_nano == 240_000_000
    assert market.history.balances_nano[3] == 240_000_000


def test_a_revision_below_what_was_paid_pays_back_no_more_than_that() -> None:
    market = market_of(member_micro=300_000)
    market.request(3, 240_000, at_s=START_S + 1)
    market.run(importing(1_000), at_s=MATURED_S)  # 200 Wh paid.
    down = market.run(importing(150), run=1, at_s=MATURED_S + HOUR_S)
    assert down.results[3].delta_nano == 50 * GRID_IMPORT
    assert down.results[3].shortfall_nano == 0
    assert down.results[0].delta_nano == -50 * GRID_IMPORT


# Salts and determinism.


def test_salts_differ_by_account_period_run_and_secret() -> None:
    market = market_of()
    first = market.run(FLOWS)
    revised = market.run(FLOWS, run=1)
    next_day = market.run(FLOWS, period_start_s=START_S + SCHEDULE.period_s)
    other = plan(market.assign(FLOWS, run=2), b"another secret")
    plans = (first, revised, next_day, other)
    salts = [result.salt for planned in plans for result in planned.results]
    salts += [planned.totals_salt for planned in plans]
    assert len(set(salts)) == len(salts) == 4 * 7


def test_the_name_of_a_salt_cannot_be_read_two_ways() -> None:
    assert derive_salt(SECRET, "statement", 1, 23, 4) != derive_salt(SECRET, "statement", 12, 3, 4)
    assert derive_salt(SECRET, "totals", 5, 0) != derive_salt(SECRET, "statement", 5, 0)


def test_salts_change_hashes_and_no_amount() -> None:
    """An audit plans with the salts of a bundle, never with the secret."""
    assignment = market_of().assign(FLOWS)
    derived = plan(assignment, SECRET)
    assert plan_salted(assignment, derive_salts(SECRET, assignment)) == derived
    salts = RunSalts(accounts=[Hash32(bytes(32))] * 6, totals=Hash32(bytes(32)))
    other = plan_salted(assignment, salts)
    assert deltas_of(other) == deltas_of(derived)
    assert other.deltas_root == derived.deltas_root
    assert other.windows_hash != derived.windows_hash
    assert not set(other.leaves) & set(derived.leaves)


def test_a_plan_is_the_same_for_flows_in_any_order() -> None:
    market = market_of()
    backwards = {account: FLOWS[account] for account in sorted(FLOWS, reverse=True)}
    assert list(backwards) != list(FLOWS)
    here, there = (plan(market.assign(flows), SECRET) for flows in (FLOWS, backwards))
    assert here == there
    assert here.tree.root == there.tree.root
    assert (here.deltas_root, here.windows_hash) == (there.deltas_root, there.windows_hash)
