"""What meters send, made by the tests: telegrams of P1 ports and of SML meters, with their CRCs.

Written from the specifications and sharing no code with the readers: CRCs are computed bit by bit.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

TELEGRAMS: Final = Path(__file__).parent / "data" / "telegrams"
EXAMPLE: Final = TELEGRAMS / "dsmr-5.0.2-example.txt"
SUMMER, WINTER = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
ESCAPE: Final = b"\x1b" * 4
WH: Final = 30  # The unit's number in DLMS.


def crc16(octets: bytes, *, polynomial: int, begin: int) -> int:
    """CRC-16, reflected."""
    crc = begin
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
    return crc


# P1 ports.


def p1_telegram(lines: Iterable[str], *, header: str = "/XYZ5\\a meter") -> bytes:
    """A telegram of these lines, with its CRC."""
    text = "\r\n".join([header, "", *lines, "!"]).encode("ascii")
    return text + b"%04X\r\n" % crc16(text, polynomial=0xA001, begin=0)


def p1_time(at: datetime, *, summer: bool = False) -> str:
    """A line with the meter's time."""
    local_at = at.astimezone(SUMMER if summer else WINTER)
    return f"0-0:1.0.0({local_at:%y%m%d%H%M%S}{'S' if summer else 'W'})"


def p1_of(at: datetime, import_wh: int, export_wh: int = 0) -> bytes:
    """What a Dutch meter of two tariffs sends; a third of each is of the first tariff."""
    lines = ["1-3:0.2.8(50)", p1_time(at), "0-0:96.1.1(4530303035)"]
    for code, register_wh in (("1.8", import_wh), ("2.8", export_wh)):
        first_wh = register_wh // 3
        for tariff, wh in ((1, first_wh), (2, register_wh - first_wh)):
            lines.append(f"1-0:{code}.{tariff}({wh // 1000:06d}.{wh % 1000:03d}*kWh)")
    return p1_telegram([*lines, "0-0:96.14.0(0002)", "1-0:1.7.0(00.244*kW)"])


# SML meters.


@dataclass(frozen=True)
class Unsigned:
    """A number in so many bytes."""

    value: int
    size: int


@dataclass(frozen=True)
class Signed:
    """The same, with a sign."""

    value: int
    size: int


Item = Unsigned | Signed | bytes | list["Item"] | None


def sml(item: Item) -> bytes:
    """A value in SML's binary encoding."""
    match item:
        case None:
            return b"\x01"
        case bytes():
            return _head(0, len(item)) + item
        case Unsigned(value, size):
            return _head(6, size) + value.to_bytes(size)
        case Signed(value, size):
            return _head(5, size) + value.to_bytes(size, signed=True)
        case list():
            assert len(item) < 16
            return bytes([0x70 | len(item)]) + b"".join(map(sml, item))


def _head(kind: int, size: int) -> bytes:
    """Type and length; the length counts the head, too."""
    if size < 15:
        return bytes([kind << 4 | size + 1])
    assert size + 2 < 256
    return bytes([0x80 | kind << 4 | (size + 2) >> 4, (size + 2) & 15])


def x25(octets: bytes) -> bytes:
    """CRC-16/X-25, low byte first."""
    return struct.pack("<H", crc16(octets, polynomial=0x8408, begin=0xFFFF) ^ 0xFFFF)


def sml_message(kind: int, body: Item, *, spoiled: bool = False) -> bytes:
    """A message with its CRC."""
    head = b"\x76" + b"".join(
        map(sml, [b"\x00\x01", Unsigned(0, 1), Unsigned(0, 1), [Unsigned(kind, 2), body]])
    )
    crc = x25(head)
    return head + b"\x63" + (bytes([crc[0] ^ spoiled, crc[1]])) + b"\x00"


def sml_entry(
    code: str, value: Item, scaler: int | None = -1, *, unit: int | None = WH, status: Item = None
) -> list[Item]:
    """A register; `code` is 1.8.0 or the like."""
    name = bytes([1, 0, *map(int, code.split(".")), 255])
    return [
        name,
        status,
        None,
        None if unit is None else Unsigned(unit, 1),
        None if scaler is None else Signed(scaler, 1),
        value,
        None,
    ]


def sml_frame(entries: Iterable[list[Item]], *, time: Item = None, spoiled: bool = False) -> bytes:
    """A frame as a meter sends it: opening, registers, close."""
    identity = b"\x0a\x01XYZ\x00\x00\x01\x02\x03"
    owner: list[Item] = [b"\x81\x81\xc7\x82\x03\xff", None, None, None, None, b"XYZ", None]
    values: list[Item] = [owner, *entries]
    return sml_transport(
        sml_message(0x0101, [None, None, b"\x00\x07", identity, None, None])
        + sml_message(0x0701, [None, identity, None, time, values, None, None], spoiled=spoiled)
        + sml_message(0x0201, [None])
    )


def sml_transport(content: bytes) -> bytes:
    """Messages in a frame of transport version 1."""
    padding = -len(content) % 4
    escaped = content.replace(ESCAPE, ESCAPE * 2) + bytes(padding)
    frame = ESCAPE + b"\x01" * 4 + escaped + ESCAPE + bytes([0x1A, padding])
    return frame + x25(frame)


def sml_of(registers_wh: Mapping[str, int]) -> bytes:
    """What a German meter sends that counts tenths of Wh."""
    return sml_frame(sml_entry(code, Unsigned(10 * wh, 8)) for code, wh in registers_wh.items())
