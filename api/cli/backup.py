"""`wattledger backup` and `restore`."""

from pathlib import Path

from api.cli.context import Options, Outcome, data_path
from api.cli.progress import bars
from api.datadir import DataDir
from api.jobs.backup import backup
from api.jobs.restore import restore
from api.settings import read_settings

MIB = 2**20


def run_backup(options: Options, file: Path) -> Outcome:
    """Writes one file that a community can be made again from."""
    directory = DataDir(data_path(options))
    with bars(shown=not options.as_json) as progress:
        manifest = backup(directory, file, progress=progress)
    lines = [f"{file}: {file.stat().st_size / MIB:.1f} MiB, database at {manifest.revision}."]
    if manifest.keys == "plain":
        lines.append("It holds private keys that are not encrypted: whoever has it can act.")
    if manifest.keys == "encrypted":
        lines.append("Its keys are encrypted. Keep the password elsewhere: it is not in the file.")
    if manifest.chain == "rpc":
        lines.append("The chain itself is behind its endpoint, and not in the file.")
    return Outcome(document={"file": str(file), **manifest.to_json()}, text="\n".join(lines))


def run_restore(options: Options, file: Path, database_url: str | None) -> Outcome:
    """Makes a data directory from a backup."""
    directory = DataDir(data_path(options))
    url = database_url or read_settings().database_url
    with bars(shown=not options.as_json) as progress:
        manifest = restore(file, directory, database_url=url, progress=progress)
    lines = [f"{directory.path}: restored as of {manifest.made_at}."]
    if url is not None:
        lines.append("The database is elsewhere: WATTLEDGER_DATABASE_URL has to say where.")
    if manifest.chain == "rpc":
        lines.append("The chain went on meanwhile: `wattledger doctor` compares.")
    if manifest.keys == "encrypted":
        lines.append("The keystore's password was not in the backup: say where it is.")
    lines.append("Never let this and the original run at once: both would sign with the same keys.")
    lines.append(f"next      wattledger doctor --data-dir {directory.path}")
    return Outcome(
        document={"data_dir": str(directory.path), "made_at": manifest.made_at},
        text="\n".join(lines),
    )
