"""What a host's chargers took in, and the way of it to the host."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from api.between import Between, any_between
from api.charges_csv import COLUMNS, MEDIA_TYPE, charges_csv
from api.deps import ORDER_RATE, CallerDep, ServiceDep
from api.errors import BadInput, NotAllowed, NotAuthenticated
from api.jobs.people.errors import NothingOwed
from api.openapi import Responses, failures, merged, table_of
from api.routers.json_route import JsonRoute
from api.schemas.income import IncomeOut, PayoutsOut
from charging.desk import ChargingDesk, SessionFilter, SessionView
from ledger.chain.errors import ChainUnavailable
from ledger.units import Address

router = APIRouter(tags=["charging"], route_class=JsonRoute)
AT_ONCE: Final = 200
FILE_NAME: Final = "charges.csv"
InTime = Annotated[Between, Depends(any_between)]
MY_OWN = failures(NotAuthenticated, BadInput, ChainUnavailable)
AGAIN: Responses = {
    200: {"model": PayoutsOut, "description": "Asked again: all of it was on its way before."}
}


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


@router.post(
    "/income/payouts",
    status_code=202,
    dependencies=[Depends(ORDER_RATE)],
    responses=merged(AGAIN, failures(NotAuthenticated, NotAllowed, NothingOwed, ChainUnavailable)),
)
def post_payouts(caller: CallerDep, service: ServiceDep, response: Response) -> PayoutsOut:
    """Have what the escrow owes me paid to my address: a relay for each of my chargers with credit.

    One more brings what could not be pushed to me, such as a driver's refund. Nothing is signed but
    the sign-in: the contract pays nobody else, whoever asks. Credit is paid from 1.00 token on at a
    charger; asked again while a payout is on its way, it is the same relay.
    """
    views, is_new = service.people.earnings.pay_out(caller.address)
    response.status_code = 202 if is_new else 200
    return PayoutsOut.of(views)


@router.get("/income/payouts", responses=failures(NotAuthenticated))
def get_payouts(caller: CallerDep, service: ServiceDep) -> PayoutsOut:
    """Show my last payouts: one of each charger, one of what could not be pushed; newest first."""
    return PayoutsOut.of(service.people.earnings.last(caller.address))


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
