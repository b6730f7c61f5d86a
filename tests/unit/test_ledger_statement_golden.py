"""The statement files in tests/golden, whose numbers golden/statement_checks.md works out by hand.

`WATTLEDGER_WRITE_GOLDEN=1` writes them again; do that on purpose only, and check them again.
"""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import murky_tree
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from ledger.assignment import AccountState, Assignment, FlowCell
from ledger.settlement import SettlementPlan, plan
from ledger.statement_file import statement_from_json, statement_to_json
from ledger.statements import Statement, StatementMeter
from ledger.units import AccountId, Address, Hash32
from ledger.verify import check_alone
from ledger.words import commitment
from tests.ledger_market import RULES, SCHEDULE, START_S, TARIFF

GOLDEN = Path(__file__).parents[1] / "golden"
DAY_S = 86_400
PAID_IN_NANO = 303_600_000  # By account 3: exactly the cover of 1,012 Wh.
KEPT_BACK_NANO = 80_000_000  # Asked for after the start, and matured by run 1.
IMPORTS_WH = {3: 812, 4: 397, 5: 397, 6: 397, 7: 397}
METER = StatementMeter(meter_id=b"\x11" * 32, meter_class="imported")
LEAF_TYPES = ["uint32", "uint64", "uint32", "bytes32", "int64", "bytes32"]
FILES = {
    "statement_supplier.json": (0, 0),
    "statement_grid_operator.json": (1, 0),
    "statement_member.json": (3, 0),
    "statement_member_r1.json": (3, 1),
}


@cache
def planned(run: int) -> SettlementPlan:
    """Run 0 is the example of INTERFACES §5; in run 1 account 3 took 200 Wh more."""
    imports_wh = {**IMPORTS_WH, 3: IMPORTS_WH[3] + 200 * run}
    states = []
    for account in range(8):
        paid_in_nano = PAID_IN_NANO if account == 3 else 10**9
        applied_nano = planned(0).results[account].delta_nano if run else 0
        balance_nano = paid_in_nano + applied_nano
        kept_back_nano = KEPT_BACK_NANO if run and account == 3 else 0
        states.append(
            AccountState(
                applied_nano=applied_nano,
                available_nano=balance_nano - kept_back_nano,
                balance_nano=balance_nano,
                cover_nano=paid_in_nano,
            )
        )
    flows = {2: (0, 1_180)} | {account: (wh, 0) for account, wh in imports_wh.items()}
    assignment = Assignment(
        schedule=replace(SCHEDULE, period_windows=1),
        rules=RULES,
        tariff=TARIFF,
        period_start_s=START_S,
        run=run,
        cutoff_at_s=START_S + (3 + run) * DAY_S,
        accounts=states,
        flows={
            AccountId(account): [FlowCell(import_wh=taken, export_wh=fed_in, estimated=False)]
            for account, (taken, fed_in) in flows.items()
        },
    )
    return plan(assignment, b"golden")


def statement(account: int, run: int) -> Statement:
    run_plan = planned(run)
    result = run_plan.results[account]
    return Statement(
        chain_id=1337,
        market=Address(b"\x22" * 20),
        account=AccountId(account),
        period_start_s=START_S,
        run=run,
        window_s=3_600,
        residual="settled",
        meters=(METER,) if account == 3 else (),
        rows=result.rows,
        prices=run_plan.prices,
        totals=run_plan.totals,
        totals_salt=run_plan.totals_salt,
        amount_nano=result.amount_nano,
        applied_before_nano=result.applied_before_nano,
        shortfall_nano=result.shortfall_nano,
        salt=result.salt,
        leaf=run_plan.leaves[account],
        proof=run_plan.tree.proof(account),
        statements_root=run_plan.tree.root,
        deltas_root=run_plan.deltas_root,
        cutoff_at_s=run_plan.cutoff_at_s,
        transaction=Hash32(b"\x33" * 32),
    )


@pytest.mark.parametrize("name", FILES)
def test_the_golden_file_is_what_is_written_today(name: str) -> None:
    text = json.dumps(statement_to_json(statement(*FILES[name])), indent=1) + "\n"
    if os.environ.get("WATTLEDGER_WRITE_GOLDEN") == "1":
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert (GOLDEN / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_is_read_and_passes_what_it_can_by_itself(name: str) -> None:
    document = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    read = statement_from_json(document)
    assert read == statement(*FILES[name])
    assert all(check.passed for check in check_alone(read))


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return document


def test_the_members_numbers_are_those_of_the_interfaces_example() -> None:
    document = read("statement_member.json")
    assert document["rows"] == [
        {
            "start": "2016-06-01T00:00:00Z",
            "import_wh": 812,
            "export_wh": 0,
            "bought_wh": 400,
            "sold_wh": 0,
            "estimated": False,
            "uncovered": False,
        }
    ]
    assert document["totals"] == [
        {
            "import_wh": 2_400,
            "export_wh": 1_180,
            "traded_wh": 1_180,
            "uncovered_import_wh": 0,
            "eligible_import_wh": 2_400,
            "eligible_export_wh": 1_180,
        }
    ]
    assert document["cutoff_at"] == "2016-06-04T00:00:00Z"
    assert document["amount_nano"] == "-203600000"
    assert (document["applied_before_nano"], document["shortfall_nano"]) == ("0", "0")


def test_the_other_amounts_are_those_worked_out_by_hand() -> None:
    assert read("statement_supplier.json")["amount_nano"] == "366000000"
    assert read("statement_grid_operator.json")["amount_nano"] == "23600000"
    revised = read("statement_member_r1.json")
    assert revised["rows"][0]["bought_wh"] == 460
    assert revised["amount_nano"] == "-257600000"
    assert revised["applied_before_nano"] == "-203600000"
    assert revised["shortfall_nano"] == "34000000"


def test_words_and_commitment_are_those_worked_out_by_hand() -> None:
    run_plan = planned(0)
    assert f"{run_plan.results[3].rows[0].word:064x}" == (
        "000000000000032c000000000000000000000000000001900000000000000000"
    )
    assert [f"{word:064x}" for word in run_plan.deltas] == [
        "fffffffff3dd4f80000000000ca8f7800000000001681b800000000015d0b780",
        "fffffffffa10397ffffffffffa10397ffffffffffa10397ffffffffffa103980",
    ]
    stored = commitment(
        statements_root=run_plan.tree.root,
        windows=run_plan.windows_hash,
        deltas_root=run_plan.deltas_root,
        run=0,
        cutoff_at_s=run_plan.cutoff_at_s,
    )
    assert stored.hex() == "8f365521114bbbe34c71df8961bf3e7cb096579513aa1c95e7050a25ce3bbdc6"


@pytest.mark.parametrize("name", FILES)
def test_leaf_and_proof_are_what_other_libraries_compute(name: str) -> None:
    document = read(name)
    words = [
        (2 * row["uncovered"] + row["estimated"]).to_bytes(1)
        + row["import_wh"].to_bytes(7)
        + row["export_wh"].to_bytes(8)
        + row["bought_wh"].to_bytes(8)
        + row["sold_wh"].to_bytes(8)
        for row in document["rows"]
    ]
    values = (
        document["account"],
        START_S,
        document["run"],
        keccak(b"".join(words)),
        int(document["amount_nano"]),
        bytes.fromhex(document["salt"][2:]),
    )
    assert document["leaf"] == "0x" + keccak(keccak(encode(LEAF_TYPES, values))).hex()
    assert murky_tree.StandardMerkleTree.verify(
        document["statements_root"], LEAF_TYPES, values, document["proof"]
    )
