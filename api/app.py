"""The application: the one place where routes, limits and failures are wired together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from api.guard import Guard, HttpLimits
from api.pages.assets import STATIC_PATH, Assets
from api.pages.problem_page import problem_page
from api.problems import install_problems
from api.rates import Rates
from api.routers import (
    auth,
    chargers,
    grid,
    health,
    market,
    ocpp,
    readings,
    receipts,
    rpc,
    sessions,
)
from api.routers.pages import now
from api.service import OpenService

PREFIX: Final = "/v1"
VERSION: Final = "1"


def create_app(open_service: OpenService, *, limits: HttpLimits | None = None) -> FastAPI:
    """An application that opens its service when it starts, and closes it in the end.

    Args:
        open_service: opens what is served; see `api.cli.serve`, and the tests for another one.
        limits: how much of what a visitor gets.
    """
    limits = limits or HttpLimits()
    rates = Rates()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service() as service:
            app.state.service = service
            app.state.point_door = service.door
            app.state.point_sink = service.sink
            app.state.points = service.points
            yield

    app = FastAPI(
        title="Wattledger",
        summary="Settles a neighbourhood's electricity on an EVM chain.",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # Its scripts come from elsewhere and are written into the page.
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.limits, app.state.rates = limits, rates
    install_problems(app, show=problem_page)
    app.add_middleware(Guard, limits=limits, rates=rates)
    for module in (auth, market, readings, chargers, sessions, receipts, grid):
        app.include_router(module.router, prefix=PREFIX)
    for outside in (health, rpc, ocpp, now):
        app.include_router(outside.router)
    app.mount(STATIC_PATH, Assets())
    return app
