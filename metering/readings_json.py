"""The format `readings-json`: signed readings, the body of `POST /readings`.

`{"readings": [{"meter_id", "taken_at", "import_wh", "export_wh", "signature"}]}`; types are strict:
`true`, `1.0` and `"1"` are not 1, and no name stands twice.
"""

import json
import re
from typing import Any, Final

import msgspec

from ledger.errors import BadSignature, LedgerError
from ledger.keccak import SIGNATURE_BYTES
from ledger.units import to_rfc3339
from metering.errors import BadRow, EmptyFile, Problem, TooManyReadings, UnknownFormat
from metering.instants import parse_instant
from metering.meters import hex_of
from metering.readings import METER_ID_BYTES, MeterId, Reading, SignedReading

# Libraries that this runs beside lift Python's recursion limit, and then a body of a hundred
# thousand brackets would end the process; a list of readings needs one bracket.
NESTED_MAX: Final = 100
_OBJECT_IN_OBJECT: Final = re.compile(r":\s*\{")
FIELDS: Final = ("meter_id", "taken_at", "import_wh", "export_wh", "signature")
# The quotes of a reading without fault (five names, three texts) and of the list's own name.
_QUOTES_OF_READING: Final = 16
_QUOTES_OF_LIST: Final = 2
_COMMAS_OF_READING_MAX: Final = 2 * len(FIELDS)  # One without fault has one for each field.
_SIGNATURE_RULE: Final = f"a signature is 0x and {SIGNATURE_BYTES} bytes in hex"

ReadReadings = tuple[list[SignedReading], list[int], list[Problem]]


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A reading whose types are right; what its values are worth is still to be said."""

    meter_id: str
    taken_at: str
    import_wh: int
    export_wh: int
    signature: str


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    readings: list[_Item]


class _Doubled(dict[str, Any]):
    """An object in which a name stands twice."""


_DECODER: Final = msgspec.json.Decoder(_Body)


def read_readings(text: bytes, *, count_max: int | None = None) -> ReadReadings:
    """Readings, the index of each in the list, and the items that were refused.

    Raises:
        UnknownFormat: not JSON, or not an object with a list `readings` and nothing else.
        EmptyFile, TooManyReadings: the text or the list is empty, or has more than `count_max`.
    """
    items: list[Any] = _items_without_fault(text) or _items(text, count_max)
    if not items:
        raise EmptyFile(rule="there are no readings")
    if count_max is not None and len(items) > count_max:
        raise TooManyReadings(count=len(items), count_max=count_max)
    signed: list[SignedReading] = []
    indices: list[int] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        try:
            signed.append(_read(item) if isinstance(item, _Item) else parse_signed_reading(item))
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
    if isinstance(item, _Doubled):
        raise BadRow(rule="a name stands twice in it")
    for name in FIELDS:
        if name not in item:
            raise BadRow(rule=f"{name} is missing")
    if len(item) > len(FIELDS):
        unknown = min(str(name) for name in item if name not in FIELDS)
        raise BadRow(rule=f"{unknown[:40]!r} is not a field of a reading")
    _require_types(item)
    return _read(_Item(**item))


def _require_types(item: dict[str, Any]) -> None:
    for name in ("meter_id", "taken_at"):
        if not isinstance(item[name], str):
            raise BadRow(rule=f"{name} is a string")
    for name in ("import_wh", "export_wh"):
        if type(item[name]) is not int:  # A bool is an int to Python, and not to us.
            raise BadRow(rule=f"{name} is an integer, without quotes, point or exponent")
    if not isinstance(item["signature"], str):
        raise BadSignature(rule=_SIGNATURE_RULE)


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


def _items_without_fault(text: bytes) -> list[_Item] | None:
    """The quick way, for a list in which every item has its form; None where one has not."""
    try:
        items = _DECODER.decode(text).readings
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    # This decoder passes over a name that stands twice; it takes two quotes more.
    is_plain = text.count(b'"') == _QUOTES_OF_READING * len(items) + _QUOTES_OF_LIST
    return items if is_plain else None


def _items(text: bytes, count_max: int | None) -> list[Any]:
    """The way that tells each fault from the others."""
    commas = text.count(b",")
    if count_max is not None and commas > _COMMAS_OF_READING_MAX * count_max:
        # Whatever it is, it is not read: millions of faults would take their time.
        raise TooManyReadings(count=commas // len(FIELDS), count_max=count_max)
    try:
        decoded = text.decode("utf-8-sig")
        if not decoded.strip():
            return []
        if decoded.count("[") + len(_OBJECT_IN_OBJECT.findall(decoded)) > NESTED_MAX:
            raise UnknownFormat(rule=f"more than {NESTED_MAX} lists or objects inside others")
        body = json.loads(decoded, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise UnknownFormat(rule="not JSON in UTF-8") from error
    if not isinstance(body, dict) or isinstance(body, _Doubled) or set(body) != {"readings"}:
        raise UnknownFormat(rule='the body is {"readings": […]}')
    items = body["readings"]
    if not isinstance(items, list):
        raise UnknownFormat(rule="readings is a list")
    return items


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Doubled(members)


def _read(item: _Item) -> SignedReading:
    meter_id = _hex(item.meter_id, METER_ID_BYTES)
    if meter_id is None:
        raise BadRow(rule=f"meter_id is 0x and {METER_ID_BYTES} bytes in hex")
    reading = Reading(
        meter_id=MeterId(meter_id),
        taken_at=parse_instant(item.taken_at),
        import_wh=item.import_wh,
        export_wh=item.export_wh,
    )
    signature = _hex(item.signature, SIGNATURE_BYTES)
    if signature is None:
        raise BadSignature(rule=_SIGNATURE_RULE)
    return SignedReading(reading=reading, signature=signature)


def _hex(value: str, size: int) -> bytes | None:
    if len(value) != 2 + 2 * size or not value.startswith("0x"):
        return None
    try:
        decoded = bytes.fromhex(value[2:])
    except ValueError:
        return None
    return decoded if len(decoded) == size else None  # `fromhex` passes over spaces.
