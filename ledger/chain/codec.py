"""The contract ABI's encoding: values to words and back, strict in both directions.

Written here because it is on the way of every call and settlement: `eth_abi`, which serves as its
test oracle, takes longer to import than a call and tens of milliseconds for the words of a large
settlement. A type is made once from an ABI's JSON and reused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ledger.chain.errors import BadAbiValue

WORD = 32
_ARRAY = re.compile(r"(.*)\[(\d*)\]")
_NUMBER = re.compile(r"(u?)int(\d+)")
_FIXED_BYTES = re.compile(r"bytes(\d+)")


class AbiType(Protocol):
    """One ABI type: how its values become bytes, and bytes its values."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None:
        """Bytes that it takes in place; None where it is behind an offset."""
        ...

    def encode(self, value: Any) -> bytes: ...

    def decode(self, data: bytes, at: int) -> Any: ...


@dataclass(frozen=True, slots=True)
class Number:
    """`uintN` and `intN`; `bool` too, which decodes to one."""

    name: str
    bits: int
    signed: bool
    is_bool: bool = False
    size: int = WORD

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, int):
            raise BadAbiValue(abi_type=self.name, rule=f"{value!r} is not an integer")
        self._require_range(value)
        return value.to_bytes(WORD, signed=self.signed)

    def decode(self, data: bytes, at: int) -> int | bool:
        value = int.from_bytes(_word(data, at, self.name), signed=self.signed)
        self._require_range(value)
        return bool(value) if self.is_bool else value

    def _require_range(self, value: int) -> None:
        low = -(1 << (self.bits - 1)) if self.signed else 0
        high = (1 << (self.bits - self.signed)) - 1
        if not low <= value <= high:
            raise BadAbiValue(abi_type=self.name, rule=f"{value} is out of range")


@dataclass(frozen=True, slots=True)
class FixedBytes:
    """`bytesN`, at the left of its word, and `address`, at the right."""

    name: str
    length: int
    on_the_right: bool
    size: int = WORD

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bytes) or len(value) != self.length:
            raise BadAbiValue(abi_type=self.name, rule=f"needs {self.length} bytes")
        return value.rjust(WORD, b"\0") if self.on_the_right else value.ljust(WORD, b"\0")

    def decode(self, data: bytes, at: int) -> bytes:
        word = _word(data, at, self.name)
        cut = WORD - self.length if self.on_the_right else self.length
        value, padding = (word[cut:], word[:cut]) if self.on_the_right else (word[:cut], word[cut:])
        if any(padding):
            raise BadAbiValue(abi_type=self.name, rule="padding must be zero")
        return value


@dataclass(frozen=True, slots=True)
class Blob:
    """`bytes` and `string`."""

    name: str
    is_text: bool
    size: None = None

    def encode(self, value: Any) -> bytes:
        octets = value.encode() if self.is_text and isinstance(value, str) else value
        if not isinstance(octets, bytes) or self.is_text != isinstance(value, str):
            raise BadAbiValue(abi_type=self.name, rule=f"{value!r} is not of this type")
        return len(octets).to_bytes(WORD) + octets + bytes(-len(octets) % WORD)

    def decode(self, data: bytes, at: int) -> bytes | str:
        length = int.from_bytes(_word(data, at, self.name))
        octets = data[at + WORD : at + WORD + length]
        if len(octets) != length:
            raise BadAbiValue(abi_type=self.name, rule="the data ends before it does")
        try:
            return octets.decode() if self.is_text else octets
        except UnicodeDecodeError as error:
            raise BadAbiValue(abi_type=self.name, rule="not UTF-8") from error


@dataclass(frozen=True, slots=True)
class Array:
    """`T[]`, or `T[n]` with a length."""

    name: str
    item: AbiType
    length: int | None

    @property
    def size(self) -> int | None:
        if self.length is None or self.item.size is None:
            return None
        return self.length * self.item.size

    def encode(self, value: Any) -> bytes:
        items = list(value)
        if self.length is None:
            count = len(items).to_bytes(WORD)
        elif len(items) == self.length:
            count = b""
        else:
            raise BadAbiValue(abi_type=self.name, rule=f"{len(items)} items")
        if self.item.name == "uint256":
            return count + _encode_words(items)
        return count + _encode_row([self.item] * len(items), items)

    def decode(self, data: bytes, at: int) -> list[Any]:
        count = self.length
        if count is None:
            count = int.from_bytes(_word(data, at, self.name))
            at += WORD
        if count * (self.item.size or WORD) > len(data) - at:
            raise BadAbiValue(abi_type=self.name, rule="the data ends before it does")
        if self.item.name == "uint256":
            return [
                int.from_bytes(data[start : start + WORD])
                for start in range(at, at + count * WORD, WORD)
            ]
        return list(_decode_row([self.item] * count, data, at))


@dataclass(frozen=True, slots=True)
class Record:
    """A tuple or struct; a struct with names decodes to a mapping."""

    name: str
    names: tuple[str, ...]
    items: tuple[AbiType, ...]
    size: int | None

    def encode(self, value: Any) -> bytes:
        if isinstance(value, Mapping):
            if set(value) != set(self.names):
                raise BadAbiValue(abi_type=self.name, rule=f"fields must be {self.names}")
            value = [value[name] for name in self.names]
        if len(value) != len(self.items):
            raise BadAbiValue(abi_type=self.name, rule=f"{len(value)} values")
        return _encode_row(self.items, value)

    def decode(self, data: bytes, at: int) -> dict[str, Any]:
        return dict(zip(self.names, _decode_row(self.items, data, at), strict=True))


_NAMED: Mapping[str, AbiType] = {
    "bool": Number("bool", 1, signed=False, is_bool=True),
    "address": FixedBytes("address", 20, on_the_right=True),
    "bytes": Blob("bytes", is_text=False),
    "string": Blob("string", is_text=True),
}


def type_of(entry: Mapping[str, Any]) -> AbiType:
    """The type of one parameter of an ABI's JSON.

    Raises:
        BadAbiValue: a type that Solidity's ABI does not have.
    """
    name: str = entry["type"]
    if match := _ARRAY.fullmatch(name):
        item = type_of({**entry, "type": match[1]})
        length = int(match[2]) if match[2] else None
        return Array(f"{item.name}[{match[2]}]", item, length)
    if name == "tuple":
        return record_of(entry["components"])
    if name in _NAMED:
        return _NAMED[name]
    if match := _NUMBER.fullmatch(name):
        return Number(name, int(match[2]), signed=not match[1])
    if match := _FIXED_BYTES.fullmatch(name):
        return FixedBytes(name, int(match[1]), on_the_right=False)
    raise BadAbiValue(abi_type=name, rule="no such type")


def record_of(entries: Sequence[Mapping[str, Any]]) -> Record:
    """The tuple of a list of parameters; parameters without a name are called by their index."""
    items = tuple(type_of(entry) for entry in entries)
    names = tuple(entry.get("name") or str(index) for index, entry in enumerate(entries))
    sizes = [item.size for item in items]
    size = None if None in sizes else sum(size for size in sizes if size is not None)
    return Record(f"({','.join(item.name for item in items)})", names, items, size)


def _word(data: bytes, at: int, name: str) -> bytes:
    word = data[at : at + WORD]
    if len(word) != WORD:
        raise BadAbiValue(abi_type=name, rule="the data ends before it does")
    return word


def _encode_words(values: list[Any]) -> bytes:
    try:
        return b"".join([value.to_bytes(WORD) for value in values])
    except (OverflowError, AttributeError, TypeError) as error:
        raise BadAbiValue(abi_type="uint256[]", rule=str(error)) from error


def _encode_row(items: Sequence[AbiType], values: Sequence[Any]) -> bytes:
    """Values side by side; those of no fixed size go behind, with their offset in place."""
    offset = sum(item.size or WORD for item in items)
    heads: list[bytes] = []
    tails: list[bytes] = []
    for item, value in zip(items, values, strict=True):
        encoded = item.encode(value)
        if item.size is None:
            heads.append(offset.to_bytes(WORD))
            tails.append(encoded)
            offset += len(encoded)
        else:
            heads.append(encoded)
    return b"".join(heads + tails)


def _decode_row(items: Sequence[AbiType], data: bytes, start: int) -> Iterator[Any]:
    at = start
    for item in items:
        if item.size is None:
            offset = int.from_bytes(_word(data, at, item.name))
            if offset > len(data):
                raise BadAbiValue(abi_type=item.name, rule="an offset beyond the data")
            yield item.decode(data, start + offset)
            at += WORD
        else:
            yield item.decode(data, at)
            at += item.size
