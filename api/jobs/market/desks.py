"""The market's read side, put together once for a community."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.jobs.community import Community
from api.jobs.market.accounts import AccountsDesk
from api.jobs.market.books import Books
from api.jobs.market.news import MarketNews
from api.jobs.market.periods import PeriodsDesk
from api.jobs.market.provisional import ProvisionalBooks
from api.jobs.market.statements import StatementsDesk
from api.jobs.market.windows import WindowsDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDesks:
    """All desks over one set of books."""

    books: Books
    windows: WindowsDesk
    periods: PeriodsDesk
    accounts: AccountsDesk
    statements: StatementsDesk
    news: MarketNews  # Told while `market_desks` is open.


@asynccontextmanager
async def market_desks(community: Community) -> AsyncIterator[MarketDesks]:
    """The desks of a community, whose books are closed in the end."""
    books = Books(community)
    try:
        desks = desks_of(books)
        async with desks.news:
            yield desks
    finally:
        books.close()


def desks_of(books: Books) -> MarketDesks:
    """The desks over opened books."""
    provisional = ProvisionalBooks(books)
    periods = PeriodsDesk(books)
    statements = StatementsDesk(books, provisional, periods)
    return MarketDesks(
        books=books,
        windows=WindowsDesk(books, provisional, periods),
        periods=periods,
        accounts=AccountsDesk(books, statements),
        statements=statements,
        news=MarketNews(books, periods),
    )
