"""A meter's key file: read only where its owner alone can, and never told to anybody."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.errors import BadInput, StorageFailed
from api.gateway.errors import KeyExposed
from api.gateway.key_file import FORMAT, read_meter_key
from ledger.keccak import address_of, checksum_address, domain_separator
from ledger.units import Address

SECRET = bytes(range(1, 33))
FACTS: dict[str, Any] = {
    "format": FORMAT,
    "label": "Roof",
    "key": checksum_address(address_of(SECRET)),
    "secret": "0x" + SECRET.hex(),
    "meter_id": "0x" + "3e" * 32,
    "service": "https://street.example",
    "chain_id": 1337,
    "registry": "0x" + "e5" * 20,
}


def written(folder: Path, document: Any, mode: int = 0o600) -> Path:
    path = folder / "meter-key.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(mode)
    return path


def test_a_key_file_says_whose_meter_it_is_and_what_it_signs_for(tmp_path: Path) -> None:
    key = read_meter_key(written(tmp_path, FACTS | {"colour": "new fields are left"}))
    assert (key.meter_id, key.secret) == (b"\x3e" * 32, SECRET)
    assert (key.label, key.service) == ("Roof", "https://street.example")
    assert key.domain is not None
    assert key.domain.separator == domain_separator(1337, Address(b"\xe5" * 20))


def test_a_key_file_that_leaves_the_service_open_is_read(tmp_path: Path) -> None:
    left = {name: FACTS[name] for name in ("format", "label", "key", "secret", "meter_id")}
    key = read_meter_key(written(tmp_path, left))
    assert (key.service, key.domain) == (None, None)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o644, 0o777])
def test_a_key_that_others_can_read_or_replace_is_refused_and_the_remedy_told(
    mode: int, tmp_path: Path
) -> None:
    with pytest.raises(KeyExposed) as refused:
        read_meter_key(written(tmp_path, FACTS, mode))
    assert "chmod 600 meter-key.json" in refused.value.detail


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_key_for_its_owner_or_a_services_group_is_read(mode: int, tmp_path: Path) -> None:
    read_meter_key(written(tmp_path, FACTS, mode))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"format": "wattledger.meter-key/2"}, "format"),
        ({"secret": "0x" + "00" * 32}, "secret"),
        ({"secret": "0x" + "ff" * 32}, "secret"),
        ({"secret": "0x" + "07" * 32}, "is not that of key"),
        ({"secret": SECRET.hex()}, "secret"),
        ({"key": "0x12"}, "key"),
        ({"meter_id": "0x12"}, "shows the meter's id"),
        ({"meter_id": None}, "meter_id is missing"),
        ({"chain_id": None}, "chain_id is missing"),
        ({"registry": None}, "registry is missing"),
        ({"chain_id": 0}, "chain_id"),
        ({"service": 7}, "service"),
    ],
)
def test_a_file_that_is_no_key_is_refused_without_a_word_of_the_key(
    changes: dict[str, Any], part: str, tmp_path: Path
) -> None:
    document = {name: value for name, value in (FACTS | changes).items() if value is not None}
    with pytest.raises(BadInput) as refused:
        read_meter_key(written(tmp_path, document))
    assert part in refused.value.detail
    said = f"{refused.value!s} {refused.value.__cause__!s}"
    assert SECRET.hex() not in said
    assert document["secret"].removeprefix("0x") not in said


@pytest.mark.parametrize("text", ["", "[]", "{", "\0", "[" * 9_999, "{}" + " " * 70_000])
def test_what_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        read_meter_key(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        read_meter_key(tmp_path / "nowhere.json")


def test_a_key_never_shows_its_secret(tmp_path: Path) -> None:
    key = read_meter_key(written(tmp_path, FACTS))
    assert SECRET.hex() not in repr(key)
    assert repr(SECRET) not in repr(key)
