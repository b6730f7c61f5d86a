"""`verify`: no digit of a statement file can be changed unnoticed, and what is wrong is named."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.jobs.community import Community, open_community
from api.jobs.demo import run_demo_job
from api.jobs.verify import MarketFacts, read_statement, verify_statement
from ledger.errors import LedgerError
from tests.e2e.command_line import Cli
from tests.e2e.registers import home, write
from tests.e2e.test_republication import quiet

START_S = 1_464_739_200
# Which checks, or words of an error, tell where the changed digit is.
NAMED = {
    "format": {"format"},
    "chain_id": {"chain"},
    "market": {"market"},
    "account": {"leaf"},
    "period_start": {"rows[0].start", "period_start"},
    "run": {"leaf", "final"},
    "window_s": {"rows[1].start", "rules", "window_s"},
    "residual": {"rules"},
    "meters": {"meters"},
    "rows": {"leaf", "rows[0]", "rows[1]", "rows[2]", "rows[3]"},
    "prices": {"prices"},
    "totals": {"totals"},
    "totals_salt": {"totals", "totals_salt"},
    "amount_nano": {"amount"},
    "applied_before_nano": {"earlier runs"},
    "shortfall_nano": {"shortfall"},
    "salt": {"leaf", "salt"},
    "leaf": {"leaf"},
    "proof": {"proof"},
    "statements_root": {"proof", "statements_root"},
    "deltas_root": {"deltas", "deltas_root"},
    "cutoff_at": {"commitment", "cutoff_at"},
    "transaction": {"transaction"},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    """A demo of one day of four windows, so that its statements are small."""
    place = tmp_path_factory.mktemp("small")
    lines = [
        text
        for label, export_wh in (("a", 0), ("b", 450), ("c", 30))
        for text in home(label, start_s=START_S, step_s=21_600, count=5, export_step_wh=export_wh)
    ]
    file = write(place / "r.csv", lines)
    run_demo_job(file, place / "data", days=1, progress=quiet).community.close()
    with open_community(place / "data", read_only=True) as community:
        yield community


def statement_file(community: Community, account: int) -> Path:
    return community.directory.statements_path / f"{account}-20160601T000000Z.json"


def changed(text: str) -> Iterator[tuple[str, str]]:
    """Every field's name with the text in which one digit of its value is another."""
    name, offset = "", 0
    for line in text.splitlines(keepends=True):
        if top := re.match(r' "(\w+)": ', line):
            name = top[1]
        own = re.match(r' *(?:"\w+": )?', line)
        first = own.end() if own else 0
        hex_from = line.find("0x", first)
        for place in range(first, len(line)):
            digit = line[place]
            in_hex = 0 <= hex_from < place - 1
            if in_hex and digit in "0123456789abcdefABCDEF":
                others = [format((int(digit, 16) + step) % 16, "x") for step in (1, 8)]
            elif digit.isdigit():
                others = [str((int(digit) + step) % 10) for step in (1, 5)]
            else:
                continue
            at = offset + place
            for other in others:
                yield name, text[:at] + other + text[at + 1 :]
        offset += len(line)


@pytest.mark.parametrize("account", [0, 3])
def test_any_single_digit_that_is_changed_is_found_and_its_place_named(
    account: int, small: Community, tmp_path: Path
) -> None:
    facts = MarketFacts(small.chain, small.contracts.market)
    original = statement_file(small, account)
    assert verify_statement(read_statement(original), facts).passed
    file, fields = tmp_path / "changed.json", set()
    for name, text in changed(original.read_text(encoding="utf-8")):
        fields.add(name)
        file.write_text(text, encoding="utf-8")
        try:
            verdict = verify_statement(read_statement(file), facts)
        except LedgerError as refused:
            words = set(re.split(r"[ ,=]+", refused.detail))
        else:
            assert not verdict.passed, (name, text)
            words = {each.name for each in verdict.checks if not each.passed}
            details = [each.detail for each in verdict.checks if not each.passed]
            words |= {word for detail in details for word in re.split(r"[ :,.]+", detail)}
        # A number with a leading zero is no JSON any more: then the line is named.
        named = NAMED[name] | {"line"}
        assert any(word.startswith(tuple(named)) for word in words), (name, words)
    # A member has meters and rows; the supplier has neither digits in its meters nor any meter.
    expected = set(NAMED) - {"residual"} - ({"meters"} if account == 0 else set())
    assert fields == expected


def test_a_field_that_is_missing_or_new_is_named(small: Community, tmp_path: Path) -> None:
    document = json.loads(statement_file(small, 3).read_text(encoding="utf-8"))
    file = tmp_path / "changed.json"
    for name in document:
        if name == "meters":
            continue  # It says where readings come from, and may be left out.
        less = {key: value for key, value in document.items() if key != name}
        file.write_text(json.dumps(less), encoding="utf-8")
        with pytest.raises(LedgerError) as refused:
            read_statement(file)
        assert name in refused.value.detail


def test_the_rule_residual_cannot_be_changed(small: Community, tmp_path: Path) -> None:
    facts = MarketFacts(small.chain, small.contracts.market)
    text = statement_file(small, 3).read_text(encoding="utf-8")
    file = tmp_path / "changed.json"
    file.write_text(text.replace('"settled"', '"external"'), encoding="utf-8")
    verdict = verify_statement(read_statement(file), facts)
    assert {"rules", "amount"} <= {each.name for each in verdict.checks if not each.passed}


def test_verify_passes_with_the_data_directorys_chain(demo_home: Path, cli: Cli) -> None:
    file = demo_home / "statements" / "5-20160602T000000Z.json"
    ran = cli("verify", file, "--data-dir", demo_home, "--json")
    assert ran.code == 0
    assert ran.document["compared_with_chain"] is True
    assert all(each["passed"] for each in ran.document["checks"])
    text = cli("--data-dir", demo_home, "verify", file)
    assert (text.code, text.err) == (0, "")
    assert "FAIL" not in text.out


def test_verify_without_a_chain_fails_and_says_that_nothing_was_compared(
    demo_home: Path, cli: Cli
) -> None:
    file = demo_home / "statements" / "5-20160602T000000Z.json"
    ran = cli("verify", file)
    assert ran.code == 1
    assert "not compared with a chain" in ran.out
    assert "FAIL" not in ran.out
    assert cli("verify", file, "--json").document["compared_with_chain"] is False


def test_verify_names_what_fails_in_a_changed_file(
    demo_home: Path, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "5-20160602T000000Z.json"
    text = (demo_home / "statements" / file.name).read_text(encoding="utf-8")
    document = json.loads(text)
    document["rows"][10]["export_wh"] += 1
    file.write_text(json.dumps(document), encoding="utf-8")
    ran = cli("verify", file, "--data-dir", demo_home)
    assert ran.code == 1
    assert "FAIL  leaf" in ran.out
    assert "does not verify" in ran.out


def test_a_statement_of_another_community_is_refused(
    demo_home: Path, small: Community, cli: Cli
) -> None:
    ran = cli("verify", statement_file(small, 3), "--data-dir", demo_home)
    assert ran.code == 1
    assert "FAIL" in ran.out


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": "wattledger.receipt/1"}',
        b'{"format": "wattledger.statement/2"}',
    ],
)
def test_what_is_no_statement_is_refused_in_one_line(
    content: bytes, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "s.json"
    file.write_bytes(content)
    ran = cli("verify", file)
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    code = cli("verify", file, "--json").document["error"]["code"]
    assert code in {"unknown_format", "bad_statement", "bad_receipt"}


def test_verify_names_a_file_that_is_not_there_or_is_a_directory(cli: Cli, tmp_path: Path) -> None:
    for file in (tmp_path / "none.json", tmp_path):
        ran = cli("verify", file)
        assert (ran.code, "storage_failed" in ran.err) == (1, True)


def test_statements_are_written_again_byte_for_byte(
    demo_copy: Path, demo_home: Path, cli: Cli, tmp_path: Path
) -> None:
    shutil.rmtree(demo_copy / "statements")
    ran = cli("statement", 4, "--data-dir", demo_copy, "--json")
    assert ran.code == 0
    names = ["4-20160601T000000Z.json", "4-20160602T000000Z.json"]
    assert [Path(path).name for path in ran.document["files"]] == names
    for name in names:
        assert (demo_copy / "statements" / name).read_bytes() == (
            demo_home / "statements" / name
        ).read_bytes()
    out = tmp_path / "mine"
    one = cli(
        "statement", 4, "--period", "2016-06-02T00:00:00Z", "--out", out, "--data-dir", demo_copy
    )
    assert (one.code, [path.name for path in out.iterdir()]) == (0, names[1:])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["99"], 1),
        (["4", "--period", "2016-06-09T00:00:00Z"], 1),
        (["4", "--period", "2016-06-01"], 2),
        (["4", "--period", "soon"], 2),
        (["-1"], 2),
        (["x"], 2),
        ([], 2),
    ],
)
def test_a_statement_that_is_not_there_is_refused(
    words: list[str], code: int, demo_home: Path, cli: Cli
) -> None:
    ran = cli("statement", *words, "--data-dir", demo_home)
    assert ran.code == code
    assert ran.err
    assert ran.out == ""
