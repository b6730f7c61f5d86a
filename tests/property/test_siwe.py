"""EIP-4361 messages: written by the standard's grammar they are read, changed anywhere they are not
read as something else."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadInput
from api.siwe import parse_message
from ledger.keccak import checksum_address
from ledger.units import to_rfc3339

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
instants = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 (the strategy adds the zone)
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda at: at.replace(microsecond=0))
words = st.text(LETTERS, min_size=1, max_size=12)
uris = st.builds("https://{}.example/{}?a=%20#b".format, words, words)
facts = st.fixed_dictionaries(
    {
        "scheme": st.none() | st.sampled_from(["https", "http", "a+b-c.1"]),
        "domain": st.builds("{}.example{}".format, words, st.sampled_from(["", ":1", ":65535"]))
        | st.just("[::1]:8000"),
        "address": st.binary(min_size=20, max_size=20),
        "statement": st.none() | st.text(LETTERS + " -._~:/?#[]@!$&'()*+,;=", min_size=1),
        "uri": uris,
        "chain_id": st.integers(0, 10**19),
        "nonce": st.text(LETTERS, min_size=8, max_size=40),
        "issued_at": instants,
        "expires_at": st.none() | instants,
        "not_before_at": st.none() | instants,
        "request_id": st.none() | st.text(LETTERS + "-._~!$&'()*+,;=:@", max_size=20),
        "resources": st.lists(uris, max_size=3).map(tuple),
    }
)


def written(facts: dict[str, Any]) -> str:
    """A message as the grammar has it."""
    origin = f"{facts['scheme']}://" if facts["scheme"] else ""
    lines = [
        f"{origin}{facts['domain']} wants you to sign in with your Ethereum account:",
        checksum_address(facts["address"]),
        "",
        *([facts["statement"]] if facts["statement"] is not None else []),
        "",
        f"URI: {facts['uri']}",
        "Version: 1",
        f"Chain ID: {facts['chain_id']}",
        f"Nonce: {facts['nonce']}",
        f"Issued At: {to_rfc3339(facts['issued_at'])}",
    ]
    for tag, name in (("Expiration Time", "expires_at"), ("Not Before", "not_before_at")):
        if facts[name] is not None:
            lines.append(f"{tag}: {to_rfc3339(facts[name])}")
    if facts["request_id"] is not None:
        lines.append(f"Request ID: {facts['request_id']}")
    if facts["resources"]:
        lines += ["Resources:", *(f"- {uri}" for uri in facts["resources"])]
    return "\n".join(lines)


@given(facts=facts)
def test_what_the_grammar_writes_is_read_back(facts: dict[str, Any]) -> None:
    message = parse_message(written(facts))
    assert {name: getattr(message, name) for name in facts} == facts


@given(facts=facts, data=st.data())
def test_a_change_is_refused_or_read_as_what_it_says(
    facts: dict[str, Any], data: st.DataObject
) -> None:
    text = written(facts)
    at = data.draw(st.integers(0, len(text)))
    changed = text[:at] + data.draw(st.text(max_size=4)) + text[at + data.draw(st.integers(0, 4)) :]
    try:
        message = parse_message(changed)
    except BadInput:
        return
    # Nothing was passed over: what was read writes every line again.
    read = {name: getattr(message, name) for name in facts}
    assert spelled_once(written(read)) == spelled_once(changed)


def spelled_once(text: str) -> list[str]:
    """Its lines, but for those in which one value can be spelled in several ways."""
    several = ("Issued At: ", "Expiration Time: ", "Not Before: ", "Chain ID: ")
    return [line for line in text.split("\n") if not line.startswith(several)]


@given(text=st.text(max_size=400))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInput):
        parse_message(text)


def test_the_standards_own_example_is_read() -> None:
    # EIP-4361, section "Message Template", with an address that checksums.
    message = parse_message(
        "example.com wants you to sign in with your Ethereum account:\n"
        "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n"
        "I accept the ExampleOrg Terms of Service: https://example.com/tos\n\n"
        "URI: https://example.com/login\nVersion: 1\nChain ID: 1\nNonce: 32891756\n"
        "Issued At: 2021-09-30T16:25:24Z\nResources:\n"
        "- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n"
        "- https://example.com/my-web2-claim.json"
    )
    assert message.domain == "example.com"
    assert message.address.hex() == "c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
    assert message.statement == "I accept the ExampleOrg Terms of Service: https://example.com/tos"
    assert len(message.resources) == 2
