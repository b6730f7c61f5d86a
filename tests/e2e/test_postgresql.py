"""The same community in PostgreSQL: `WATTLEDGER_DATABASE_URL` says where."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import Cli
from tests.e2e.registers import KONSTANZ, expected_of, line, read, write
from tests.engines import postgres_server, postgres_url  # noqa: F401 (fixture)

VARIABLE = "WATTLEDGER_DATABASE_URL"


@pytest.fixture
def database(postgres_server: Any, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> str:  # noqa: F811
    url = postgres_url(postgres_server)
    monkeypatch.setenv(VARIABLE, url)
    return url


def test_a_demo_in_postgresql_is_the_same_demo(database: str, cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "data"
    ran = cli("demo", "--days", 2, "--data-dir", data, "--json")
    assert ran.code == 0, ran.err
    assert not (data / "wattledger.db").exists()
    expected = expected_of(KONSTANZ, window_s=3_600, days=2)
    assert {name: ran.document[name] for name in expected.counted} == expected.counted
    assert cli("audit", "--data-dir", data).code == 0
    file = data / "statements" / "5-20160602T000000Z.json"
    assert cli("verify", file, "--data-dir", data).code == 0
    at_s, import_wh, export_wh = read(KONSTANZ)["DE_KN_residential2"][1]
    better = write(tmp_path / "b.csv", [line("DE_KN_residential2", at_s, import_wh + 1, export_wh)])
    ran = cli("import", better, "--format", "registers-csv", "--data-dir", data, "--json")
    assert (ran.code, ran.document["accepted"]) == (0, 1), ran.out
    ran = cli("settle", "--data-dir", data, "--json")
    # Cars were there for longer than the homes' data: these days are settled now, too.
    assert [each["run"] for each in ran.document["settled"] if each["run"]] == [1]
    assert cli("audit", "--data-dir", data).code == 0


def test_a_second_demo_over_the_first_works_in_postgresql_too(
    database: str, cli: Cli, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for days in (2, 1):
        ran = cli("demo", "--days", days, "--charging", "none", "--data-dir", data, "--json")
        assert (ran.code, ran.document.get("periods")) == (0, days), ran.err


def test_a_database_of_another_community_is_refused_and_left_as_it_is(
    database: str, cli: Cli, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert cli("demo", "--days", 1, "--charging", "none", "--data-dir", first).code == 0
    ran = cli("demo", "--days", 1, "--data-dir", second, "--json")
    assert (ran.code, ran.document["error"]["code"]) == (1, "community_exists"), ran.err
    assert cli("audit", "--data-dir", first).code == 0


def test_a_data_directory_over_the_wrong_database_is_refused(
    database: str, demo_home: Path, cli: Cli, tmp_path: Path
) -> None:
    ran = cli("audit", "--data-dir", demo_home)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "wrong_version" in ran.err
    assert (
        cli("demo", "--days", 1, "--charging", "none", "--data-dir", tmp_path / "other").code == 0
    )
    ran = cli("audit", "--data-dir", demo_home)
    assert (ran.code, ran.err.count("\n")) == (1, 1), ran.out


def test_a_database_that_is_not_there_is_named_without_its_password(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (
        "postgresql+psycopg://me:hunter2@127.0.0.1:1/none",
        "postgresql+nodriver://me:hunter2@127.0.0.1:1/none",
        "mysql://me:hunter2@127.0.0.1:1/none",
        "no url, hunter2",
        "sqlite:////nowhere/at/all.db",
    ):
        monkeypatch.setenv(VARIABLE, url)
        ran = cli("demo", "--days", 1, "--data-dir", tmp_path / "data")
        assert (ran.code, ran.err.count("\n")) == (1, 1), (url, ran.err)
        assert "hunter2" not in ran.err
