"""Charges: a driver's order, what becomes of it, and its end."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.deps import (
    BY_SIGNATURE,
    ORDER_RATE,
    SESSION_DRIVER,
    SESSION_READER,
    SESSION_STOPPER,
    CallerDep,
    ServiceDep,
)
from api.errors import BadInput, NotAllowed, NotAuthenticated
from api.openapi import failures, merged
from api.paging import LIMIT_DEFAULT, Cursor, Limit
from api.routers.chargers import ID_CHARS_MAX
from api.routers.json_route import JsonRoute
from api.schemas.sessions import PlaceIn, SessionOut, SessionsOut, TopUpIn
from api.session_events import LastSeen, events_of, unheard_session
from charging.desk import SessionFilter, SessionView
from charging.errors import (
    BadTariff,
    ChargerBusy,
    ChargerOffline,
    ChargerUnknown,
    DepositTooSmall,
    FundsMissing,
    OrderExpired,
    OrderUsed,
    TariffChanged,
    UnknownSession,
    WrongEscrow,
    WrongState,
)
from ledger.chain.errors import ChainUnavailable
from ledger.errors import BadSignature, MalleableSignature, OutOfRange

router = APIRouter(tags=["charging"], route_class=JsonRoute)
ReadableSession = Annotated[SessionView, Depends(SESSION_READER)]
StoppableSession = Annotated[SessionView, Depends(SESSION_STOPPER)]
OwnSession = Annotated[SessionView, Depends(SESSION_DRIVER)]
AtChargePoint = Annotated[str | None, Query(max_length=ID_CHARS_MAX, examples=["CP1"])]
OnlyLive = Annotated[bool, Query(description="Only those that have not ended.")]
OF_A_SESSION = failures(NotAuthenticated, NotAllowed, UnknownSession, BadInput)


@router.post(
    "/sessions",
    status_code=201,
    dependencies=[Depends(BY_SIGNATURE), Depends(ORDER_RATE)],
    responses=merged(
        {200: {"model": SessionOut, "description": "The same order again: the same session."}},
        failures(
            BadInput,
            BadSignature,
            MalleableSignature,
            BadTariff,
            OrderExpired,
            OrderUsed,
            WrongEscrow,
            ChargerUnknown,
            ChargerBusy,
            ChargerOffline,
            TariffChanged,
            DepositTooSmall,
            FundsMissing,
            ChainUnavailable,
        ),
    ),
)
async def post_session(body: PlaceIn, response: Response, service: ServiceDep) -> SessionOut:
    """Take a driver's signed `ChargeOrder`. The signature is the authorisation."""
    permit = None if body.permit is None else body.permit.permit()
    view, is_new = await service.desk.place(body.order.order(), body.signature, permit)
    response.status_code = 201 if is_new else 200
    session = SessionOut.of(view)
    response.headers["Location"] = f"/v1/sessions/{session.session_id}"
    return session


@router.get("/sessions", responses=failures(NotAuthenticated, BadInput))
async def get_sessions(
    *,
    caller: CallerDep,
    service: ServiceDep,
    charge_point_id: AtChargePoint = None,
    live: OnlyLive = False,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> SessionsOut:
    """List the sessions that I drove or hosted, newest first."""
    views, following = await service.desk.sessions_of(
        caller.address,
        limit=limit,
        before=cursor,
        where=SessionFilter(charge_point_id=charge_point_id, live=live),
    )
    return SessionsOut(items=[SessionOut.of(each) for each in views], next=following)


@router.get("/sessions/{session_id}", responses=OF_A_SESSION)
async def get_session(view: ReadableSession) -> SessionOut:
    """Show a session: energy, cost, deposit, refund."""
    return SessionOut.of(view)


@router.get(
    "/sessions/{session_id}/events",
    response_class=EventSourceResponse,
    responses=merged(
        {
            200: {
                "description": "Events `session`; the stream ends with the session.",
                "content": {
                    "text/event-stream": {
                        "example": 'event: session\ndata: {"session_id": "0x…"}\nid: 9f2c4e1b\n\n'
                    }
                },
            },
            204: {"description": "The session has ended, and `Last-Event-ID` says it is known."},
        },
        OF_A_SESSION,
    ),
)
async def get_session_events(
    view: Annotated[SessionView, Depends(unheard_session)],
    service: ServiceDep,
    last_event_id: LastSeen = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a session as server-sent events, each with the JSON of `GET`."""
    async for event in events_of(service.desk, view.session_id, last_event_id):
        yield event


@router.post("/sessions/{session_id}/stop", responses=merged(OF_A_SESSION, failures(WrongState)))
async def post_stop(view: StoppableSession, service: ServiceDep) -> SessionOut:
    """Stop a charge. What was not used comes back in the same transaction as it is paid."""
    return SessionOut.of(await service.desk.stop(view.session_id))


@router.post(
    "/sessions/{session_id}/top-up",
    responses=merged(
        OF_A_SESSION,
        failures(WrongState, BadSignature, MalleableSignature, OutOfRange, OrderUsed, FundsMissing),
    ),
)
async def post_top_up(body: TopUpIn, view: OwnSession, service: ServiceDep) -> SessionOut:
    """Add to the deposit of a session, by a signed `TopUp`."""
    top_up = body.top_up.top_up_of(view.session_id)
    permit = None if body.permit is None else body.permit.permit()
    return SessionOut.of(await service.desk.top_up(top_up, body.signature, permit))
