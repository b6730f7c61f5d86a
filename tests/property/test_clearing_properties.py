"""What must hold for every window, whatever its rules (INTERFACES §5 and §6)."""

import copy
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.clearing import Clearing, clear, problem_from_json, result_to_json
from ledger.clearing.shares import largest_remainder
from ledger.units import AccountId
from tests.clearing_oracle import Oracle
from tests.strategies import energies_wh, problem_documents, small_energies_wh, weights

Document = dict[str, Any]
# A slow machine is no failure: neither an example nor drawing one has a deadline.
EXAMPLES = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def cleared(document: Document) -> Clearing:
    return clear(problem_from_json(document))


@EXAMPLES
@given(total_wh=energies_wh(), weights=weights())
def test_shares_add_up_and_none_is_off_by_a_whole_wh(
    total_wh: int, weights: dict[AccountId, int]
) -> None:
    share_wh = largest_remainder(total_wh, weights)
    weight_sum = sum(weights.values())
    assert share_wh.keys() == weights.keys()
    assert sum(share_wh.values()) == (total_wh if weight_sum else 0)
    for account, weight in weights.items():
        assert abs(share_wh[account] * weight_sum - total_wh * weight) < max(weight_sum, 1)


@EXAMPLES
@given(document=problem_documents(energies=small_energies_wh()))
def test_the_slow_oracle_agrees_on_ties_and_ones(document: Document) -> None:
    assert result_to_json(cleared(document)) == Oracle(document).result()


@EXAMPLES
@given(document=problem_documents(energies=small_energies_wh(), price_rules=("auction",)))
def test_the_slow_oracle_agrees_on_auctions(document: Document) -> None:
    assert result_to_json(cleared(document)) == Oracle(document).result()


@EXAMPLES
@given(document=problem_documents(price_rules=("mid_market", "fixed", "supply_demand_ratio")))
def test_the_slow_oracle_agrees_on_any_energy(document: Document) -> None:
    assert result_to_json(cleared(document)) == Oracle(document).result()


@EXAMPLES
@given(document=problem_documents())
def test_what_is_bought_is_sold_and_nobody_trades_more_than_the_meter_says(
    document: Document,
) -> None:
    clearing = cleared(document)
    rows = clearing.rows
    assert sum(row.bought_wh for row in rows) == clearing.traded_wh
    assert sum(row.sold_wh for row in rows) == clearing.traded_wh
    assert clearing.traded_wh <= clearing.eligible_import_wh <= clearing.import_wh
    assert clearing.traded_wh <= clearing.eligible_export_wh <= clearing.export_wh
    for row in rows:
        assert 0 <= row.bought_wh <= row.import_wh
        assert 0 <= row.sold_wh <= row.export_wh


@EXAMPLES
@given(document=problem_documents())
def test_amounts_add_up_to_zero(document: Document) -> None:
    clearing = cleared(document)
    members_nano = sum(row.delta_nano for row in clearing.rows)
    assert members_nano + clearing.supplier_delta_nano + clearing.operator_delta_nano == 0
    if document["residual"] == "external":
        assert clearing.supplier_delta_nano == 0


@EXAMPLES
@given(document=problem_documents())
def test_nobody_is_worse_off_than_with_the_grid_alone(document: Document) -> None:
    document["residual"] = "settled"
    tariff = document["tariff"]
    for row in cleared(document).rows:
        billed_wh = 0 if row.uncovered else row.import_wh
        alone_nano = (
            row.export_wh * tariff["grid_export_per_kwh"]
            - billed_wh * tariff["grid_import_per_kwh"]
        )
        assert row.delta_nano >= alone_nano


@EXAMPLES
@given(document=problem_documents())
def test_no_limit_is_broken_and_the_uncovered_buy_nothing(document: Document) -> None:
    clearing = cleared(document)
    limits = {limit["account"]: limit for limit in document["limits"]}
    paid_per_kwh = clearing.local_per_kwh + document["tariff"]["local_fee_per_kwh"]
    for row in clearing.rows:
        limit = limits.get(row.account, {})
        if row.bought_wh:
            assert paid_per_kwh <= limit.get("max_buy_per_kwh", paid_per_kwh)
            assert row.account not in document["uncovered"]
        if row.sold_wh:
            assert clearing.local_per_kwh >= limit.get("min_sell_per_kwh", 0)


@EXAMPLES
@given(document=problem_documents())
def test_the_price_lies_between_the_grids_prices(document: Document) -> None:
    tariff = document["tariff"]
    price_max = tariff["grid_import_per_kwh"] - tariff["local_fee_per_kwh"]
    assert tariff["grid_export_per_kwh"] <= cleared(document).local_per_kwh <= price_max


@EXAMPLES
@given(document=problem_documents(), seed=st.integers(0, 2**32))
def test_the_order_of_the_input_changes_nothing(document: Document, seed: int) -> None:
    shuffled = copy.deepcopy(document)
    shuffle = random.Random(seed).shuffle
    for name in ("flows", "limits", "uncovered"):
        shuffle(shuffled[name])
    for name in ("keys", "priorities"):
        members = list(shuffled[name].items())
        shuffle(members)
        shuffled[name] = dict(members)
    assert cleared(shuffled) == cleared(document)


@EXAMPLES
@given(document=problem_documents(price_rules=("auction",)))
def test_an_auction_leaves_no_trade_undone_at_its_price(document: Document) -> None:
    clearing = cleared(document)
    eligible = min(clearing.eligible_import_wh, clearing.eligible_export_wh)
    # Whoever bids above the price buys in full, whoever asks below it sells in full: what is
    # left over on the shorter side can only be indifferent.
    limits = {limit["account"]: limit for limit in document["limits"]}
    paid_per_kwh = clearing.local_per_kwh + document["tariff"]["local_fee_per_kwh"]
    grid_import = document["tariff"]["grid_import_per_kwh"]
    grid_export = document["tariff"]["grid_export_per_kwh"]
    assert clearing.traded_wh <= eligible
    for row in clearing.rows if clearing.traded_wh else ():
        limit = limits.get(row.account, {})
        if not row.uncovered and min(limit.get("max_buy_per_kwh", grid_import), grid_import) > (
            paid_per_kwh
        ):
            assert row.bought_wh == row.import_wh
        if max(limit.get("min_sell_per_kwh", 0), grid_export) < clearing.local_per_kwh:
            assert row.sold_wh == row.export_wh


@EXAMPLES
@given(document=problem_documents(volume_rules=("proportional",), price_rules=("mid_market",)))
def test_proportional_shares_pass_the_test_of_the_contracts_dispute(document: Document) -> None:
    clearing = cleared(document)
    demand_wh = clearing.eligible_import_wh
    assert clearing.traded_wh == min(demand_wh, clearing.eligible_export_wh)
    for row in clearing.rows:
        if row.bought_wh:
            off = abs(row.bought_wh * demand_wh - row.import_wh * clearing.traded_wh)
            assert off < demand_wh


@EXAMPLES
@given(document=problem_documents(), noise=st.lists(st.sampled_from(("keys", "k", "price"))))
def test_inputs_of_rules_that_were_not_chosen_are_not_looked_at(
    document: Document, noise: list[str]
) -> None:
    noisy = copy.deepcopy(document)
    if "keys" in noise and document["volume_rule"] not in ("static", "full_dynamic", "dynamic"):
        noisy["keys"] = {"0": {"x": -1.5}}
    if "keys" in noise and document["volume_rule"] != "priority":
        noisy["priorities"] = [None]
    if "k" in noise and document["price_rule"] != "auction":
        noisy["auction_k_bps"] = "much"
    if "price" in noise and document["price_rule"] != "fixed":
        noisy["price_per_kwh"] = -1
    assert cleared(noisy) == cleared(document)
