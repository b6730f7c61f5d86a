"""`/`: the neighbourhood now, for everybody."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from api.deps import ANYONE
from api.pages.site import SiteDep

router = APIRouter(include_in_schema=False)


@router.get("/", dependencies=[Depends(ANYONE)])
def get_now(request: Request, site: SiteDep) -> HTMLResponse:
    """Show who gives and who takes, the price, and what was settled last."""
    return site.page(request, "now.html")
