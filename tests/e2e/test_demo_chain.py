"""What the demo left on the chain and on the disk, compared with what can be derived from it."""

import json
import random
from pathlib import Path

from api.driver.wallets import DemoWallets
from api.jobs.community import open_community
from api.jobs.market_view import MarketDesk, Role
from api.keys import demo_secret
from ledger.chain.market import MarketReader
from ledger.chain.replay import read_history
from ledger.chain.settlement_token import TokenReader
from ledger.keccak import address_of
from ledger.units import NANO_PER_MICRO
from ledger.words import balances_of_words, commitment


def test_replayed_events_equal_what_the_contract_stores(demo_home: Path) -> None:
    with open_community(demo_home, read_only=True) as community:
        reader = MarketReader(community.chain, community.contracts.market)
        history = read_history(community.chain, community.contracts.market)
        count = reader.account_count()
        assert history.account_count == count
        stored_nano = balances_of_words(reader.all_balance_words(), count)
        assert stored_nano == history.balances_nano
        assert stored_nano == [reader.balance_nano_of(account) for account in range(count)]
        assert history.owners == [reader.address_of(account) for account in range(count)]
        for (period_start_s, run), replayed in history.runs.items():
            assert reader.final_runs(period_start_s) == 1
            assert reader.commitment_of(period_start_s, run) == commitment(
                statements_root=replayed.statements_root,
                windows=replayed.windows_hash,
                deltas_root=replayed.deltas_root,
                run=run,
                cutoff_at_s=replayed.cutoff_at_s,
            )
        assert len(history.final_order) == len(history.runs) > 1


def test_the_markets_tokens_are_the_sum_of_its_balances(demo_home: Path) -> None:
    with open_community(demo_home, read_only=True) as community:
        contracts = community.contracts
        history = read_history(community.chain, contracts.market)
        held_micro = TokenReader(community.chain, contracts.token).balance_micro_of(
            contracts.market
        )
        assert held_micro * NANO_PER_MICRO == sum(history.balances_nano)
        assert held_micro == history.deposited_micro()


def test_everybody_in_a_demo_can_be_played_with_a_published_key(demo_home: Path) -> None:
    with open_community(demo_home, read_only=True) as community:
        assert community.is_demo
        desk = MarketDesk(community)
        history = read_history(community.chain, community.contracts.market)
        owners = dict(enumerate(history.owners))
        assert owners.pop(1) == address_of(demo_secret("grid"))
        assert desk.roles_of(owners.pop(0)) == {Role.DRIVER}  # The supplier's key stays secret.
        for account, owner in owners.items():
            assert owner == address_of(demo_secret(f"home-{account}"))
            assert desk.roles_of(owner) == {Role.DRIVER, Role.MEMBER}
        operator = address_of(demo_secret("operator"))
        assert desk.roles_of(operator) == {Role.DRIVER, Role.OPERATOR}
        assert community.keys.wallet("operator").address != operator
    assert DemoWallets(demo_home).wallet("anna").private_key == demo_secret("anna")


def test_secrets_are_in_the_key_file_and_nowhere_else(demo_home: Path) -> None:
    """The salts' secret and all private keys; chain and database are searched as they lie there."""
    (key_file,) = [path for path in demo_home.rglob("*") if path.name == "keys.json"]
    keys: dict[str, str] = json.loads(key_file.read_text(encoding="utf-8"))
    secrets = {name: key for name, key in keys.items() if not name.startswith("meter_id:")}
    assert "salt" in secrets
    assert key_file.stat().st_mode & 0o077 == 0
    others = [path for path in demo_home.rglob("*") if path.is_file() and path != key_file]
    assert any(path.suffix == ".sqlite" for path in others)
    for path in others:
        content = path.read_bytes()
        for name, key in secrets.items():
            assert bytes.fromhex(key) not in content, f"{name} in {path.name}"
            assert key.encode() not in content.lower(), f"{name} in {path.name}"


def test_no_salt_row_or_name_is_on_the_chain(demo_home: Path) -> None:
    """Salts and rows of a statement would undo its hash; names have no business there."""
    (chain_file,) = demo_home.rglob("chain.sqlite")
    content = chain_file.read_bytes() + _wal_of(chain_file)
    statements = sorted((demo_home / "statements").glob("*.json"))
    for path in random.Random(1).sample(statements, 6):
        document = json.loads(path.read_text(encoding="utf-8"))
        assert bytes.fromhex(document["statements_root"][2:]) in content
        for name in ("salt", "totals_salt", "leaf"):
            assert bytes.fromhex(document[name][2:]) not in content, f"{name} of {path.name}"
    with open_community(demo_home, read_only=True) as community:
        names = [account.name for account in community.config.accounts]
        rows = [
            each.result.rows[12].word.to_bytes(32)
            for run in community.settlements.runs()
            for each in community.settlements.statements(run.period_start_s, run.run)
            if any(row.word for row in each.result.rows[12:13])
        ]
    assert rows
    assert names
    for secret in [*rows, *(name.encode() for name in names)]:
        assert secret not in content


def _wal_of(path: Path) -> bytes:
    wal = path.with_name(path.name + "-wal")
    return wal.read_bytes() if wal.exists() else b""
