"""The format `dsmr`: telegrams of a P1 port (DSMR and ESMR 4 and 5, and their relatives).

Lines of text from `/` to `!` and four digits of CRC-16. The library checks the CRC and takes the
lines apart; frames and times are ours. Meters before DSMR 4 send no CRC and are not believed.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from metering.errors import BadChecksum, BadTelegram
from metering.telegrams import (
    FRAME_BYTES_MAX,
    OBIS_CODES,
    Frame,
    TelegramFormat,
    exact_wh,
)

if TYPE_CHECKING:
    from dsmr_parser.parsers import TelegramParser

BAUD: Final = 115_200
_START, _END = b"/", b"!"
_CRC: Final = re.compile(rb"[0-9A-F]{4}\r\n")
_CRC_BYTES: Final = 6
_TIME: Final = r"^0-0:1\.0\.0\([^\r\n]*\r\n"
_TIME_VALUE: Final = re.compile(r"(\d{12})([SW])", re.ASCII)
# Summer or winter time, told by the meter itself: Central European, as nearly all P1 ports have it.
# One of another zone is hours off, and a gateway's log says that its clock is.
_ZONES: Final = {"S": timezone(timedelta(hours=2)), "W": timezone(timedelta(hours=1))}
_EXPONENTS: Final = {"kWh": 3, "Wh": 0}


def _take(buffer: bytearray) -> bytes | None:
    end = buffer.find(_END)
    if end < 0:
        if len(buffer) > FRAME_BYTES_MAX:
            buffer.clear()
            raise BadTelegram(rule=f"no end within {FRAME_BYTES_MAX} bytes")
        return None
    start = buffer.rfind(_START, 0, end)
    if buffer.find(_START, 0, max(start, 0)) >= 0:
        del buffer[:start]
        raise BadTelegram(rule="another one began before its end")
    tail = bytes(buffer[end + 1 : end + 1 + _CRC_BYTES])
    if len(tail) < _CRC_BYTES and b"\n" not in tail:
        return None
    is_whole = start >= 0 and _CRC.fullmatch(tail) is not None
    frame = bytes(buffer[start : end + 1 + _CRC_BYTES]) if is_whole else b""
    del buffer[: end + 1 + (_CRC_BYTES if is_whole else 0)]
    if not is_whole:
        rule = "no start" if start < 0 else "no CRC of four digits after its end"
        raise BadTelegram(rule=rule)
    return frame


def _read(frame: bytes) -> Frame:
    from dsmr_parser.exceptions import InvalidChecksumError, ParseError  # noqa: PLC0415

    try:
        found: dict[str, Any] = _parser().parse(frame.decode("ascii"), throw_ex=True)
    except InvalidChecksumError as error:
        raise BadChecksum from error
    except (ParseError, ValueError, ArithmeticError) as error:
        raise BadTelegram(rule="a register or time that is none") from error
    registers = {}
    for code in OBIS_CODES:
        line = found.get(_line_of(code))
        if line is not None:
            if line.unit not in _EXPONENTS or line.value is None:
                raise BadTelegram(rule=f"1-0:{code} is in neither kWh nor Wh")
            registers[code] = exact_wh(line.value, _EXPONENTS[line.unit])
    said = found.get(_TIME)
    return Frame(registers=registers, measured_at=None if said is None else _instant(said.value))


def _instant(text: str | None) -> datetime:
    """The instant of `YYMMDDhhmmss` and S or W."""
    shape = _TIME_VALUE.fullmatch(text or "")
    if shape is None:
        raise BadTelegram(rule="a time looks like 160601000000S")
    try:
        local_at = datetime.strptime(f"20{shape[1]}", "%Y%m%d%H%M%S")  # noqa: DTZ007 (next line)
    except ValueError as error:
        raise BadTelegram(rule="no such date or time of day") from error
    return local_at.replace(tzinfo=_ZONES[shape[2]]).astimezone(UTC)


def _line_of(code: str) -> str:
    return rf"^1-0:{re.escape(code)}(?:\*255)?\([^\r\n]*\r\n"


@cache
def _parser() -> "TelegramParser":
    """The library's parser, of the lines that count here and no others."""
    from dsmr_parser.parsers import CosemParser, TelegramParser, ValueParser  # noqa: PLC0415

    objects = [
        {
            "obis_reference": _line_of(code),
            "value_parser": CosemParser(ValueParser(Decimal)),
            "value_name": code,
        }
        for code in OBIS_CODES
    ]
    time = {
        "obis_reference": _TIME,
        "value_parser": CosemParser(ValueParser(str)),
        "value_name": "measured_at",
    }
    return TelegramParser({"checksum_support": True, "objects": [time, *objects]})


DSMR: Final = TelegramFormat(name="dsmr", baud=BAUD, take=_take, read=_read)
