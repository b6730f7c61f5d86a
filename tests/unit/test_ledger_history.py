"""What a market's events add up to: cover, limits, tariffs, runs, balances (DESIGN §2)."""

import pytest

from ledger.assignment import Tariff
from ledger.history import MarketHistory
from ledger.settlement import SettlementPlan, plan
from tests.ledger_market import (
    HOUR_S,
    RULES,
    SCHEDULE,
    SECRET,
    START_S,
    Flows,
    MemoryMarket,
    market_of,
)

NEXT_S = START_S + SCHEDULE.period_s
MICRO = 1_000  # In nano.
FLOWS: Flows = {2: [(0, 100)] * 3, 3: [(100, 0)] * 3}


@pytest.fixture
def market() -> MemoryMarket:
    return market_of(member_micro=0)


def planned(market: MemoryMarket, *, run: int = 0, flows: Flows = FLOWS) -> SettlementPlan:
    return plan(market.assign(flows, run=run), SECRET)


# Cover.


@pytest.mark.parametrize(("after_s", "counts"), [(-1, True), (0, True), (1, False)])
def test_a_deposit_counts_up_to_the_second_in_which_the_period_starts(
    market: MemoryMarket, after_s: int, counts: bool
) -> None:
    market.deposit(3, 70, at_s=START_S + after_s)
    assert market.history.cover_nano(3, START_S) == 70 * MICRO * counts


@pytest.mark.parametrize(("after_s", "counts"), [(-1, True), (0, True), (1, False)])
def test_a_request_counts_up_to_the_second_in_which_the_period_starts(
    market: MemoryMarket, after_s: int, counts: bool
) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=START_S + after_s)
    assert market.history.cover_nano(3, START_S) == (70 - 30 * counts) * MICRO


@pytest.mark.parametrize("paid_at_s", [START_S - 1, START_S, START_S + 1, NEXT_S])
def test_a_paid_withdrawal_counts_once(market: MemoryMarket, paid_at_s: int) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=market.before_s + 1)
    market.withdraw(3, at_s=paid_at_s)
    assert market.history.cover_nano(3, START_S) == 40 * MICRO
    assert market.history.cover_nano(3, NEXT_S + 1) == 40 * MICRO


def test_a_request_asked_for_and_paid_after_the_start_does_not_count(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=START_S + 1)
    market.withdraw(3, at_s=START_S + 2)
    assert market.history.cover_nano(3, START_S) == 70 * MICRO


def test_a_new_request_replaces_the_one_before(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=START_S - 2)
    market.request(3, 50, at_s=START_S - 1)
    assert market.history.cover_nano(3, START_S) == 20 * MICRO
    assert market.history.request_at(3) == (START_S - 1, 50)


def test_a_request_replaced_after_the_start_counts_as_it_stood_then(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=START_S)
    market.request(3, 50, at_s=START_S + 1)
    assert market.history.cover_nano(3, START_S) == 40 * MICRO
    assert market.history.cover_nano(3, NEXT_S) == 20 * MICRO


def test_a_cancelled_request_does_not_count_from_then_on(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=START_S - 2)
    market.request(3, 0, at_s=START_S + 1)
    assert market.history.cover_nano(3, START_S) == 40 * MICRO
    assert market.history.cover_nano(3, NEXT_S) == 70 * MICRO
    assert market.history.request_at(3)[1] == 0


def test_a_payment_that_found_less_than_was_asked_for_counts_as_paid(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.request(3, 100, at_s=START_S - 2)
    assert market.history.cover_nano(3, START_S - 2) == -30 * MICRO
    assert market.withdraw(3, at_s=START_S - 1) == 70
    assert market.history.cover_nano(3, START_S) == 0


def test_deltas_count_that_were_final_before_run_0_was_proposed(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    first = planned(market)
    market.settle(first, at_s=NEXT_S)
    delta_nano = first.results[3].delta_nano
    assert market.history.cover_nano(3, NEXT_S) == 10**9 + delta_nano


def test_deltas_of_the_period_itself_do_not_count_for_its_later_runs(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    before_nano = market.history.cover_nano(3, START_S)
    market.settle(planned(market), at_s=NEXT_S)
    assert market.history.cover_nano(3, START_S) == before_nano
    market.settle(planned(market, run=1), at_s=NEXT_S + HOUR_S)
    assert market.history.cover_nano(3, START_S) == before_nano


def test_a_revision_of_another_period_after_run_0_changes_no_cover(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    market.settle(planned(market), at_s=NEXT_S)
    second = plan(market.assign(FLOWS, period_start_s=NEXT_S), SECRET)
    market.propose(second, at_s=NEXT_S + SCHEDULE.period_s)
    before_nano = market.history.cover_nano(3, NEXT_S)
    market.end("Finalized", second, at_s=NEXT_S + SCHEDULE.period_s + 1)
    market.settle(planned(market, run=1, flows={}), at_s=NEXT_S + 2 * SCHEDULE.period_s)
    assert market.history.cover_nano(3, NEXT_S) == before_nano


def test_cover_of_a_proposal_made_again_is_as_of_the_last_proposal(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    first = planned(market)
    market.propose(first, at_s=NEXT_S)
    before_nano = market.history.cover_nano(3, START_S)
    market.end("ProposalCancelled", first, at_s=NEXT_S + 1)
    assert market.history.cover_nano(3, START_S) == before_nano
    market.settle(first, at_s=NEXT_S + 2)
    assert market.history.cover_nano(3, START_S) == before_nano


def test_cover_of_an_account_that_never_paid_in_is_zero(market: MemoryMarket) -> None:
    assert market.history.cover_nano(4, START_S) == 0


# Limits and tariffs.


def test_without_limits_an_account_has_none(market: MemoryMarket) -> None:
    assert market.history.limits_at(3, START_S) is None


def test_limits_apply_from_the_period_that_starts_when_they_take_effect(
    market: MemoryMarket,
) -> None:
    market.limit(3, effective_from_s=START_S, at_s=START_S - 9, max_buy_per_kwh=5)
    limits = market.history.limits_at(3, START_S)
    assert limits is not None
    assert limits.max_buy_per_kwh == 5
    assert market.history.limits_at(3, START_S - 1) is None


def test_of_the_limits_in_effect_the_one_set_last_applies(market: MemoryMarket) -> None:
    market.limit(3, effective_from_s=START_S, at_s=START_S - 9, max_buy_per_kwh=5)
    market.limit(3, effective_from_s=NEXT_S, at_s=START_S - 8, max_buy_per_kwh=6)
    market.limit(3, effective_from_s=START_S, at_s=START_S - 7, max_buy_per_kwh=7)
    found = [market.history.limits_at(3, at_s) for at_s in (START_S, NEXT_S)]
    assert [limits.max_buy_per_kwh for limits in found if limits] == [7, 7]


def test_limits_for_later_leave_earlier_ones_in_force(market: MemoryMarket) -> None:
    market.limit(3, effective_from_s=START_S, at_s=START_S - 9, min_sell_per_kwh=5)
    market.limit(3, effective_from_s=NEXT_S, at_s=START_S - 8, min_sell_per_kwh=6)
    found = [market.history.limits_at(3, at_s) for at_s in (START_S, NEXT_S - 1, NEXT_S)]
    assert [limits.min_sell_per_kwh for limits in found if limits] == [5, 5, 6]


def test_a_tariff_is_in_force_from_its_start(market: MemoryMarket) -> None:
    market.enact(
        Tariff(
            grid_import_per_kwh=1,
            grid_export_per_kwh=0,
            local_fee_per_kwh=0,
            fixed_per_kwh=0,
        ),
        starts_at_s=NEXT_S,
        at_s=START_S,
    )
    assert market.history.tariff_at(NEXT_S - 1).grid_import_per_kwh == 300_000
    assert market.history.tariff_at(NEXT_S).grid_import_per_kwh == 1


# Runs.


def test_a_cancelled_proposal_moved_nothing_and_can_be_made_again(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    before_nano = list(market.history.balances_nano)
    first = planned(market)
    market.propose(first, at_s=NEXT_S)
    assert market.history.pending == (START_S, 0)
    market.end("ProposalCancelled", first, at_s=NEXT_S + 1)
    assert market.history.runs[(START_S, 0)].state == "cancelled"
    assert market.history.pending is None
    assert market.history.balances_nano == before_nano
    assert market.history.final_runs(START_S) == []

    market.settle(first, at_s=NEXT_S + 2)
    assert [run.state for run in market.history.final_runs(START_S)] == ["final"]
    assert market.history.final_runs(START_S)[0].proposed_at_s == NEXT_S + 2


def test_a_proposal_made_again_forgets_the_shortfalls_of_the_one_before(
    market: MemoryMarket,
) -> None:
    market.deposit(3, 90_000)
    market.request(3, 90_000, at_s=START_S + 1)
    at_s = START_S + 1 + RULES.withdrawal_delay_s
    short = plan(market.assign(FLOWS, at_s=at_s), SECRET)
    market.propose(short, at_s=at_s)
    assert market.history.runs[(START_S, 0)].shortfalls_nano == dict(short.shorts) != {}
    market.request(3, 0, at_s=at_s + 1)
    market.end("ProposalLapsed", short, at_s=at_s + 2)
    assert market.history.runs[(START_S, 0)].state == "lapsed"
    market.settle(plan(market.assign(FLOWS, at_s=at_s + 2), SECRET), at_s=at_s + 2)
    assert market.history.runs[(START_S, 0)].shortfalls_nano == {}
    assert market.history.balances_nano[3] >= 0


def test_applied_is_the_sum_of_what_earlier_runs_really_moved(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    runs = []
    for run, flows in enumerate([FLOWS, {}, FLOWS]):
        runs.append(planned(market, run=run, flows=flows))
        market.settle(runs[-1], at_s=NEXT_S + run * HOUR_S)
    for account in range(market.history.account_count):
        moved = [run.results[account].delta_nano for run in runs]
        for before_run in range(4):
            applied_nano = market.history.applied_nano(START_S, account, before_run=before_run)
            assert applied_nano == sum(moved[:before_run])


def test_who_was_enrolled_between_two_runs_had_nothing_applied(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    market.settle(planned(market), at_s=NEXT_S)
    market.enrol(3)
    assert market.history.applied_nano(START_S, 8, before_run=1) == 0
    market.settle(planned(market, run=1), at_s=NEXT_S + HOUR_S)
    assert market.history.enrolled_when_proposed(START_S, 0) == 6
    assert market.history.enrolled_when_proposed(START_S, 1) == 9
    assert len(market.history.runs[(START_S, 1)].deltas_nano) == 9


def test_who_is_enrolled_while_a_proposal_is_pending_is_not_in_it(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    first = planned(market)
    market.propose(first, at_s=NEXT_S)
    market.enrol(3)
    market.end("Finalized", first, at_s=NEXT_S + 600)
    assert len(market.history.runs[(START_S, 0)].deltas_nano) == 6
    assert market.history.balances_nano[6:] == [0, 0, 0]


def test_only_revisions_set_the_time_of_the_last_revision(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    market.settle(planned(market), at_s=NEXT_S)
    assert market.history.last_revision_at_s == 0
    market.settle(planned(market, run=1), at_s=NEXT_S + HOUR_S)
    assert market.history.last_revision_at_s == NEXT_S + HOUR_S + SCHEDULE.dispute_period_s
    assert market.history.final_order == [(START_S, 0), (START_S, 1)]


# Balances.


def test_balances_are_deposits_less_withdrawals_and_deltas(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    settled = planned(market)
    market.settle(settled, at_s=NEXT_S)
    market.request(3, 1_000, at_s=NEXT_S + 1)
    assert market.withdraw(3, at_s=NEXT_S + 2) == 1_000
    history = market.history
    assert history.balances_nano[3] == 10**9 + settled.results[3].delta_nano - 10**6
    assert sum(history.balances_nano) == history.deposited_micro() * MICRO


def test_a_withdrawal_ends_its_request(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=START_S)
    market.withdraw(3, at_s=START_S + 1)
    late_s = START_S + 1 + 2 * RULES.withdrawal_delay_s
    available_nano = market.history.available_nano(
        3, at_s=late_s, withdrawal_delay_s=RULES.withdrawal_delay_s
    )
    assert available_nano == 40 * MICRO


@pytest.mark.parametrize(("after_s", "available_micro"), [(-1, 70), (0, 40), (1, 40)])
def test_a_request_is_kept_back_from_the_second_in_which_it_matures(
    market: MemoryMarket, after_s: int, available_micro: int
) -> None:
    market.deposit(3, 70)
    market.request(3, 30, at_s=START_S)
    available_nano = market.history.available_nano(
        3,
        at_s=START_S + RULES.withdrawal_delay_s + after_s,
        withdrawal_delay_s=RULES.withdrawal_delay_s,
    )
    assert available_nano == available_micro * MICRO


def test_a_request_above_the_balance_leaves_nothing_available(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.request(3, 71, at_s=START_S)
    assert market.history.available_nano(3, at_s=START_S, withdrawal_delay_s=0) == 0


def test_an_account_that_moves_keeps_its_balance(market: MemoryMarket) -> None:
    market.deposit(3, 70)
    market.emit("AccountMoved", START_S, account=3, **{"from": bytes(20), "to": b"\1" * 20})
    assert market.history.owners[3] == b"\1" * 20
    assert market.history.balances_nano[3] == 70 * MICRO


def test_the_same_events_give_the_same_history_in_one_go(market: MemoryMarket) -> None:
    market.deposit(3, 10**6)
    market.settle(planned(market), at_s=NEXT_S)
    market.emit("OperatorAnnounced", NEXT_S, operator=bytes(20))  # Of no interest here.
    again = MarketHistory()
    again.extend(market.events)
    assert again.balances_nano == market.history.balances_nano
    assert again.runs == market.history.runs
    assert again.owners == market.history.owners
