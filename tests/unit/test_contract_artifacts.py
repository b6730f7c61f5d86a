"""Committed artifacts are those of the committed sources; no compiler is needed to see it."""

import json

import pytest

from contracts.build import SOLC_VERSION, Target, settings_of, source_hash, sources_of, targets

TARGETS = targets()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.source)
def test_an_artifact_is_of_the_source_as_it_stands(target: Target) -> None:
    artifact = json.loads(target.path.read_text(encoding="utf-8"))
    assert artifact["sourceHash"] == source_hash(target.source), "run `make contracts`"
    assert artifact["sourceName"] == target.source
    settings = settings_of(target.source)
    assert artifact["compiler"] == {"version": SOLC_VERSION, "settings": settings}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.source)
def test_a_contract_fits_into_a_transaction_and_a_block(target: Target) -> None:
    """EIP-170 bounds the code that is kept, EIP-3860 the code that makes it."""
    artifact = json.loads(target.path.read_text(encoding="utf-8"))
    assert len(artifact["deployedBytecode"]) // 2 - 1 <= 24_576
    assert len(artifact["bytecode"]) // 2 - 1 <= 49_152


def test_a_change_anywhere_in_the_imported_sources_changes_the_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = "contracts/EnergyMarket.sol"
    before = source_hash(market)
    for name in sources_of(market):
        changed = sources_of(market) | {name: sources_of(market)[name] + " "}
        with monkeypatch.context() as patched:
            patched.setattr("contracts.build.sources_of", lambda _source, text=changed: text)
            assert source_hash(market) != before, name
    assert source_hash(market) == before
