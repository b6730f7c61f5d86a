"""A data directory that is in use, of another version, damaged, unwritable or on a full disk."""

import ctypes
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api.jobs.community import open_community
from api.jobs.create import create_community
from api.jobs.demo import config_of_shape, shape_of
from tests.e2e.command_line import Cli
from tests.e2e.registers import KONSTANZ, ROOT, line, read, write
from tests.e2e.test_republication import quiet

CONFIG = """
[market]
first_period_start = 2016-06-01T00:00:00Z
"""


def contents(data: Path) -> dict[str, bytes]:
    """Everything in a directory, less what SQLite keeps beside a file that is open."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


# Another version.


def mark(data: Path, text: str) -> None:
    (data / "wattledger.json").write_text(text)


def database(data: Path, statement: str) -> None:
    with sqlite3.connect(data / "wattledger.db") as connection:
        connection.execute(statement)
    connection.close()


def chain(data: Path, statement: str) -> None:
    with sqlite3.connect(data / "chain" / "chain.sqlite") as connection:
        connection.execute(statement)
    connection.close()


OTHER_VERSIONS: list[tuple[str, Callable[[Path], None], str]] = [
    ("mark", lambda data: mark(data, '{"format": "wattledger.data/2"}'), "wrong_version"),
    ("mark without format", lambda data: mark(data, "{}"), "wrong_version"),
    ("mark not JSON", lambda data: mark(data, "wattledger"), "wrong_version"),
    ("mark not an object", lambda data: mark(data, "[1]"), "wrong_version"),
    (
        "tables",
        lambda data: database(data, "UPDATE alembic_version SET version_num = '9999'"),
        "wrong_version",
    ),
    ("no tables", lambda data: database(data, "DELETE FROM alembic_version"), ""),
    (
        "chain",
        lambda data: chain(data, "UPDATE meta SET value = 9 WHERE name = 'format_version'"),
        "data_directory_mismatch",
    ),
    (
        "chain id",
        lambda data: chain(data, "UPDATE meta SET value = 9 WHERE name = 'chain_id'"),
        "data_directory_mismatch",
    ),
]


@pytest.mark.parametrize(
    ("change", "code"),
    [pytest.param(change, code, id=name) for name, change, code in OTHER_VERSIONS],
)
def test_a_directory_of_another_version_is_refused_and_left_as_it_is(
    change: Callable[[Path], None], code: str, demo_copy: Path, cli: Cli
) -> None:
    change(demo_copy)
    before = contents(demo_copy)
    for words in (("settle",), ("audit",), ("statement", 3)):
        ran = cli(*words, "--data-dir", demo_copy, "--json")
        assert ran.code == 1, words
        assert ran.document["error"]["code"] != "internal_error", ran.err
        assert ran.document["error"]["code"].startswith(code), ran.err
        assert ran.err.count("\n") == 1
    assert contents(demo_copy).keys() == before.keys()
    assert contents(demo_copy)["keys.json"] == before["keys.json"]


@pytest.mark.parametrize(
    "name",
    ["wattledger.db", "chain/chain.sqlite", "keys.json", "community.json"],
)
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage"])
def test_a_damaged_directory_is_refused_in_one_line(
    name: str, damage: str, demo_copy: Path, cli: Cli
) -> None:
    file = demo_copy / name
    file.unlink()
    if damage != "missing":
        file.write_bytes(b"" if damage == "empty" else b"\x00garbage\xff" * 600)
    for words in (("audit",), ("settle",)):
        ran = cli(*words, "--data-dir", demo_copy)
        if (name, damage) == ("keys.json", "missing"):
            assert ran.code == 0  # An auditor needs no keys, nor does who has nothing to sign.
            continue
        assert (ran.code, ran.err.count("\n")) == (1, 1), (words, ran.err)
        assert "internal_error" not in ran.err


def test_without_its_keys_nothing_is_signed_and_the_file_is_named(
    demo_copy: Path, cli: Cli, tmp_path: Path
) -> None:
    (demo_copy / "keys.json").unlink()
    at_s, import_wh, _ = read(KONSTANZ)["DE_KN_residential2"][1]
    file = write(tmp_path / "r.csv", [line("DE_KN_residential2", at_s, import_wh + 1, None)])
    ran = cli("import", file, "--format", "registers-csv", "--data-dir", demo_copy)
    assert (ran.code, "bad_signature" in ran.out) == (1, True)


# In use.


def test_a_directory_that_another_command_writes_to_is_not_written_to(
    demo_copy: Path, cli: Cli
) -> None:
    with open_community(demo_copy):
        for words in (("settle",), ("demo", "--days", 1)):
            ran = cli(*words, "--data-dir", demo_copy, "--json")
            assert ran.code == 1
            assert ran.document["error"]["code"] == "data_directory_in_use", ran.err
        # Whoever only reads may do so beside it.
        assert cli("audit", "--data-dir", demo_copy).code == 0
        file = demo_copy / "statements" / "5-20160602T000000Z.json"
        assert cli("verify", file, "--data-dir", demo_copy).code == 0
    assert cli("settle", "--data-dir", demo_copy).code == 0


# A community that is there already, or was not finished.


def test_init_overwrites_nothing(demo_copy: Path, cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    before = contents(demo_copy)
    for data in (demo_copy, tmp_path):
        ran = cli("init", "--config", config, "--data-dir", data, "--json")
        assert (ran.code, ran.document["error"]["code"]) == (1, "community_exists")
    assert contents(demo_copy) == before


def test_an_interrupted_init_goes_on_only_with_its_own_configuration(
    cli: Cli, tmp_path: Path
) -> None:
    config, data = tmp_path / "c.toml", tmp_path / "data"
    config.write_text(CONFIG)
    assert cli("init", "--config", config, "--data-dir", data).code == 0
    (data / "complete").unlink()
    ran = cli("settle", "--data-dir", data)
    assert (ran.code, "no_community" in ran.err) == (1, True)
    other = tmp_path / "other.toml"
    other.write_text(CONFIG + "window_s = 1800\nperiod_windows = 48\n")
    ran = cli("init", "--config", other, "--data-dir", data)
    assert (ran.code, "another configuration" in ran.err) == (1, True)
    assert cli("init", "--config", config, "--data-dir", data).code == 0
    assert cli("audit", "--data-dir", data).code == 0


def test_a_file_in_the_place_of_the_directory_is_named(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("mine")
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    for words in (("demo", "--days", 1), ("init", "--config", config), ("audit",)):
        ran = cli(*words, "--data-dir", file)
        assert (ran.code, ran.err.count("\n")) == (1, 1), ran.err
        assert "internal_error" not in ran.err
    assert file.read_text() == "mine"


def test_keys_are_for_their_owner_only(demo_home: Path) -> None:
    assert (demo_home / "keys.json").stat().st_mode & 0o077 == 0
    assert demo_home.stat().st_mode & 0o077 == 0


# A disk that refuses.

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # Linux.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from api.cli.app import run
sys.exit(run(sys.argv[2:]))
"""


def on_full_disk(size: int, *words: object) -> subprocess.CompletedProcess[str]:
    """Runs a command that can make no file larger than this, as on a disk with no room."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(size), *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,  # A chain that cannot be written is waited for, for a minute or two.
    )


def not_settled(data: Path) -> Path:
    community = create_community(data, config_of_shape(shape_of(KONSTANZ, 2)), progress=quiet)
    community.close()
    return data


@pytest.mark.parametrize("size", [0, 4_096, 40_000, 100_000])
def test_a_full_disk_stops_a_command_in_one_line_and_it_goes_on_later(
    size: int, cli: Cli, tmp_path: Path
) -> None:
    data = not_settled(tmp_path / "data")
    lines = KONSTANZ.read_text().splitlines()
    file = tmp_path / "r.csv"
    few = [text for text in lines if text.split(",")[1] <= "2016-06-04T00:00:00Z"]
    file.write_text("\n".join([lines[0], *few]) + "\n")
    take = ("import", file, "--format", "registers-csv", "--data-dir", data)
    full = on_full_disk(size, *take)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1, full.stderr
    assert "internal_error" not in full.stderr
    ran = cli(*take, "--json")
    assert (ran.code, ran.document["accepted"]) == (0, 6 * 73), ran.err
    full = on_full_disk(size, "settle", "--data-dir", data, "--until", "2016-06-04T00:00:00Z")
    assert (full.returncode, full.stderr.count("\n")) == (1, 1), full.stderr
    assert "internal_error" not in full.stderr
    ran = cli("settle", "--data-dir", data, "--until", "2016-06-04T00:00:00Z", "--json")
    assert ran.code == 0, ran.err
    ran = cli("audit", "--data-dir", data, "--json")
    assert (ran.code, ran.document["runs"]) == (0, 3), ran.out


@pytest.mark.parametrize("size", [0, 1_000, 60_000, 150_000])
def test_init_on_a_full_disk_is_taken_up_when_there_is_room(
    size: int, cli: Cli, tmp_path: Path
) -> None:
    config, data = tmp_path / "c.toml", tmp_path / "data"
    config.write_text(CONFIG)
    full = on_full_disk(size, "init", "--config", config, "--data-dir", data)
    assert (full.returncode, full.stderr.count("\n")) == (1, 1), full.stderr
    assert "internal_error" not in full.stderr
    ran = cli("init", "--config", config, "--data-dir", data)
    assert ran.code == 0, ran.err


def run_where_modes_count(*words: object) -> subprocess.CompletedProcess[str]:
    """Runs a command for which files' modes count even if it is root that runs it."""
    libc = ctypes.CDLL(None)

    def give_up_overriding() -> None:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    return subprocess.run(
        [sys.executable, "-c", "from api.cli import main; main()", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=give_up_overriding,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_directory_that_may_not_be_written_is_read_all_the_same(demo_copy: Path) -> None:
    inside = sorted(demo_copy.rglob("*"))
    for path in [*inside, demo_copy]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for words in (("settle",), ("demo", "--days", 1)):
            ran = run_where_modes_count(*words, "--data-dir", demo_copy)
            assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
            assert "internal_error" not in ran.stderr
        file = demo_copy / "statements" / "5-20160602T000000Z.json"
        for reading in (("audit",), ("verify", file)):
            ran = run_where_modes_count(*reading, "--data-dir", demo_copy)
            assert ran.returncode == 0, ran.stderr
        out = demo_copy / "statements"
        ran = run_where_modes_count("statement", 3, "--data-dir", demo_copy, "--out", out)
        assert (ran.returncode, "storage_failed" in ran.stderr) == (1, True)
        assert sorted(demo_copy.rglob("*")) == inside
    finally:
        for path in [demo_copy, *inside]:
            path.chmod(0o755 if path.is_dir() else 0o644)
