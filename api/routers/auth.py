"""Signing in with Ethereum (EIP-4361), and out."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.deps import (
    ANYONE,
    SESSION_COOKIE,
    SIGN_IN_RATE,
    CallerDep,
    ServiceDep,
    roles_of,
)
from api.errors import (
    BadInput,
    NotAuthenticated,
    SignInChain,
    SignInRefused,
    SignInSignature,
)
from api.openapi import failures, merged
from api.routers.json_route import JsonRoute
from api.schemas.fields import instant_of
from api.schemas.people import LoginIn, LoginOut, MeOut, NonceIn, NonceOut

router = APIRouter(tags=["people"], route_class=JsonRoute)
NOTHING = NonceIn()


@router.post(
    "/auth/nonce",
    dependencies=[Depends(ANYONE), Depends(SIGN_IN_RATE)],
    responses=failures(BadInput),
)
def post_nonce(service: ServiceDep, _body: Annotated[NonceIn, Body()] = NOTHING) -> NonceOut:
    """Give out a nonce for the next message to sign. It is good once, for five minutes."""
    return NonceOut(nonce=service.sign_in.nonce())


@router.post(
    "/auth/login",
    dependencies=[Depends(ANYONE), Depends(SIGN_IN_RATE)],
    responses=merged(
        failures(BadInput), failures(SignInRefused, SignInSignature, SignInChain, status=401)
    ),
)
async def post_login(
    body: LoginIn, request: Request, response: Response, service: ServiceDep
) -> LoginOut:
    """Sign in with an EIP-4361 message, signed by `personal_sign`."""
    host = request.headers.get("host", "")
    login = await run_in_threadpool(service.sign_in.login, body.message, body.signature, host=host)
    if body.cookie:
        response.set_cookie(
            SESSION_COOKIE,
            login.token,
            max_age=login.expires_in_s,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
    return LoginOut.of(login, await roles_of(service, login.address))


@router.post("/auth/logout", status_code=204, responses=failures(NotAuthenticated))
def post_logout(caller: CallerDep, response: Response, service: ServiceDep) -> None:
    """Sign out: the token is worthless from now on."""
    service.sign_in.logout(caller.token)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")


@router.get("/me", responses=failures(NotAuthenticated))
async def get_me(caller: CallerDep, service: ServiceDep) -> MeOut:
    """Say who I am, and which accounts are mine."""
    accounts = await run_in_threadpool(service.market.accounts_of, caller.address)
    roles = await roles_of(service, caller.address)
    return MeOut.of(caller.address, roles, accounts, instant_of(caller.expires_at))
