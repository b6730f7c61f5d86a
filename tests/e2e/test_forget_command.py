"""`wattledger forget`: asks first, leaves no trace on the disk, and works beside a service."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.e2e.command_line import Cli
from tests.e2e.test_serve import serving, signed_in

LABEL = "DE_KN_residential1"
ACCOUNT = 2


def traces(home: Path, word: str) -> list[str]:
    """Files that hold a word, open transactions and free pages included."""
    return sorted(
        path.name
        for path in home.rglob("*")
        if path.is_file() and word.encode() in path.read_bytes()
    )


def test_a_name_leaves_no_trace_in_the_directory(demo_copy: Path, cli: Cli) -> None:
    assert {"community.json", "keys.json", "wattledger.db"} <= set(traces(demo_copy, LABEL))
    ran = cli("forget", ACCOUNT, "--yes", "--data-dir", demo_copy, "--json")
    assert (ran.code, ran.document["labels"], ran.document["readings"]) == (0, 1, 0), ran.err
    assert any("meters that still run" in reason for reason in ran.document["kept_because"])
    assert traces(demo_copy, LABEL) == []
    assert cli("audit", "--data-dir", demo_copy).code == 0
    assert cli("settle", "--data-dir", demo_copy).code == 0
    assert cli("doctor", "--data-dir", demo_copy).code == 0


def test_nothing_is_erased_unless_somebody_is_sure(
    demo_copy: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(EOFError))
    before = {path: path.read_bytes() for path in demo_copy.glob("*.json")}
    assert cli("forget", ACCOUNT, "--data-dir", demo_copy).code == 1
    assert {path: path.read_bytes() for path in demo_copy.glob("*.json")} == before
    assert LABEL in (demo_copy / "community.json").read_text()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "bad_input"),
        ((ACCOUNT, "--expired"), "bad_input"),
        ((99,), "bad_input"),
        (("--driver", "0x12"), "usage"),
        (("--application", 99), "bad_input"),
        (("--older-than", 29), "usage"),
        ((1,), "usage"),
    ],
)
def test_what_cannot_be_forgotten_is_told_in_one_line(
    words: tuple[object, ...], code: str, demo_copy: Path, cli: Cli
) -> None:
    ran = cli("forget", *words, "--yes", "--data-dir", demo_copy, "--json")
    assert (ran.code, ran.document["error"]["code"]) == (1 if code == "bad_input" else 2, code)
    assert ran.err.count("\n") == 1


def test_a_member_is_forgotten_while_the_service_goes_on(demo_copy: Path, cli: Cli) -> None:
    with serving(demo_copy) as (_, url):
        headers = signed_in(url)
        address = httpx2.get(url + "/v1/me", headers=headers).json()["address"]
        ran = cli("forget", "--driver", address, "--yes", "--data-dir", demo_copy, "--json")
        assert (ran.code, ran.document["sign_ins"]) == (0, 1), ran.err
        assert httpx2.get(url + "/v1/me", headers=headers).status_code == 401
        ran = cli("forget", ACCOUNT, "--yes", "--data-dir", demo_copy)
        assert ran.code == 0, ran.err
        assert httpx2.get(url + "/readyz").status_code == 200
        assert httpx2.get(url + "/v1/market").status_code == 200
    with closing(sqlite3.connect(demo_copy / "wattledger.db")) as database:
        labels = [label for (label,) in database.execute("SELECT label FROM meter")]
    assert LABEL not in labels
    assert cli("audit", "--data-dir", demo_copy).code == 0


def test_what_is_too_old_is_erased_by_the_communitys_own_rule(demo_copy: Path, cli: Cli) -> None:
    here = ("--yes", "--data-dir", demo_copy, "--json")
    ran = cli("forget", "--expired", *here)  # Ten years: the demo's clock stands in its own week.
    assert (ran.code, ran.document["readings"]) == (0, 0)
    ran = cli("forget", "--older-than", 30, *here)
    assert (ran.code, ran.document["readings"]) == (0, 0)
    assert cli("audit", "--data-dir", demo_copy).code == 0
