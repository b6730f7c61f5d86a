"""`wattledger backup` and `restore`: everything comes back, in either database, or nothing does."""

import gzip
import hashlib
import io
import json
import signal
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic import command
from sqlalchemy import MetaData, create_engine, select

from api.datadir import DataDir
from api.jobs.snapshot import held
from api.jobs.table_copy import copy_to_server, copy_to_sqlite
from api.jobs.tables import _config, head_revision, migrate
from ledger.store import open_engine
from tests.e2e.command_line import Cli
from tests.e2e.test_serve import ended, serving, signed_in
from tests.engines import postgres_server, postgres_url  # noqa: F401 (fixture)

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def backed_up(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the demo; nobody may change it."""
    from api.cli.app import run  # noqa: PLC0415 (there is no other place for it)

    file = tmp_path_factory.mktemp("backups") / "demo.tar.gz"
    assert run(["backup", str(file), "--data-dir", str(demo_home)]) == 0
    return file


def rows_of(url: str) -> Rows:
    """Everything in a database."""
    engine = create_engine(url)
    tables = MetaData()
    try:
        with engine.connect() as connection:
            tables.reflect(connection)
            return {
                name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                for name, table in tables.tables.items()
            }
    finally:
        engine.dispose()


def repacked(file: Path, out: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The backup with other contents; its hashes and sizes are right, if it has a manifest."""
    with tarfile.open(file) as archive:
        found = {
            entry.name: source.read()
            for entry in archive.getmembers()
            if (source := archive.extractfile(entry))
        }
    change(found)
    with tarfile.open(out, "w:gz") as archive:
        for name, content in found.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out


def with_hashes(found: dict[str, bytes]) -> None:
    manifest = json.loads(found.pop("manifest.json"))
    manifest["parts"] = [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in found.items()
    ]
    rest = dict(found)
    found.clear()
    found["manifest.json"] = json.dumps(manifest).encode()
    found.update(rest)


# There and back.


def test_a_restored_community_is_the_same_one_and_its_audit_is_clean(
    backed_up: Path, demo_home: Path, tmp_path: Path, cli: Cli
) -> None:
    home = tmp_path / "again"
    ran = cli("restore", backed_up, "--data-dir", home, "--json")
    assert (ran.code, ran.document["data_dir"]) == (0, str(home)), ran.err
    for name in ("wattledger.json", "community.json", "keys.json"):
        assert (home / name).read_bytes() == (demo_home / name).read_bytes()
    original, again = (
        rows_of(f"sqlite:///{place / 'wattledger.db'}") for place in (demo_home, home)
    )
    assert again == original
    assert len(original["reading"]) > 100
    assert cli("audit", "--data-dir", home).code == 0
    assert cli("settle", "--data-dir", home).code == 0
    assert home.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.iterdir())
    assert not list(home.glob("*.part"))


def test_a_backup_is_for_its_owner_and_says_what_is_in_it(
    demo_home: Path, tmp_path: Path, cli: Cli
) -> None:
    file = tmp_path / "b.tar.gz"
    ran = cli("backup", file, "--data-dir", demo_home)
    assert ran.code == 0
    assert "private keys that are not encrypted" in ran.out
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.gz", "elsewhere"]
    with tarfile.open(file) as archive:
        names = archive.getnames()
        source = archive.extractfile("manifest.json")
        assert source is not None
        manifest = json.loads(source.read())
    assert names[0] == "manifest.json"
    assert sorted(names[1:]) == sorted(part["name"] for part in manifest["parts"])
    assert manifest["format"] == "wattledger.backup/1"
    assert (manifest["revision"], manifest["chain"]) == (head_revision(), "embedded")
    again = cli("backup", file, "--data-dir", demo_home)
    assert (again.code, "is there already" in again.err) == (1, True)


def test_an_encrypted_keystore_goes_along_and_its_password_does_not(
    demo_copy: Path, tmp_path: Path, cli: Cli
) -> None:
    (demo_copy / "keystore.password").write_text("correct horse battery")
    assert cli("keys", "encrypt", "--data-dir", demo_copy).code == 0
    file, home = tmp_path / "b.tar.gz", tmp_path / "again"
    ran = cli("backup", file, "--data-dir", demo_copy, "--json")
    assert (ran.code, ran.document["keys"]) == (0, "encrypted")
    assert b"correct horse" not in gzip.decompress(file.read_bytes())
    assert cli("restore", file, "--data-dir", home).code == 0
    locked = cli("keys", "list", "--data-dir", home)
    assert (locked.code, "keystore_locked" in locked.err) == (1, True)
    password = ("--password-file", demo_copy / "keystore.password")
    assert cli("keys", "list", *password, "--data-dir", home).code == 0


@pytest.fixture
def server_url(postgres_server: Any) -> str:  # noqa: F811 (a fixture)
    """URL of an empty database on PostgreSQL."""
    return postgres_url(postgres_server)


def test_a_community_moves_to_postgresql_and_back(
    backed_up: Path, server_url: str, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, home, back, middle = server_url, tmp_path / "pg", tmp_path / "back", tmp_path / "middle"
    ran = cli("restore", backed_up, "--data-dir", home, "--database-url", url)
    assert ran.code == 0, ran.err
    assert not (home / "wattledger.db").exists()
    assert cli("restore", backed_up, "--data-dir", middle).code == 0
    assert rows_of(url) == rows_of(f"sqlite:///{middle / 'wattledger.db'}")
    with monkeypatch.context() as settings:
        settings.setenv("WATTLEDGER_DATABASE_URL", url)
        assert cli("audit", "--data-dir", home).code == 0
        assert cli("settle", "--data-dir", home).code == 0  # It writes: rows are counted on.
        file = tmp_path / "pg.tar.gz"
        assert cli("backup", file, "--data-dir", home).code == 0
        changed = rows_of(url)
        again = cli("restore", backed_up, "--data-dir", tmp_path / "no", "--json")
        assert (again.code, again.document["error"]["code"]) == (1, "community_exists")
        assert rows_of(url) == changed
    assert cli("restore", file, "--data-dir", back).code == 0
    assert rows_of(f"sqlite:///{back / 'wattledger.db'}") == changed
    assert cli("audit", "--data-dir", back).code == 0


def test_a_server_goes_on_counting_rows_after_those_that_were_copied(
    postgres_server: Any,  # noqa: F811 (a fixture)
    backed_up: Path,
    tmp_path: Path,
    cli: Cli,
) -> None:
    url = postgres_url(postgres_server)
    ran = cli("restore", backed_up, "--data-dir", tmp_path / "pg", "--database-url", url)
    assert ran.code == 0, ran.err
    engine = create_engine(url)
    with engine.begin() as connection:
        last = connection.exec_driver_sql("SELECT max(entry_id) FROM outbox_intent").scalar_one()
        counted = connection.exec_driver_sql(
            "SELECT nextval(pg_get_serial_sequence('outbox_intent', 'entry_id'))"
        ).scalar_one()
    engine.dispose()
    assert counted == last + 1 > 1


# While it is served.


def test_a_served_community_is_backed_up_and_its_tokens_outlive_the_restore(
    demo_copy: Path, tmp_path: Path, cli: Cli
) -> None:
    file, home = tmp_path / "b.tar.gz", tmp_path / "again"
    with serving(demo_copy, "--log-format", "json") as (process, url):
        headers = signed_in(url)
        assert cli("backup", file, "--data-dir", demo_copy).code == 0
        assert httpx2.get(url + "/v1/me", headers=headers).status_code == 200
        code, _, err = ended(process, signal.SIGTERM)
    assert code == 0
    lines = [json.loads(line) for line in err.splitlines()]  # Every line of the log is JSON.
    assert {"request", "/v1/me"} <= {line.get("event") for line in lines} | {
        line.get("route") for line in lines
    }
    assert headers["Authorization"].removeprefix("Bearer ") not in err
    assert cli("restore", file, "--data-dir", home).code == 0
    assert cli("audit", "--data-dir", home).code == 0
    with serving(home) as (_, url):
        assert httpx2.get(url + "/v1/me", headers=headers).status_code == 200


@pytest.fixture(params=["sqlite", "postgresql"])
def two_tables(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database at head."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'held.db'}"
    else:
        url = postgres_url(request.getfixturevalue("postgres_server"))
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


def test_what_is_written_after_both_were_held_is_in_neither_copy_and_waits_for_nobody(
    two_tables: str, tmp_path: Path
) -> None:
    chain_file = tmp_path / "chain.sqlite"
    with sqlite3.connect(chain_file) as chain:
        chain.execute("PRAGMA journal_mode = WAL")
        chain.execute("CREATE TABLE node (key BLOB PRIMARY KEY)")
        chain.execute("INSERT INTO node VALUES ('before')")
        chain.commit()
    engine = open_engine(two_tables)

    def put(name: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO community_fact VALUES ('{name}', '')")
            connection.exec_driver_sql(f"INSERT INTO outbox_chain VALUES ({len(name)}, '\\x00')")
        with sqlite3.connect(chain_file) as chain:
            chain.execute("INSERT OR IGNORE INTO node VALUES (?)", (name,))

    put("early")
    with held(two_tables, chain_file) as stores:
        put("late one")
        stores.write_chain(tmp_path / "chain-copy")
        assert stores.write_database(tmp_path / "copy.db") == head_revision()
    engine.dispose()
    facts = rows_of(f"sqlite:///{tmp_path / 'copy.db'}")["community_fact"]
    assert facts == [("early", "")]
    with sqlite3.connect(tmp_path / "chain-copy") as copy:
        assert [key for (key,) in copy.execute("SELECT key FROM node ORDER BY 1")] == [
            "before",
            "early",
        ]
    assert not list(tmp_path.glob("copy.db-*"))


# Other versions.


@pytest.mark.parametrize("revision", ["0004", "0005"])
def test_a_backup_of_an_older_version_is_brought_up_to_this_one(
    revision: str, demo_copy: Path, tmp_path: Path, cli: Cli
) -> None:
    engine = open_engine(f"sqlite:///{demo_copy / 'wattledger.db'}")
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()
    file, home = tmp_path / "b.tar.gz", tmp_path / "again"
    ran = cli("backup", file, "--data-dir", demo_copy, "--json")
    assert (ran.code, ran.document["revision"]) == (0, revision), ran.err
    assert cli("restore", file, "--data-dir", home).code == 0
    assert rows_of(f"sqlite:///{home / 'wattledger.db'}")["alembic_version"] == [(head_revision(),)]
    assert cli("audit", "--data-dir", home).code == 0


def test_a_backup_of_a_newer_version_is_refused_and_leaves_nothing(
    backed_up: Path, tmp_path: Path, cli: Cli
) -> None:
    def change(found: dict[str, bytes]) -> None:
        place = tmp_path / "newer.db"
        place.write_bytes(found["wattledger.db"])
        with closing(sqlite3.connect(place, isolation_level=None)) as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
        found["wattledger.db"] = place.read_bytes()
        with_hashes(found)

    file = repacked(backed_up, tmp_path / "newer.tar.gz", change)
    ran = cli("restore", file, "--data-dir", tmp_path / "again", "--json")
    assert (ran.code, ran.document["error"]["code"]) == (1, "wrong_version")
    assert list((tmp_path / "again").iterdir()) == []
    assert cli("restore", backed_up, "--data-dir", tmp_path / "again").code == 0


def test_a_server_of_an_older_revision_is_copied_as_it_is(
    postgres_server: Any,  # noqa: F811 (a fixture)
    tmp_path: Path,
) -> None:
    engine = open_engine(postgres_url(postgres_server))
    migrate(engine, "0002")
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO auth_nonce VALUES ('\\x0102', 7)")
        copy_to_sqlite(connection, tmp_path / "copy.db", revision="0002")
    copied = rows_of(f"sqlite:///{tmp_path / 'copy.db'}")
    assert copied["auth_nonce"] == [(b"\x01\x02", 7)]
    assert "charge_session" not in copied
    target = open_engine(postgres_url(postgres_server))
    migrate(target, "0002")
    source = open_engine(f"sqlite:///{tmp_path / 'copy.db'}")
    with source.connect() as theirs, target.begin() as ours:
        copy_to_server(theirs, ours)
    assert rows_of(target.url.render_as_string(hide_password=False))["auth_nonce"] == [
        (b"\x01\x02", 7)
    ]
    for each in (engine, source, target):
        each.dispose()


# What is no backup, or not any more.


def cut(file: Path, out: Path) -> None:
    out.write_bytes(file.read_bytes()[:-4_000])


def bent(file: Path, out: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 1 for byte in content[middle : middle + 64])
    out.write_bytes(content)


def repack(change: Callable[[dict[str, bytes]], None]) -> Callable[[Path, Path], None]:
    def damage(file: Path, out: Path) -> None:
        repacked(file, out, change)

    return damage


def other_key(found: dict[str, bytes]) -> None:
    found["keys.json"] = found["keys.json"][:-2] + b'"'


def other_bytes(found: dict[str, bytes]) -> None:
    found["keys.json"] = found["keys.json"].replace(b"0", b"1")


def stranger(found: dict[str, bytes]) -> None:
    found["../evil"] = b"x"


def known_stranger(found: dict[str, bytes]) -> None:
    found["../evil"] = b"x"
    with_hashes(found)


def no_database(found: dict[str, bytes]) -> None:
    del found["wattledger.db"]


def other_community(found: dict[str, bytes]) -> None:
    mark = json.loads(found["wattledger.json"])
    found["wattledger.json"] = json.dumps({**mark, "id": "another"}).encode()
    with_hashes(found)


def other_format(found: dict[str, bytes]) -> None:
    manifest = json.loads(found["manifest.json"])
    found["manifest.json"] = json.dumps({**manifest, "format": "x/2"}).encode()


def odd_manifest(found: dict[str, bytes]) -> None:
    manifest = json.loads(found["manifest.json"])
    found["manifest.json"] = json.dumps({**manifest, "parts": [{"name": 7}]}).encode()


DAMAGES: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "cut": (cut, "storage_failed"),
    "bent": (bent, "storage_failed"),
    "not gzip": (lambda _, out: out.write_bytes(b"garbage" * 999), "storage_failed"),
    "empty": (lambda _, out: out.write_bytes(b""), "storage_failed"),
    "no manifest": (repack(lambda found: found.pop("manifest.json")), "bad_input"),
    "other size": (repack(other_key), "storage_failed"),
    "other bytes": (repack(other_bytes), "storage_failed"),
    "one more": (repack(stranger), "storage_failed"),
    "a way out": (repack(known_stranger), "storage_failed"),
    "no database": (repack(no_database), "storage_failed"),
    "other community": (repack(other_community), "bad_input"),
    "other format": (repack(other_format), "bad_input"),
    "odd manifest": (repack(odd_manifest), "storage_failed"),
    "missing": (lambda _, out: None, "storage_failed"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_backup_is_refused_in_one_line_and_leaves_nothing(
    name: str, backed_up: Path, tmp_path: Path, cli: Cli
) -> None:
    damage, expected = DAMAGES[name]
    file, home = tmp_path / "b.tar.gz", tmp_path / "again"
    damage(backed_up, file)
    ran = cli("restore", file, "--data-dir", home, "--json")
    assert (ran.code, ran.document["error"]["code"]) == (1, expected), ran.err
    assert ran.err.count("\n") == 1
    assert not home.exists() or list(home.iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_a_community_is_never_restored_over(
    backed_up: Path, demo_copy: Path, tmp_path: Path, cli: Cli
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for home in (demo_copy, tmp_path / "full"):
        before = sorted(path.name for path in home.iterdir())
        ran = cli("restore", backed_up, "--data-dir", home, "--json")
        assert (ran.code, ran.document["error"]["code"]) == (1, "community_exists")
        assert sorted(path.name for path in home.iterdir()) == before
    assert cli("audit", "--data-dir", demo_copy).code == 0


def test_a_restore_that_was_killed_is_done_again(backed_up: Path, tmp_path: Path, cli: Cli) -> None:
    directory = DataDir(tmp_path / "again")
    directory.begin_restoring()
    (directory.path / "wattledger.json").write_text('{"format": "wattledger.data/1"}')
    (directory.path / "wattledger.db").write_bytes(b"half of it")
    assert cli("audit", "--data-dir", directory.path).code == 1
    assert cli("restore", backed_up, "--data-dir", directory.path).code == 0
    assert cli("audit", "--data-dir", directory.path).code == 0
    again = cli("restore", backed_up, "--data-dir", directory.path)
    assert (again.code, "not empty" in again.err) == (1, True)
