"""What an account's owner signs: the service brings it to the chain, and nobody needs gas."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool

from api.deps import (
    ACCOUNT_OWNER,
    BY_SIGNATURE,
    ORDER_RATE,
    RELAY_OWNER,
    AccountPath,
    ServiceDep,
)
from api.errors import BadInput, NotAllowed, NotAuthenticated, NotFound
from api.jobs.people.errors import NonceUsed, WrongMarket
from api.jobs.people.relays import RelayView
from api.openapi import Responses, failures, merged
from api.paging import LIMIT_DEFAULT, Cursor, Limit, read_number, write_number
from api.routers.json_route import JsonRoute
from api.schemas.relays import DepositIn, LimitsIn, RelayOut, RelaysOut, WithdrawalIn
from charging.errors import FundsMissing
from ledger.chain.errors import ChainUnavailable
from ledger.errors import BadSignature, MalleableSignature, OutOfRange
from ledger.units import AccountId

router = APIRouter(tags=["accounts"], route_class=JsonRoute)
AGAIN: Responses = {200: {"model": RelayOut, "description": "The same again: the same relay."}}
SIGNED = (BadInput, NotFound, BadSignature, MalleableSignature, NonceUsed, ChainUnavailable)
BY_ITS_OWNER = [Depends(BY_SIGNATURE), Depends(ORDER_RATE)]


@router.put(
    "/accounts/{account}/limits",
    status_code=202,
    dependencies=BY_ITS_OWNER,
    responses=merged(AGAIN, failures(*SIGNED, WrongMarket, OutOfRange)),
)
def put_limits(
    account: AccountPath, body: LimitsIn, response: Response, service: ServiceDep
) -> RelayOut:
    """Relay signed `PriceLimits`. The signature is the authorisation; follow the relay's state."""
    limits = body.limits.limits_of(account)
    return _answer(response, *service.people.relays.set_limits(limits, body.signature))


@router.post(
    "/accounts/{account}/deposits",
    status_code=202,
    dependencies=BY_ITS_OWNER,
    responses=merged(AGAIN, failures(*SIGNED, OutOfRange, FundsMissing)),
)
def post_deposit(
    account: AccountPath, body: DepositIn, response: Response, service: ServiceDep
) -> RelayOut:
    """Pay into an account from its address's wallet, by an ERC-2612 permit to the market."""
    relayed = service.people.relays.deposit(
        account,
        amount_micro=body.amount_micro,
        deadline_s=body.deadline,
        signature=body.signature,
    )
    return _answer(response, *relayed)


@router.post(
    "/accounts/{account}/withdrawals",
    status_code=202,
    dependencies=BY_ITS_OWNER,
    responses=merged(AGAIN, failures(*SIGNED, WrongMarket)),
)
def post_withdrawal(
    account: AccountPath, body: WithdrawalIn, response: Response, service: ServiceDep
) -> RelayOut:
    """Relay a signed `Withdrawal`; 0 takes a request back. It is paid by itself when it matures."""
    withdrawal = body.withdrawal.withdrawal_of(account)
    return _answer(response, *service.people.relays.withdraw(withdrawal, body.signature))


@router.get(
    "/accounts/{account}/relays",
    responses=failures(NotAuthenticated, NotAllowed, NotFound, BadInput, ChainUnavailable),
)
async def get_relays(
    account: Annotated[AccountId, Depends(ACCOUNT_OWNER)],
    service: ServiceDep,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> RelaysOut:
    """List what was relayed for an account, newest first."""
    views, following = await run_in_threadpool(
        service.people.book.page, account, limit=limit, before=read_number(cursor)
    )
    return RelaysOut(items=[RelayOut.of(each) for each in views], next=write_number(following))


@router.get(
    "/relays/{relay_id}",
    responses=failures(NotAuthenticated, NotAllowed, NotFound, BadInput),
)
def get_relay(view: Annotated[RelayView, Depends(RELAY_OWNER)]) -> RelayOut:
    """Show how a relay fares."""
    return RelayOut.of(view)


def _answer(response: Response, view: RelayView, is_new: bool) -> RelayOut:  # noqa: FBT001
    relay = RelayOut.of(view)
    response.status_code = 202 if is_new else 200
    response.headers["Location"] = f"/v1/relays/{relay.id}"
    return relay
