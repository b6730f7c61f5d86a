"""`/charge`: the driver at the charger, from a QR code on its sign."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from api.deps import ANYONE, ServiceDep
from api.pages.catalogue import LANGUAGES
from api.pages.charge.places import charger_at, chargers_of, matching
from api.pages.charge.signs import qr_png, qr_svg
from api.pages.charge.views import Sign, SignPage, charger_page, listed
from api.pages.site import SiteDep
from api.paging import LIMIT_DEFAULT
from api.routers.chargers import PointId

router = APIRouter(prefix="/charge", include_in_schema=False, dependencies=[Depends(ANYONE)])
WANTED_CHARS_MAX = 100
PLACES_MAX = 10**6

Wanted = Annotated[str, Query(alias="q", max_length=WANTED_CHARS_MAX)]
From = Annotated[int, Query(alias="from", ge=0, le=PLACES_MAX)]
ConnectorNumber = Annotated[int | None, Query(alias="connector", ge=1, le=PLACES_MAX)]


@router.get("")
async def get_chargers(
    request: Request, site: SiteDep, service: ServiceDep, wanted: Wanted = "", first: From = 0
) -> HTMLResponse:
    """Show where one can charge, and for how much."""
    words = site.words(request)
    everything = list(chargers_of(await service.desk.charge_points()))
    found = matching(everything, wanted)
    following = first + LIMIT_DEFAULT
    return site.page(
        request,
        "charge_list.html",
        chargers=[listed(charger, words) for charger in found[first:following]],
        found=len(found),
        all=len(everything),
        free=sum(charger.is_usable for charger in everything),
        wanted=wanted.strip(),
        following=following if following < len(found) else None,
    )


@router.get("/{charge_point_id}")
async def get_charger(
    request: Request,
    site: SiteDep,
    service: ServiceDep,
    charge_point_id: PointId,
    connector: ConnectorNumber = None,
) -> HTMLResponse:
    """Show the price of a charger before anything else, and take a driver from there."""
    point = await service.desk.charge_point(charge_point_id)
    charger = charger_at(point, connector)
    several = len(point.connectors) > 1
    others = list(chargers_of([point])) if several else []
    page = charger_page(charger, others, site.words(request))
    return site.page(request, "charge.html", page=page)


@router.get("/{charge_point_id}/sign")
async def get_sign(
    request: Request,
    site: SiteDep,
    service: ServiceDep,
    charge_point_id: PointId,
    connector: ConnectorNumber = None,
) -> HTMLResponse:
    """Give the sign of a charger, to be printed."""
    point = await service.desk.charge_point(charge_point_id)
    charger = charger_at(point, connector or point.connectors[0].connector_id)
    url, words = _url_of(request, charger.path), site.words(request)
    signs = [
        Sign(language=tag, scan=replace(words, language=language)("charge.sign.scan"))
        for tag, language in LANGUAGES.items()
    ]
    # The code is of our own making: nothing of the address is written into it as text.
    page = SignPage(charger=charger, url=url, code=Markup(qr_svg(url)), signs=signs)  # noqa: S704
    return site.page(request, "charge_sign.html", page=page)


@router.get("/{charge_point_id}/sign.png")
async def get_sign_picture(
    request: Request,
    service: ServiceDep,
    charge_point_id: PointId,
    connector: ConnectorNumber = None,
) -> Response:
    """Give the code of a sign as a picture."""
    point = await service.desk.charge_point(charge_point_id)
    charger = charger_at(point, connector or point.connectors[0].connector_id)
    return Response(qr_png(_url_of(request, charger.path)), media_type="image/png")


def _url_of(request: Request, path: str) -> str:
    return str(request.base_url).rstrip("/") + path
