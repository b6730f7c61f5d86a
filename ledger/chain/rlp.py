"""RLP, the encoding of Ethereum's transactions: the encoding direction is all we need."""

from collections.abc import Sequence
from typing import TypeAlias

RlpItem: TypeAlias = "bytes | int | Sequence[RlpItem]"

_SHORT_MAX = 55
_BYTES_OFFSET = 0x80
_LIST_OFFSET = 0xC0


def rlp_encode(item: RlpItem) -> bytes:
    """Encodes bytes, non-negative integers (without leading zeros) and lists of them."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8)
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _BYTES_OFFSET:
            return item
        return _header(len(item), _BYTES_OFFSET) + item
    payload = b"".join(rlp_encode(part) for part in item)
    return _header(len(payload), _LIST_OFFSET) + payload


def _header(length: int, offset: int) -> bytes:
    if length <= _SHORT_MAX:
        return bytes([offset + length])
    length_bytes = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([offset + _SHORT_MAX + len(length_bytes)]) + length_bytes
