"""The keys of a data directory by name: plain for trials, else in the keystore."""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from api.errors import BadInput, StorageFailed
from api.files import our_file, write_private
from ledger.chain.wallet import Wallet
from ledger.keccak import keccak256
from ledger.units import GRID_OPERATOR, SUPPLIER

# Names of demo wallets, besides `home-2` for the owner of account 2, and so on; all others drive.
GRID_WALLET: Final = "grid"  # Account 1's.
OPERATOR_WALLET: Final = "operator"  # A person with that role; the market's is the service.


class KeyFile(Protocol):
    """Where keys are kept: hexadecimal, by name."""

    path: Path

    def read(self) -> dict[str, str]: ...

    def write(self, keys: Mapping[str, str]) -> None: ...


class PlainKeys:
    """A file that only its owner may read. For trials: who has the disk has the keys."""

    def __init__(self, path: Path, *, successor: Path | None = None) -> None:
        """
        Args:
            successor: the keystore that takes this file's place once it is there.

        Raises:
            StorageFailed: the file is damaged.
        """
        self.path = path
        self._successor = successor
        self.read()

    def read(self) -> dict[str, str]:
        """All keys; none where there is no file yet."""
        if not self.path.exists():
            return {}
        with our_file(self.path):
            return dict(json.loads(self.path.read_bytes()))

    def write(self, keys: Mapping[str, str]) -> None:
        """Puts all keys down, whole or not at all."""
        if self._successor is not None and self._successor.exists():
            rule = "the keys have moved to the keystore: start again"
            raise StorageFailed(path=str(self.path), reason=rule)
        write_private(self.path, json.dumps(dict(keys)))


class KeyRing:
    """Private keys by role.

    The embedded chain is a trial whose one operator can rewrite it; on any other chain the
    operator's keys lie in the encrypted keystore, and members' keys in their own wallets.
    """

    def __init__(self, file: KeyFile, *, for_demo: bool = False) -> None:
        """`for_demo` makes the keys of people the published ones of a demo's wallets."""
        self._file = file
        self._for_demo = for_demo
        self._known: dict[str, str] | None = None  # Until a key is asked for.

    def __repr__(self) -> str:
        return f"KeyRing({self._file.path.name})"

    @property
    def path(self) -> Path:
        """The file that they lie in."""
        return self._file.path

    @property
    def _keys(self) -> dict[str, str]:
        if self._known is None:
            self._known = self._file.read()
        return self._known

    def make(self, names: Sequence[str]) -> None:
        """Makes the keys that are missing, and keeps them before anything uses them."""
        if all(name in self._keys for name in names):
            return
        known = self._file.read()  # Somebody may have put a key there meanwhile.
        known.update({name: self._new(name).hex() for name in names if name not in known})
        self._file.write(known)
        self._known = known

    def put(self, name: str, secret: bytes, *, replace: bool = False) -> None:
        """Keeps a key that was made elsewhere.

        Raises:
            BadInput: there is one of this name, and it is not to be replaced.
        """
        known = self._file.read()
        if name in known and not replace:
            raise BadInput(field="role", rule=f"the key of {name} is here already")
        known[name] = secret.hex()
        self._file.write(known)
        self._known = known

    def rename(self, names: Mapping[str, str]) -> None:
        """Keeps keys under other names; those that are not here are left out."""
        known = self._file.read()
        renamed = {names.get(name, name): secret for name, secret in known.items()}
        if renamed != known:
            self._file.write(renamed)
            self._known = renamed

    def _new(self, name: str) -> bytes:
        wallet = demo_wallet_of(name) if self._for_demo else None
        return secrets.token_bytes(32) if wallet is None else demo_secret(wallet)

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._keys))

    def secret(self, name: str) -> bytes:
        """A key's bytes."""
        if name not in self._keys:
            raise StorageFailed(path=str(self.path), reason=f"the key of {name} is not here")
        with our_file(self.path):
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
