"""Readings of meters: signed, so that nobody needs to sign in."""

from fastapi import APIRouter, Depends, Request, Response

from api.deps import BY_SIGNATURE, NoteRefused, ServiceDep
from api.errors import BadInput, Overloaded, UnsupportedMedia
from api.openapi import example, failures, merged
from api.schemas.readings import READINGS_EXAMPLE, READINGS_SCHEMA, TAKEN_EXAMPLE, TakenOut
from ledger.chain.errors import ChainUnavailable
from metering.errors import EmptyFile, TooManyReadings, UnknownFormat

router = APIRouter(tags=["readings"])
JSON = "application/json"


@router.post(
    "/readings",
    dependencies=[Depends(BY_SIGNATURE)],
    response_class=Response,
    responses=merged(
        {
            200: {
                "model": TakenOut,
                "description": "Each is accepted, a duplicate, or rejected with its reason; what "
                "is accepted is kept for good.",
                **example(TAKEN_EXAMPLE),
            }
        },
        failures(
            UnknownFormat,
            EmptyFile,
            TooManyReadings,
            UnsupportedMedia,
            ChainUnavailable,
            Overloaded,
            BadInput,
        ),
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": READINGS_SCHEMA, "example": READINGS_EXAMPLE}},
        }
    },
)
async def post_readings(
    request: Request, service: ServiceDep, note_refused: NoteRefused
) -> Response:
    """Take signed readings in, 1 to 10,000. The same reading twice is a duplicate, not an error.

    Another value for the same meter and instant is kept as a new version. A reading of the wrong
    form is rejected by its index, and stops no other.
    """
    _require_json(request.headers.get("content-type", JSON))
    answer = await service.readings.take(await request.body())
    note_refused(answer.refused)
    return Response(answer.body, media_type=JSON)


def _require_json(content_type: str) -> None:
    essence = content_type.partition(";")[0].strip().lower()
    if essence != JSON:
        raise UnsupportedMedia(field="content-type", rule=f"{JSON}, in UTF-8")
