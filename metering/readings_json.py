"""The format `readings-json`: signed readings, the body of `POST /readings`.

`{"readings": [{"meter_id", "taken_at", "import_wh", "export_wh", "signature"}]}`; types are strict:
`true`, `1.0` and `"1"` are not 1.
"""

import json
import re
from typing import Final

from ledger.errors import BadSignature, LedgerError
from ledger.keccak import SIGNATURE_BYTES
from ledger.units import to_rfc3339
from metering.errors import BadRow, EmptyFile, Problem, UnknownFormat
from metering.instants import parse_instant
from metering.meters import hex_of
from metering.readings import METER_ID_BYTES, MeterId, Reading, SignedReading

# Libraries that this runs beside lift Python's recursion limit, and then a body of a hundred
# thousand brackets would end the process; a list of readings needs one bracket.
NESTED_MAX: Final = 100
_OBJECT_IN_OBJECT: Final = re.compile(r":\s*\{")
FIELDS: Final = ("meter_id", "taken_at", "import_wh", "export_wh", "signature")


def read_readings(
    text: bytes | str,
) -> tuple[list[SignedReading], list[int], list[Problem]]:
    """Readings, the index of each in the list, and the items that were refused.

    Raises:
        UnknownFormat: not JSON, or not an object with a list `readings` and nothing else.
        EmptyFile: the list has no items.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        if decoded.count("[") + len(_OBJECT_IN_OBJECT.findall(decoded)) > NESTED_MAX:
            raise UnknownFormat(rule=f"more than {NESTED_MAX} lists or objects inside others")
        body = json.loads(decoded)
    except (ValueError, RecursionError) as error:
        raise UnknownFormat(rule="not JSON in UTF-8") from error
    if not isinstance(body, dict) or set(body) != {"readings"}:
        raise UnknownFormat(rule='the body is {"readings": […]}')
    items = body["readings"]
    if not isinstance(items, list):
        raise UnknownFormat(rule="readings is a list")
    if not items:
        raise EmptyFile(rule="there are no readings")
    signed: list[SignedReading] = []
    indices: list[int] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        try:
            signed.append(parse_signed_reading(item))
            indices.append(index)
        except LedgerError as error:
            problems.append(Problem(position=index, error=error.with_traceback(None)))
    return signed, indices, problems


def parse_signed_reading(item: object) -> SignedReading:
    """One item of the list.

    Raises:
        BadRow: a field is missing, unknown or of another type.
        BadTime, RegisterOutOfRange, BadSignature: what its value breaks.
    """
    if not isinstance(item, dict):
        raise BadRow(rule="a reading is an object")
    for name in FIELDS:
        if name not in item:
            raise BadRow(rule=f"{name} is missing")
    if len(item) > len(FIELDS):
        unknown = min(str(name) for name in item if name not in FIELDS)
        raise BadRow(rule=f"{unknown[:40]!r} is not a field of a reading")
    taken_text = item["taken_at"]
    if not isinstance(taken_text, str):
        raise BadRow(rule="taken_at is a string")
    meter_id = _hex(item["meter_id"], METER_ID_BYTES)
    if meter_id is None:
        raise BadRow(rule=f"meter_id is 0x and {METER_ID_BYTES} bytes in hex")
    reading = Reading(
        meter_id=MeterId(meter_id),
        taken_at=parse_instant(taken_text),
        import_wh=_integer(item["import_wh"], "import_wh"),
        export_wh=_integer(item["export_wh"], "export_wh"),
    )
    signature = _hex(item["signature"], SIGNATURE_BYTES)
    if signature is None:
        raise BadSignature(rule=f"a signature is 0x and {SIGNATURE_BYTES} bytes in hex")
    return SignedReading(reading=reading, signature=signature)


def to_json(signed: SignedReading) -> dict[str, object]:
    """One item of the list, as `parse_signed_reading` reads it."""
    reading = signed.reading
    return {
        "meter_id": hex_of(reading.meter_id),
        "taken_at": to_rfc3339(reading.taken_at),
        "import_wh": reading.import_wh,
        "export_wh": reading.export_wh,
        "signature": "0x" + signed.signature.hex(),
    }


def _integer(value: object, name: str) -> int:
    if type(value) is not int:  # A bool is an int to Python, and not to us.
        raise BadRow(rule=f"{name} is an integer, without quotes, point or exponent")
    return value


def _hex(value: object, size: int) -> bytes | None:
    if not isinstance(value, str) or len(value) != 2 + 2 * size or not value.startswith("0x"):
        return None
    try:
        decoded = bytes.fromhex(value[2:])
    except ValueError:
        return None
    return decoded if len(decoded) == size else None  # `fromhex` passes over spaces.
