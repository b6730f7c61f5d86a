"""Models of readings as meters send them, and of what becomes of them.

They describe; the body itself is read by `metering.readings_json`, which is quicker and refuses one
reading without the others.
"""

from typing import Annotated, Final

from pydantic import Field, WithJsonSchema

from api.jobs.taking.answers import READINGS_MAX
from api.schemas.fields import Instant, SignatureIn, Wire
from ledger.units import REGISTER_WH_MAX

MeterIdText = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "pattern": "^0x[0-9a-fA-F]{64}$", "examples": ["0x" + "3e" * 32]}
    ),
]
RegisterWh = Annotated[int, Field(ge=0, le=REGISTER_WH_MAX)]


class ReadingIn(Wire):
    """Cumulative registers of one meter at one instant, signed by its key (`MeterReading`)."""

    meter_id: MeterIdText
    taken_at: Instant
    import_wh: RegisterWh
    export_wh: RegisterWh
    signature: SignatureIn


class RejectedOut(Wire):
    """A reading that was not taken in."""

    index: int  # In the request, from 0.
    code: str
    detail: str


class TakenOut(Wire):
    """What became of the readings: each is accepted, a duplicate, or rejected."""

    accepted: int
    duplicates: int
    rejected: list[RejectedOut]


READINGS_SCHEMA: Final = {
    "type": "object",
    "description": "Readings of any meters, in any order.",
    "properties": {
        "readings": {
            "type": "array",
            "items": ReadingIn.model_json_schema(),
            "minItems": 1,
            "maxItems": READINGS_MAX,
        }
    },
    "required": ["readings"],
    "additionalProperties": False,
}
READINGS_EXAMPLE: Final = {
    "readings": [
        {
            "meter_id": "0x" + "3e" * 32,
            "taken_at": "2026-11-25T12:00:00Z",
            "import_wh": 4_812_345,
            "export_wh": 1_002_210,
            "signature": "0x" + "a1" * 64 + "1b",
        }
    ]
}
TAKEN_EXAMPLE: Final = {
    "accepted": 1,
    "duplicates": 0,
    "rejected": [
        {
            "index": 1,
            "code": "register_decreased",
            "detail": "register=import_wh, earlier_at=2026-11-25T12:00:00Z, "
            "earlier_wh=4812345, later_at=2026-11-25T12:15:00Z, later_wh=4812000",
        }
    ],
}
