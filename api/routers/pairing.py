"""Pairing meters: a member brings a device, the grid operator decides."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response

from api.deps import AUDITOR, PAIRING_OWNER, Caller, CallerDep, ServiceDep
from api.errors import BadInput, IdempotencyKeyReused, NotAllowed, NotAuthenticated, NotFound
from api.idempotency import OnceDep
from api.jobs.people.errors import AlreadyDecided, AlreadyPaired, KeyNotHere
from api.jobs.people.pairings import PairingState
from api.openapi import failures
from api.paging import LIMIT_DEFAULT, Cursor, Limit, read_number, write_number
from api.routers.json_route import JsonRoute
from api.schemas.fields import MeterIdIn
from api.schemas.members import PairingIn, PairingOut, PairingsOut, RefuseIn
from ledger.chain.errors import ChainUnavailable
from ledger.errors import BadSignature, MalleableSignature, OutOfRange

router = APIRouter(tags=["members"], route_class=JsonRoute)
NOTHING_SAID = RefuseIn()
AuditorDep = Annotated[Caller, Depends(AUDITOR)]
StateFilter = Annotated[
    PairingState | None, Query(alias="state", description="Only those in this state.")
]
DECIDING = failures(
    NotAuthenticated,
    NotAllowed,
    NotFound,
    BadInput,
    IdempotencyKeyReused,
    AlreadyDecided,
    KeyNotHere,
    ChainUnavailable,
)


@router.post(
    "/meters",
    status_code=201,
    response_model=PairingOut,
    responses=failures(
        NotAuthenticated,
        NotAllowed,
        NotFound,
        BadInput,
        BadSignature,
        MalleableSignature,
        OutOfRange,
        AlreadyPaired,
        IdempotencyKeyReused,
        ChainUnavailable,
    ),
)
def post_meter(
    body: PairingIn,
    owner: Annotated[Caller, Depends(PAIRING_OWNER)],
    service: ServiceDep,
    once: OnceDep,
) -> Response:
    """Ask for a device to be a meter of my account. The grid operator accepts."""
    return once.answer(
        201,
        PairingOut.of,
        lambda also: service.people.pairing.pair(
            body.wish(),
            owner.address,
            issued_at=body.issued_at,
            proof=body.proof,
            also=also,
        ),
    )


@router.get("/meters", responses=failures(NotAuthenticated, BadInput))
def get_meters(
    caller: CallerDep, service: ServiceDep, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> PairingsOut:
    """List the devices that I asked to be meters, newest first."""
    found, following = service.people.pairing.page(
        owner=caller.address, limit=limit, before=read_number(cursor)
    )
    items = [PairingOut.of(each) for each in found]
    return PairingsOut(items=items, next=write_number(following))


@router.get("/pairings", responses=failures(NotAuthenticated, NotAllowed, BadInput))
def get_pairings(
    _auditor: AuditorDep,
    service: ServiceDep,
    state: StateFilter = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> PairingsOut:
    """List the devices that members asked to be meters, newest first."""
    found, following = service.people.pairing.page(
        state=state, limit=limit, before=read_number(cursor)
    )
    items = [PairingOut.of(each) for each in found]
    return PairingsOut(items=items, next=write_number(following))


@router.post(
    "/pairings/{meter_id}/accept",
    status_code=202,
    response_model=PairingOut,
    responses=DECIDING,
)
def post_accept(
    meter_id: MeterIdIn, auditor: AuditorDep, service: ServiceDep, once: OnceDep
) -> Response:
    """Have a meter registered. Its readings count from `valid_from`, the start of a window."""
    return once.answer(
        202,
        PairingOut.of,
        lambda also: service.people.pairing.accept(meter_id, auditor.address, also),
    )


@router.post("/pairings/{meter_id}/refuse", response_model=PairingOut, responses=DECIDING)
def post_refuse(
    meter_id: MeterIdIn,
    auditor: AuditorDep,
    service: ServiceDep,
    once: OnceDep,
    body: Annotated[RefuseIn, Body()] = NOTHING_SAID,
) -> Response:
    """Say no to a device, and why."""
    return once.answer(
        200,
        PairingOut.of,
        lambda also: service.people.pairing.refuse(meter_id, auditor.address, body.reason, also),
    )
