"""What `demo --json` prints, computed again from the file of registers."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.jobs.community import open_community
from api.jobs.market.books import Books
from api.jobs.market.desks import desks_of
from tests.e2e.command_line import DAYS
from tests.e2e.registers import KONSTANZ, ROOT, Expected, expected_of

INTEGERS = (
    "members", "meters", "windows", "periods", "import_wh", "export_wh", "traded_wh",
    "gas_per_member", "sessions", "session_energy_wh",
)  # fmt: skip
AMOUNTS = ("money_sum_nano", "deposits_micro", "paid_micro", "refunded_micro")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stranger")


@pytest.fixture(scope="module")
def printed(place: Path) -> subprocess.CompletedProcess[str]:
    """A demo as a stranger runs it: a process of its own, in an empty directory."""
    command = "from api.cli import main; main()"
    words = ["demo", "--days", str(DAYS), "--charging", "none", "--json"]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", command, *words],
        cwd=place,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def document(printed: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert printed.returncode == 0, printed.stderr
    loaded: dict[str, Any] = json.loads(printed.stdout)
    return loaded


@pytest.fixture(scope="module")
def expected() -> Expected:
    return expected_of(KONSTANZ, window_s=3_600, days=DAYS)


def test_demo_prints_one_json_object_and_nothing_else_anywhere(
    printed: subprocess.CompletedProcess[str], document: dict[str, Any]
) -> None:
    assert printed.stdout.count("\n") == 1
    assert isinstance(document, dict)
    assert printed.stderr == ""


def test_every_field_of_the_summary_has_its_type(document: dict[str, Any]) -> None:
    for name in INTEGERS:
        assert type(document[name]) is int, name
    for name in AMOUNTS:
        assert re.fullmatch(r"-?\d+", document[name]), name
    assert isinstance(document["seconds"], int | float)
    assert document["seconds"] > 0
    assert document["audit"] == "ok"
    for account, nano in document["balances_nano"].items():
        assert re.fullmatch(r"\d+", account)
        assert re.fullmatch(r"\d+", nano)


def test_the_counts_and_sums_are_those_of_the_file(
    document: dict[str, Any], expected: Expected
) -> None:
    assert {name: document[name] for name in expected.counted} == expected.counted
    assert expected.traded_wh > 0


def test_each_balance_is_the_deposit_and_what_the_rules_give(
    document: dict[str, Any], expected: Expected, place: Path
) -> None:
    config = json.loads((place / document["data_dir"] / "community.json").read_text())
    sections = [config["supplier"], config["grid_operator"], *config["accounts"]]
    balances = {int(account): int(nano) for account, nano in document["balances_nano"].items()}
    assert balances == {
        account: section["deposit_micro"] * 1_000 + expected.amounts_nano[account]
        for account, section in enumerate(sections)
    }


def test_money_sums_to_zero_and_nothing_is_charged_yet(
    document: dict[str, Any], expected: Expected
) -> None:
    assert sum(expected.amounts_nano.values()) == 0
    assert document["money_sum_nano"] == "0"
    assert document["sessions"] == document["session_energy_wh"] == 0
    for name in ("deposits_micro", "paid_micro", "refunded_micro"):
        assert document[name] == "0"


def test_every_statement_was_verified_and_a_picture_lies_beside_the_data(
    document: dict[str, Any], place: Path
) -> None:
    accounts = document["members"] + 2
    assert document["statements_verified"] == accounts * document["periods"]
    files = list((place / document["data_dir"] / "statements").glob("*.json"))
    assert len(files) == accounts * document["periods"]
    assert (place / document["picture"]).read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_homes_saved_what_their_pages_and_tables_say(document: dict[str, Any], place: Path) -> None:
    with open_community(place / document["data_dir"], read_only=True) as community:
        books = Books(community)
        desk = desks_of(books).statements
        sums = {
            account: desk.sums(desk.lines(account, 0, 2**40, settled_only=True))
            for account in range(2, 2 + document["members"])
        }
        books.close()
    assert document["saved_nano"] == {
        str(account): str(each.saved_nano) for account, each in sums.items()
    }
    assert document["import_wh"] == sum(each.import_wh for each in sums.values())
    assert document["traded_wh"] == sum(each.bought_wh for each in sums.values())
    assert all(each.saved_nano > 0 for each in sums.values())
