"""The ABI's encoding, against eth_abi."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.codec import record_of, type_of
from ledger.chain.errors import BadAbiValue

WORD = 32


def limits(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low = -(1 << bits - 1) if signed else 0
    high = (1 << bits - signed) - 1
    return st.one_of(st.sampled_from([low, high, 0, 1]), st.integers(low, high))


LEAVES: list[tuple[str, st.SearchStrategy[Any]]] = [
    ("uint256", limits(256, signed=False)),
    ("uint64", limits(64, signed=False)),
    ("uint8", limits(8, signed=False)),
    ("int256", limits(256, signed=True)),
    ("int64", limits(64, signed=True)),
    ("bool", st.booleans()),
    ("address", st.binary(min_size=20, max_size=20)),
    ("bytes32", st.binary(min_size=32, max_size=32)),
    ("bytes4", st.binary(min_size=4, max_size=4)),
    ("bytes", st.binary(max_size=70)),
    ("string", st.text(max_size=20)),
]


def leaf() -> st.SearchStrategy[tuple[dict[str, Any], Any]]:
    return st.sampled_from(LEAVES).flatmap(
        lambda pair: pair[1].map(lambda value: ({"type": pair[0]}, value))
    )


def wrapped(
    inner: st.SearchStrategy[tuple[dict[str, Any], Any]],
) -> st.SearchStrategy[tuple[dict[str, Any], Any]]:
    def repeated(pair: tuple[dict[str, Any], Any], count: int, *, fixed: bool) -> Any:
        entry, value = pair
        size = str(count) if fixed else ""
        return {**entry, "type": f"{entry['type']}[{size}]"}, [value] * count

    arrays = st.builds(
        repeated,
        inner,
        st.integers(0, 3),
        fixed=st.booleans(),
    ).filter(lambda pair: not pair[0]["type"].endswith("[0]"))
    tuples = st.lists(inner, min_size=1, max_size=3).map(
        lambda pairs: (
            {"type": "tuple", "components": [pair[0] for pair in pairs]},
            tuple(pair[1] for pair in pairs),
        )
    )
    return st.one_of(arrays, tuples)


ROWS = st.lists(st.recursive(leaf(), wrapped, max_leaves=6), max_size=4)


def plain(value: Any) -> Any:
    """Structs as tuples, lists as tuples, whatever the depth."""
    if isinstance(value, dict):
        return tuple(plain(part) for part in value.values())
    if isinstance(value, list | tuple):
        return tuple(plain(part) for part in value)
    return value


def oracle_value(entry: dict[str, Any], value: Any) -> Any:
    """eth_abi takes and gives addresses as text."""
    kind: str = entry["type"]
    if kind.endswith("]"):
        item = {**entry, "type": kind[: kind.rindex("[")]}
        return tuple(oracle_value(item, part) for part in value)
    if kind == "tuple":
        return tuple(
            oracle_value(part, inner)
            for part, inner in zip(entry["components"], value, strict=True)
        )
    return "0x" + value.hex() if kind == "address" else value


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_any_row_of_values_is_encoded_as_eth_abi_does_it(
    row: list[tuple[dict[str, Any], Any]],
) -> None:
    import eth_abi  # noqa: PLC0415 (slow to import)

    entries = [entry for entry, _ in row]
    values = [value for _, value in row]
    types = [type_of(entry).name for entry in entries]
    oracle = [oracle_value(entry, value) for entry, value in row]
    encoded = record_of(entries).encode(values)
    assert encoded == eth_abi.encode(types, oracle)
    decoded = plain(record_of(entries).decode(encoded, 0))
    assert decoded == plain(values)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.data())
def test_data_that_was_cut_or_changed_raises_our_error_or_decodes(
    row: list[tuple[dict[str, Any], Any]], data: st.DataObject
) -> None:
    record = record_of([entry for entry, _ in row])
    encoded = bytearray(record.encode([value for _, value in row]))
    if encoded:
        encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
        del encoded[data.draw(st.integers(0, len(encoded))) :]
    with contextlib.suppress(BadAbiValue):
        record.decode(bytes(encoded), 0)


def test_a_length_that_nothing_backs_takes_no_memory() -> None:
    with pytest.raises(BadAbiValue):
        record_of([{"type": "uint256[]"}]).decode((32).to_bytes(32) + (2**60).to_bytes(32), 0)
    with pytest.raises(BadAbiValue):
        record_of([{"type": "bytes"}]).decode((32).to_bytes(32) + (2**60).to_bytes(32), 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint64", 2**64),
        ("uint64", -1),
        ("uint256", 2**256),
        ("int64", 2**63),
        ("uint64", "1"),
        ("uint64", 1.0),
        ("bool", 2),
        ("address", b"\x01" * 19),
        ("address", "0x" + "01" * 20),
        ("bytes32", b""),
        ("bytes", "text"),
        ("string", b"text"),
        ("uint256[2]", [1]),
        ("uint256[]", [-1]),
        ("uint256[]", ["1"]),
        ("uint64[]", [2**64]),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(BadAbiValue):
        record_of([{"type": kind}]).encode([value])


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("bool", 2),
        ("uint64", 2**64),
        ("int64", 2**63),
        ("address", 2**160),
        ("bytes4", 1),
    ],
)
def test_a_word_that_is_no_value_of_its_type_is_refused(kind: str, word: int) -> None:
    with pytest.raises(BadAbiValue):
        type_of({"type": kind}).decode(word.to_bytes(WORD), 0)


def test_a_struct_takes_names_and_gives_them_back() -> None:
    entry = {
        "type": "tuple",
        "components": [{"name": "account", "type": "uint32"}, {"name": "data", "type": "bytes"}],
    }
    value = {"account": 3, "data": b"x"}
    encoded = type_of(entry).encode(value)
    assert type_of(entry).decode(encoded, 0) == value
    with pytest.raises(BadAbiValue):
        type_of(entry).encode({"account": 3})
    with pytest.raises(BadAbiValue):
        type_of(entry).encode([3])


def test_a_type_that_solidity_lacks_is_refused() -> None:
    with pytest.raises(BadAbiValue):
        type_of({"type": "money"})
