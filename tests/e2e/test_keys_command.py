"""`wattledger keys`: keys are listed, moved and encrypted, and never shown."""

import json
from pathlib import Path

import pytest

from api.datadir import DataDir
from ledger.chain.wallet import load_keystore, new_wallet, save_keystore
from ledger.keccak import checksum_address
from tests.e2e.command_line import Cli

NAMES = ["operator", "account:2", "meter:a/1", "meter_id:a/1", "salt", "ocpp:CP1"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory with plain keys."""
    directory = DataDir(tmp_path / "data")
    directory.create("{}")
    directory.complete()
    directory.keys().make(NAMES)
    return directory.path


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("correct horse battery\n")
    return file


def test_keys_are_listed_by_name_and_address_and_no_command_prints_one(
    home: Path, password: Path, tmp_path: Path, cli: Cli
) -> None:
    ring = DataDir(home).keys()
    secrets = {name: ring.secret(name) for name in NAMES}
    export = ("export", "--role", "operator", "--out", tmp_path / "k.json")
    printed = ""
    for words in (
        ("list",),
        ("list", "--json"),
        ("encrypt", "--password-file", password),
        ("list", "--password-file", password),
        (*export, "--key-password-file", password, "--password-file", password),
    ):
        ran = cli("keys", *words, "--data-dir", home)
        assert ran.code == 0, ran.err
        printed += ran.out + ran.err
    for name in NAMES:
        assert name in printed
        assert secrets[name].hex() not in printed.lower()
        is_wallet = not name.startswith(("meter_id:", "ocpp:", "salt"))
        shown = checksum_address(ring.wallet(name).address)
        assert (shown in printed) == is_wallet


def test_encrypted_keys_are_the_same_ones_and_the_plain_file_is_gone(
    home: Path, password: Path, cli: Cli
) -> None:
    before = DataDir(home).keys()
    secrets = {name: before.secret(name) for name in before}
    assert cli("keys", "encrypt", "--password-file", password, "--data-dir", home).code == 0
    assert not (home / "keys.json").exists()
    after = DataDir(home, password_file=password).keys()
    assert {name: after.secret(name) for name in after} == secrets
    for path in home.rglob("*"):
        if path.is_file():
            assert secrets["operator"].hex().encode() not in path.read_bytes()
    again = cli("keys", "encrypt", "--password-file", password, "--data-dir", home)
    assert (again.code, "encrypted already" in again.err) == (1, True)


def test_a_process_that_has_the_plain_keys_open_does_not_bring_them_back(
    home: Path, password: Path, cli: Cli
) -> None:
    serving = DataDir(home).keys()
    assert cli("keys", "encrypt", "--password-file", password, "--data-dir", home).code == 0
    with pytest.raises(Exception, match="moved to the keystore"):
        serving.make(["new"])
    assert not (home / "keys.json").exists()


def test_encrypting_that_was_interrupted_goes_on_and_loses_no_other_keys(
    home: Path, password: Path, cli: Cli
) -> None:
    plain = (home / "keys.json").read_bytes()
    words = ("keys", "encrypt", "--password-file", password, "--data-dir", home)
    assert cli(*words).code == 0
    (home / "keys.json").write_bytes(plain)  # As if the power had gone before it was removed.
    assert cli(*words).code == 0
    assert not (home / "keys.json").exists()
    (home / "keys.json").write_text(json.dumps({"operator": "07" * 32}))
    ran = cli(*words)
    assert (ran.code, "other keys" in ran.err) == (1, True)
    assert (home / "keys.json").exists()


def test_a_password_is_changed_by_who_knows_the_old_one(
    home: Path, password: Path, tmp_path: Path, cli: Cli
) -> None:
    new = tmp_path / "new"
    new.write_text("another one altogether")
    here = ("--data-dir", home)
    assert cli("keys", "encrypt", "--password-file", password, *here).code == 0
    words = ("keys", "change-password", "--new-password-file", new, *here)
    refused = cli(*words, "--password-file", new, "--json")
    assert (refused.code, refused.document["error"]["code"]) == (1, "wrong_password")
    assert cli(*words, "--password-file", password).code == 0
    old = cli("keys", "list", "--password-file", password, *here)
    assert (old.code, "wrong_password" in old.err) == (1, True)
    assert cli("keys", "list", "--password-file", new, *here).code == 0


def test_a_key_goes_out_to_a_wallets_file_and_comes_in_from_one(
    home: Path, password: Path, tmp_path: Path, cli: Cli
) -> None:
    out, here = tmp_path / "out.json", ("--data-dir", home)
    with_password = ("--key-password-file", password)
    cli("keys", "export", "--role", "operator", "--out", out, *with_password, *here)
    exported = load_keystore(out, "correct horse battery")
    assert exported == DataDir(home).keys().wallet("operator")
    assert out.stat().st_mode & 0o777 == 0o600
    made, file = new_wallet(), tmp_path / "in.json"
    save_keystore(made, file, "correct horse battery", work=2)
    words = ("keys", "import", file, "--role", "operator", *with_password, *here)
    refused = cli(*words)
    assert (refused.code, "is here already" in refused.err) == (1, True)
    ran = cli(*words, "--replace", "--json")
    assert (ran.code, ran.document["address"]) == (0, checksum_address(made.address))
    assert DataDir(home).keys().wallet("operator") == made


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "--role", "nobody"), "no such key"),
        (("export", "--role", "salt"), "signs nothing"),
        (("change-password",), "no keystore"),
        (("import", "nowhere.json", "--role", "x"), "password"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    words: tuple[str, ...], told: str, home: Path, cli: Cli
) -> None:
    ran = cli("keys", *words, "--data-dir", home)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert told in ran.err
    assert "internal_error" not in ran.err
