"""The keystore: a community's keys in one file, encrypted under a password.

`keystore.json` holds scrypt's parameters and the AES-256-GCM ciphertext of all names and keys, so
that a copy of the disk betrays neither a key nor a meter's name. It is opened when a key is first
asked for: who only reads needs no password.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from api.errors import BadInput, KeystoreLocked, StorageFailed, WrongPassword
from api.files import our_file, storage, write_private

FORMAT: Final = "wattledger.keystore/1"
CREDENTIAL: Final = "wattledger-keystore"
PASSWORD_FILE: Final = "keystore.password"  # noqa: S105 (a file's name)
PASSWORD_CHARS_MIN: Final = 8
PASSWORD_BYTES_MAX: Final = 1_024
RANDOM_BYTES: Final = 24
# 128 MiB and some 0.4 s for each guess: what OWASP asks of scrypt.
SCRYPT_N: Final = 2**17
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
SCRYPT_N_MAX: Final = 2**20  # A file that asks for more is not ours.
SCRYPT_SPARE_BYTES: Final = 2**20
KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
NONCE_BYTES: Final = 12

Secrets = dict[str, str]  # Hexadecimal keys by name.


@dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """Where the password of a keystore is looked for."""

    home: Path  # The data directory.
    file: Path | None = None  # As said on the command line.

    def find(self) -> str:
        """The password: of a file, of systemd's credentials, else asked for on a terminal.

        Raises:
            KeystoreLocked: there is none, and nobody to ask.
            StorageFailed, BadInput: the file cannot be read, or holds no password.
        """
        file = self._stated() or self._left()
        if file is not None:
            return password_in(file)
        return asked("Password of the keystore: ")

    def choose(self) -> str:
        """The password of a new keystore; where nobody gives one, a random one is kept here."""
        stated = self._stated()
        if stated is not None:
            return password_in(stated)
        if _has_terminal():
            return asked_twice("New password of the keystore: ")
        path = self.home / PASSWORD_FILE
        if not path.exists():
            write_private(path, secrets.token_urlsafe(RANDOM_BYTES))
        return password_in(path)

    def _stated(self) -> Path | None:
        from api.settings import credentials_path, read_settings  # noqa: PLC0415 (slow to import)

        file = self.file or read_settings().password_file
        if file is not None:
            return file
        directory = credentials_path()
        credential = directory / CREDENTIAL if directory is not None else None
        return credential if credential is not None and credential.exists() else None

    def _left(self) -> Path | None:
        """What `init` made where nobody gave a password."""
        path = self.home / PASSWORD_FILE
        return path if path.exists() else None


def password_in(file: Path) -> str:
    """The password that a file holds: its text, without a line break at the end.

    Raises:
        StorageFailed, BadInput: the file cannot be read, or holds no password.
    """
    with storage(file), file.open("rb") as source:
        found = source.read(PASSWORD_BYTES_MAX + 1)
    try:
        password = found.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise BadInput(field="--password-file", rule=f"{file} is not text") from error
    if len(found) > PASSWORD_BYTES_MAX:
        raise BadInput(field="--password-file", rule=f"{file} is too long for a password")
    return _long_enough(password, f"{file}: a password")


def asked_twice(question: str) -> str:
    """A new password, typed twice; raises BadInput if that were two."""
    password = _long_enough(asked(question), "a password")
    if password != asked("Once more: "):
        raise BadInput(field="password", rule="the two were not the same")
    return password


def asked(question: str) -> str:
    """A password as it is typed; raises KeystoreLocked if nobody is there to ask."""
    import getpass  # noqa: PLC0415 (only who is asked needs it)

    if not _has_terminal():
        raise KeystoreLocked(
            rule="say which file holds the password: --password-file, WATTLEDGER_PASSWORD_FILE or "
            f"the systemd credential {CREDENTIAL}; for a new password or a key's own file its own "
            "option. On a terminal it is asked for"
        )
    return getpass.getpass(question)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _long_enough(password: str, what: str) -> str:
    if len(password) < PASSWORD_CHARS_MIN:
        rule = f"{what} has at least {PASSWORD_CHARS_MIN} characters"
        raise BadInput(field="password", rule=rule)
    return password


class Keystore:
    """The encrypted file; what it holds is known once it was opened."""

    def __init__(self, path: Path, passwords: Passwords) -> None:
        """
        Raises:
            StorageFailed: what lies there is no keystore.
        """
        self.path = path
        self._passwords = passwords
        self._lock: _Lock | None = None  # Since it was opened: deriving it again takes long.
        if path.exists():
            self._document()

    def read(self) -> Secrets:
        """All keys.

        Raises:
            WrongPassword: or somebody changed the file.
            KeystoreLocked: there is no password.
        """
        if not self.path.exists():
            return {}
        document = self._document()
        with our_file(self.path):
            if self._lock is None or self._lock.kdf != document.get("kdf"):
                self._lock = _Lock.of(document, self._passwords.find())
            opened = self._lock.opened(document)
        if opened is None:
            self._lock = None
            raise WrongPassword(keystore=str(self.path))
        return opened

    def write(self, keys: Mapping[str, str]) -> None:
        """Puts all keys down, whole or not at all."""
        if self.path.exists():
            self.read()  # Who cannot open it does not write over it.
        if self._lock is None:
            self._lock = _Lock.new(self._passwords.choose())
        write_private(self.path, json.dumps(self._lock.sealed(keys)))

    def change_password(self, password: str) -> None:
        """Encrypts the same keys under another password."""
        keys = self.read()
        self._lock = _Lock.new(password)
        write_private(self.path, json.dumps(self._lock.sealed(keys)))

    def _document(self) -> dict[str, Any]:
        with our_file(self.path):
            document = json.loads(self.path.read_bytes())
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise StorageFailed(path=str(self.path), reason="is damaged")
        return document


def sealed(keys: Mapping[str, str], password: str, *, work: int | None = None) -> dict[str, Any]:
    """A new keystore's JSON.

    Args:
        work: scrypt's cost N; leave it out except where a test cannot wait.
    """
    return _Lock.new(password, work=work).sealed(keys)


@dataclass(frozen=True, slots=True)
class _Lock:
    """A password, stretched with one salt."""

    kdf: Mapping[str, Any]
    key: bytes = field(repr=False)

    @classmethod
    def new(cls, password: str, *, work: int | None = None) -> "_Lock":
        salt = _text(os.urandom(SALT_BYTES))
        kdf = {"name": "scrypt", "n": work or SCRYPT_N, "r": SCRYPT_R, "p": SCRYPT_P, "salt": salt}
        return cls(kdf, _derived(kdf, password))

    @classmethod
    def of(cls, document: Mapping[str, Any], password: str) -> "_Lock":
        """That of a file; raises ValueError, TypeError if it is none of ours."""
        try:
            return cls(document["kdf"], _derived(document["kdf"], password))
        except (KeyError, AttributeError) as error:
            raise ValueError("parameters are missing") from error

    def sealed(self, keys: Mapping[str, str]) -> dict[str, Any]:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (slow)

        nonce = os.urandom(NONCE_BYTES)
        text = json.dumps(dict(keys)).encode()
        return {
            "format": FORMAT,
            "kdf": dict(self.kdf),
            "cipher": "aes-256-gcm",
            "nonce": _text(nonce),
            "ciphertext": _text(AESGCM(self.key).encrypt(nonce, text, self._bound())),
        }

    def opened(self, document: Mapping[str, Any]) -> Secrets | None:
        """The keys; None if this lock does not open it."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 (slow to import)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        nonce, ciphertext = (_bytes(document.get(name)) for name in ("nonce", "ciphertext"))
        try:
            text = AESGCM(self.key).decrypt(nonce, ciphertext, self._bound())
        except InvalidTag:
            return None
        return {str(name): str(secret) for name, secret in json.loads(text).items()}

    def _bound(self) -> bytes:
        """What the ciphertext is bound to: nobody swaps parameters unnoticed."""
        return json.dumps([FORMAT, self.kdf], sort_keys=True).encode()


def _derived(kdf: Mapping[str, Any], password: str) -> bytes:
    n, r, p = (int(kdf[name]) for name in ("n", "r", "p"))
    if kdf["name"] != "scrypt" or n > SCRYPT_N_MAX or (r, p) != (SCRYPT_R, SCRYPT_P):
        raise ValueError("parameters that no keystore of ours has")
    return hashlib.scrypt(
        password.encode(),
        salt=_bytes(kdf["salt"]),
        n=n,
        r=r,
        p=p,
        maxmem=SCRYPT_SPARE_BYTES + 128 * n * r,  # What it takes, and a little.
        dklen=KEY_BYTES,
    )


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not base64")
    return base64.b64decode(text, validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
