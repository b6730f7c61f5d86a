"""The API's description says of each route who may call it (`x-who`), as `api/deps.py` has it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.deps import Access

WHO: Final = "x-who"


def name_callers(app: FastAPI, routers: Iterable[tuple[str, APIRouter]]) -> None:
    """Puts it into the description of an app.

    Args:
        routers: each with the prefix that it was included under.
    """
    who_of_route = {
        (method.lower(), prefix + route.path): who
        for prefix, router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
        for who in callers_of(route.dependant)[:1]
    }
    describe: Callable[[], dict[str, Any]] = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                operation[WHO] = who_of_route[method, path]
        return document

    app.openapi = described  # type: ignore[method-assign]


def callers_of(dependant: Dependant) -> list[str]:
    """Who may call it, the narrowest rule first."""
    return list(_rules(dependant))


def _rules(dependant: Dependant) -> Iterator[str]:
    for each in dependant.dependencies:
        if isinstance(each.call, Access):
            yield each.call.who
        yield from _rules(each)
