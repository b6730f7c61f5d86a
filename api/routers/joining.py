"""Joining the community: somebody asks, the operator decides; and what members are called."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from api.deps import ACCOUNT_OWNER, OPERATOR, Caller, CallerDep, ServiceDep
from api.errors import BadInput, IdempotencyKeyReused, NotAllowed, NotAuthenticated, NotFound
from api.idempotency import OnceDep
from api.jobs.people.applications import ApplicationState
from api.jobs.people.errors import AlreadyApplied, AlreadyDecided, AlreadyMember, KeyNotHere
from api.openapi import failures
from api.paging import LIMIT_DEFAULT, Cursor, Limit, read_number, write_number
from api.routers.json_route import JsonRoute
from api.schemas.members import (
    ApplicationOut,
    ApplicationsOut,
    JoinIn,
    NameIn,
    NameOut,
    RefuseIn,
)
from ledger.chain.errors import ChainUnavailable
from ledger.units import AccountId

router = APIRouter(tags=["members"], route_class=JsonRoute)
NOTHING_SAID = RefuseIn()
OperatorDep = Annotated[Caller, Depends(OPERATOR)]
OwnAccount = Annotated[AccountId, Depends(ACCOUNT_OWNER)]
ApplicationId = Annotated[int, Path(ge=1, le=2**31 - 1)]
StateFilter = Annotated[
    ApplicationState | None, Query(alias="state", description="Only those in this state.")
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
    "/join",
    status_code=201,
    response_model=ApplicationOut,
    responses=failures(
        NotAuthenticated,
        BadInput,
        IdempotencyKeyReused,
        AlreadyMember,
        AlreadyApplied,
        ChainUnavailable,
    ),
)
def post_join(body: JoinIn, caller: CallerDep, service: ServiceDep, once: OnceDep) -> Response:
    """Ask to join with the address that I am signed in with. The operator accepts."""
    return once.answer(
        201,
        ApplicationOut.of,
        lambda also: service.people.joining.apply(caller.address, body.person(), also),
    )


@router.get("/join", responses=failures(NotAuthenticated, BadInput))
def get_join(
    caller: CallerDep, service: ServiceDep, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> ApplicationsOut:
    """List what I asked, and what came of it, newest first."""
    found, following = service.people.joining.page(
        address=caller.address, limit=limit, before=read_number(cursor)
    )
    items = [ApplicationOut.of(each) for each in found]
    return ApplicationsOut(items=items, next=write_number(following))


@router.get("/applications", responses=failures(NotAuthenticated, NotAllowed, BadInput))
def get_applications(
    _operator: OperatorDep,
    service: ServiceDep,
    state: StateFilter = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> ApplicationsOut:
    """List who asked to join, newest first."""
    found, following = service.people.joining.page(
        state=state, limit=limit, before=read_number(cursor)
    )
    items = [ApplicationOut.of(each) for each in found]
    return ApplicationsOut(items=items, next=write_number(following))


@router.post(
    "/applications/{application_id}/accept",
    status_code=202,
    response_model=ApplicationOut,
    responses=DECIDING,
)
def post_accept(
    application_id: ApplicationId, operator: OperatorDep, service: ServiceDep, once: OnceDep
) -> Response:
    """Have somebody enrolled. The account is there when the state is `accepted`."""
    return once.answer(
        202,
        ApplicationOut.of,
        lambda also: service.people.joining.accept(application_id, operator.address, also),
    )


@router.post(
    "/applications/{application_id}/refuse", response_model=ApplicationOut, responses=DECIDING
)
def post_refuse(
    application_id: ApplicationId,
    operator: OperatorDep,
    service: ServiceDep,
    once: OnceDep,
    body: Annotated[RefuseIn, Body()] = NOTHING_SAID,
) -> Response:
    """Say no to somebody, and why."""
    return once.answer(
        200,
        ApplicationOut.of,
        lambda also: service.people.joining.refuse(
            application_id, operator.address, body.reason, also
        ),
    )


OF_AN_ACCOUNT = failures(NotAuthenticated, NotAllowed, NotFound, BadInput, ChainUnavailable)


@router.get("/accounts/{account}/name", responses=OF_AN_ACCOUNT)
def get_name(account: OwnAccount, service: ServiceDep) -> NameOut:
    """Say what is known of me, and whether other members see my name."""
    return NameOut.of(service.people.names.person(account))


@router.put("/accounts/{account}/name", responses=OF_AN_ACCOUNT)
def put_name(account: OwnAccount, body: NameIn, service: ServiceDep) -> NameOut:
    """Change what I am called, and whether other members see it."""
    return NameOut.of(
        service.people.names.change(
            account, name=body.name, contact=body.contact, show_name=body.show_name
        )
    )
