"""A statement that is right passes every check; change one digit anywhere and it does not."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ledger.settlement import plan
from ledger.statement_file import BadStatement, statement_from_json, statement_to_json
from ledger.statements import Statement, StatementMeter
from ledger.units import AccountId, Hash32
from ledger.verify import ChainFacts, Check, check_alone, check_with_chain
from ledger.words import WindowTotals
from tests.ledger_market import (
    HOUR_S,
    RULES,
    SECRET,
    START_S,
    Flows,
    MemoryMarket,
    market_of,
)

FLOWS: Flows = {
    2: [(0, 600), (0, 100), (5, 0)],
    3: [(900, 0), (812, 0), (0, 0)],
    4: [(300, 0), (0, 0), (7, 0)],
    5: [(101, 201), (0, 0), (0, 0)],
}
REVISED: Flows = {**FLOWS, 2: [(0, 617), (0, 90), (5, 0)], 4: [(310, 0), (0, 0), (7, 0)]}
METERS = (
    StatementMeter(meter_id=bytes(range(32)), meter_class="imported"),
    StatementMeter(meter_id=bytes(range(32, 64)), meter_class="gateway"),
)
MATURED_S = START_S + 1 + RULES.withdrawal_delay_s
NAMES_ALONE = ["rows", "amount", "leaf", "proof"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A statement as it is written, and the chain that it is compared with."""

    text: str
    facts: ChainFacts

    def statement(self) -> Statement:
        return statement_from_json(json.loads(self.text))


def case_of(market: MemoryMarket, planned: Any, account: int) -> Case:
    meters = METERS if account > 1 else ()
    document = statement_to_json(market.statement(planned, account, meters=meters))
    return Case(text=json.dumps(document, indent=1), facts=market.facts(planned, meters=meters))


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    """Run 0 leaves account 3 short; run 1 revises it, and it is still short."""
    market = market_of(member_micro=600_000)
    market.request(3, 300_000, at_s=START_S + 1)
    first = plan(market.assign(FLOWS, at_s=MATURED_S), SECRET)
    market.settle(first, at_s=MATURED_S)
    revised = plan(market.assign(REVISED, run=1, at_s=MATURED_S + HOUR_S), SECRET)
    market.settle(revised, at_s=MATURED_S + HOUR_S)
    assert first.results[3].shortfall_nano
    assert revised.results[3].shortfall_nano
    return {
        f"run {planned.run}, account {account}": case_of(market, planned, account)
        for planned in (first, revised)
        for account in (0, 1, 2, 3)
    }


NAMES = [f"run {run}, account {account}" for run in (0, 1) for account in (0, 1, 2, 3)]


def checks_of(statement: Statement, facts: ChainFacts) -> list[Check]:
    return [*check_alone(statement), *check_with_chain(statement, facts)]


def failed_names(statement: Statement, facts: ChainFacts) -> set[str]:
    return {check.name for check in checks_of(statement, facts) if not check.passed}


def is_right(text: str, facts: ChainFacts) -> bool:
    """What `verify` decides of a file's text."""
    try:
        statement = statement_from_json(json.loads(text))
    except (BadStatement, json.JSONDecodeError):
        return False
    return all(check.passed for check in checks_of(statement, facts))


def other_digits(text: str, *, every: bool) -> Iterator[str]:
    """The text with one digit changed, in turn: decimal ones anywhere, and those of hex strings."""
    in_hex = {
        place
        for match in re.finditer(r'"0x([0-9a-fA-F]+)"', text)
        for place in range(match.start(1), match.end(1))
    }
    for place, digit in enumerate(text):
        if place not in in_hex and not ("0" <= digit <= "9"):
            continue
        digits = "0123456789abcdef" if place in in_hex else "0123456789"
        start = digits.index(digit.lower())
        others = digits[start + 1 :] + digits[:start]
        for other in others if every else others[:1]:
            yield text[:place] + other + text[place + 1 :]


# What is right.


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_as_it_was_written_passes_every_check(
    cases: dict[str, Case], name: str
) -> None:
    case = cases[name]
    assert is_right(case.text, case.facts)
    assert [check.name for check in check_alone(case.statement())] == NAMES_ALONE


def test_a_statement_without_its_meters_passes(cases: dict[str, Case]) -> None:
    case = cases[NAMES[2]]
    assert failed_names(replace(case.statement(), meters=None), case.facts) == set()


# What is not.


@pytest.mark.parametrize("name", NAMES)
def test_no_digit_of_a_statement_can_be_changed(cases: dict[str, Case], name: str) -> None:
    """Each digit of the text, replaced by the next one."""
    case = cases[name]
    changed = list(other_digits(case.text, every=False))
    assert len(changed) > 700
    for text in changed:
        assert not is_right(text, case.facts), text


def test_no_digit_can_be_changed_into_any_other() -> None:
    """Each digit of the smallest statement, replaced by each of the others."""
    market = market_of(1)
    planned = market.run({2: [(5, 0), (0, 7), (10, 20)]})
    case = case_of(market, planned, 2)
    assert is_right(case.text, case.facts)
    for text in other_digits(case.text, every=True):
        assert not is_right(text, case.facts), text


def with_leaf(statement: Statement) -> Statement:
    """As a forger would: leaf and root made to fit what is stated."""
    forged = replace(statement, leaf=statement.leaf_computed())
    return replace(forged, statements_root=forged.root_computed())


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"chain_id": 1}, {"chain"}),
        ({"market": bytes(20)}, {"market"}),
        ({"window_s": 1_800}, {"rules"}),
        ({"residual": "external"}, {"rules", "amount"}),
        ({"amount_nano": 0}, {"amount", "leaf", "delta"}),
        ({"applied_before_nano": 1}, {"delta", "earlier runs"}),
        ({"shortfall_nano": 7}, {"delta", "shortfall"}),
        ({"salt": bytes(32)}, {"leaf"}),
        ({"leaf": bytes(32)}, {"leaf", "proof"}),
        ({"proof": ()}, {"proof"}),
        ({"statements_root": bytes(32)}, {"proof", "commitment"}),
        ({"deltas_root": bytes(32)}, {"commitment", "deltas"}),
        ({"cutoff_at_s": 0}, {"commitment"}),
        ({"totals_salt": bytes(32)}, {"commitment", "totals"}),
        ({"transaction": bytes(32)}, {"transaction"}),
        ({"meters": METERS[:1]}, {"meters"}),
        ({"meters": METERS[::-1]}, {"meters"}),
        ({"run": 7}, {"leaf", "commitment", "final"}),
        ({"period_start_s": START_S + 10_800}, {"leaf", "final"}),
        ({"account": 4}, {"leaf", "delta"}),
        ({"account": 99}, {"leaf", "delta"}),
    ],
)
def test_a_failure_names_what_is_wrong(
    cases: dict[str, Case], changes: dict[str, Any], failed: set[str]
) -> None:
    case = cases["run 0, account 2"]
    assert failed_names(replace(case.statement(), **changes), case.facts) == failed


def test_a_price_that_differs_is_named_by_its_window(cases: dict[str, Case]) -> None:
    case = cases["run 0, account 2"]
    statement = case.statement()
    dearer = replace(statement.prices[1], local_per_kwh=180_001)
    statement = replace(statement, prices=(statement.prices[0], dearer, statement.prices[2]))
    details = [check.detail for check in checks_of(statement, case.facts) if not check.passed]
    assert any("prices[1]" in detail for detail in details)


def test_a_leaf_and_a_root_made_to_fit_other_rows_fail_against_the_chain(
    cases: dict[str, Case],
) -> None:
    case = cases["run 0, account 2"]
    statement = case.statement()
    more = replace(statement.rows[0], export_wh=601)
    forged = replace(statement, rows=(more, *statement.rows[1:]))
    forged = with_leaf(replace(forged, amount_nano=forged.amount_computed_nano()))
    assert all(check.passed for check in check_alone(forged))
    assert "commitment" in failed_names(forged, case.facts)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"bought_wh": 901, "import_wh": 900}, "trades more than it metered"),
        ({"sold_wh": 1, "export_wh": 0}, "trades more than it metered"),
        ({"uncovered": True, "bought_wh": 1}, "uncovered, and bought"),
    ],
)
def test_rows_that_cannot_be_are_named(
    cases: dict[str, Case], changes: dict[str, Any], detail: str
) -> None:
    case = cases["run 0, account 3"]
    statement = case.statement()
    row = replace(statement.rows[1], **changes)
    statement = replace(statement, rows=(statement.rows[0], row, statement.rows[2]))
    failures = [check.detail for check in check_alone(statement) if not check.passed]
    assert f"rows[1]: {detail}" in failures


@pytest.mark.parametrize("account", [0, 1])
def test_accounts_0_and_1_have_no_flows(cases: dict[str, Case], account: int) -> None:
    case = cases[f"run 0, account {account}"]
    statement = case.statement()
    row = replace(statement.rows[0], import_wh=1)
    assert "rows" in failed_names(replace(statement, rows=(row, *statement.rows[1:])), case.facts)


@pytest.mark.parametrize("account", [0, 1])
def test_amounts_of_accounts_0_and_1_follow_from_the_totals(
    cases: dict[str, Case], account: int
) -> None:
    case = cases[f"run 0, account {account}"]
    statement = case.statement()
    first: WindowTotals = statement.totals[0]
    other = replace(first, traded_wh=first.traded_wh - 1)
    forged = replace(statement, totals=(other, *statement.totals[1:]))
    assert {"amount", "totals"} <= failed_names(forged, case.facts)


@pytest.mark.parametrize("end", ["ProposalCancelled", "ProposalLapsed", None])
def test_a_statement_of_a_run_that_is_not_final_fails(end: str | None) -> None:
    market = market_of()
    planned = plan(market.assign(FLOWS), SECRET)
    market.settle(planned, at_s=MATURED_S)
    statement = market.statement(planned, 3)

    again = market_of()
    again.propose(planned, at_s=MATURED_S)
    if end is not None:
        again.end(end, planned, at_s=MATURED_S + 1)
    assert failed_names(statement, again.facts(planned)) == {"final"}


def test_a_statement_fails_where_the_contract_stores_no_commitment(cases: dict[str, Case]) -> None:
    case = cases["run 0, account 2"]
    facts = replace(case.facts, commitment=Hash32(bytes(32)))
    assert failed_names(case.statement(), facts) == {"commitment"}


def test_a_statement_with_other_windows_than_the_market_has_fails(cases: dict[str, Case]) -> None:
    case = cases["run 0, account 2"]
    assert failed_names(case.statement(), replace(case.facts, period_windows=4)) == {"rules"}


def test_the_statement_of_another_run_does_not_pass_for_this_one(cases: dict[str, Case]) -> None:
    first, revised = cases["run 0, account 2"], cases["run 1, account 2"]
    assert "commitment" in failed_names(first.statement(), revised.facts)
    swapped = replace(revised.statement(), run=0)
    assert {"leaf", "commitment"} <= failed_names(swapped, first.facts)


def test_the_leaf_of_a_neighbour_does_not_pass_for_ones_own(cases: dict[str, Case]) -> None:
    case = cases["run 0, account 2"]
    neighbour = cases["run 0, account 3"].statement()
    posing = replace(neighbour, account=AccountId(2), meters=METERS)
    assert {"leaf", "delta"} <= failed_names(posing, case.facts)
