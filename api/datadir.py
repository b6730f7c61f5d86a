"""The data directory: what `init` and `demo` make, and every other command opens."""

import json
import secrets
import shutil
from functools import cached_property
from pathlib import Path

from api.errors import CommunityExists, NoCommunity, WrongVersion
from api.files import PART, storage, write_private
from api.keys import KeyFile, KeyRing, PlainKeys
from api.keystore import PASSWORD_FILE, Keystore, Passwords

FORMAT = "wattledger.data/1"
DEMO = "demo"
_MARK = "wattledger.json"
_CONFIG = "community.json"
_KEYS = "keys.json"
_KEYSTORE = "keystore.json"
_COMPLETE = "complete"
_RESTORING = "restoring" + PART
PICTURE = "day.svg"
# What lies in a data directory besides its mark: first what says that the rest is whole.
_CONTENTS = (
    _COMPLETE,
    "wattledger.db*",
    "chain",
    "statements",
    "receipts",
    _KEYS,
    _KEYSTORE,
    PASSWORD_FILE,
    PICTURE,
    "*" + PART,
    _CONFIG,
)


class DataDir:
    """Where everything of one community lies."""

    def __init__(self, path: Path, *, password_file: Path | None = None) -> None:
        """`password_file` holds the keystore's password, if there is a keystore."""
        self.path = path
        self.passwords = Passwords(home=path, file=password_file)

    @property
    def database_url(self) -> str:
        """SQLite's URL of the default database."""
        return f"sqlite:///{self.path / 'wattledger.db'}"

    @property
    def chain_path(self) -> Path:
        """Directory of the embedded chain."""
        return self.path / "chain"

    @property
    def statements_path(self) -> Path:
        """Where statement files are written by default."""
        return self.path / "statements"

    @property
    def receipts_path(self) -> Path:
        """Where a demo writes the receipts of its charges."""
        return self.path / "receipts"

    @property
    def picture_path(self) -> Path:
        """Where a demo draws the neighbourhood's day."""
        return self.path / PICTURE

    def create(self, config_json: str, *, for_demo: bool = False) -> None:
        """Makes the directory for a new community, or takes up one whose making was interrupted.

        Raises:
            CommunityExists: a community lies there, or files that are not ours.
            StorageFailed: the disk refuses.
        """
        with storage(self.path):
            # Readings and salts are personal: nobody else looks in.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.is_complete:
                raise CommunityExists(
                    data_dir=str(self.path), rule="choose another directory, or remove this one"
                )
            if not (self.path / _MARK).exists():
                if any(each.name != _MARK + PART for each in self.path.iterdir()):
                    raise CommunityExists(
                        data_dir=str(self.path), rule="the directory is not empty"
                    )
                made_by = DEMO if for_demo else "init"
                mark = {"format": FORMAT, "made_by": made_by, "id": secrets.token_hex(16)}
                write_private(self.path / _MARK, json.dumps(mark))
            self._check_format()
            if not (self.path / _CONFIG).exists():
                write_private(self.path / _CONFIG, config_json)

    def require(self) -> None:
        """Refuses a directory that `init` or `demo` did not complete, or of another version."""
        self.require_begun()
        if not self.is_complete:
            raise NoCommunity(
                data_dir=str(self.path), rule="its making was interrupted: run that again"
            )

    def require_begun(self) -> None:
        """Refuses a directory that nobody began to make a community in, or of another version."""
        with storage(self.path):
            if not (self.path / _MARK).exists():
                raise NoCommunity(
                    data_dir=str(self.path), rule="run `wattledger demo` or `wattledger init` first"
                )
            self._check_format()

    @property
    def is_complete(self) -> bool:
        """Whether the community was made to the end."""
        return (self.path / _COMPLETE).exists()

    def complete(self) -> None:
        """Marks the community as made."""
        with storage(self.path):
            write_private(self.path / _COMPLETE, "")

    def begin_restoring(self) -> None:
        """Makes an empty directory for a backup, or empties one whose restoring was interrupted.

        Raises:
            CommunityExists: something lies there.
            StorageFailed: the disk refuses.
        """
        with storage(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            note = self.path / _RESTORING
            if note.exists() and not self.is_complete:
                self.abandon_restoring()
            if any(self.path.iterdir()):
                raise CommunityExists(data_dir=str(self.path), rule="the directory is not empty")
            write_private(note, "a restore was interrupted here: run it again\n")

    def abandon_restoring(self) -> None:
        """Takes back what a restore has put here so far."""
        with storage(self.path):
            self.empty()
            self.mark_path.unlink(missing_ok=True)

    def end_restoring(self) -> None:
        """Takes the note of a restore away."""
        with storage(self.path):
            (self.path / _RESTORING).unlink()

    def is_demo(self) -> bool:
        """Whether a demo of this version's format began to make a community here."""
        with storage(self.path):
            if not (self.path / _MARK).exists():
                return False
            self._check_format()
            return self._mark().get("made_by") == DEMO and (self.path / _CONFIG).exists()

    def empty(self) -> None:
        """Removes a community, and nothing that somebody else put into the directory."""
        with storage(self.path):
            for pattern in _CONTENTS:
                for path in self.path.glob(pattern):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()

    @property
    def mark_path(self) -> Path:
        """The file that tells what lies here."""
        return self.path / _MARK

    @property
    def config_path(self) -> Path:
        """Where the configuration is kept."""
        return self.path / _CONFIG

    @property
    def identity(self) -> str:
        """What tells this directory's community from any other."""
        return str(self._mark().get("id", ""))

    def config_json(self) -> str:
        """The configuration that the community was made from."""
        with storage(self.path):
            return (self.path / _CONFIG).read_text(encoding="utf-8")

    def rewrite_config(self, config_json: str) -> None:
        """Changes names in the configuration; everything else is on the chain."""
        write_private(self.config_path, config_json)

    @property
    def keys_path(self) -> Path:
        """Where the keys of a trial are kept."""
        return self.path / _KEYS

    @property
    def keystore_path(self) -> Path:
        """Where the keys are kept, encrypted."""
        return self.path / _KEYSTORE

    @property
    def password_path(self) -> Path:
        """Where a keystore's password is left if nobody says another place."""
        return self.path / PASSWORD_FILE

    def keys(self, *, encrypted: bool = False) -> KeyRing:
        """The keys of this directory; an empty ring where there are none yet.

        Args:
            encrypted: whether a new ring is a keystore; one that is there stays what it is.
        """
        with storage(self.path):
            has_keystore = self.keystore_path.exists()
            file: KeyFile = (
                self._keystore
                if has_keystore or (encrypted and not self.keys_path.exists())
                else PlainKeys(self.keys_path, successor=self.keystore_path)
            )
            return KeyRing(file, for_demo=self.is_demo())

    @cached_property
    def _keystore(self) -> Keystore:
        """One for all rings: to open it takes a while."""
        return Keystore(self.keystore_path, self.passwords)

    def _check_format(self) -> None:
        found = self._mark().get("format", "unreadable")
        if found != FORMAT:
            raise WrongVersion(data_dir=str(self.path), found=str(found), expected=FORMAT)

    def _mark(self) -> dict[str, object]:
        text = (self.path / _MARK).read_bytes().decode("utf-8", errors="replace")
        try:
            mark = json.loads(text)
        except json.JSONDecodeError:
            return {}
        return mark if isinstance(mark, dict) else {}
