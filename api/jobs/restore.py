"""A backup becomes a data directory again, and its database one of either kind."""

import hashlib
import tarfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect, make_url, text

from api.datadir import DataDir
from api.errors import BadInput, CommunityExists, StorageFailed
from api.files import storage, sync_directory
from api.jobs.backup import BLOCK_BYTES, CHAIN, DATABASE, Manifest, Part, Progress, read_manifest
from api.jobs.opening import DIRECTORY, database_failures_named
from api.jobs.table_copy import copy_to_server
from api.jobs.tables import migrate
from ledger.settlement_store import SettlementStore
from ledger.store import open_engine

NEEDED: Final = frozenset({"wattledger.json", "community.json", DATABASE})
ALLOWED: Final = NEEDED | {"keys.json", "keystore.json", CHAIN}


def restore(
    file: Path, directory: DataDir, *, database_url: str | None, progress: Progress
) -> Manifest:
    """Makes a community's directory from a backup; its tables become those of this version.

    Args:
        database_url: where the database goes; without one it becomes the directory's own file.

    Raises:
        CommunityExists: directory or database hold one already.
        BadInput: the file is no backup.
        StorageFailed: it is damaged, or a disk refuses.
        WrongVersion: a newer version made it.
    """
    is_server = database_url is not None and make_url(database_url).get_backend_name() != "sqlite"
    if database_url is not None:
        _require_empty(database_url)
    directory.begin_restoring()
    try:
        manifest = _unpack(file, directory, progress)
        _place_database(directory, database_url, is_server=is_server)
    except BaseException:
        directory.abandon_restoring()
        raise
    directory.complete()
    directory.end_restoring()
    return manifest


def _place_database(directory: DataDir, database_url: str | None, *, is_server: bool) -> None:
    """Brings the database to this version's tables, and to where it is to be."""
    directory.require_begun()
    own = directory.path / DATABASE
    engine = open_engine(f"sqlite:///{own}")
    try:
        with database_failures_named(str(own)):
            migrate(engine)
            _require_whole(engine, directory)
            if is_server:
                _move_to_server(engine, str(database_url))
    finally:
        engine.dispose()
    if is_server:
        own.unlink()
    elif database_url is not None:
        _move_file(own, Path(make_url(database_url).database or ""))
    sync_directory(directory.path)


def _require_empty(database_url: str) -> None:
    """Nothing that is there is overwritten."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        if Path(url.database or "").exists():
            raise CommunityExists(data_dir=str(url.database), rule="the file is there already")
        return
    shown = url.render_as_string(hide_password=True)
    with database_failures_named(shown):
        engine = open_engine(database_url)
        try:
            tables = inspect(engine).get_table_names()
            if "community_fact" not in tables:
                return
            with engine.connect() as connection:
                found = connection.execute(text("SELECT count(*) FROM community_fact")).scalar_one()
        finally:
            engine.dispose()
    if found:
        raise CommunityExists(data_dir=shown, rule="the database holds a community")


def _unpack(file: Path, directory: DataDir, progress: Progress) -> Manifest:
    try:
        with storage(file), tarfile.open(file, mode="r|gz") as archive:
            manifest = read_manifest(archive, file)
            wanted = {part.name: part for part in manifest.parts}
            if not NEEDED <= wanted.keys() <= ALLOWED:
                raise StorageFailed(path=str(file), reason="is damaged: other files than it has")
            total, done = sum(part.bytes for part in manifest.parts), 0
            while (entry := archive.next()) is not None:
                part = wanted.pop(entry.name, None)
                if part is None or not entry.isfile() or entry.size != part.bytes:
                    raise StorageFailed(path=str(file), reason=f"is damaged at {entry.name[:100]}")
                _write(archive, entry, directory.path / part.name, part)
                done += part.bytes
                progress("bytes", done, total)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise StorageFailed(path=str(file), reason=f"is damaged: {error}") from error
    if wanted:
        raise StorageFailed(path=str(file), reason=f"is damaged: {min(wanted)} is missing")
    return manifest


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: Path, part: Part) -> None:
    source = archive.extractfile(entry)
    if source is None:
        raise StorageFailed(path=part.name, reason="is damaged")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256()
    path.touch(mode=0o600)
    with closing(source), path.open("wb") as target:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            target.write(block)
    if digest.hexdigest() != part.sha256:
        raise StorageFailed(path=part.name, reason="is not what was backed up: its hash differs")


def _require_whole(engine: Engine, directory: DataDir) -> None:
    if SettlementStore(engine).facts().get(DIRECTORY) != directory.identity:
        raise BadInput(field="FILE", rule="its database is another community's")


def _move_to_server(source: Engine, database_url: str) -> None:
    target = open_engine(database_url)
    shown = target.url.render_as_string(hide_password=True)
    try:
        with database_failures_named(shown):
            migrate(target)
            with source.connect() as theirs, target.begin() as ours:
                copy_to_server(theirs, ours)
    finally:
        target.dispose()


def _move_file(own: Path, path: Path) -> None:
    with storage(path):
        path.touch(mode=0o600, exist_ok=False)
        with own.open("rb") as source, path.open("wb") as target:
            while block := source.read(BLOCK_BYTES):
                target.write(block)
        own.unlink()
