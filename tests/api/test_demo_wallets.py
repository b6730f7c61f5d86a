"""Whose keys are published in a demo, and that no other directory has any."""

from pathlib import Path

from api.datadir import DataDir
from api.keys import demo_secret
from ledger.keccak import address_of, checksum_address, keccak256

PEOPLE = {
    "account:1": "grid",
    "account:2": "home-2",
    "account:17": "home-17",
    "driver:AdO3": "AdO3",
}
SECRET = ["owner", "operator", "registrar", "charging", "relay", "importer", "salt", "supplier"]
DEVICES = ["account:0", "meter:house4", "meter_id:house4", "ocpp:CP1", "record:CP1/1"]


def made(path: Path, *, for_demo: bool) -> DataDir:
    directory = DataDir(path)
    directory.create("{}", for_demo=for_demo)
    directory.keys().make([*PEOPLE, *SECRET, *DEVICES])
    return directory


def test_a_demo_wallet_is_the_hash_of_its_name() -> None:
    assert demo_secret("anna") == keccak256(b"wattledger demo wallet: anna")
    # What a browser must come to, too.
    assert (
        checksum_address(address_of(demo_secret("anna")))
        == "0x27d49999F7330DB2D9304c58F1705E9264A81b7A"
    )


def test_in_a_demo_the_keys_of_people_are_published_and_all_others_random(tmp_path: Path) -> None:
    keys, other = made(tmp_path / "one", for_demo=True), made(tmp_path / "two", for_demo=True)
    for name, wallet in PEOPLE.items():
        assert keys.keys().secret(name) == demo_secret(wallet)
    for name in [*SECRET, *DEVICES]:
        secret = keys.keys().secret(name)
        assert secret not in {demo_secret(name), demo_secret(name.partition(":")[2])}
        assert secret != other.keys().secret(name)


def test_no_key_of_a_community_that_is_no_demo_is_published(tmp_path: Path) -> None:
    keys = made(tmp_path / "real", for_demo=False).keys()
    for name, wallet in PEOPLE.items():
        assert keys.secret(name) != demo_secret(wallet)
