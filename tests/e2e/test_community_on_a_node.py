"""A community behind an endpoint: the same commands over a real node."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.config import read_config
from api.datadir import DataDir
from api.jobs.community import ROLES, SIGNERS, open_community
from api.jobs.people.relaying import Relaying
from tests.chain.anvil import CHAIN_ID, anvil, url_of
from tests.e2e.command_line import Cli
from tests.e2e.registers import GRID_IMPORT, LOCAL, expected_of, home, instant, line, write
from tests.ports import free_port

HOUR_S = 3_600
PERIODS = 3
DEPOSIT_MICRO = 50_000_000
ETHER_WEI = 10**18
TEMPLATE = """
[chain]
rpc = "{url}"
chain_id = {chain_id}
[market]
first_period_start = {first}
window_s = 1800
period_windows = 2
grace_s = 86400
dispute_period_s = {dispute_s}
finalize_within_s = 600
[supplier]
name = "Supplier"
deposit_micro = {deposit}
[[accounts]]
name = "a roof"
deposit_micro = {deposit}
[[accounts]]
name = "b flat"
deposit_micro = {deposit}
[[meters]]
label = "a roof"
account = 2
[[meters]]
label = "b flat"
account = 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """A community on the node, with its readings imported and its periods ended."""

    url: str
    data: Path
    registers: Path
    first_s: int

    @property
    def until(self) -> str:
        return instant(self.first_s + PERIODS * HOUR_S)


def ask(url: str, method: str, *params: object) -> object:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        found: object = json.load(answer)["result"]
    return found


def make_street(cli: Cli, place: Path, url: str, *, dispute_s: int) -> Street:
    """Creates the community when its first period has not begun, then lets time pass."""
    now_s = int(time.time())
    first_s = (now_s // HOUR_S - PERIODS - 1) * HOUR_S
    config, data = place / "street.toml", place / "data"
    config.write_text(
        TEMPLATE.format(
            url=url,
            chain_id=CHAIN_ID,
            first=instant(first_s),
            dispute_s=dispute_s,
            deposit=DEPOSIT_MICRO,
        )
    )
    fund(url, config, data)
    ran = cli("init", "--config", config, "--data-dir", data, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["chain_id"] == CHAIN_ID
    assert (data / "keystore.json").exists()
    assert not (data / "keys.json").exists()
    assert "keystore.password" in ran.document["warnings"][0]
    lines = [
        *home("a roof", start_s=first_s, step_s=1_800, count=7, export_step_wh=60),
        *home("b flat", start_s=first_s, step_s=1_800, count=7),
    ]
    registers = write(place / "r.csv", lines)
    let_time_pass(url)
    taken = cli("import", registers, "--format", "registers-csv", "--data-dir", data, "--json")
    assert (taken.code, taken.document["accepted"]) == (0, 14), taken.err
    return Street(url=url, data=data, registers=registers, first_s=first_s)


def let_time_pass(url: str) -> None:
    """Brings the node's clock up to ours."""
    head = ask(url, "eth_getBlockByNumber", "latest", False)
    assert isinstance(head, dict)
    ask(url, "evm_increaseTime", int(time.time()) - int(head["timestamp"], 16))
    ask(url, "evm_mine")


def let_next_block_come(url: str) -> None:
    """A node in use has a block every few seconds."""
    time.sleep(2.1)
    ask(url, "evm_mine")


def fund(url: str, config: Path, data: Path) -> None:
    """Gives the roles their gas: their keys are made before anything is sent."""
    directory = DataDir(data)
    directory.create(read_config(config).model_dump_json())
    keys = directory.keys(encrypted=True)
    keys.make(list(ROLES))
    for role in SIGNERS:
        ask(url, "anvil_setBalance", "0x" + keys.wallet(role).address.hex(), hex(ETHER_WEI))


@pytest.fixture
def own_node() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A node whose clock begins a day ago, and which a test may stop and replace."""
    port = free_port()
    with anvil(port, "--timestamp", str(int(time.time()) - 86_400)) as process:
        yield port, process


@pytest.fixture
def node(own_node: tuple[int, subprocess.Popen[bytes]]) -> str:
    return url_of(own_node[0])


def check_money(street: Street) -> None:
    expected = expected_of(street.registers, window_s=1_800, days=2)
    with open_community(street.data, read_only=True) as community:
        balances = community.refresh().balances_nano
    deposits = [DEPOSIT_MICRO, 0, DEPOSIT_MICRO, DEPOSIT_MICRO]
    assert list(balances) == [
        deposit * 1_000 + expected.amounts_nano[account] for account, deposit in enumerate(deposits)
    ]
    assert expected.traded_wh > 0


def check_gas(street: Street) -> None:
    """Nobody gave the address that relays any gas money: the service says so until it has some."""
    with open_community(street.data) as community:
        relaying = Relaying(community, [])
        relaying.round()
        assert relaying.problems() == ["relay: its address needs gas: funds_missing"]
        address = "0x" + community.keys.wallet("relay").address.hex()
        ask(street.url, "anvil_setBalance", address, hex(ETHER_WEI))
        again = Relaying(community, [])
        again.round()
        assert again.problems() == []


def check_files(cli: Cli, street: Street, out: Path) -> None:
    """Every statement verifies over the endpoint alone, and so does a bundle."""
    for account in range(4):
        ran = cli("statement", account, "--out", out, "--data-dir", street.data)
        assert ran.code == 0, ran.err
    files = sorted(out.iterdir())
    assert len(files) == 4 * PERIODS
    for file in files:
        ran = cli("verify", file, "--rpc", street.url, "--json")
        assert (ran.code, ran.document["compared_with_chain"]) == (0, True), ran.out
    for words in ((), ("--rpc", street.url)):
        ran = cli("audit", *words, "--data-dir", street.data, "--json")
        assert (ran.code, ran.document["runs"]) == (0, PERIODS), ran.out
    bundle = out.parent / "bundle.json"
    assert cli("audit", "--export", bundle, "--data-dir", street.data).code == 0
    ran = cli("audit", "--bundle", bundle, "--rpc", street.url, "--json")
    assert (ran.code, ran.document["verdict"], ran.document["readings"]) == (0, "ok", 14)


def test_a_community_without_disputes_settles_over_a_node(
    node: str, cli: Cli, tmp_path: Path
) -> None:
    street = make_street(cli, tmp_path, node, dispute_s=0)
    # Readings that the cutoff does not reach yet are waited for, never left out.
    early = cli("settle", "--until", street.until, "--data-dir", street.data, "--json")
    let_next_block_come(node)
    ran = cli("settle", "--until", street.until, "--data-dir", street.data, "--json")
    assert (early.code, ran.code) == (0, 0), early.err + ran.err
    assert len(early.document["settled"] + ran.document["settled"]) == PERIODS
    again = cli("settle", "--until", street.until, "--data-dir", street.data, "--json")
    assert (again.code, again.document["settled"]) == (0, [])
    check_money(street)
    check_files(cli, street, tmp_path / "out")
    check_gas(street)


def test_proposals_wait_for_their_dispute_period_on_a_node(
    node: str, cli: Cli, tmp_path: Path
) -> None:
    street = make_street(cli, tmp_path, node, dispute_s=2)
    let_next_block_come(node)
    first = cli("settle", "--until", street.until, "--data-dir", street.data, "--json")
    assert (first.code, first.document.get("settled")) == (0, []), first.err
    settled: list[str] = []
    for _ in range(10 * PERIODS):
        let_next_block_come(node)
        ran = cli("settle", "--until", street.until, "--data-dir", street.data, "--json")
        assert ran.code == 0, ran.err
        settled += [each["period_start"] for each in ran.document["settled"]]
        if len(settled) == PERIODS:
            break
    assert settled == [instant(street.first_s + place * HOUR_S) for place in range(PERIODS)]
    check_money(street)
    check_files(cli, street, tmp_path / "out")


def test_a_revision_over_a_node_waits_for_a_period_and_then_settles_the_difference(
    node: str, cli: Cli, tmp_path: Path
) -> None:
    street = make_street(cli, tmp_path, node, dispute_s=0)
    until = ("--until", street.until, "--data-dir", street.data, "--json")
    let_next_block_come(node)
    ran = cli("settle", *until)
    assert (ran.code, len(ran.document.get("settled", []))) == (0, PERIODS), ran.err
    before = balances_of(street)
    better = write(tmp_path / "better.csv", [line("b flat", street.first_s + 1_800, 1_050, 2_000)])
    ran = cli("import", better, "--format", "registers-csv", "--data-dir", street.data, "--json")
    assert (ran.code, ran.document["accepted"]) == (0, 1), ran.out
    let_next_block_come(node)
    ran = cli("settle", "--data-dir", street.data, "--json")
    assert ran.code == 0, ran.err
    revisions = [each for each in ran.document["settled"] if each["run"] > 0]
    assert [each["period_start"] for each in revisions] == [instant(street.first_s)], ran.out
    after = balances_of(street)
    assert sum(after) == sum(before)
    # 50 Wh less in the first window and 50 Wh more in the second, bought or from the grid.
    assert after != before
    assert all(
        abs(one - other) <= 50 * (GRID_IMPORT - LOCAL) * 2
        for one, other in zip(after, before, strict=True)
    )
    assert cli("audit", "--data-dir", street.data).code == 0


def balances_of(street: Street) -> list[int]:
    with open_community(street.data, read_only=True) as community:
        return list(community.refresh().balances_nano)


def test_another_chain_at_the_same_address_is_refused(
    own_node: tuple[int, subprocess.Popen[bytes]], cli: Cli, tmp_path: Path
) -> None:
    port, process = own_node
    street = make_street(cli, tmp_path, url_of(port), dispute_s=0)
    until = ("--until", street.until, "--data-dir", street.data)
    let_next_block_come(street.url)
    assert cli("settle", *until).code == 0
    assert cli("statement", 3, "--out", tmp_path / "out", "--data-dir", street.data).code == 0
    file = min((tmp_path / "out").iterdir())
    process.kill()
    process.wait()
    for words in (("settle", *until), ("audit", "--data-dir", street.data)):
        ran = cli(*words, "--json")
        assert (ran.code, ran.document["error"]["code"]) == (1, "chain_unavailable"), ran.err
        assert ran.err.count("\n") == 1
    ran = cli("verify", file, "--rpc", street.url, "--json")
    assert (ran.code, ran.document["error"]["code"]) == (1, "chain_unavailable")
    with contextlib.ExitStack() as nodes:
        nodes.enter_context(anvil(port, chain_id=CHAIN_ID + 1))
        for words in (("settle", *until), ("audit", "--data-dir", street.data)):
            ran = cli(*words, "--json")
            assert (ran.code, ran.document["error"]["code"]) == (1, "wrong_chain"), ran.err
        ran = cli("verify", file, "--rpc", street.url)
        assert (ran.code, "FAIL" in ran.out) == (1, True), ran.err
    with anvil(port):  # The same id, and nothing of the chain that was.
        ran = cli("settle", *until, "--json")
        assert (ran.code, ran.document["error"]["code"]) == (1, "wrong_chain"), ran.err
        ran = cli("audit", "--data-dir", street.data)
        assert ran.code == 1
        ran = cli("verify", file, "--rpc", street.url)
        assert (ran.code, "no contract" in ran.out) == (1, True), ran.err


def test_a_backup_that_the_chain_has_outrun_pays_nothing_twice_and_says_what_it_lacks(
    node: str, cli: Cli, tmp_path: Path
) -> None:
    street = make_street(cli, tmp_path, node, dispute_s=0)
    let_next_block_come(node)
    first = instant(street.first_s + HOUR_S)
    ran = cli("settle", "--until", first, "--data-dir", street.data, "--json")
    assert (ran.code, len(ran.document["settled"])) == (0, 1), ran.err
    backup = tmp_path / "backup.tar.gz"
    assert cli("backup", backup, "--data-dir", street.data).code == 0
    ran = cli("settle", "--until", street.until, "--data-dir", street.data, "--json")
    assert (ran.code, len(ran.document["settled"])) == (0, PERIODS - 1), ran.err
    check_money(street)
    again = tmp_path / "again"
    ran = cli("restore", backup, "--data-dir", again)
    assert (ran.code, "The chain went on" in ran.out) == (0, True), ran.err
    shutil.copy(street.data / "keystore.password", again)  # Never in a backup.
    ran = cli("settle", "--until", street.until, "--data-dir", again, "--json")
    assert (ran.code, ran.document["settled"]) == (0, []), ran.err
    check_money(street)
    ran = cli("doctor", "--data-dir", again, "--json")
    [lacking] = [each for each in ran.document["checks"] if each["name"] == "periods"]
    assert (lacking["verdict"], f"{PERIODS - 1} runs" in lacking["detail"]) == ("problem", True)
    ran = cli("audit", "--data-dir", again, "--json")
    assert ran.code == 1
    assert len(ran.document["discrepancies"]) == PERIODS - 1
    assert all("salts are not in" in each["detail"] for each in ran.document["discrepancies"])
