"""What a grid operator watches over, and audits on demand."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.deps import OVERSEER, Caller, ServiceDep
from api.errors import BadInput, IdempotencyKeyReused, NotAllowed, NotAuthenticated, NotFound
from api.grid_csv import METER_COLUMNS, RUN_COLUMNS, meters_csv, settlements_csv
from api.idempotency import OnceDep
from api.jobs.oversight.meters import MeterHealth, MeterWatch
from api.openapi import Responses, failures, merged
from api.paging import LIMIT_DEFAULT, Cursor, Limit, page_of, read_number, write_cursor
from api.routers.json_route import JsonRoute
from api.schemas.grid import (
    AuditOut,
    AuditsOut,
    MeterWatchesOut,
    MeterWatchOut,
    OverviewOut,
)
from ledger.chain.errors import ChainUnavailable

router = APIRouter(
    prefix="/grid",
    tags=["grid"],
    route_class=JsonRoute,
    dependencies=[Depends(OVERSEER)],
)
OverseerDep = Annotated[Caller, Depends(OVERSEER)]
StateFilter = Annotated[
    MeterHealth | None, Query(alias="state", description="Only meters in this state.")
]
FAILURES = failures(NotAuthenticated, NotAllowed, BadInput, ChainUnavailable)


def table_of(columns: Sequence[str]) -> Responses:
    """What the description says of a table."""
    content = {"text/csv": {"schema": {"type": "string"}, "example": ",".join(columns) + "\r\n"}}
    return {200: {"description": "A table with a header line (RFC 4180).", "content": content}}


AUDIT_ID_MAX = 2**31 - 1


@router.get("", responses=FAILURES)
async def get_grid(service: ServiceDep) -> OverviewOut:
    """Say what is wrong first, then how much there is of what."""
    points = await service.oversight.charge_points()
    return OverviewOut.of(await run_in_threadpool(service.oversight.overview, points))


@router.get("/meters", responses=FAILURES)
def get_meters(
    service: ServiceDep,
    state: StateFilter = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> MeterWatchesOut:
    """List meters: when each was last heard, and what had to be estimated."""
    found = [each for each in service.oversight.meters() if state in {None, each.health}]
    page, following = page_of(found, _name_of, limit=limit, cursor=cursor)
    return MeterWatchesOut(items=[MeterWatchOut.of(each) for each in page], next=following)


@router.get(
    "/meters.csv", response_class=Response, responses=merged(table_of(METER_COLUMNS), FAILURES)
)
def get_meters_csv(service: ServiceDep, state: StateFilter = None) -> Response:
    """Give the same as a table."""
    found = [each for each in service.oversight.meters() if state in {None, each.health}]
    return _table("meters.csv", meters_csv(found))


@router.get(
    "/settlements.csv", response_class=Response, responses=merged(table_of(RUN_COLUMNS), FAILURES)
)
def get_settlements_csv(service: ServiceDep) -> Response:
    """Give every run of every period, with its roots, transactions and gas."""
    return _table("settlements.csv", settlements_csv(service.oversight.runs()))


@router.post(
    "/audits",
    status_code=202,
    response_model=AuditOut,
    responses=failures(NotAuthenticated, NotAllowed, BadInput, IdempotencyKeyReused),
)
def post_audit(caller: OverseerDep, service: ServiceDep, once: OnceDep) -> Response:
    """Audit everything again, beside the service. Asked while one runs, it gives that one."""
    return once.answer(
        202,
        lambda record: AuditOut.of(record, service.audits.progress()),
        lambda also: service.audits.start(caller.address, also),
    )


@router.get("/audits", responses=failures(NotAuthenticated, NotAllowed, BadInput))
def get_audits(
    service: ServiceDep, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> AuditsOut:
    """List audits, newest first."""
    found = service.audits.latest(limit=limit + 1, before=read_number(cursor))
    progress = service.audits.progress()
    return AuditsOut(
        items=[AuditOut.of(each, progress) for each in found[:limit]],
        next=write_cursor(str(found[limit - 1].audit_id)) if len(found) > limit else None,
    )


@router.get(
    "/audits/{audit_id}", responses=failures(NotAuthenticated, NotAllowed, BadInput, NotFound)
)
def get_audit(
    audit_id: Annotated[int, Path(ge=1, le=AUDIT_ID_MAX)], service: ServiceDep
) -> AuditOut:
    """Say how far an audit has come, and what it found."""
    return AuditOut.of(service.audits.require(audit_id), service.audits.progress())


def _name_of(meter: MeterWatch) -> str:
    return f"{meter.account:010d}/{meter.meter_id.hex()}"


def _table(name: str, text: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(text, media_type="text/csv", headers={"Content-Disposition": disposition})
