"""Whether the service lives, and whether it can work."""

from fastapi import APIRouter, Depends, Response

from api.deps import ANYONE, ServiceDep
from api.openapi import failures, merged
from api.readiness import problems_of
from api.schemas.health import HealthOut

router = APIRouter(tags=["operation"], dependencies=[Depends(ANYONE)])


@router.get("/healthz", responses=failures())
async def get_health() -> HealthOut:
    """Say that the process answers."""
    return HealthOut(status="ok")


@router.get(
    "/readyz",
    responses=merged(
        {503: {"model": HealthOut, "description": "It cannot, and says why."}}, failures()
    ),
)
def get_readiness(response: Response, service: ServiceDep) -> HealthOut:
    """Say whether database, chain and the loops behind can do their work."""
    problems = problems_of(service)
    response.status_code = 503 if problems else 200
    return HealthOut(status="not_ready" if problems else "ok", problems=problems)
