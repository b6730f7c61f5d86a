"""Chargers and their prices, for everybody."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.deps import ANYONE, ServiceDep
from api.errors import BadInput
from api.openapi import failures
from api.paging import LIMIT_DEFAULT, Cursor, Limit, page_of
from api.routers.json_route import JsonRoute
from api.schemas.chargers import ChargePointOut, ChargePointsOut
from charging.errors import ChargerUnknown

router = APIRouter(tags=["charging"], route_class=JsonRoute)
ID_CHARS_MAX = 48  # OCPP 2.0.1 part 4, section 3.1.1.

PointId = Annotated[str, Path(max_length=ID_CHARS_MAX, examples=["CP1"])]


@router.get("/chargers", dependencies=[Depends(ANYONE)], responses=failures(BadInput))
async def get_chargers(
    service: ServiceDep, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> ChargePointsOut:
    """List charge points: where they are, whether they are free, what a charge costs now."""
    points, following = page_of(
        await service.desk.charge_points(),
        lambda point: point.charge_point_id,
        limit=limit,
        cursor=cursor,
    )
    return ChargePointsOut(items=[ChargePointOut.of(each) for each in points], next=following)


@router.get(
    "/chargers/{charge_point_id}",
    dependencies=[Depends(ANYONE)],
    responses=failures(ChargerUnknown, BadInput),
)
async def get_charger(charge_point_id: PointId, service: ServiceDep) -> ChargePointOut:
    """Show one charge point. An order states a connector's `tariff` exactly as it stands here."""
    return ChargePointOut.of(await service.desk.charge_point(charge_point_id))
