"""The running service as a value: everything that a request may need, opened by whoever runs it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from api.jobs.community import Community
from api.jobs.market.accounts import AccountsDesk
from api.jobs.market.desks import MarketDesks
from api.jobs.market.news import MarketNews
from api.jobs.market.periods import PeriodsDesk
from api.jobs.market.statements import StatementsDesk
from api.jobs.market.windows import WindowsDesk
from api.jobs.market_view import MarketDesk
from api.jobs.oversight.audits import AuditDesk
from api.jobs.oversight.overview import OversightDesk
from api.jobs.people.desks import People
from api.jobs.taking.answers import ReadingsDesk
from api.loops import LoopState
from api.sign_in import SignIn
from charging.desk import ChargingDesk
from charging.points import PointDoor, PointLink, PointSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One community being served."""

    community: Community
    market: MarketDesk
    books: MarketDesks  # Windows, periods, accounts, statements.
    readings: ReadingsDesk
    people: People
    desk: ChargingDesk
    oversight: OversightDesk
    audits: AuditDesk
    sink: PointSink
    door: PointDoor
    points: PointLink
    sign_in: SignIn
    now: Callable[[], datetime]
    problems: Callable[[], Sequence[str]]  # What is wrong with the loops behind, in words.
    loops: Callable[[], Sequence[LoopState]] = tuple  # All loops, also those that are well.
    farewell: Callable[[], Awaitable[None]] | None = None  # To be called before the doors close.

    @property
    def windows(self) -> WindowsDesk:
        """What the community did."""
        return self.books.windows

    @property
    def periods(self) -> PeriodsDesk:
        """How periods are settled."""
        return self.books.periods

    @property
    def accounts(self) -> AccountsDesk:
        """What accounts have."""
        return self.books.accounts

    @property
    def news(self) -> MarketNews:
        """Windows that close, periods that move on."""
        return self.books.news

    @property
    def statements(self) -> StatementsDesk:
        """What accounts did and what it came to."""
        return self.books.statements


OpenService = Callable[[], AbstractAsyncContextManager[Service]]
