"""Receipts of charges: as a file for programs, as a page for people."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from api.accepting import prefers_html
from api.deps import SESSION_READER, ServiceDep
from api.errors import BadInput, Erased, NotAllowed, NotAuthenticated
from api.openapi import failures, merged
from api.pages.charge.receipt import receipt_page
from api.pages.site import SiteDep
from api.routers.json_route import JsonRoute
from charging.desk import SessionView
from charging.errors import UnknownSession, WrongState

router = APIRouter(tags=["charging"], route_class=JsonRoute)
VARY = {"Vary": "Accept"}


class Form(StrEnum):
    """How a receipt is given."""

    JSON = "json"
    HTML = "html"


EXAMPLE: Mapping[str, object] = {
    "format": "wattledger.receipt/1",
    "chain_id": 1337,
    "session_id": "0x" + "5e" * 32,
    "record_signer": "host",
    "energy_wh": 11_700,
    "deposit_micro": "20000000",
    "paid_micro": "4563000",
    "refunded_micro": "15437000",
    "sun_wh": None,
    "vat_bps": 1_900,
    "transactions": {"open": "0x" + "0a" * 32, "close": "0x" + "0c" * 32},
}


@router.get(
    "/sessions/{session_id}/receipt",
    response_class=Response,
    responses=merged(
        {
            200: {
                "description": "A receipt file, or the same as a page where HTML is preferred.",
                "content": {"application/json": {"example": EXAMPLE}, "text/html": {}},
            }
        },
        failures(NotAuthenticated, NotAllowed, UnknownSession, BadInput, WrongState, Erased),
    ),
)
async def get_receipt(
    *,
    request: Request,
    site: SiteDep,
    view: Annotated[SessionView, Depends(SESSION_READER)],
    service: ServiceDep,
    accept: Annotated[str, Header(max_length=1_000)] = "*/*",
    form: Annotated[
        Form | None, Query(alias="format", description="As `Accept` says, if not given.")
    ] = None,
) -> Response:
    """Give the receipt of a session that has ended."""
    receipt = await service.desk.receipt(view.session_id)
    if form is Form.HTML or (form is None and prefers_html(accept)):
        page = receipt_page(receipt, view, site.words(request))
        response = site.page(request, "charge_receipt.html", page=page)
        response.headers["Vary"] += ", Accept"
        return response
    return JSONResponse(receipt, headers=VARY)
