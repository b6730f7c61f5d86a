"""The application: the one place where routes, limits and failures are wired together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from api.callers import name_callers
from api.guard import Guard, HttpLimits
from api.metrics import Metrics
from api.pages.assets import STATIC_PATH, Assets
from api.pages.problem_page import problem_page
from api.problems import install_problems
from api.rates import Rates
from api.readiness import Readiness
from api.routers import (
    auth,
    books,
    bundle,
    chargers,
    demo,
    events,
    grid,
    health,
    income,
    joining,
    market,
    ocpp,
    open_data,
    pairing,
    readings,
    receipts,
    relays,
    rpc,
    sessions,
    windows,
)
from api.routers.pages import charge, docs, home, now
from api.routers.pages import grid as grid_page
from api.service import OpenService
from api.watching import Watch

PREFIX: Final = "/v1"
VERSION: Final = "1"


def create_app(open_service: OpenService, *, limits: HttpLimits | None = None) -> FastAPI:
    """An application that opens its service when it starts, and closes it in the end.

    Args:
        open_service: opens what is served; see `api.cli.serve`, and the tests for another one.
        limits: how much of what a visitor gets.
    """
    limits = limits or HttpLimits()
    rates, metrics = Rates(), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service() as service:
            app.state.service = service
            app.state.point_door = service.door
            app.state.point_sink = service.sink
            app.state.points = service.points
            app.state.readiness = Readiness(service)
            with metrics.of(service):
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
    app.state.limits, app.state.rates, app.state.metrics = limits, rates, metrics
    install_problems(app, show=problem_page)
    app.add_middleware(Guard, limits=limits, rates=rates, show=problem_page)
    app.add_middleware(Watch, traffic=metrics)  # The last one added stands before the others.
    inside = [
        auth,
        market,
        windows,
        events,
        books,
        readings,
        chargers,
        sessions,
        receipts,
        income,
        relays,
        joining,
        pairing,
        demo,
        grid,
        bundle,
        open_data,
    ]
    outside = [health, rpc, ocpp]
    routers = [(PREFIX, module.router) for module in inside]
    routers += [("", module.router) for module in outside]
    for prefix, router in routers:
        app.include_router(router, prefix=prefix)
    for page in (now, home, charge, grid_page, docs):
        app.include_router(page.router)
    name_callers(app, routers)
    app.mount(STATIC_PATH, Assets())
    return app
