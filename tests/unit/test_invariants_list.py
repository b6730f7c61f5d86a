"""INVARIANTS.md names tests that exist, and no number twice; read without collecting any test."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tests" / "INVARIANTS.md"
INVARIANT = re.compile(r"(\d+)\. (\S.*)")
PROOF = re.compile(r" +- `([\w/.]+)::(\w+)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """One line of the list, and where it is proved."""

    number: int
    text: str
    proofs: list[tuple[str, str]] = field(default_factory=list)


def parsed(text: str) -> list[Invariant]:
    """Every line of the list's body is a heading, an invariant, or a proof of the one above."""
    invariants: list[Invariant] = []
    body = text.partition("\n## ")[2]
    for line in body.splitlines()[1:]:
        if not line.strip() or line.startswith("## "):
            continue
        if found := INVARIANT.fullmatch(line):
            invariants.append(Invariant(number=int(found[1]), text=found[2]))
        elif found := PROOF.fullmatch(line):
            invariants[-1].proofs.append((found[1], found[2]))
        else:
            raise AssertionError(f"neither an invariant nor a proof: {line!r}")
    return invariants


def names_in(path: Path) -> set[str]:
    """Functions that a Python or Solidity file defines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sol":
        return set(re.findall(r"\bfunction (\w+)\(", text))
    return {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}


INVARIANTS = parsed(LIST.read_text(encoding="utf-8"))


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda invariant: str(invariant.number))
def test_an_invariant_is_proved_by_tests_that_exist(invariant: Invariant) -> None:
    assert invariant.proofs
    assert len(set(invariant.proofs)) == len(invariant.proofs)
    for file, name in invariant.proofs:
        path = ROOT / file
        assert path.is_file(), f"{file} is not there"
        assert name in names_in(path), f"{file} has no {name}"
        assert path.suffix == ".sol" or name.startswith("test_"), f"{name} is not run as a test"


def test_no_number_repeats_and_they_rise() -> None:
    numbers = [invariant.number for invariant in INVARIANTS]
    assert len(numbers) > 50
    assert numbers == sorted(set(numbers))


def test_no_invariant_says_what_another_says() -> None:
    texts = [invariant.text for invariant in INVARIANTS]
    assert len(set(texts)) == len(texts)
    assert max(map(len, texts)) <= 120
