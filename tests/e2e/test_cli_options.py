"""Where settings come from, what wrong usage costs, and what is printed where."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command_line import Cli
from tests.e2e.registers import ROOT

COMMANDS = (
    *("demo", "init", "import", "settle", "clear", "statement", "verify", "audit"),
    *("serve", "charge", "simulate-charger", "gateway"),
)


def test_settings_count_before_and_after_the_command(demo_home: Path, cli: Cli) -> None:
    before = cli("--data-dir", demo_home, "--json", "audit")
    after = cli("audit", "--data-dir", demo_home, "--json")
    assert (before.code, before.document) == (0, after.document)


def test_what_is_said_after_the_command_counts_more(demo_home: Path, cli: Cli) -> None:
    assert cli("--data-dir", "nowhere", "audit", "--data-dir", demo_home).code == 0
    assert cli("--data-dir", demo_home, "audit", "--data-dir", "nowhere").code == 1


def test_the_data_directory_may_come_from_a_variable_or_a_file(
    demo_home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("audit").code == 1
    Path(".env").write_text(f"WATTLEDGER_DATA_DIR={demo_home}\nOTHER=1\n")
    assert cli("audit").code == 0
    monkeypatch.setenv("WATTLEDGER_DATA_DIR", "nowhere")
    ran = cli("audit")
    assert (ran.code, "nowhere" in ran.err) == (1, True)
    assert cli("audit", "--data-dir", demo_home).code == 0


def test_the_default_is_a_directory_beside_one(demo_home: Path, cli: Cli) -> None:
    Path("wattledger-data").symlink_to(demo_home)
    assert cli("audit").code == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WATTLEDGER_RPC_TIMEOUT_S", "soon"), ("WATTLEDGER_RPC_TIMEOUT_S", "-1")],
)
def test_a_setting_that_is_none_is_named_in_one_line(
    variable: str, value: str, demo_home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    file = demo_home / "statements" / "5-20160602T000000Z.json"
    ran = cli("verify", file, "--rpc", "http://127.0.0.1:1")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert variable in ran.err.upper()


@pytest.mark.parametrize(
    "words",
    [
        ["fly"],
        ["demo", "--days"],
        ["demo", "--days", "x"],
        ["demo", "--days", "0"],
        ["demo", "--what"],
        ["demo", "file.csv"],
        ["import", "file.csv"],
        ["import", "--format", "registers-csv"],
        ["verify"],
        ["verify", "a", "b"],
        ["--what", "demo"],
        ["settle", "--until", "yesterday"],
        ["settle", "--until", "2016-06-08T00:00:00"],
        ["statement", "2", "--period", "yesterday"],
        ["--days", "x", "demo"],
        ["--days", "demo"],
        ["--port", "1", "demo"],
        ["--days", "1", "fly"],
        ["keys"],
        [],
    ],
)
def test_wrong_usage_ends_with_two_and_prints_no_result(words: list[str], cli: Cli) -> None:
    ran = cli(*words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.removeprefix("wattledger: usage: ").strip()
    assert list(Path.cwd().iterdir()) == []


def test_a_value_that_cannot_be_read_is_told_with_its_option_and_its_rule(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = "a time, as 2016-06-08T00:00:00Z, not 'yesterday'"
    said = cli("settle", "--until", "yesterday").err
    assert said == f"wattledger: usage: Invalid value for '--until': {rule}\n"
    monkeypatch.setenv("WATTLEDGER_PERIOD", "yesterday")
    said = cli("statement", 2).err
    assert said == f"wattledger: usage: Invalid value for WATTLEDGER_PERIOD: {rule}\n"


def test_without_a_command_one_is_told_which_there_are(cli: Cli) -> None:
    assert all(f" {command}," in cli().err for command in COMMANDS)
    assert "change-password" in cli("keys").err


def test_every_option_counts_before_the_command_too(demo_home: Path, cli: Cli) -> None:
    words = ("--period", "2016-06-01T00:00:00Z", "--out", "statement", "--data-dir", demo_home)
    ran = cli(*words, "--json", "statement", 3)
    assert ran.document == {"files": ["statement/3-20160601T000000Z.json"]}


def test_every_option_may_come_from_a_variable_or_a_file(
    demo_home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text(f"WATTLEDGER_DATA_DIR={demo_home}\nWATTLEDGER_OUT=a\n")
    monkeypatch.setenv("WATTLEDGER_JSON", "yes")
    monkeypatch.setenv("WATTLEDGER_PERIOD", "2016-06-01T00:00:00Z")
    assert cli("statement", 3).document == {"files": ["a/3-20160601T000000Z.json"]}
    monkeypatch.setenv("WATTLEDGER_OUT", "b")
    assert cli("statement", 3).document == {"files": ["b/3-20160601T000000Z.json"]}
    ran = cli("statement", 3, "--out", "c", "--period", "2016-06-02T00:00:00Z")
    assert ran.document == {"files": ["c/3-20160602T000000Z.json"]}
    monkeypatch.setenv("WATTLEDGER_DATA_DIR", "nowhere")
    assert cli("statement", 3).document["error"]["code"] == "no_community"
    monkeypatch.setenv("WATTLEDGER_JSON", "0")
    assert cli("statement", 3).out == ""


def test_what_a_command_needs_may_come_from_a_variable(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTLEDGER_FORMAT", "registers-csv")
    assert "no_community" in cli("import", "file.csv").err


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("serve", "WATTLEDGER_PORT", "99999"),
        ("serve", "WATTLEDGER_PORT", "x"),
        ("serve", "WATTLEDGER_REPLAY", "perhaps"),
        ("serve", "WATTLEDGER_LOG_FORMAT", "xml"),
        ("demo", "WATTLEDGER_DAYS", "0"),
        ("settle", "WATTLEDGER_JSON", "perhaps"),
    ],
)
def test_a_variable_that_cannot_be_used_is_wrong_usage_and_named(
    command: str, variable: str, value: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text(f"{variable}={value}\n")
    by_file = cli(command)
    Path(".env").unlink()
    monkeypatch.setenv(variable, value)
    ran = cli(command)
    assert ran == by_file
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"wattledger: usage: Invalid value for {variable}: ")
    assert cli(command, "--help").code == 0


def test_a_settings_file_that_is_no_text_is_one_line(cli: Cli) -> None:
    Path(".env").write_bytes(b"WATTLEDGER_DAYS=\xff\n")
    ran = cli("demo", "--json")
    assert (ran.code, ran.document["error"]["code"], ran.err.count("\n")) == (2, "usage", 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str, cli: Cli) -> None:
    ran = cli(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"wattledger {command}" in ran.out
    assert "Example" in ran.out


@pytest.mark.parametrize("command", ["import f --format registers-csv", "settle", "audit"])
def test_without_a_community_one_is_told_how_to_make_one(command: str, cli: Cli) -> None:
    ran = cli(*command.split())
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "no_community" in ran.err
    assert "wattledger demo" in ran.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_json_says_the_error_on_standard_output_too(place: str, cli: Cli) -> None:
    ran = cli("--json", "audit") if place == "before" else cli("audit", "--json")
    assert ran.code == 1
    assert ran.document["error"]["code"] == "no_community"
    assert ran.err.startswith("wattledger: no_community: ")


def test_a_reader_that_goes_away_is_no_traceback(demo_home: Path) -> None:
    command = "from api.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "verify", "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_clear_reads_a_file_or_standard_input(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = json.loads((ROOT / "tests/golden/clearing.json").read_text())
    tariff = {"grid_import_per_kwh": 300_000, "grid_export_per_kwh": 80_000}
    good = {
        "tariff": {**tariff, "local_fee_per_kwh": 20_000},
        "flows": [
            {"account": 2, "import_wh": 900, "export_wh": 0},
            {"account": 3, "import_wh": 0, "export_wh": 600},
        ],
    }
    assert problem
    file = tmp_path / "p.json"
    file.write_text(json.dumps(good))
    ran = cli("clear", file)
    assert (ran.code, ran.document["traded_wh"], ran.err) == (0, 600, "")
    file.write_text(json.dumps([good, {**good, "flows": [{"account": 1}]}, good]))
    ran = cli("clear", file)
    answers = json.loads(ran.out)
    assert (ran.code, len(answers)) == (1, 3)
    assert answers[0] == answers[2]
    assert answers[1]["error"]["code"]


@pytest.mark.parametrize("content", ["", " \n"])
@pytest.mark.parametrize(
    "words",
    [
        ("clear",),
        ("verify",),
        ("audit", "--bundle"),
        ("demo", "--registers"),
        ("demo", "--charging"),
    ],
)
def test_a_file_with_nothing_in_it_is_empty_to_every_command(
    words: tuple[str, ...], content: str, cli: Cli
) -> None:
    Path("empty").write_text(content)
    ran = cli("--json", *words, "empty")
    assert (ran.code, ran.document["error"]["code"]) == (1, "empty_file")


@pytest.mark.parametrize("content", ["", "{", "7", "null", "[" * 100_000])
def test_clear_refuses_what_is_no_problem(content: str, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(content)
    ran = cli("clear", file)
    assert (ran.code, "error" in ran.document) == (1, True)
    assert ran.err.count("\n") == 1


def test_clear_names_a_file_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    for file in (tmp_path / "none.json", tmp_path):
        ran = cli("clear", file)
        assert (ran.code, "storage_failed" in ran.err) == (1, True)
