"""`/docs`: how to use it, for people; the API, for those who write programs."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from api.deps import ANYONE
from api.pages.api_docs import failures_anywhere, groups_of
from api.pages.site import SiteDep

router = APIRouter(include_in_schema=False)


@router.get("/docs", dependencies=[Depends(ANYONE)])
def get_docs(request: Request, site: SiteDep) -> HTMLResponse:
    """Show three guides, and every route with its examples."""
    groups = groups_of(request.app.openapi())
    return site.page(
        request,
        "docs.html",
        groups=groups,
        anywhere=failures_anywhere(),
        origin=str(request.base_url).rstrip("/"),
    )
