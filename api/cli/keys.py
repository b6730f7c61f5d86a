"""`wattledger keys`: names and addresses are shown, keys never."""

from pathlib import Path

from api.cli.context import Options, Outcome, data_path
from api.datadir import DataDir
from api.errors import BadInput
from api.files import sync_directory
from api.keys import KeyRing, PlainKeys
from api.keystore import Keystore, asked, asked_twice, password_in
from ledger.chain.errors import BadKeystore
from ledger.chain.wallet import load_keystore, save_keystore
from ledger.keccak import checksum_address

NO_WALLETS = ("meter_id:", "ocpp:", "salt")  # Secrets that sign nothing.


def run_list(options: Options) -> Outcome:
    """Names and addresses of all keys."""
    directory = _directory(options)
    ring = directory.keys()
    found = {name: _address(ring, name) for name in ring}
    width = max(map(len, found), default=0)
    lines = [f"{name:<{width}}  {address or 'a secret'}" for name, address in found.items()]
    return Outcome(
        document={"file": str(ring.path), "encrypted": _is_encrypted(directory), "keys": found},
        text="\n".join([*lines, f"{len(found)} keys in {ring.path}"]),
    )


def run_encrypt(options: Options) -> Outcome:
    """Moves plain keys into a keystore; the plain file goes once the other was read again."""
    directory = _directory(options)
    path, keystore_path = directory.keys_path, directory.keystore_path
    if not path.exists():
        rule = "the keys are encrypted already" if keystore_path.exists() else "there are no keys"
        raise BadInput(field="data_dir", rule=rule)
    keys = PlainKeys(path).read()
    keystore = Keystore(keystore_path, directory.passwords)
    if keystore_path.exists() and keystore.read() != keys:
        rule = f"{keystore_path} holds other keys than {path}: keep the right one"
        raise BadInput(field="data_dir", rule=rule)
    keystore.write(keys)
    if keystore.read() != keys:
        raise BadKeystore(rule=f"{keystore_path} does not read as it was written")
    path.unlink()
    sync_directory(directory.path)
    lines = [f"{len(keys)} keys are in {keystore_path} now, encrypted; {path.name} is gone."]
    lines.append("Old copies and backups of it still hold them: remove those, too.")
    if directory.password_path.exists():
        lines.append(f"warning   the password lies beside it, in {directory.password_path}")
    return Outcome(
        document={"file": str(keystore_path), "encrypted": True, "keys": len(keys)},
        text="\n".join(lines),
    )


def run_change_password(options: Options, new_password_file: Path | None) -> Outcome:
    """Encrypts the keystore under another password."""
    directory = _directory(options)
    if not directory.keystore_path.exists():
        raise BadInput(field="data_dir", rule="there is no keystore; make one by `keys encrypt`")
    keystore = Keystore(directory.keystore_path, directory.passwords)
    keystore.read()  # Who does not know the old one is told before the new one is asked for.
    password = _new_password(new_password_file, "New password of the keystore: ")
    keystore.change_password(password)
    return Outcome(
        document={"file": str(directory.keystore_path), "encrypted": True},
        text=f"{directory.keystore_path} has the new password; copies of it have the old one.",
    )


def run_import_key(
    options: Options, file: Path, role: str, key_password_file: Path | None, *, replace: bool
) -> Outcome:
    """Puts a key of a V3 file under a role's name."""
    ring = _directory(options).keys()
    password = (
        asked(f"Password of {file.name}: ")
        if key_password_file is None
        else password_in(key_password_file)
    )
    wallet = load_keystore(file, password)
    ring.put(role, wallet.private_key, replace=replace)
    address = checksum_address(wallet.address)
    return Outcome(
        document={"role": role, "address": address, "file": str(ring.path)},
        text=f"{role} is {address} now, in {ring.path}.",
    )


def run_export_key(
    options: Options, role: str, out: Path | None, key_password_file: Path | None
) -> Outcome:
    """Writes one key to a V3 file of its own."""
    ring = _directory(options).keys()
    if role not in ring:
        raise BadInput(field="--role", rule="there is no such key; see `keys list`")
    if role.startswith(NO_WALLETS):
        raise BadInput(field="--role", rule="a secret that signs nothing is no wallet's key")
    path = out or Path(role.replace(":", "-").replace("/", "-") + ".json")
    wallet = ring.wallet(role)
    save_keystore(wallet, path, _new_password(key_password_file, f"Password for {path.name}: "))
    address = checksum_address(wallet.address)
    return Outcome(
        document={"role": role, "address": address, "file": str(path)},
        text=f"{path}: the key of {role}, {address}, encrypted.",
    )


def _directory(options: Options) -> DataDir:
    directory = DataDir(data_path(options), password_file=options.password_file)
    directory.require_begun()
    return directory


def _new_password(file: Path | None, question: str) -> str:
    return asked_twice(question) if file is None else password_in(file)


def _is_encrypted(directory: DataDir) -> bool:
    return directory.keystore_path.exists() and not directory.keys_path.exists()


def _address(ring: KeyRing, name: str) -> str | None:
    return None if name.startswith(NO_WALLETS) else checksum_address(ring.wallet(name).address)
