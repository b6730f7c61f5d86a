"""Who may call what: the one place for it. Every route names one of these objects.

A session's id is on the chain for everybody to read, so `not_allowed` gives nothing away.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from api.errors import NotAllowed, NotAuthenticated, NotFound
from api.guard import HttpLimits, host_of
from api.jobs.market.accounts import ALL_TIME, MeterSight
from api.jobs.market_view import Role
from api.jobs.people.relays import RelayView
from api.rates import Rates
from api.schemas.fields import MeterIdIn, RelayIdIn, SessionIdIn
from api.schemas.members import PairingIn
from api.service import Service
from charging.desk import SessionView
from ledger.units import AccountId, Address

SESSION_COOKIE: Final = "wattledger_session"
ACCOUNT_MAX: Final = 2**32 - 1
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_BEARER = HTTPBearer(auto_error=False, description="The `access_token` of `POST /v1/auth/login`.")
_COOKIE = APIKeyCookie(name=SESSION_COOKIE, auto_error=False, description="For our own pages.")


def service_of(connection: HTTPConnection) -> Service:
    """The service that is being served."""
    service: Service = connection.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(service_of)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request."""

    address: Address
    token: str
    expires_at: datetime


class Access:
    """Who may call a route, in words for people and as a dependency for FastAPI."""

    who: str


class Anyone(Access):
    """Nothing is asked."""

    def __init__(self, who: str = "all") -> None:
        self.who = who

    def __call__(self) -> None:
        """Lets everybody in."""


class SignedIn(Access):
    """Somebody with a token that is still good: of the header, else of the pages' cookie."""

    who = "a signed-in person"

    async def __call__(
        self,
        request: Request,
        service: ServiceDep,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        cookie: Annotated[str | None, Depends(_COOKIE)],
    ) -> Caller:
        """Raises NotAuthenticated, NotAllowed, RateLimited."""
        return await self.caller(request, service, bearer, cookie)

    @staticmethod
    async def caller(
        request: Request,
        service: Service,
        bearer: HTTPAuthorizationCredentials | None,
        cookie: str | None,
    ) -> Caller:
        """Whose token it is; raises as above."""
        token = bearer.credentials if bearer else cookie
        if not token:
            raise NotAuthenticated(rule="sign in first, and send the token")
        if bearer is None:
            _require_own_page(request)
        signed_in = await run_in_threadpool(service.sign_in.who, token)
        limits: HttpLimits = request.app.state.limits
        rates: Rates = request.app.state.rates
        rates.take("caller", signed_in.address.hex(), limits.caller_requests_per_minute)
        return Caller(address=signed_in.address, token=token, expires_at=signed_in.expires_at)


def _require_own_page(request: Request) -> None:
    """A cookie comes along by itself, also when a page of another port or host asks for it."""
    origin = request.headers.get("origin")
    if request.method in SAFE_METHODS or origin is None:
        return
    if _place_of(origin) != request.headers.get("host"):
        raise NotAllowed(rule="the cookie is for this service's own pages")


def _place_of(origin: str) -> str | None:
    """Host and port of an origin; None if it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


class Visitor(Access):
    """Anybody; who is signed in is known. A token that is good no longer counts as none."""

    who = "all"

    async def __call__(
        self,
        request: Request,
        service: ServiceDep,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        cookie: Annotated[str | None, Depends(_COOKIE)],
    ) -> Caller | None:
        """The caller, if it is one; raises NotAllowed, RateLimited."""
        try:
            return await SIGNED_IN(request, service, bearer, cookie)
        except NotAuthenticated:
            return None


ANYONE = Anyone()
BY_SIGNATURE = Anyone("whoever signed the body")
SIGNED_IN = SignedIn()
CallerDep = Annotated[Caller, Depends(SIGNED_IN)]
VISITOR = Visitor()
VisitorDep = Annotated[Caller | None, Depends(VISITOR)]


class SessionParty(Access):
    """Somebody whom a session concerns."""

    def __init__(self, *, host: bool, auditor: bool) -> None:
        self._host = host
        self._auditor = auditor
        parties = ["its driver", *["its host"] * host, *["the auditor"] * auditor]
        self.who = ", ".join(parties)

    async def __call__(
        self, session_id: SessionIdIn, caller: CallerDep, service: ServiceDep
    ) -> SessionView:
        """The session; raises NotAuthenticated, UnknownSession, NotAllowed."""
        view = await service.desk.view(session_id)
        is_party = caller.address == view.driver or (self._host and caller.address == view.host)
        if not is_party and self._auditor:
            is_party = await run_in_threadpool(service.market.is_auditor, caller.address)
        if not is_party:
            raise NotAllowed(rule=f"only for {self.who}")
        return view


SESSION_READER = SessionParty(host=True, auditor=True)
SESSION_STOPPER = SessionParty(host=True, auditor=False)
SESSION_DRIVER = SessionParty(host=False, auditor=False)


class WithRole(Access):
    """Somebody who is one of these in the community."""

    def __init__(self, *roles: Role) -> None:
        self._roles = frozenset(roles)
        self.who = " or ".join(f"the {role.value}" for role in roles)

    async def __call__(self, caller: CallerDep, service: ServiceDep) -> Caller:
        """The caller; raises NotAuthenticated, NotAllowed."""
        roles = await run_in_threadpool(service.market.roles_of, caller.address)
        if not self._roles & roles:
            raise NotAllowed(rule=f"only for {self.who}")
        return caller


OPERATOR = WithRole(Role.OPERATOR)
AUDITOR = WithRole(Role.AUDITOR)
OVERSEER = WithRole(Role.AUDITOR, Role.OPERATOR)


class Looking(Access):
    """Anybody; members and the auditor see the community's figures whole, others what may be shown.

    A cookie that is good no more is a stranger's: a page that is for all asks nobody to sign in.
    """

    who = "all; members and the auditor see more"

    async def __call__(
        self,
        request: Request,
        service: ServiceDep,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        cookie: Annotated[str | None, Depends(_COOKIE)],
    ) -> bool:
        """Whether they see everything; raises RateLimited."""
        try:
            caller = await SIGNED_IN(request, service, bearer, cookie)
        except (NotAuthenticated, NotAllowed):
            return False
        roles = await run_in_threadpool(service.market.roles_of, caller.address)
        return bool(roles & {Role.MEMBER, Role.AUDITOR})


LOOKING = Looking()

AccountPath = Annotated[int, Path(ge=0, le=ACCOUNT_MAX, description="0, 1, or a member's.")]


class AccountParty(Access):
    """Somebody whom an account concerns: its owner, and those with one of these roles."""

    def __init__(self, *roles: Role) -> None:
        self._roles = frozenset(roles)
        self.who = ", ".join(["its owner", *(f"the {role.value}" for role in roles)])

    async def __call__(
        self, account: AccountPath, caller: CallerDep, service: ServiceDep
    ) -> AccountId:
        """The account; raises NotAuthenticated, NotFound, NotAllowed."""
        owner = await run_in_threadpool(service.market.owner_of, account)
        if owner is None:
            raise NotFound(rule="no such account")
        if caller.address != owner:
            roles = await run_in_threadpool(service.market.roles_of, caller.address)
            if not self._roles & roles:
                raise NotAllowed(rule=f"only for {self.who}")
        return AccountId(account)


ACCOUNT_OWNER = AccountParty()
ACCOUNT_READER = AccountParty(Role.OPERATOR, Role.AUDITOR)
STATEMENT_READER = AccountParty(Role.AUDITOR)


class MeterParty(Access):
    """Somebody whom a meter concerns: the owners of its accounts, each for their own time."""

    who = "its owner, the auditor"

    async def __call__(
        self, meter_id: MeterIdIn, caller: CallerDep, service: ServiceDep
    ) -> MeterSight:
        """What of the meter they may see; raises NotAuthenticated, NotFound, NotAllowed."""
        sight = await run_in_threadpool(service.accounts.sight_of, meter_id, caller.address)
        if await run_in_threadpool(service.market.is_auditor, caller.address):
            sight = replace(sight, intervals=(ALL_TIME,))
        if not sight.intervals:
            raise NotAllowed(rule=f"only for {self.who}")
        return sight


METER_READER = MeterParty()


class Onlooker(Access):
    """Anybody; members of the community and the auditor see more."""

    who = "all; every figure for members and the auditor"

    async def __call__(
        self,
        request: Request,
        service: ServiceDep,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        cookie: Annotated[str | None, Depends(_COOKIE)],
    ) -> bool:
        """Whether they may see every figure; raises RateLimited."""
        try:
            caller = await SIGNED_IN.caller(request, service, bearer, cookie)
        except NotAuthenticated:
            return False
        roles = await run_in_threadpool(service.market.roles_of, caller.address)
        return not roles.isdisjoint({Role.MEMBER, Role.AUDITOR})


ONLOOKER = Onlooker()


class PairingParty(Access):
    """The owner of the account that a device is to be paired with."""

    who = "the account's owner"

    async def __call__(self, body: PairingIn, caller: CallerDep, service: ServiceDep) -> Caller:
        """The owner; raises NotAuthenticated, NotFound, NotAllowed."""
        owner = await run_in_threadpool(service.market.owner_of, body.account)
        if owner is None:
            raise NotFound(rule="no such account")
        if owner != caller.address:
            raise NotAllowed(rule=f"only for {self.who}")
        return caller


PAIRING_OWNER = PairingParty()


class RelayParty(Access):
    """Whoever signed what is relayed, or is paid by it."""

    who = "its owner"

    def __call__(self, relay_id: RelayIdIn, caller: CallerDep, service: ServiceDep) -> RelayView:
        """The relay; raises NotAuthenticated, NotFound, NotAllowed."""
        view = service.people.book.view(relay_id)
        if view.relay.owner != caller.address:
            raise NotAllowed(rule=f"only for {self.who}")
        return view


RELAY_OWNER = RelayParty()


async def roles_of(service: Service, address: Address) -> set[Role]:
    """All that an address is here."""
    roles = await run_in_threadpool(service.market.roles_of, address)
    for point in await service.desk.charge_points():
        if any(connector.host == address for connector in point.connectors):
            roles.add(Role.HOST)
    return roles


class Rate:
    """A narrower limit for one kind of request, by network address."""

    def __init__(self, limit: str) -> None:
        self._limit = limit

    async def __call__(self, request: Request) -> None:
        """Raises RateLimited."""
        limits: HttpLimits = request.app.state.limits
        rates: Rates = request.app.state.rates
        rates.take(self._limit, host_of(request.scope), getattr(limits, self._limit))


class RefusedReadings:
    """How many readings of one network address may be refused: each may have cost a signature."""

    async def __call__(self, request: Request) -> Callable[[int], None]:
        """What notes how many were refused; raises RateLimited where that were too many before."""
        limits: HttpLimits = request.app.state.limits
        rates: Rates = request.app.state.rates
        counted = ("refused_readings", host_of(request.scope), limits.refused_readings_per_minute)
        rates.require_room(*counted)

        def note(count: int) -> None:
            if count:
                rates.add(*counted, count)

        return note


NoteRefused = Annotated[Callable[[int], None], Depends(RefusedReadings())]
SIGN_IN_RATE = Rate("sign_ins_per_minute")
ORDER_RATE = Rate("orders_per_minute")
FAUCET_RATE = Rate("faucet_per_minute")
