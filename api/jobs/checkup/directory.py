"""The directory, its disk and its keys."""

import os
import shutil
import stat
from collections.abc import Iterator

from api.config import CommunityConfig
from api.datadir import DataDir
from api.errors import KeystoreLocked
from api.jobs.checkup.checks import Check, fine, problem, warning
from api.jobs.community import CHARGING, OPERATOR
from api.readiness import DISK_FULL_BYTES, DISK_LOW_BYTES
from ledger.errors import LedgerError

OTHERS = 0o077
NEEDED = (OPERATOR, CHARGING, "salt")


def check_directory(directory: DataDir) -> Iterator[Check]:
    """Whose it is, and how much room there is."""
    path, about = directory.path, directory.path.stat()
    if about.st_mode & OTHERS:
        mode = stat.filemode(about.st_mode)
        yield problem("directory", f"others can look into it: {mode}", f"chmod 700 {path}")
    elif hasattr(os, "geteuid") and about.st_uid not in {os.geteuid(), 0} and os.geteuid() != 0:
        yield warning("directory", "it belongs to another user", "run as the service's user")
    else:
        yield fine("directory", f"{path}, for its owner alone")
    free_bytes = shutil.disk_usage(path).free
    free = f"{free_bytes // 2**20} MiB are free"
    if free_bytes < DISK_FULL_BYTES:
        yield problem("disk", free, "make room: what cannot be written down is not accepted")
    elif free_bytes < DISK_LOW_BYTES:
        yield warning("disk", free, "make room soon")
    else:
        yield fine("disk", free)


def check_keys(directory: DataDir, config: CommunityConfig) -> Iterator[Check]:
    """Where the keys are, and whether they can be used."""
    plain, keystore = directory.keys_path, directory.keystore_path
    for path in (plain, keystore, directory.password_path):
        if path.exists() and path.stat().st_mode & OTHERS:
            yield problem("keys", f"others can read {path.name}", f"chmod 600 {path}")
    if plain.exists() and keystore.exists():
        detail = f"{plain.name} still lies beside {keystore.name}"
        yield warning("keys", detail, "wattledger keys encrypt")
    elif plain.exists() and config.chain.rpc is not None:
        detail = "private keys of a real chain lie on the disk as they are"
        yield warning("keys", detail, "wattledger keys encrypt")
    if directory.password_path.exists():
        detail = "the keystore's password lies beside it"
        advice = "move it to where only the service reads it, and name it by --password-file"
        yield warning("keys", detail, advice)
    try:
        ring = directory.keys(encrypted=config.chain.rpc is not None)
        missing = [name for name in NEEDED if name not in ring]
    except KeystoreLocked as error:
        detail = "they are encrypted, and were not opened: roles and gas are not looked at"
        yield warning("keys", detail, error.rule)
    except LedgerError as error:
        yield problem("keys", str(error), "give the right password, or restore a backup")
    else:
        kind = "encrypted" if keystore.exists() else "plain"
        if missing:
            detail = f"the keys of {', '.join(missing)} are not in {ring.path.name}"
            yield problem("keys", detail, "restore a backup")
        else:
            yield fine("keys", f"{len(list(ring))} in {ring.path.name}, {kind}")
