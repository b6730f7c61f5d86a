"""One file that holds a community: database, embedded chain, keys as they lie on the disk, config.

    manifest.json                 what is in it: versions, sizes, hashes
    wattledger.json               the directory's mark
    community.json                the configuration
    keys.json or keystore.json
    wattledger.db                 always SQLite, whatever it came from
    chain/chain.sqlite            of an embedded chain

It is a gzipped tar file for its owner alone. What can be made again is left out, and so is a
keystore's password: a backup that held both would be as good as plain keys.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from api.datadir import DataDir
from api.errors import BadInput
from api.files import PART, PRIVATE, our_file, storage, sync_directory
from api.jobs.community import stored_config
from api.jobs.opening import system_now
from api.jobs.snapshot import held
from api.settings import read_settings
from ledger.chain.storage import FILE_NAME
from ledger.units import to_rfc3339

FORMAT: Final = "wattledger.backup/1"
MANIFEST: Final = "manifest.json"
DATABASE: Final = "wattledger.db"
CHAIN: Final = f"chain/{FILE_NAME}"
COMPRESSION: Final = 3  # Signatures and hashes do not shrink: more would only take longer.
BLOCK_BYTES: Final = 2**20
MANIFEST_BYTES_MAX: Final = 2**16
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a backup."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says about itself."""

    version: str  # Of the program that made it.
    revision: str  # Of the tables.
    made_at: str
    identity: str  # Of the directory.
    chain: str  # embedded or rpc; what lies behind an endpoint is not in a backup.
    keys: str  # plain, encrypted or none.
    parts: tuple[Part, ...]

    def to_json(self) -> dict[str, Any]:
        """As it lies in the file."""
        return {"format": FORMAT, **asdict(self)}


def backup(directory: DataDir, file: Path, *, progress: Progress) -> Manifest:
    """Writes a backup, also while the community is being served.

    Raises:
        NoCommunity, WrongVersion: there is nothing to back up.
        BadInput: the file is there already.
        StorageFailed: disk or database refuse.
    """
    directory.require()
    if file.exists():
        raise BadInput(field="FILE", rule=f"{file} is there already")
    config = stored_config(directory)
    database_url = read_settings().database_url or directory.database_url
    chain_path = directory.chain_path / FILE_NAME if config.chain.rpc is None else None
    with (
        storage(file),
        tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as name,
    ):
        home = Path(name)
        (home / "chain").mkdir()
        with held(database_url, chain_path) as stores:
            progress("chain", 0, 1)
            stores.write_chain(home / CHAIN)
            progress("database", 0, 1)
            revision = stores.write_database(home / DATABASE)
        # Keys are made before they are used: those of now open all that was held.
        keys = _copy_small(directory, home)
        manifest = Manifest(
            version=version("wattledger"),
            revision=revision,
            made_at=to_rfc3339(system_now()),
            identity=directory.identity,
            chain="embedded" if chain_path is not None else "rpc",
            keys=keys,
            parts=tuple(_part(home, path) for path in sorted(home.rglob("*")) if path.is_file()),
        )
        _pack(home, manifest, file, progress)
    return manifest


def _copy_small(directory: DataDir, home: Path) -> str:
    """Copies mark, configuration and keys; says how the keys are kept."""
    kept = "none"
    for path, kind in (
        (directory.mark_path, ""),
        (directory.config_path, ""),
        (directory.keys_path, "plain"),
        (directory.keystore_path, "encrypted"),
    ):
        if path.exists():
            (home / path.name).write_bytes(path.read_bytes())
            kept = kind or kept
    return kept


def _part(home: Path, path: Path) -> Part:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
    name = path.relative_to(home).as_posix()
    return Part(name=name, bytes=path.stat().st_size, sha256=digest.hexdigest())


def _pack(home: Path, manifest: Manifest, file: Path, progress: Progress) -> None:
    """Writes the archive, whole or not at all."""
    unfinished = file.with_name(file.name + PART)
    total = sum(part.bytes for part in manifest.parts)
    done = 0
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as target:
            with (
                gzip.GzipFile(fileobj=target, mode="wb", compresslevel=COMPRESSION, mtime=0) as gz,
                tarfile.open(fileobj=gz, mode="w|", format=tarfile.PAX_FORMAT) as archive,
            ):
                text = json.dumps(manifest.to_json(), indent=1).encode()
                archive.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))
                for part in manifest.parts:
                    with (home / part.name).open("rb") as source:
                        archive.addfile(_entry(part.name, part.bytes), source)
                    done += part.bytes
                    progress("bytes", done, total)
            target.flush()
            os.fsync(target.fileno())
        unfinished.rename(file)
        sync_directory(file.absolute().parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, PRIVATE
    return entry


def read_manifest(archive: tarfile.TarFile, file: Path) -> Manifest:
    """The manifest of an opened backup, which is its first file.

    Raises:
        BadInput: it is no backup.
        StorageFailed: it is damaged.
    """
    entry = archive.next()
    source = archive.extractfile(entry) if entry is not None and entry.isfile() else None
    if entry is None or source is None or entry.name != MANIFEST:
        raise BadInput(field="FILE", rule=f"{file} is no backup of a community")
    with our_file(file):
        document = json.loads(source.read(MANIFEST_BYTES_MAX))
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise BadInput(field="FILE", rule=f"{file} is no backup that this version can read")
        return _manifest_of(document)


def _manifest_of(document: Mapping[str, Any]) -> Manifest:
    """Raises TypeError if a field is missing or of another type."""
    parts = tuple(Part(**part) for part in document.get("parts", ()))
    manifest = Manifest(**{**document, "parts": parts})
    texts = [manifest.revision, manifest.version, *(part.name for part in parts)]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("not text")
    if not all(isinstance(part.bytes, int) and part.bytes >= 0 for part in parts):
        raise TypeError("not a size")
    return manifest
