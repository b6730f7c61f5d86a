"""Whether the service lives, and whether it can work."""

from fastapi import APIRouter, Depends, Request, Response

from api.deps import ANYONE
from api.metrics import CONTENT_TYPE, Metrics
from api.openapi import failures, merged
from api.readiness import Readiness
from api.schemas.health import HealthOut

METRICS_EXAMPLE = """# HELP wattledger_windows_closed_total Windows that have ended.
# TYPE wattledger_windows_closed_total counter
wattledger_windows_closed_total 672.0
"""
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
def get_readiness(request: Request, response: Response) -> HealthOut:
    """Say whether database, chain, disk, keys and the loops behind can do their work."""
    readiness: Readiness = request.app.state.readiness
    health = HealthOut.of(readiness.findings())
    response.status_code = 503 if health.status == "not_ready" else 200
    return health


@router.get(
    "/metrics",
    response_class=Response,
    responses=merged(
        {
            200: {
                "description": "Prometheus' text format.",
                "content": {
                    "text/plain": {"schema": {"type": "string"}, "example": METRICS_EXAMPLE}
                },
            }
        },
        failures(),
    ),
)
def get_metrics(request: Request) -> Response:
    """Count what happened, and say how much there is of what, as Prometheus reads it."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.page(), media_type=CONTENT_TYPE)
