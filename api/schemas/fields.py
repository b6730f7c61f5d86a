"""Fields on the wire: hex, decimal strings, instants. Each refuses all but its own form."""

import re
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from api.jobs.people.relays import RelayId
from charging.orders import UINT64_MAX, UINT256_MAX, ChargerId, SessionId
from ledger.keccak import checksum_address
from ledger.units import Address, to_rfc3339
from metering.errors import BadTime
from metering.instants import parse_instant
from metering.readings import MeterId

SIGNATURE_BYTES_MAX: Final = 1_024
_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2})*)")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}")


class Wire(BaseModel):
    """Base of all models: 1.0 and "1" are not 1, and an unknown name is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _octets(value: Any) -> bytes:
    found = _HEX.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("0x and hexadecimal digits, two for each byte")
    return bytes.fromhex(found[1])


def _exactly(length: int) -> BeforeValidator:
    def octets(value: Any) -> bytes:
        found = _octets(value)
        if len(found) != length:
            raise ValueError(f"0x and {2 * length} hexadecimal digits")
        return found

    return BeforeValidator(octets)


def _signature(value: Any) -> bytes:
    # Of the wrong length it is a bad signature, which the reader of signatures says.
    found = _octets(value)
    if len(found) > SIGNATURE_BYTES_MAX:
        raise ValueError(f"at most {SIGNATURE_BYTES_MAX} bytes")
    return found


def _unsigned(value_max: int) -> BeforeValidator:
    def unsigned(value: Any) -> int:
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = int(value)
        if type(value) is not int or not 0 <= value <= value_max:
            raise ValueError(f"a decimal string or an integer from 0 to {value_max}")
        return value

    return BeforeValidator(unsigned)


def _instant(value: Any) -> datetime:
    try:
        if isinstance(value, str):
            return parse_instant(value)
    except BadTime as error:
        raise ValueError(error.rule) from error
    raise ValueError("a time looks like 2016-06-01T00:00:00Z")


def _hex_schema(digits: str, example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": f"^0x[0-9a-fA-F]{digits}$", "examples": [example]}
    )


_UNSIGNED_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "pattern": "^(0|[1-9][0-9]{0,77})$"},
            {"type": "integer", "minimum": 0},
        ],
        "examples": ["1000000"],
    }
)

AddressIn = Annotated[Address, _exactly(20), _hex_schema("{40}", "0x" + "52" * 20)]
ChargerIdIn = Annotated[ChargerId, _exactly(32), _hex_schema("{64}", "0x" + "c4" * 32)]
SessionIdIn = Annotated[SessionId, _exactly(32), _hex_schema("{64}", "0x" + "5e" * 32)]
RelayIdIn = Annotated[RelayId, _exactly(32), _hex_schema("{64}", "0x" + "7e" * 32)]
MeterIdIn = Annotated[MeterId, _exactly(32), _hex_schema("{64}", "0x" + "3e" * 32)]
SignatureIn = Annotated[
    bytes, BeforeValidator(_signature), _hex_schema("{130}", "0x" + "a1" * 64 + "1b")
]
Uint32In = Annotated[int, _unsigned(2**32 - 1), _UNSIGNED_SCHEMA]
Uint64In = Annotated[int, _unsigned(UINT64_MAX), _UNSIGNED_SCHEMA]
Uint256In = Annotated[int, _unsigned(UINT256_MAX), _UNSIGNED_SCHEMA]

Hex = Annotated[str, _hex_schema("*", "0x" + "0a" * 20)]
Amount = Annotated[
    str,
    WithJsonSchema({"type": "string", "pattern": "^-?[0-9]+$", "examples": ["5063000"]}),
]
Instant = Annotated[
    str,
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-25T12:00:00Z"]}),
]

InstantIn = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2016-06-01T00:00:00Z"]}),
]


def hex_of(value: bytes) -> Hex:
    """Bytes as JSON has them."""
    return "0x" + value.hex()


def hex_if_any(value: bytes | None) -> Hex | None:
    """The same, or null."""
    return None if value is None else hex_of(value)


def address_text(value: Address) -> Hex:
    """An address in its EIP-55 spelling."""
    return checksum_address(value)


def amount_if_any(value: int | None) -> Amount | None:
    """An amount, or null."""
    return None if value is None else str(value)


def instant_of(value: datetime) -> Instant:
    """A time."""
    return to_rfc3339(value)


def instant_if_any(value: datetime | None) -> Instant | None:
    """A time, or null."""
    return None if value is None else to_rfc3339(value)
