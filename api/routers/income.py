"""What a host's chargers took in."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from api.between import Between, any_between
from api.charges_csv import COLUMNS, MEDIA_TYPE, charges_csv
from api.deps import CallerDep, ServiceDep
from api.errors import BadInput, NotAuthenticated
from api.openapi import failures, merged, table_of
from api.routers.json_route import JsonRoute
from api.schemas.income import IncomeOut
from charging.desk import ChargingDesk, SessionFilter, SessionView
from ledger.chain.errors import ChainUnavailable
from ledger.units import Address

router = APIRouter(tags=["charging"], route_class=JsonRoute)
AT_ONCE: Final = 200
FILE_NAME: Final = "charges.csv"
InTime = Annotated[Between, Depends(any_between)]
MY_OWN = failures(NotAuthenticated, BadInput, ChainUnavailable)


@router.get("/income", responses=MY_OWN)
async def get_income(caller: CallerDep, service: ServiceDep, between: InTime) -> IncomeOut:
    """Say what my chargers took in, of charges that were ordered in that time."""
    return IncomeOut.of(await service.desk.income_of(caller.address, _paid_in(between)))


@router.get(
    "/income.csv",
    response_class=StreamingResponse,
    responses=merged(table_of(COLUMNS), failures(NotAuthenticated, BadInput)),
)
async def get_income_csv(
    caller: CallerDep, service: ServiceDep, between: InTime
) -> StreamingResponse:
    """List every charge that was paid at my chargers, newest first."""
    pages = _hosted(service.desk, caller.address, _paid_in(between))
    headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"'}
    return StreamingResponse(charges_csv(pages), media_type=MEDIA_TYPE, headers=headers)


def _paid_in(between: Between) -> SessionFilter:
    return SessionFilter(paid=True, created_from_s=between.from_s, created_until_s=between.until_s)


async def _hosted(
    desk: ChargingDesk, host: Address, where: SessionFilter
) -> AsyncIterator[Sequence[SessionView]]:
    cursor: str | None = None
    while True:
        views, cursor = await desk.sessions_of(host, limit=AT_ONCE, before=cursor, where=where)
        yield [view for view in views if view.host == host]
        if cursor is None:
            return
