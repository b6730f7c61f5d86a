"""What an auditor is given: everything that `wattledger audit --bundle` needs."""

from typing import Final

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from api.between import FromQuery, ToQuery
from api.deps import AUDITOR, ServiceDep
from api.errors import BadInput, NotAllowed, NotAuthenticated
from api.jobs.bundle import bundle_pieces, cut_of
from api.openapi import failures, merged
from api.pieces import streamed
from api.routers.json_route import JsonRoute
from ledger.chain.errors import ChainUnavailable
from ledger.units import to_unix_s

EXAMPLE: Final = {
    "format": "wattledger.bundle/2",
    "chain_id": 1337,
    "from": "2016-06-01T00:00:00Z",
    "until": "2016-06-02T00:00:00Z",
    "readings": [],
    "runs": [],
}
router = APIRouter(prefix="/audit", tags=["audit"], route_class=JsonRoute)


@router.get(
    "/bundle",
    dependencies=[Depends(AUDITOR)],
    response_class=StreamingResponse,
    responses=merged(
        {
            200: {
                "description": "An audit bundle. Whoever has it sees every home's load.",
                "content": {"application/json": {"example": EXAMPLE}},
            }
        },
        failures(NotAuthenticated, NotAllowed, BadInput, ChainUnavailable),
    ),
)
def get_bundle(
    service: ServiceDep, from_at: FromQuery = None, to_at: ToQuery = None
) -> StreamingResponse:
    """Give readings, salts and charges: of all periods, or of those that begin in the stretch.

    Charges are always in it whole. A bundle ends with the runs that are final when it is asked for;
    an audit names later ones and leaves them out.
    """
    books = service.books.books
    cut = cut_of(
        books,
        None if from_at is None else to_unix_s(from_at),
        None if to_at is None else to_unix_s(to_at),
    )
    pieces = bundle_pieces(books, cut)
    return streamed(pieces, media_type="application/json", name="bundle.json")
