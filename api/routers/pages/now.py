"""`/`: the neighbourhood now, for everybody."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from api.deps import LOOKING, ServiceDep
from api.pages.now import now_page
from api.pages.site import SiteDep

router = APIRouter(include_in_schema=False)


@router.get("/")
def get_now(
    request: Request,
    site: SiteDep,
    service: ServiceDep,
    sees_all: Annotated[bool, Depends(LOOKING)],
    day: Annotated[date | None, Query()] = None,
) -> HTMLResponse:
    """Show who gives and who takes, the price, and what was settled last."""
    page = now_page(service, site.words(request), asked_for=day, sees_all=sees_all)
    return site.page(request, "now.html", page=page, alarms=service.problems())
