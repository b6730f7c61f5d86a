"""`audit`: any single thing that is altered in a data directory or a bundle is found and named."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.jobs.audit import AuditReport, audit
from api.jobs.bundle import write_bundle
from api.jobs.community import Community, open_community
from api.jobs.demo import run_demo_job
from api.jobs.evidence import read_bundle
from api.jobs.intake import import_registers
from api.jobs.settle import SettlementLoop
from ledger.chain.embedded import EmbeddedChain
from ledger.errors import LedgerError
from tests.e2e.bundle_alterations import Document, alterations
from tests.e2e.command_line import Cli
from tests.e2e.registers import home, line, write
from tests.e2e.test_republication import quiet

START_S = 1_464_739_200
STEP_S = 21_600
SIGNED = "reading 0x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """A settled and revised community, opened to read, and its bundle."""

    community: Community
    bundle: Document

    def audit_of(self, document: Document, place: Path) -> AuditReport:
        file = place / "bundle.json"
        file.write_text(json.dumps(document))
        return audit(self.community.chain, read_bundle(file), progress=quiet)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of one day of four windows, with a revision of one of them."""
    place = tmp_path_factory.mktemp("audited")
    lines = [
        text
        for label, export_wh in (("a", 0), ("b", 450), ("c", 30))
        for text in home(label, start_s=START_S, step_s=STEP_S, count=5, export_step_wh=export_wh)
    ]
    file = write(place / "r.csv", lines)
    result = run_demo_job(file, place / "data", days=1, progress=quiet)
    try:
        better = write(place / "better.csv", [line("a", START_S + 2 * STEP_S, 1_250, 2_000)])
        assert import_registers(result.community, better).accepted == 1
        assert [each.run for each in SettlementLoop(result.community).run()] == [1]
    finally:
        result.community.close()
    return place / "data"


@pytest.fixture(scope="module")
def audited(settled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    file = tmp_path_factory.mktemp("bundle") / "bundle.json"
    with open_community(settled, read_only=True) as community:
        write_bundle(community, file)
        yield Audited(community=community, bundle=json.loads(file.read_text()))


def test_the_unaltered_bundle_passes(audited: Audited, tmp_path: Path) -> None:
    report = audited.audit_of(audited.bundle, tmp_path)
    assert (report.discrepancies, report.runs, report.readings) == ([], 2, 16)
    assert report.statements == 2 * 5


def test_a_bundle_in_which_one_thing_was_altered_fails_and_it_is_named(
    audited: Audited, tmp_path: Path
) -> None:
    count = 0
    for each in alterations(audited.bundle):
        said = findings(audited, each.of(audited.bundle), tmp_path)
        assert any(each.word in text for text in said), (each.name, said)
        count += 1
    assert count > 200


def findings(audited: Audited, document: Document, place: Path) -> list[str]:
    """What an audit has to say against a bundle."""
    try:
        report = audited.audit_of(document, place)
    except LedgerError as refused:
        return [str(refused)]
    return [f"{each.where}: {each.detail}" for each in report.discrepancies]


THIRD = f"taken_s = {START_S + 2 * STEP_S}"
STORED = [
    (f"UPDATE reading SET import_wh = import_wh + 1 WHERE meter_no = 1 AND {THIRD}", SIGNED),
    (f"UPDATE reading SET export_wh = export_wh + 1 WHERE meter_no = 2 AND {THIRD}", SIGNED),
    (f"UPDATE reading SET import_wh = 0 WHERE meter_no = 2 AND {THIRD}", SIGNED),
    (f"UPDATE reading SET taken_s = taken_s + 1 WHERE meter_no = 2 AND {THIRD}", SIGNED),
    (f"UPDATE reading SET signature = zeroblob(65) WHERE meter_no = 3 AND {THIRD}", SIGNED),
    (f"UPDATE reading SET accepted_s = 2000000000 WHERE meter_no = 3 AND {THIRD}", "run 0"),
    (f"DELETE FROM reading WHERE meter_no = 3 AND {THIRD}", "run 0"),
    ("DELETE FROM reading WHERE version = 2", "run 1"),
    (
        (
            "INSERT INTO reading SELECT meter_no, taken_s + 60, version, import_wh, export_wh,"
            f" signature, accepted_s FROM reading WHERE meter_no = 3 AND {THIRD}"
        ),
        SIGNED,
    ),
    ("UPDATE settlement_statement SET amount_nano = 1 WHERE account = 3 AND run = 0", "amount"),
    ("UPDATE settlement_statement SET salt = zeroblob(32) WHERE account = 3", "statements root"),
    ("UPDATE settlement_statement SET rows = zeroblob(128) WHERE account = 3", "claimed row"),
    ("DELETE FROM settlement_statement WHERE account = 4 AND run = 1", "run 1"),
    ("UPDATE settlement_run SET totals_salt = zeroblob(32) WHERE run = 0", "windows hash"),
    ("UPDATE settlement_run SET prices = zeroblob(128) WHERE run = 0", "price"),
    ("UPDATE settlement_run SET totals = zeroblob(256) WHERE run = 1", "totals"),
    ("UPDATE settlement_run SET state = 'planned' WHERE run = 1", "run 1"),
    ("DELETE FROM settlement_run WHERE run = 0", "run 0"),
    ("UPDATE settlement_statement SET applied_before_nano = 7 WHERE account = 3", "applied before"),
    ("UPDATE settlement_statement SET shortfall_nano = 7 WHERE account = 3", "shortfall"),
    ("UPDATE settlement_statement SET leaf = zeroblob(32) WHERE account = 3", "stored leaf"),
    ("UPDATE settlement_statement SET account = 9 WHERE account = 4", "stored accounts"),
    ("UPDATE settlement_run SET cutoff_at_s = cutoff_at_s + 1 WHERE run = 0", "stored cutoff"),
    ("UPDATE settlement_run SET deltas = zeroblob(64) WHERE run = 0", "stored deltas"),
    ("UPDATE settlement_run SET deltas_root = zeroblob(32)", "stored deltas root"),
    ("UPDATE settlement_run SET statements_root = zeroblob(32)", "stored statements root"),
    ("UPDATE settlement_run SET windows_hash = zeroblob(32)", "stored windows hash"),
    ("UPDATE settlement_run SET final_tx = NULL WHERE run = 0", "stored transaction"),
    ("UPDATE index_calldata SET data = zeroblob(length(data))", "calldata"),
    ("UPDATE index_log SET data = zeroblob(length(data))", "event"),
    ("UPDATE index_block SET timestamp_s = timestamp_s + 1", "time"),
]


@pytest.mark.parametrize(("statement", "word"), STORED)
def test_a_data_directory_in_which_one_thing_was_altered_fails_and_it_is_named(
    statement: str, word: str, settled: Path, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(settled, data)
    with sqlite3.connect(data / "wattledger.db") as connection:
        changed = connection.execute(statement).rowcount
    connection.close()
    assert changed > 0
    ran = cli("audit", "--data-dir", data, "--json")
    assert ran.code == 1
    assert ran.document["verdict"] == "failed"
    said = [f"{each['where']}: {each['detail']}" for each in ran.document["discrepancies"]]
    assert any(word in text for text in said), said
    printed = cli("audit", "--data-dir", data).out
    assert all(text in printed for text in said)


def test_a_bundle_goes_out_and_comes_back_and_holds_no_secret(
    settled: Path, cli: Cli, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.json"
    assert cli("audit", "--export", bundle, "--data-dir", settled).code == 0
    ran = cli("audit", "--bundle", bundle, "--data-dir", settled, "--json")
    assert (ran.code, ran.document["verdict"]) == (0, "ok")
    assert ran.document["discrepancies"] == []
    text = bundle.read_text(encoding="utf-8")
    for secret in json.loads((settled / "keys.json").read_text()).items():
        if not secret[0].startswith("meter_id:"):
            assert secret[1] not in text
    alone = cli("audit", "--bundle", bundle)
    assert (alone.code, "no chain" in alone.err) == (1, True)


def test_an_older_bundle_is_audited_with_the_chain_as_it_was(
    settled: Path, cli: Cli, tmp_path: Path
) -> None:
    data, bundle = tmp_path / "data", tmp_path / "bundle.json"
    shutil.copytree(settled, data)
    assert cli("audit", "--export", bundle, "--data-dir", data).code == 0
    with open_community(data) as community:
        assert isinstance(community.chain, EmbeddedChain)
        community.chain.mine()
    assert cli("audit", "--bundle", bundle, "--data-dir", data).code == 0
    document = json.loads(bundle.read_text())
    document["balances_nano"][2] = "1"
    bundle.write_text(json.dumps(document))
    ran = cli("audit", "--bundle", bundle, "--data-dir", data)
    assert (ran.code, "balance of account 2" in ran.out) == (1, True)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"format": "wattledger.bundle/2"}', "[" * 100_000]
)
def test_what_is_no_bundle_is_refused_in_one_line(
    content: str, settled: Path, cli: Cli, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.json"
    bundle.write_text(content)
    ran = cli("audit", "--bundle", bundle, "--data-dir", settled)
    assert (ran.code, ran.err.count("\n")) == (1, 1)


def test_a_bundle_of_another_community_is_refused(
    settled: Path, demo_home: Path, cli: Cli, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.json"
    assert cli("audit", "--export", bundle, "--data-dir", settled).code == 0
    assert cli("audit", "--bundle", bundle, "--data-dir", demo_home).code == 1


def test_a_statement_file_in_the_directory_that_was_altered_fails_and_is_named(
    settled: Path, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(settled, data)
    cli("statement", 3, "--data-dir", data)
    path = next((data / "statements").glob("3-*.json"))
    document = json.loads(path.read_text())
    document["amount_nano"] = str(int(document["amount_nano"]) + 1)
    path.write_text(json.dumps(document))
    ran = cli("audit", "--data-dir", data)
    assert ran.code == 1
    assert f"file {path.name}: amount_nano" in ran.out


def test_a_byte_of_the_chains_file_that_was_altered_fails_and_is_named(
    settled: Path, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(settled, data)
    with closing(sqlite3.connect(data / "chain" / "chain.sqlite")) as chain, chain:
        query = "SELECT key, value FROM node WHERE length(key) = 32 ORDER BY key LIMIT 1 OFFSET 20"
        key, value = chain.execute(query).fetchone()
        altered = bytes([value[0] ^ 1]) + value[1:]
        chain.execute("UPDATE node SET value = ? WHERE key = ?", (altered, key))
    ran = cli("audit", "--data-dir", data)
    assert ran.code == 1
    assert f"0x{key.hex()} is not what its hash says" in ran.out
