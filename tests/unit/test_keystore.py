"""The keystore: what it gives back, what it refuses, and where its password comes from."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from api.datadir import DataDir
from api.errors import BadInput, KeystoreLocked, StorageFailed, WrongPassword
from api.keystore import PASSWORD_FILE, Keystore, Passwords, sealed

PASSWORD = "correct horse battery"
KEYS = {"operator": "11" * 32, "meter:Anna's roof": "22" * 32}


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No password of the machine's, and no terminal."""
    monkeypatch.chdir(tmp_path)
    for name in ("WATTLEDGER_PASSWORD_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def written(path: Path, text: str = PASSWORD) -> Path:
    path.write_text(text)
    return path


def weak_keystore(home: Path, password: str = PASSWORD) -> Path:
    """A keystore whose scrypt is cheap: a test cannot wait for many real ones."""
    path = home / "keystore.json"
    path.write_text(json.dumps(sealed(KEYS, password, work=2)))
    return path


def store(home: Path, file: Path | None = None) -> Keystore:
    return Keystore(home / "keystore.json", Passwords(home=home, file=file))


def test_a_new_keystore_gives_its_keys_back_to_its_password_alone(tmp_path: Path) -> None:
    file = written(tmp_path / "password")
    store(tmp_path, file).write(KEYS)
    path = tmp_path / "keystore.json"
    assert store(tmp_path, file).read() == KEYS
    assert path.stat().st_mode & 0o777 == 0o600
    kdf = json.loads(path.read_text())["kdf"]
    assert (kdf["name"], kdf["n"]) == ("scrypt", 2**17)
    with pytest.raises(WrongPassword):
        store(tmp_path, written(tmp_path / "other", "correct horse batterx")).read()


def test_neither_keys_nor_names_stand_in_the_file(tmp_path: Path) -> None:
    text = weak_keystore(tmp_path).read_text()
    for name, secret in KEYS.items():
        assert name not in text
        assert secret not in text
    assert PASSWORD not in text


def test_the_same_keys_are_never_encrypted_the_same_way_twice() -> None:
    first, second = (sealed(KEYS, PASSWORD, work=2) for _ in range(2))
    assert all(first[name] != second[name] for name in ("nonce", "ciphertext"))
    assert first["kdf"]["salt"] != second["kdf"]["salt"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ciphertext", lambda text: text[:-8] + "AAAAAAA="),
        ("nonce", lambda text: "A" + text[1:] if text[0] != "A" else "B" + text[1:]),
        ("kdf", lambda kdf: {**kdf, "n": 4}),
        ("kdf", lambda kdf: {**kdf, "note": "more"}),
    ],
)
def test_a_changed_file_opens_with_no_password(name: str, change: Any, tmp_path: Path) -> None:
    path = weak_keystore(tmp_path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, name: change(document[name])}))
    with pytest.raises(WrongPassword):
        store(tmp_path, written(tmp_path / "password")).read()


@pytest.mark.parametrize(
    "change",
    [
        {"kdf": {"name": "scrypt", "n": 2**30, "r": 8, "p": 1, "salt": ""}},  # Takes all memory.
        {"kdf": {"name": "md5", "n": 2, "r": 8, "p": 1, "salt": ""}},
        {"kdf": {}},
        {"kdf": 7},
        {"ciphertext": "*"},
        {"nonce": 7},
        {"nonce": ""},
    ],
)
def test_a_file_that_is_not_ours_is_damaged(change: dict[str, Any], tmp_path: Path) -> None:
    path = weak_keystore(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StorageFailed, match="damaged"):
        store(tmp_path, written(tmp_path / "password")).read()


@pytest.mark.parametrize("text", ["", "{}", "[]", "garbage", '{"format": "other"}'])
def test_what_is_no_keystore_is_named_before_a_password_is_asked_for(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "keystore.json").write_text(text)
    with pytest.raises(StorageFailed, match=r"keystore\.json"):
        store(tmp_path)


def test_who_only_reads_the_directory_needs_no_password(tmp_path: Path) -> None:
    weak_keystore(tmp_path)
    (tmp_path / "wattledger.json").write_text('{"format": "wattledger.data/1"}')
    ring = DataDir(tmp_path).keys(encrypted=True)
    assert repr(ring) == "KeyRing(keystore.json)"
    with pytest.raises(KeystoreLocked):
        ring.wallet("operator")


def test_a_password_is_looked_for_in_one_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, credentials = tmp_path / "home", tmp_path / "credentials"
    home.mkdir()
    credentials.mkdir()
    passwords = Passwords(home=home)
    with pytest.raises(KeystoreLocked):
        passwords.find()
    written(home / PASSWORD_FILE, "left by init")
    assert passwords.find() == "left by init"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert passwords.find() == "left by init"  # There is no such credential.
    written(credentials / "wattledger-keystore", "of systemd\n")
    assert passwords.find() == "of systemd"
    variable = written(tmp_path / "variable", "of the variable")
    monkeypatch.setenv("WATTLEDGER_PASSWORD_FILE", str(variable))
    assert passwords.find() == "of the variable"
    option = Passwords(home=home, file=written(tmp_path / "option", "of the option\r\n"))
    assert option.find() == "of the option"


def test_without_a_terminal_a_new_keystore_gets_a_random_password_of_its_own(
    tmp_path: Path,
) -> None:
    chosen = Passwords(home=tmp_path).choose()
    file = tmp_path / PASSWORD_FILE
    assert len(chosen) >= 32
    assert file.read_text() == chosen
    assert file.stat().st_mode & 0o777 == 0o600
    assert Passwords(home=tmp_path).choose() == chosen  # Taken up where it was interrupted.


@pytest.mark.parametrize("text", [b"", b"short", b"1234567\n", b"\xff" * 12, b"x" * 2_000])
def test_what_is_no_password_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(text)
    with pytest.raises(BadInput, match="password"):
        Passwords(home=tmp_path, file=tmp_path / "password").find()


def test_a_key_that_was_put_there_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "wattledger.json").write_text('{"format": "wattledger.data/1"}')
    file = written(tmp_path / "password")
    one = DataDir(tmp_path, password_file=file).keys(encrypted=True)
    one.make(["operator"])
    two = DataDir(tmp_path, password_file=file).keys(encrypted=True)
    two.put("account:2", b"\x07" * 32)
    one.make(["registrar"])
    found = DataDir(tmp_path, password_file=file).keys(encrypted=True)
    assert list(found) == ["account:2", "operator", "registrar"]
    assert found.secret("account:2") == b"\x07" * 32
