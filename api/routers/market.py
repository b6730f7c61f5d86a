"""The market, for everybody."""

from fastapi import APIRouter, Depends

from api.deps import ANYONE, ServiceDep
from api.openapi import failures
from api.routers.json_route import JsonRoute
from api.schemas.market import MarketOut
from ledger.chain.errors import ChainUnavailable

router = APIRouter(tags=["market"], route_class=JsonRoute)


@router.get("/market", dependencies=[Depends(ANYONE)], responses=failures(ChainUnavailable))
def get_market(service: ServiceDep) -> MarketOut:
    """Say where the contracts are, what they fix, and what holds the market up."""
    return MarketOut.of(service.market.view(), service.problems())
