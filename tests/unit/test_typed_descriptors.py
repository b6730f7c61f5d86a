"""What wallets and pages say of the messages that people sign (ERC-7730), beside the messages."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api.pages.catalogue import LANGUAGES, catalogue_of
from charging.orders import ORDER_TYPE, RECORD_TYPE, TOP_UP_TYPE
from ledger.keccak import DOMAIN_NAME, DOMAIN_VERSION
from ledger.market_messages import LIMITS_TYPE, WITHDRAWAL_TYPE
from metering.signing import READING_TYPE

FOLDER = Path(__file__).parents[2] / "api" / "static" / "erc7730"
SIGNED = {
    "ChargeOrder": ORDER_TYPE,
    "ChargeRecord": RECORD_TYPE,
    "TopUp": TOP_UP_TYPE,
    "PriceLimits": LIMITS_TYPE,
    "Withdrawal": WITHDRAWAL_TYPE,
    "MeterReading": READING_TYPE,
}
BY_PEOPLE = ("ChargeOrder", "TopUp", "PriceLimits", "Withdrawal")
PERMIT_FIELDS = ("owner", "spender", "value", "nonce", "deadline")
FORMATS = {  # Of ERC-7730 v1, with the parameters that they must have.
    "raw": set[str](),
    "addressName": {"types"},
    "unit": {"base"},
    "date": {"encoding"},
    "duration": set[str](),
}
Types = Mapping[str, list[dict[str, str]]]


def descriptor(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def encode_type(types: Types, primary: str) -> str:
    others = sorted(name for name in types if name not in {primary, "EIP712Domain"})
    return "".join(
        f"{name}({','.join(field['type'] + ' ' + field['name'] for field in types[name])})"
        for name in (primary, *others)
    )


def leaves(types: Types, name: str, inside: str = "") -> Iterator[str]:
    for field in types[name]:
        path = inside + field["name"]
        if field["type"] in types:
            yield from leaves(types, field["type"], f"{path}.")
        else:
            yield path


def test_every_message_has_a_descriptor_and_no_other() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == SIGNED.keys()


@pytest.mark.parametrize("name", SIGNED)
def test_a_descriptor_is_of_the_type_that_is_signed(name: str) -> None:
    context = descriptor(name)["context"]["eip712"]
    assert context["domain"] == {"name": DOMAIN_NAME, "version": DOMAIN_VERSION}
    (schema,) = context["schemas"]
    assert schema["primaryType"] == name
    assert encode_type(schema["types"], name) == SIGNED[name].decode()


@pytest.mark.parametrize("name", SIGNED)
def test_a_descriptor_hides_no_field_and_keeps_their_order(name: str) -> None:
    document = descriptor(name)
    (schema,) = document["context"]["eip712"]["schemas"]
    shown = document["display"]["formats"][name]
    paths = [field["path"] for field in shown["fields"]]
    assert paths == list(leaves(schema["types"], name))
    assert shown["required"] == paths
    assert shown["intent"]
    for field in shown["fields"]:
        assert field["label"]
        assert FORMATS[field["format"]] <= field.get("params", {}).keys()


@pytest.mark.parametrize("tag", LANGUAGES)
def test_pages_have_words_for_every_field_that_people_sign(tag: str) -> None:
    said = catalogue_of(LANGUAGES[tag])
    names = set(PERMIT_FIELDS)
    for name in BY_PEOPLE:
        fields = re.findall(r"\b[a-z]\w* (\w+)[,)]", SIGNED[name].decode())
        assert fields
        names.update(fields)
    for name in names:
        assert f"js.sign.field.{name}" in said, name
    for name in (*BY_PEOPLE, "Permit"):
        assert f"js.sign.type.{name}" in said


@pytest.mark.parametrize("tag", LANGUAGES)
def test_what_is_signed_to_sign_in_is_plain_text(tag: str) -> None:
    statement = catalogue_of(LANGUAGES[tag])["js.wallet.statement"]
    assert isinstance(statement, str)
    # EIP-4361 allows the characters of a URI and spaces, and no others.
    assert re.fullmatch(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;= ]+", statement)
