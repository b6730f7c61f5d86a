"""What the community publishes: aggregates that tell of nobody, and their catalogue."""

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from api.between import Between, any_between
from api.books_csv import MEDIA_TYPE, WINDOW_COLUMNS, windows_csv
from api.deps import ANYONE, ServiceDep
from api.errors import BadInput
from api.jobs.market.views import WindowView
from api.jobs.market.windows import WindowsDesk
from api.open_data import MEDIA_TYPE as CATALOGUE_TYPE
from api.open_data import catalogue
from api.openapi import failures, merged, table_of
from api.pieces import streamed
from api.routers.json_route import JsonRoute
from ledger.chain.errors import ChainUnavailable

CHUNK_S: Final = 31 * 86_400  # A table is written as it is read.
CATALOGUE_EXAMPLE: Final = {
    "@id": "https://wattledger.example/v1/open-data/catalog.jsonld",
    "@type": "dcat:Catalog",
    "dcat:dataset": [{"@type": "dcat:Dataset", "dct:identifier": "windows"}],
}
router = APIRouter(prefix="/open-data", tags=["open data"], route_class=JsonRoute)


@router.get(
    "/windows.csv",
    dependencies=[Depends(ANYONE)],
    response_class=StreamingResponse,
    responses=merged(table_of(WINDOW_COLUMNS), failures(BadInput, ChainUnavailable)),
)
def get_windows_csv(
    service: ServiceDep, between: Annotated[Between, Depends(any_between)]
) -> StreamingResponse:
    """Give all windows of final periods, as everybody may see them; what is not is left empty."""
    first_s, end_s = service.windows.settled_stretch()
    within = Between(
        from_s=max(between.from_s, first_s), until_s=max(min(between.until_s, end_s), first_s)
    )
    windows = _windows(service.windows, within)
    table = windows_csv(windows, service.community.schedule.window_s)
    return streamed(table, media_type=MEDIA_TYPE, name="windows.csv")


@router.get(
    "/catalog.jsonld",
    dependencies=[Depends(ANYONE)],
    response_class=Response,
    responses=merged(
        {
            200: {
                "description": "A catalogue (DCAT-AP 3, JSON-LD).",
                "content": {CATALOGUE_TYPE: {"example": CATALOGUE_EXAMPLE}},
            }
        },
        failures(ChainUnavailable),
    ),
)
def get_catalogue(service: ServiceDep, request: Request) -> Response:
    """Say what is published: by whom, under which licence and rule, for which time."""
    from_s, until_s = service.windows.settled_stretch()
    document = catalogue(
        service.community.config,
        base_url=str(request.base_url),
        window_s=service.community.schedule.window_s,
        from_s=from_s,
        until_s=until_s,
    )
    return JSONResponse(document, media_type=CATALOGUE_TYPE)


def _windows(desk: WindowsDesk, between: Between) -> Iterator[WindowView]:
    for from_s in range(between.from_s, between.until_s, CHUNK_S):
        until_s = min(from_s + CHUNK_S, between.until_s)
        yield from desk.windows(from_s, until_s, settled_only=True)
