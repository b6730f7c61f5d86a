"""`/home`: what a prosumer's roof sold and home bought; `/verify`: any statement, checked here."""

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from api.deps import ANYONE, STATEMENT_READER, ServiceDep, VisitorDep
from api.errors import NotAllowed
from api.guard import SECURITY_HEADERS
from api.pages.charge.income import earned_by
from api.pages.home.page import Asked, HomeDesk
from api.pages.home.statements import statement_page
from api.pages.home.stretches import DAY_MAX, DAY_MIN, View
from api.pages.home.wording import Wording
from api.pages.site import SiteDep
from api.schemas.fields import InstantIn
from ledger.statement_reads_store import RunKey
from ledger.units import ACCOUNTS_MAX, AccountId, to_unix_s

router = APIRouter(include_in_schema=False)
CSP: Final = "Content-Security-Policy"
# Whoever checks a statement may ask a node of their own choice what the chain says.
ANY_NODE: Final = "; connect-src 'self' https: http://localhost:* http://127.0.0.1:*"
UINT32_MAX: Final = 2**32 - 1
RUN_KEY: Final = r"^[0-9]{1,12}\.[0-9]{1,9}$"

AccountAsked = Annotated[int | None, Query(alias="account", ge=0, le=ACCOUNTS_MAX)]
DayAsked = Annotated[date | None, Query(alias="date", ge=DAY_MIN, le=DAY_MAX)]
RunAsked = Annotated[int | None, Query(alias="run", ge=0, le=UINT32_MAX)]
BeforeAsked = Annotated[str | None, Query(alias="before", pattern=RUN_KEY)]


@router.get("/home")
async def get_home(
    *,
    request: Request,
    site: SiteDep,
    service: ServiceDep,
    visitor: VisitorDep,
    account: AccountAsked = None,
    view: View = View.DAY,
    day: DayAsked = None,
    before: BeforeAsked = None,
) -> HTMLResponse:
    """Show a member's energy and money; others what this page is, or how to join."""
    if visitor is None:
        return site.page(request, "home_welcome.html")
    desk = HomeDesk(service, site.words(request))
    earned = await earned_by(service, visitor.address)
    accounts = await run_in_threadpool(service.market.accounts_of, visitor.address)
    if not accounts:
        join = await run_in_threadpool(desk.join_page, visitor.address)
        return site.page(request, "home_join.html", join=join, earned=earned)
    if account is not None and account not in accounts:
        raise NotAllowed(rule="only for its owner")
    asked = Asked(
        account=None if account is None else AccountId(account),
        view=view,
        day=day,
        before=None if before is None else _run_key(before),
    )
    home = await run_in_threadpool(desk.page, asked, accounts)
    return site.page(request, "home.html", home=home, earned=earned)


@router.get("/home/statements/{account}/{start}")
async def get_statement_page(
    *,
    request: Request,
    site: SiteDep,
    service: ServiceDep,
    account: Annotated[AccountId, Depends(STATEMENT_READER)],
    start: InstantIn,
    run: RunAsked = None,
) -> HTMLResponse:
    """Show one statement so that it prints well."""
    wording = Wording(words=site.words(request))
    page = await run_in_threadpool(statement_page, service, account, to_unix_s(start), run, wording)
    return site.page(request, "home_statement.html", page=page)


@router.get("/verify", dependencies=[Depends(ANYONE)])
def get_verify(request: Request, site: SiteDep) -> HTMLResponse:
    """Check a statement file in the reader's own browser."""
    response = site.page(request, "verify.html")
    response.headers[CSP] = SECURITY_HEADERS[CSP] + ANY_NODE
    return response


def _run_key(text: str) -> RunKey:
    start, _, run = text.partition(".")
    return int(start), int(run)
