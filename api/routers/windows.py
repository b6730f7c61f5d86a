"""What the community did, and how it is settled: for everybody, as far as it tells of nobody."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends

from api.between import Between, BetweenQuery
from api.deps import ANYONE, ONLOOKER, ServiceDep
from api.errors import BadInput, NotFound
from api.openapi import failures
from api.paging import (
    LIMIT_DEFAULT,
    LONG_LIMIT_MAX,
    Cursor,
    Limit,
    LongLimit,
    read_number,
    write_number,
)
from api.routers.books import PeriodPath, RunQuery
from api.routers.json_route import JsonRoute
from api.schemas.books import PeriodOut, PeriodsOut, WindowOut, WindowsOut
from ledger.chain.errors import ChainUnavailable
from ledger.units import to_unix_s

DAY = timedelta(days=1)
LONGEST = timedelta(days=400)
router = APIRouter(tags=["market"], route_class=JsonRoute)


@router.get("/windows", responses=failures(BadInput, ChainUnavailable))
def get_windows(
    sees_all: Annotated[bool, Depends(ONLOOKER)],
    service: ServiceDep,
    between: Annotated[Between, Depends(BetweenQuery(usual=DAY, longest=LONGEST))],
    limit: LongLimit = LONG_LIMIT_MAX,
    cursor: Cursor = None,
) -> WindowsOut:
    """List windows: what was imported, exported and traded, at what price, and how settled it is.

    Members and the auditor see every figure. Others see a sum only if at least 5 accounts stand
    behind it, none of them with over half of it, and every meter has been heard.
    """
    last_s = read_number(cursor)
    found = service.windows.page(
        between.from_s if last_s is None else last_s + 1, between.until_s, limit=limit + 1
    )
    window_s = service.community.schedule.window_s
    return WindowsOut(
        items=[WindowOut.of(each, window_s, sees_all=sees_all) for each in found[:limit]],
        next=write_number(found[limit - 1].start_s if len(found) > limit else None),
        full=sees_all,
    )


@router.get(
    "/periods", dependencies=[Depends(ANYONE)], responses=failures(BadInput, ChainUnavailable)
)
def get_periods(
    service: ServiceDep, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> PeriodsOut:
    """List the periods that have begun, the latest first, with what the chain says of them."""
    found = service.periods.periods(limit + 1, read_number(cursor))
    return PeriodsOut(
        items=[PeriodOut.of(each) for each in found[:limit]],
        next=write_number(found[limit - 1].start_s if len(found) > limit else None),
    )


@router.get(
    "/periods/{start}",
    dependencies=[Depends(ANYONE)],
    responses=failures(NotFound, BadInput, ChainUnavailable),
)
def get_period(start: PeriodPath, service: ServiceDep, run: RunQuery = None) -> PeriodOut:
    """Show a period's run, by default its last: roots, prices, state, transactions."""
    return PeriodOut.of(service.periods.period(to_unix_s(start)), run)
