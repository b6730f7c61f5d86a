"""`/grid`: the whole community, for the grid operator and the market's operator."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from api.deps import OVERSEER, Caller, ServiceDep, roles_of
from api.jobs.market_view import Role
from api.pages.grid.views import Asked, View, facts_of
from api.pages.site import SiteDep
from api.paging import Cursor

router = APIRouter(include_in_schema=False)
OverseerDep = Annotated[Caller, Depends(OVERSEER)]
StateText = Annotated[str, Query(pattern="^[a-z_]{0,20}$")]
AUDITS_SHOWN = 10


@router.get("/grid")
async def get_grid_page(
    *,
    request: Request,
    site: SiteDep,
    service: ServiceDep,
    caller: OverseerDep,
    view: View = View.OVERVIEW,
    state: StateText = "",
    cursor: Cursor = None,
) -> HTMLResponse:
    """Show what is wrong, then one table."""
    asked = Asked(view=view, state=state, cursor=cursor)
    points = await service.oversight.charge_points()
    facts = await run_in_threadpool(facts_of, asked, service.oversight, points)
    audits = await run_in_threadpool(service.audits.latest, limit=AUDITS_SHOWN)
    roles = await roles_of(service, caller.address)
    return site.page(
        request,
        "grid.html",
        **facts,
        audits=audits,
        progress=service.audits.progress(),
        contracts=service.community.contracts,
        chain_head=await run_in_threadpool(service.community.chain.head),
        problems=service.problems(),
        is_auditor=Role.AUDITOR in roles,
        is_operator=Role.OPERATOR in roles,
    )
