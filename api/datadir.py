"""The data directory: what `init` and `demo` make, and every other command opens."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.errors import CommunityExists, NoCommunity, StorageFailed, WrongVersion
from ledger.chain.wallet import Wallet
from ledger.keccak import keccak256
from ledger.units import GRID_OPERATOR, SUPPLIER

FORMAT = "wattledger.data/1"
DEMO = "demo"
_MARK = "wattledger.json"
_CONFIG = "community.json"
_KEYS = "keys.json"
_COMPLETE = "complete"
_PART = ".part"
PICTURE = "day.svg"
# Names of demo wallets, besides `home-2` for the owner of account 2, and so on; all others drive.
GRID_WALLET = "grid"  # Account 1's.
OPERATOR_WALLET = "operator"  # A person with that role; the market's operator is the service.
# What lies in a data directory besides its mark: first what says that the rest is whole.
_CONTENTS = (
    _COMPLETE,
    "wattledger.db*",
    "chain",
    "statements",
    "receipts",
    _KEYS,
    PICTURE,
    "*" + _PART,
    _CONFIG,
)


class DataDir:
    """Where everything of one community lies."""

    def __init__(self, path: Path) -> None:
        self.path = path

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
                if any(each.name != _MARK + _PART for each in self.path.iterdir()):
                    raise CommunityExists(
                        data_dir=str(self.path), rule="the directory is not empty"
                    )
                made_by = DEMO if for_demo else "init"
                mark = {"format": FORMAT, "made_by": made_by, "id": secrets.token_hex(16)}
                _write_private(self.path / _MARK, json.dumps(mark))
            self._check_format()
            if not (self.path / _CONFIG).exists():
                _write_private(self.path / _CONFIG, config_json)

    def require(self) -> None:
        """Refuses a directory that `init` or `demo` did not complete, or of another version."""
        with storage(self.path):
            if not (self.path / _MARK).exists():
                raise NoCommunity(
                    data_dir=str(self.path), rule="run `wattledger demo` or `wattledger init` first"
                )
            self._check_format()
            if not self.is_complete:
                raise NoCommunity(
                    data_dir=str(self.path), rule="its making was interrupted: run that again"
                )

    @property
    def is_complete(self) -> bool:
        """Whether the community was made to the end."""
        return (self.path / _COMPLETE).exists()

    def complete(self) -> None:
        """Marks the community as made."""
        with storage(self.path):
            _write_private(self.path / _COMPLETE, "")

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

    def keys(self) -> "KeyRing":
        """The keys of this directory; an empty ring where there are none yet."""
        with storage(self.path):
            return KeyRing(self.path / _KEYS, for_demo=self.is_demo())

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


class KeyRing:
    """Private keys by role, in a file that only its owner may read.

    The embedded chain is a trial whose one operator can rewrite it; on any other chain the
    operator's keys belong in an encrypted keystore, and members' keys in their own wallets.
    """

    def __init__(self, path: Path, *, for_demo: bool = False) -> None:
        """`for_demo` makes the keys of people the published ones of a demo's wallets."""
        self._path = path
        self._for_demo = for_demo
        self._keys: dict[str, str] = {}
        if path.exists():
            with our_file(path):
                self._keys = dict(json.loads(path.read_bytes()))

    def __repr__(self) -> str:
        return f"KeyRing({len(self._keys)} keys)"

    def make(self, names: list[str]) -> None:
        """Makes the keys that are missing, and keeps them before anything uses them."""
        missing = [name for name in names if name not in self._keys]
        if missing:
            self._keys.update({name: self._new(name).hex() for name in missing})
            with storage(self._path):
                _write_private(self._path, json.dumps(self._keys))

    def _new(self, name: str) -> bytes:
        wallet = demo_wallet_of(name) if self._for_demo else None
        return secrets.token_bytes(32) if wallet is None else demo_secret(wallet)

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def secret(self, name: str) -> bytes:
        """A key's bytes."""
        if name not in self._keys:
            raise StorageFailed(path=str(self._path), reason=f"the key of {name} is not here")
        with our_file(self._path):
            return bytes.fromhex(self._keys[name])

    def wallet(self, name: str) -> Wallet:
        """A key as a wallet."""
        return Wallet(self.secret(name))


def demo_secret(wallet: str) -> bytes:
    """The key of a demo's wallet. It is published: in a demo anybody can be anybody."""
    return keccak256(b"wattledger demo wallet: " + wallet.encode())


def demo_wallet_of(key: str) -> str | None:
    """Which wallet of a demo a key belongs to; None for those that only the service has."""
    kind, _, name = key.partition(":")
    if kind == "driver":
        return name
    if kind != "account" or name == str(SUPPLIER):
        return None
    return GRID_WALLET if name == str(GRID_OPERATOR) else f"home-{name}"


@contextmanager
def our_file(path: Path) -> Iterator[None]:
    """The same for a file that we wrote, and if it does not read as we wrote it."""
    try:
        with storage(path):
            yield
    except (ValueError, TypeError) as error:
        raise StorageFailed(path=str(path), reason="is damaged") from error


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into StorageFailed."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            path=str(error.filename or path), reason=error.strerror or type(error).__name__
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Writes a file that can be made again, whole or not at all, under its final name."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text, durable=False)


def _write_private(path: Path, text: str) -> None:
    _replace(path, text)


def _replace(path: Path, text: str, *, durable: bool = True) -> None:
    part = path.with_name(path.name + _PART)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)
