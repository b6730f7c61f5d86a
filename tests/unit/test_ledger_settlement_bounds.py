"""What the contract would refuse is refused before it is proposed (DESIGN §2)."""

from dataclasses import replace

import pytest

from ledger.assignment import BalanceTooLarge, DebitCapExceeded, SupplierCannotPay
from ledger.errors import OutOfRange
from ledger.settlement import plan
from ledger.units import BALANCE_NANO_MAX
from tests.ledger_market import (
    RULES,
    SECRET,
    START_S,
    TARIFF,
    Flows,
    importing,
    market_of,
    with_state,
)

FLOWS: Flows = {2: [(0, 801), (0, 0), (0, 0)], 3: [(900, 0), (0, 0), (0, 0)]}
GRID_IMPORT = TARIFF.grid_import_per_kwh
MATURED_S = START_S + 1 + RULES.withdrawal_delay_s  # Of a request at START_S + 1.


def test_a_supplier_with_exactly_enough_pays() -> None:
    assignment = market_of().assign({2: [(0, 1_000), (0, 0), (0, 0)]})
    needed_nano = 1_000 * TARIFF.grid_export_per_kwh
    assert plan(with_state(assignment, 0, available_nano=needed_nano), SECRET)
    with pytest.raises(SupplierCannotPay) as refused:
        plan(with_state(assignment, 0, available_nano=needed_nano - 1), SECRET)
    assert refused.value.facts() == {
        "period_start_s": START_S,
        "run": 0,
        "needed_nano": needed_nano,
        "available_nano": needed_nano - 1,
        "missing_nano": 1,
    }


def test_what_the_supplier_misses_includes_what_it_advances() -> None:
    assignment = market_of().assign({2: [(0, 0), (0, 1_000), (0, 0)], 3: [(100, 0)] + [(0, 0)] * 2})
    assignment = with_state(assignment, 3, available_nano=0)  # 30 million nano unpaid.
    assignment = with_state(assignment, 0, available_nano=0)
    with pytest.raises(SupplierCannotPay) as refused:
        plan(assignment, SECRET)
    assert refused.value.missing_nano == 1_000 * 80_000


def test_a_matured_request_of_the_supplier_is_not_spent() -> None:
    market = market_of(supplier_micro=100_000)
    market.request(0, 50_000, at_s=START_S + 1)
    flows = {2: [(0, 1_000), (0, 0), (0, 0)]}
    assert plan(market.assign(flows, at_s=MATURED_S - 1), SECRET)
    with pytest.raises(SupplierCannotPay) as refused:
        plan(market.assign(flows, at_s=MATURED_S), SECRET)
    assert refused.value.missing_nano == 30_000_000


def test_a_debit_may_reach_the_cap_and_not_exceed_it() -> None:
    # Three windows of 100 Wh at the grid's price.
    market = market_of(rules=replace(RULES, debit_max_wh=100))
    assert plan(market.assign(importing(300)), SECRET)
    with pytest.raises(DebitCapExceeded) as refused:
        plan(market.assign(importing(301)), SECRET)
    assert refused.value.account == 3
    assert refused.value.debit_nano == 301 * GRID_IMPORT
    assert refused.value.debit_max_nano == 300 * GRID_IMPORT


def test_a_revision_has_twice_the_cap() -> None:
    """From all sold to all bought."""
    market = market_of(rules=replace(RULES, debit_max_wh=100))
    market.run({3: [(0, 300), (0, 0), (0, 0)]})
    assert plan(market.assign(importing(300), run=1), SECRET)


def test_the_suppliers_cap_is_its_own_and_the_same_for_a_revision() -> None:
    cap_nano = 1_000 * 80_000
    market = market_of(rules=replace(RULES, supplier_debit_max_nano=cap_nano))
    flows = {2: [(0, 1_000), (0, 0), (0, 0)]}
    market.run(flows)
    with pytest.raises(DebitCapExceeded) as refused:
        plan(market.assign({2: [(0, 2_001), (0, 0), (0, 0)]}, run=1), SECRET)
    assert (refused.value.account, refused.value.debit_max_nano) == (0, cap_nano)


def test_the_grid_operator_has_the_suppliers_cap() -> None:
    fee_nano = 801 * 20_000
    market = market_of()
    market.run(FLOWS)  # The fees that a revision takes back are far above a member's cap.
    rules = replace(RULES, debit_max_wh=1, supplier_debit_max_nano=10**15)
    taken_back = market.assign({}, run=1)
    accounts = [replace(state, applied_nano=0) for state in taken_back.accounts]
    accounts[0] = replace(accounts[0], applied_nano=-fee_nano)
    accounts[1] = replace(accounts[1], applied_nano=fee_nano)
    revision = replace(taken_back, accounts=accounts, rules=rules)
    assert plan(revision, SECRET).results[1].delta_nano == -fee_nano
    capped = replace(revision, rules=replace(rules, supplier_debit_max_nano=fee_nano - 1))
    with pytest.raises(DebitCapExceeded) as refused:
        plan(capped, SECRET)
    assert (refused.value.account, refused.value.debit_nano) == (1, fee_nano)


def test_a_balance_may_reach_its_maximum_and_not_exceed_it() -> None:
    assignment = market_of().assign({2: [(0, 1_000), (0, 0), (0, 0)]})
    room_nano = 1_000 * 80_000
    assert plan(with_state(assignment, 2, balance_nano=BALANCE_NANO_MAX - room_nano), SECRET)
    with pytest.raises(BalanceTooLarge) as refused:
        plan(with_state(assignment, 2, balance_nano=BALANCE_NANO_MAX - room_nano + 1), SECRET)
    assert refused.value.account == 2
    assert refused.value.balance_nano == BALANCE_NANO_MAX + 1


def test_an_amount_that_no_leaf_holds_is_refused() -> None:
    """Only account 0's can grow so far, when thousands of the largest accounts pay nothing."""
    dear = replace(TARIFF, grid_import_per_kwh=10**8)
    rules = replace(RULES, debit_max_wh=10**8)
    market = market_of(400, supplier_micro=10**9, member_micro=0, rules=rules, tariff=dear)
    assignment = market.assign({account: [(10**8, 0)] * 3 for account in range(2, 402)})
    accounts = [replace(state, cover_nano=10**18) for state in assignment.accounts]
    with pytest.raises(OutOfRange):
        plan(replace(assignment, accounts=accounts), SECRET)
