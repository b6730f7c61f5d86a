"""`/`: the neighbourhood now, for everybody."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from api.deps import LOOKING, ServiceDep
from api.pages.charge.places import chargers_of
from api.pages.now import ChargersNow, now_page
from api.pages.site import SiteDep

router = APIRouter(include_in_schema=False)


@router.get("/")
async def get_now(
    request: Request,
    site: SiteDep,
    service: ServiceDep,
    sees_all: Annotated[bool, Depends(LOOKING)],
    day: Annotated[date | None, Query()] = None,
) -> HTMLResponse:
    """Show who gives and who takes, the price, and what was settled last."""
    chargers = ChargersNow.of(chargers_of(await service.desk.charge_points()))
    page = await run_in_threadpool(
        now_page, service, site.words(request), asked_for=day, sees_all=sees_all
    )
    return site.page(request, "now.html", page=page, chargers=chargers)
