"""npm's `@openzeppelin/merkle-tree` builds the tree that we build, and accepts our proofs."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.merkle import StandardTree, root_of_proof
from ledger.settlement import SettlementPlan
from ledger.statement_file import statement_from_json
from ledger.statements import Statement
from ledger.units import Hash32
from ledger.words import rows_hash, statement_leaf
from tests.ledger_market import market_of

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("openzeppelin_merkle_tree.js")
GOLDEN = sorted((ROOT / "tests" / "golden").glob("statement_*.json"))
TYPES = ["uint32", "uint64", "uint32", "bytes32", "int64", "bytes32"]
AMOUNTS_NANO = (2**63 - 1, -(2**63), -1, 0)
Leaf = list[int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node with the package at hand."""

    binary: str
    modules: str

    def ask(self, leaves: Sequence[Leaf], root: str, proofs: Sequence[Sequence[str]]) -> Any:
        question = {"types": TYPES, "leaves": leaves, "root": root, "proofs": proofs}
        answer = subprocess.run(
            [self.binary, str(SCRIPT)],
            input=json.dumps(question),
            env={**os.environ, "NODE_PATH": self.modules},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)


@pytest.fixture(scope="module")
def node() -> Node:
    binary = shutil.which("node")
    if binary is None:
        pytest.skip("node is not on the path: OpenZeppelin's JavaScript was not asked")
    places = [ROOT / "node_modules", *map(Path, os.environ.get("NODE_PATH", "").split(os.pathsep))]
    for modules in places:
        if (modules / "@openzeppelin" / "merkle-tree" / "package.json").is_file():
            return Node(binary=binary, modules=str(modules))
    pytest.skip("@openzeppelin/merkle-tree is not installed (npm ci): it was not asked")


def hex_of(data: bytes) -> str:
    return "0x" + data.hex()


def leaf_of(statement: Statement) -> Leaf:
    """The values whose encoding a statement's leaf is, as the package takes them."""
    return [
        statement.account,
        str(statement.period_start_s),
        statement.run,
        hex_of(rows_hash(statement.rows)),
        str(statement.amount_nano),
        hex_of(statement.salt),
    ]


def statements_of(accounts: int) -> tuple[SettlementPlan, list[Statement]]:
    market = market_of(accounts - 2)
    flows = {account: [(17 * account, 900 % account)] * 3 for account in range(2, accounts)}
    planned = market.run(flows)
    return planned, [market.statement(planned, account) for account in range(accounts)]


@pytest.mark.parametrize("accounts", [2, 3, 4, 7, 8, 9, 33])
def test_the_package_builds_our_tree_and_accepts_our_proofs(node: Node, accounts: int) -> None:
    planned, statements = statements_of(accounts)
    proofs = [[hex_of(sibling) for sibling in statement.proof] for statement in statements]
    theirs = node.ask(
        [leaf_of(statement) for statement in statements], hex_of(planned.tree.root), proofs
    )
    assert theirs["root"] == hex_of(planned.tree.root)
    assert theirs["nodes"] == [hex_of(place) for place in planned.tree._nodes]
    assert theirs["hashes"] == [hex_of(leaf) for leaf in planned.leaves]
    assert theirs["proofs"] == proofs
    assert theirs["accepted"] == [True] * accounts


def test_our_verification_accepts_the_packages_proofs(node: Node) -> None:
    planned, statements = statements_of(11)
    leaves = [leaf_of(statement) for statement in statements]
    theirs = node.ask(leaves, hex_of(planned.tree.root), [[]] * 11)
    root = bytes.fromhex(theirs["root"][2:])
    for statement, proof in zip(statements, theirs["proofs"], strict=True):
        siblings = [bytes.fromhex(sibling[2:]) for sibling in proof]
        assert root_of_proof(statement.leaf_computed(), siblings) == root


def test_the_package_refuses_a_leaf_with_another_amount(node: Node) -> None:
    planned, statements = statements_of(5)
    proofs = [[hex_of(sibling) for sibling in statement.proof] for statement in statements]
    leaves = [leaf_of(statement) for statement in statements]
    leaves[3][4] = str(statements[3].amount_nano + 1)
    theirs = node.ask(leaves, hex_of(planned.tree.root), proofs)
    assert theirs["accepted"] == [True, True, True, False, True]


def test_amounts_and_accounts_at_their_limits_encode_alike(node: Node) -> None:
    values: list[Leaf] = [
        [2**32 - 1, str(2**64 - 1), 2**32 - 1, "0x" + "ff" * 32, str(amount), "0x" + "00" * 32]
        for amount in AMOUNTS_NANO
    ]
    leaves = [
        statement_leaf(
            account=2**32 - 1,
            period_start_s=2**64 - 1,
            run=2**32 - 1,
            rows=Hash32(b"\xff" * 32),
            amount_nano=amount_nano,
            salt=Hash32(bytes(32)),
        )
        for amount_nano in AMOUNTS_NANO
    ]
    tree = StandardTree(leaves)
    theirs = node.ask(values, hex_of(tree.root), [[]] * 4)
    assert theirs["hashes"] == [hex_of(leaf) for leaf in leaves]
    assert theirs["root"] == hex_of(tree.root)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_the_package_accepts_the_golden_statements(node: Node, path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    statement = statement_from_json(document)
    theirs = node.ask([leaf_of(statement)], document["statements_root"], [document["proof"]])
    assert theirs["hashes"] == [document["leaf"]]
    assert theirs["accepted"] == [True]
