"""What only a demo has: wallets with published keys, and tokens for them."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response
from fastapi.concurrency import run_in_threadpool

from api.deps import ANYONE, FAUCET_RATE, ServiceDep, VisitorDep
from api.errors import BadInput, NotFound
from api.openapi import failures, merged
from api.routers.json_route import JsonRoute
from api.schemas.demo import DemoWalletOut, DemoWalletsOut, TokensIn
from api.schemas.relays import RelayOut
from ledger.chain.errors import ChainUnavailable

router = APIRouter(prefix="/demo", tags=["demo"], route_class=JsonRoute)
MINE = TokensIn()


@router.get(
    "/wallets", dependencies=[Depends(ANYONE)], responses=failures(NotFound, ChainUnavailable)
)
def get_wallets(service: ServiceDep) -> DemoWalletsOut:
    """List the wallets that anybody can play with."""
    items = [DemoWalletOut.of(each) for each in service.people.faucet.wallets()]
    return DemoWalletsOut(items=items)


@router.post(
    "/tokens",
    status_code=202,
    dependencies=[Depends(FAUCET_RATE)],
    responses=merged(
        {200: {"model": RelayOut, "description": "It has enough, or they are on their way."}},
        failures(BadInput, NotFound, ChainUnavailable),
    ),
)
async def post_tokens(
    visitor: VisitorDep,
    response: Response,
    service: ServiceDep,
    body: Annotated[TokensIn, Body()] = MINE,
) -> RelayOut:
    """Fill a wallet up to 500 tokens. They stand for money, they are not money."""
    address = body.address or (visitor.address if visitor else None)
    if address is None:
        raise BadInput(field="address", rule="whose wallet? Say it, or sign in")
    view, is_new = await run_in_threadpool(service.people.faucet.fill, address)
    response.status_code = 202 if is_new else 200
    return RelayOut.of(view)
