"""`wattledger doctor`: each thing that can be wrong is found, named, and comes with what to do."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.config import read_config
from api.datadir import DataDir
from api.jobs.community import ROLES, open_community
from contracts import load
from ledger.chain.code import is_code_of
from ledger.chain.wallet import new_wallet, save_keystore
from ledger.keccak import checksum_address
from ledger.units import from_unix_s
from tests.chain.anvil import CHAIN_ID, anvil, url_of
from tests.e2e.command_line import Cli, Ran
from tests.e2e.test_community_on_a_node import ETHER_WEI, TEMPLATE, ask
from tests.e2e.test_serve import serving
from tests.ports import free_port

Change = Callable[[Path], object]


def checks_of(ran: Ran, verdict: str) -> dict[str, dict[str, str]]:
    """Checks of one verdict by name; each says what to do."""
    found = [each for each in ran.document["checks"] if each["verdict"] == verdict]
    assert all(each["advice"] for each in found) or verdict == "ok"
    return {each["name"]: each for each in found}


def database(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "wattledger.db", isolation_level=None)) as opened:
        opened.execute(statement)


def chain(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "chain/chain.sqlite", isolation_level=None)) as opened:
        opened.execute(statement)


def test_a_sound_community_passes_also_while_it_is_served(demo_copy: Path, cli: Cli) -> None:
    before = sorted(path.name for path in demo_copy.iterdir())
    ran = cli("doctor", "--data-dir", demo_copy, "--json")
    assert (ran.code, ran.document["problems"]) == (0, 0), ran.out
    names = {"directory", "disk", "keys", "database", "chain", "contracts", "roles"}
    assert names | {"outbox", "periods", "meters"} == set(checks_of(ran, "ok"))
    assert {name.split("-")[0] for name in before} == {
        path.name.split("-")[0] for path in demo_copy.iterdir()
    }
    with serving(demo_copy):
        ran = cli("doctor", "--data-dir", demo_copy)
    assert ran.code == 0, ran.out
    assert ran.out.splitlines()[-1].startswith("0 problems")


def other_operator(home: Path) -> None:
    keys = json.loads((home / "keys.json").read_text())
    (home / "keys.json").write_text(json.dumps({**keys, "operator": "07" * 32}))


def no_operator(home: Path) -> None:
    keys = json.loads((home / "keys.json").read_text())
    del keys["operator"]
    (home / "keys.json").write_text(json.dumps(keys))


def damaged_file(home: Path) -> None:
    path = home / "wattledger.db"
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) - 4_096, 4_096):
        content[place : place + 512] = b"\xff" * 512
    path.write_bytes(content)


def owing(home: Path) -> None:
    database(
        home,
        "INSERT INTO outbox_intent (version, key, chain_id, sender, data, slots, created_s, state)"
        f" VALUES (0, 'stuck', 1337, X'{'07' * 20}', X'', X'', 1700000000, 'pending')",
    )


def late(home: Path) -> None:
    with open_community(home) as community:
        later_at = from_unix_s(community.chain.head().timestamp_s) + timedelta(days=9)
        community.chain.set_next_timestamp(later_at)  # type: ignore[attr-defined]
        community.chain.mine()  # type: ignore[attr-defined]


BROKEN: dict[str, tuple[Change, str, str]] = {
    "open directory": (lambda home: home.chmod(0o755), "directory", "chmod 700"),
    "open keys": (lambda home: (home / "keys.json").chmod(0o644), "keys", "chmod 600"),
    "no keys": (lambda home: (home / "keys.json").unlink(), "keys", "restore"),
    "a key less": (no_operator, "keys", "restore"),
    "bad keys": (lambda home: (home / "keys.json").write_text("x"), "keys", "restore"),
    "another key": (other_operator, "roles", "keys import"),
    "no database": (lambda home: (home / "wattledger.db").unlink(), "database", "restore"),
    "damaged": (damaged_file, "database", "restore a backup"),
    "older tables": (
        lambda home: database(home, "UPDATE alembic_version SET version_num = '0001'"),
        "database",
        "start the service",
    ),
    "another's": (
        lambda home: database(home, "UPDATE community_fact SET value='x' WHERE name='directory'"),
        "database",
        "WATTLEDGER_DATABASE_URL",
    ),
    "no chain": (lambda home: shutil.rmtree(home / "chain"), "chain", "restore"),
    "changed chain": (
        lambda home: chain(
            home,
            "UPDATE node SET value = X'00' WHERE key = (SELECT key FROM node WHERE"
            " length(key) = 32 AND length(value) > 20000 LIMIT 1)",
        ),
        "chain",
        "restore",
    ),
    "other contract": (
        lambda home: database(
            home,
            "UPDATE community_fact SET value = (SELECT value FROM community_fact"
            " WHERE name = 'registry') WHERE name = 'token'",
        ),
        "contracts",
        "right chain",
    ),
    "owing": (owing, "outbox", "does the service run"),
    "lost run": (
        lambda home: database(home, "DELETE FROM settlement_run"),
        "periods",
        "restore",
    ),
    "overdue": (late, "periods", "readyz"),
    "nothing": (lambda home: (home / "complete").unlink(), "directory", "WATTLEDGER_DATA_DIR"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_found_and_told_with_what_to_do(
    name: str, demo_copy: Path, cli: Cli
) -> None:
    change, check, advice = BROKEN[name]
    change(demo_copy)
    ran = cli("doctor", "--data-dir", demo_copy, "--json")
    assert ran.code == 1, ran.out
    found = checks_of(ran, "problem")
    assert check in found, ran.out
    assert advice in found[check]["advice"]
    text = cli("doctor", "--data-dir", demo_copy)
    assert text.code == 1
    assert "Traceback" not in text.out + text.err
    assert f"do: {found[check]['advice']}" in text.out


def test_silent_meters_are_named(demo_copy: Path, cli: Cli) -> None:
    late(demo_copy)
    found = checks_of(cli("doctor", "--data-dir", demo_copy, "--json"), "warning")
    assert "DE_KN_residential1" in found["meters"]["detail"]


@pytest.mark.parametrize(("free", "verdict"), [(2**29, "warning"), (2**20, "problem")])
def test_a_disk_that_is_nearly_full_is_told(
    free: int, verdict: str, demo_copy: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    ran = cli("doctor", "--data-dir", demo_copy, "--json")
    assert "disk" in checks_of(ran, verdict)


def test_code_is_ours_whatever_it_was_created_with_and_not_with_one_byte_changed() -> None:
    compiled = load("EnergyMarket").deployed_bytecode
    place = compiled.index(b"\x7f" + bytes(32)) + 1
    filled = compiled[:place] + b"\x11" * 32 + compiled[place + 32 :]
    assert is_code_of(filled, compiled)
    assert is_code_of(compiled, compiled)
    for other in (b"", filled[:-1], filled + b"\x00", b"\x00" + filled[1:]):
        assert not is_code_of(other, compiled)


# Behind an endpoint.


@pytest.fixture
def street(tmp_path: Path, cli: Cli) -> Any:
    """A community on a node of its own, that a test may stop."""
    port = free_port()
    with anvil(port) as process:
        url, config, home = url_of(port), tmp_path / "c.toml", tmp_path / "data"
        config.write_text(
            TEMPLATE.format(
                url=url, chain_id=CHAIN_ID, first="2016-06-01T00:00:00Z", dispute_s=0, deposit=0
            )
        )
        directory = DataDir(home)
        directory.create(read_config(config).model_dump_json())
        keys = directory.keys(encrypted=True)
        keys.make(list(ROLES))
        wallets = {role: keys.wallet(role) for role in ROLES if role != "salt"}
        for wallet in wallets.values():
            ask(url, "anvil_setBalance", "0x" + wallet.address.hex(), hex(ETHER_WEI))
        ran = cli("init", "--config", config, "--data-dir", home)
        assert ran.code == 0, ran.err
        yield SimpleNamespace(home=home, url=url, wallets=wallets, process=process)


def test_a_community_on_a_node_is_looked_at_with_its_keys_and_without(
    street: Any, tmp_path: Path, cli: Cli
) -> None:
    here = ("--data-dir", street.home, "--json")
    ran = cli("doctor", *here)
    assert "lies beside it" in checks_of(ran, "warning")["keys"]["detail"]
    assert {"gas", "clock", "contracts", "roles"} <= set(checks_of(ran, "ok"))
    operator = street.wallets["operator"].address
    ask(street.url, "anvil_setBalance", "0x" + operator.hex(), "0x0")
    gas = checks_of(cli("doctor", *here), "problem")["gas"]
    assert checksum_address(operator) in gas["advice"]

    password = street.home.parent / "password"
    (street.home / "keystore.password").rename(password)
    locked = cli("doctor", *here)
    assert "not opened" in checks_of(locked, "warning")["keys"]["detail"]
    assert "roles" not in {each["name"] for each in locked.document["checks"]}
    wrong = password.with_name("wrong")
    wrong.write_text("something else")
    ran = cli("doctor", "--password-file", wrong, *here)
    assert "wrong_password" in checks_of(ran, "problem")["keys"]["detail"]
    opened = cli("doctor", "--password-file", password, *here)
    assert "encrypted" in checks_of(opened, "ok")["keys"]["detail"]

    made, file = new_wallet(), tmp_path / "v3.json"
    save_keystore(made, file, "something else", work=2)
    words = ("--role", "registrar", "--replace", "--key-password-file", wrong)
    ran = cli("keys", "import", file, *words, "--password-file", password, *here)
    assert ran.code == 0, ran.err
    ran = cli("doctor", "--password-file", password, *here)
    assert "registrar" in checks_of(ran, "warning")["roles"]["detail"]

    street.process.kill()
    street.process.wait()
    ran = cli("doctor", "--password-file", password, *here)
    assert "chain_unavailable" in checks_of(ran, "problem")["chain"]["detail"]
    assert "database" in checks_of(ran, "ok")


def test_plain_keys_of_a_real_chain_are_advised_to_be_encrypted(demo_copy: Path, cli: Cli) -> None:
    config = json.loads((demo_copy / "community.json").read_text())
    config["chain"] |= {"rpc": "http://127.0.0.1:1", "clock": "system"}
    (demo_copy / "community.json").write_text(json.dumps(config))
    ran = cli("doctor", "--data-dir", demo_copy, "--json")
    assert checks_of(ran, "warning")["keys"]["advice"] == "wattledger keys encrypt"
