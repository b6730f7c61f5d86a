"""What accounts did and have: for their owners and the auditor."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from api.between import Between, BetweenQuery, any_between
from api.books_csv import LINE_COLUMNS, MEDIA_TYPE, lines_csv
from api.deps import ACCOUNT_READER, METER_READER, STATEMENT_READER, ServiceDep
from api.errors import BadInput, Erased, NotAllowed, NotAuthenticated, NotFound
from api.jobs.market.accounts import MeterSight
from api.jobs.market.statements import StatementsDesk
from api.jobs.market.views import WindowLine
from api.jobs.statements import statement_text
from api.openapi import failures, merged, table_of
from api.paging import LIMIT_DEFAULT, Cursor, Limit, LongLimit, read_place, write_place
from api.pieces import streamed
from api.routers.json_route import JsonRoute
from api.schemas.books import (
    AccountOut,
    KeptReadingOut,
    KeptReadingsOut,
    StatementLineOut,
    StatementsOut,
)
from api.schemas.fields import InstantIn
from ledger.chain.errors import ChainUnavailable
from ledger.statement_file import statement_file_name
from ledger.units import AccountId, from_unix_s, to_unix_s
from metering.meter_reads_store import FIRST

LONGEST = timedelta(days=400)  # A calendar year, wherever its days begin.
CHUNK_S = 31 * 86_400  # A table is written as it is read.
RUN_MAX = 2**31 - 1
STATEMENT_EXAMPLE = {
    "format": "wattledger.statement/1",
    "chain_id": 1337,
    "account": 3,
    "period_start": "2016-06-01T00:00:00Z",
    "run": 0,
    "window_s": 3600,
    "residual": "settled",
    "amount_nano": "-203600000",
}

router = APIRouter(tags=["accounts"], route_class=JsonRoute)
ReadableAccount = Annotated[AccountId, Depends(ACCOUNT_READER)]
StatedAccount = Annotated[AccountId, Depends(STATEMENT_READER)]
SeenMeter = Annotated[MeterSight, Depends(METER_READER)]
PeriodPath = Annotated[InstantIn, Path(description="The period's start, with offset or Z.")]
RunQuery = Annotated[int | None, Query(ge=0, le=RUN_MAX, description="By default the last one.")]
OF_AN_ACCOUNT = failures(NotAuthenticated, NotAllowed, NotFound, BadInput, ChainUnavailable, Erased)


@router.get("/accounts/{account}", responses=OF_AN_ACCOUNT)
def get_account(account: ReadableAccount, service: ServiceDep) -> AccountOut:
    """Show an account: its money, how long its cover lasts, its limits and meters."""
    return AccountOut.of(service.accounts.account(account))


@router.get("/accounts/{account}/statements", responses=OF_AN_ACCOUNT)
def get_statements(
    account: StatedAccount,
    service: ServiceDep,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> StatementsOut:
    """List an account's statements, the latest period first, without their windows."""
    found = service.statements.list(account, limit + 1, read_place(cursor))
    last = found[limit - 1] if len(found) > limit else None
    return StatementsOut(
        items=[StatementLineOut.of(line) for line in found[:limit]],
        next=write_place(last.period_start_s, last.run) if last else None,
    )


@router.get(
    "/accounts/{account}/statements.csv",
    response_class=StreamingResponse,
    responses=merged(table_of(LINE_COLUMNS), OF_AN_ACCOUNT),
)
def get_statements_csv(
    account: StatedAccount,
    service: ServiceDep,
    between: Annotated[Between, Depends(BetweenQuery(usual=LONGEST, longest=LONGEST))],
) -> StreamingResponse:
    """Give an account's settled windows as a table, one line a window, by the last run of each."""
    zone = ZoneInfo(service.community.config.time_zone)
    lines = _lines(service.statements, account, between)
    name = f"{account}-{_day(between.from_s)}-{_day(between.until_s)}.csv"
    return streamed(lines_csv(lines, zone), media_type=MEDIA_TYPE, name=name)


@router.get(
    "/accounts/{account}/statements/{start}",
    response_class=Response,
    responses=merged(
        {
            200: {
                "description": "A statement file (`wattledger.statement/1`).",
                "content": {"application/json": {"example": STATEMENT_EXAMPLE}},
            }
        },
        OF_AN_ACCOUNT,
    ),
)
def get_statement(
    account: StatedAccount, start: PeriodPath, service: ServiceDep, run: RunQuery = None
) -> Response:
    """Give a statement file, as `wattledger statement` writes it and `wattledger verify` reads."""
    statement = service.statements.statement(account, to_unix_s(start), run)
    name = statement_file_name(statement.period_start_s, statement.account, statement.run)
    return Response(
        statement_text(statement), media_type="application/json", headers=_attached(name)
    )


@router.get(
    "/meters/{meter_id}/readings",
    responses=failures(NotAuthenticated, NotAllowed, NotFound, BadInput, ChainUnavailable),
)
def get_readings(
    sight: SeenMeter,
    service: ServiceDep,
    between: Annotated[Between, Depends(any_between)],
    limit: LongLimit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> KeptReadingsOut:
    """List all versions of a meter's readings of the time in which it was the caller's."""
    found = service.accounts.readings(
        sight,
        from_s=between.from_s,
        until_s=between.until_s,
        after=read_place(cursor) or FIRST,
        limit=limit + 1,
    )
    last = found[limit - 1] if len(found) > limit else None
    return KeptReadingsOut(
        items=[KeptReadingOut.of(kept) for kept in found[:limit]],
        next=write_place(to_unix_s(last.signed.reading.taken_at), last.version) if last else None,
    )


def _lines(desk: StatementsDesk, account: int, between: Between) -> Iterator[WindowLine]:
    for from_s in range(between.from_s, between.until_s, CHUNK_S):
        until_s = min(from_s + CHUNK_S, between.until_s)
        yield from desk.lines(account, from_s, until_s, settled_only=True)


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _day(unix_s: int) -> str:
    return from_unix_s(unix_s).strftime("%Y%m%d")
