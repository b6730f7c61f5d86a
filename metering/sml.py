"""The format `sml`: Smart Message Language, as German meters send it (BSI TR-03109-1, part B).

Frames of transport version 1, messages of nested lists, a CRC-16 for each frame and each message.
A register is an integer with a scaler, and stays one: the library for this format gives floats.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from ledger.units import from_unix_s
from metering.errors import BadChecksum, BadTelegram
from metering.telegrams import (
    FRAME_BYTES_MAX,
    OBIS_CODES,
    Frame,
    TelegramFormat,
    exact_wh,
)

BAUD: Final = 9_600
_ESCAPE: Final = b"\x1b\x1b\x1b\x1b"
_START: Final = b"\x01\x01\x01\x01"
_MARK: Final = _ESCAPE + _START
_WORD: Final = 4
_END: Final = 0x1A
_PADDING_MAX: Final = 3
_DEPTH_MAX: Final = 10  # A list of registers needs five.
_GET_LIST_RESPONSE: Final = 0x0701
_MESSAGE_FIELDS: Final = 6  # Transaction, group, abort on error, body, CRC, end.
_RESPONSE_FIELDS: Final = 7  # Client, server, name, time, values, signature, gateway's time.
_ENTRY_FIELDS: Final = 7  # Name, status, time, unit, scaler, value, signature.
_UNIX_TIME: Final = 2  # What kind of time it is: 1 is seconds since the meter was switched on.
_WH: Final = 30
_SCALER_MAX: Final = 9
_CODES: Final = {
    bytes([1, 0, *(int(part) for part in code.split(".")), 255]): code for code in OBIS_CODES
}
Value = int | bytes | list["Value"] | None


def _take(buffer: bytearray) -> bytes | None:
    start = buffer.find(_MARK)
    if start < 0:
        del buffer[: max(0, len(buffer) - len(_MARK) + 1)]  # The mark may be half there.
        return None
    del buffer[:start]  # The end of a frame that was under way when we began to listen.
    at = len(_MARK)
    while True:
        at = buffer.find(_ESCAPE, at)
        if at < 0 or len(buffer) < at + 2 * _WORD:
            if len(buffer) > FRAME_BYTES_MAX:
                del buffer[: len(_MARK)]
                raise BadTelegram(rule=f"no end within {FRAME_BYTES_MAX} bytes")
            return None
        word = bytes(buffer[at + _WORD : at + 2 * _WORD])
        if word[0] == _END:
            frame = bytes(buffer[: at + 2 * _WORD])
            del buffer[: len(frame)]
            return frame
        if word == _START:
            del buffer[:at]
            raise BadTelegram(rule="another one began before its end")
        if word != _ESCAPE:
            del buffer[: at + _WORD]
            raise BadTelegram(rule="an escape that means nothing")
        at += 2 * _WORD


def _read(frame: bytes) -> Frame:
    padding = frame[-3]
    if _crc(frame[:-2]) != frame[-2:]:
        raise BadChecksum
    if padding > _PADDING_MAX:
        raise BadTelegram(rule=f"at most {_PADDING_MAX} bytes of padding")
    content = frame[len(_MARK) : -2 * _WORD].replace(_ESCAPE * 2, _ESCAPE)
    values = _Values(content[: len(content) - padding])
    registers: dict[str, Decimal] = {}
    measured_at = None
    while not values.at_end:
        begin = values.at
        message = values.next_list(_MESSAGE_FIELDS)
        if _crc(values.octets[begin : values.crc_at]) != _crc_octets(message[4]):
            raise BadChecksum
        match message[3]:
            case [int(kind), list(body)] if kind == _GET_LIST_RESPONSE:
                measured_at = _instant(_fields(body, _RESPONSE_FIELDS)[3])
                _add_registers(body[4], registers)
    return Frame(registers=registers, measured_at=measured_at)


def _add_registers(entries: Value, registers: dict[str, Decimal]) -> None:
    if not isinstance(entries, list):
        raise BadTelegram(rule="the registers are a list")
    for entry in entries:
        name, _, _, unit, scaler, value, _ = _fields(entry, _ENTRY_FIELDS)
        code = _CODES.get(name) if isinstance(name, bytes) else None
        if code is None:
            continue
        if code in registers:
            raise BadTelegram(rule=f"1-0:{code} stands twice in it")
        exponent = 0 if scaler == b"" else scaler
        if unit != _WH or not isinstance(value, int) or not isinstance(exponent, int):
            raise BadTelegram(rule=f"1-0:{code} is no number of Wh with a scaler")
        if abs(exponent) > _SCALER_MAX:
            raise BadTelegram(rule=f"a scaler is at most {_SCALER_MAX}")
        registers[code] = exact_wh(Decimal(value), exponent)


def _instant(value: Value) -> datetime | None:
    match value:
        case [int(kind), int(unix_s)] if kind == _UNIX_TIME and 0 <= unix_s < 2**32:
            return from_unix_s(unix_s)
    return None


def _fields(value: Value, count: int) -> list[Value]:
    if not isinstance(value, list) or len(value) != count:
        raise BadTelegram(rule=f"a list of {count}")
    return value


@dataclass(slots=True)
class _Values:
    """Values one after the other: a type and a length, then what it is."""

    octets: bytes
    at: int = 0
    crc_at: int = 0  # Where the last but one value of the outermost list began.

    @property
    def at_end(self) -> bool:
        return self.at == len(self.octets)

    def next_list(self, count: int) -> list[Value]:
        """A message."""
        return _fields(self._value(0), count)

    def _value(self, depth: int) -> Value:
        kind, length, head = self._head()
        if kind == 7:  # noqa: PLR2004 (a list, of so many values)
            if depth == _DEPTH_MAX:
                raise BadTelegram(rule=f"lists more than {_DEPTH_MAX} deep")
            values: list[Value] = []
            for place in range(length):
                if depth == 0 and place == length - 2:
                    self.crc_at = self.at
                values.append(self._value(depth + 1))
            return values
        if (kind, length) == (0, 0):  # The end of a message.
            return None
        size = length - head
        content = self._octets(size)
        match kind:
            case 0:
                return content
            case 4 if size == 1:
                return int(content != b"\0")
            case 5 | 6 if size:
                return int.from_bytes(content, signed=kind == 5)  # noqa: PLR2004 (signed)
        raise BadTelegram(rule="a value of a kind that there is not")

    def _head(self) -> tuple[int, int, int]:
        """Kind, length and bytes of a value's head."""
        [first] = self._octets(1)
        kind, length, size, more = first >> 4 & 7, first & 15, 1, first >> 7
        while more:
            [next_one] = self._octets(1)
            more, size = next_one >> 7, size + 1
            length = length << 4 | next_one & 15
            if next_one >> 4 & 7 or length > FRAME_BYTES_MAX:
                raise BadTelegram(rule="a length that cannot be")
        return kind, length, size

    def _octets(self, count: int) -> bytes:
        end = self.at + count
        if not self.at <= end <= len(self.octets):
            raise BadTelegram(rule="a value goes on after the end")
        found, self.at = self.octets[self.at : end], end
        return found


def _crc_octets(value: Value) -> bytes:
    """A message's CRC, which may be told in one byte if it begins with a zero."""
    if not isinstance(value, int) or not 0 <= value < 2**16:
        raise BadTelegram(rule="a message's CRC has two bytes")
    return value.to_bytes(2)


def _crc(octets: bytes) -> bytes:
    """CRC-16/X-25, low byte first."""
    crc = 0xFFFF
    for octet in octets:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ octet) & 255]
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def _crc_table() -> tuple[int, ...]:
    table = list(range(256))
    for _ in range(8):
        table = [each >> 1 ^ 0x8408 * (each & 1) for each in table]
    return tuple(table)


_CRC_TABLE: Final = _crc_table()
SML: Final = TelegramFormat(name="sml", baud=BAUD, take=_take, read=_read)
