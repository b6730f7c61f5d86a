"""The market's read side, put together once for a community."""

from dataclasses import dataclass
from typing import Self

from api.jobs.community import Community
from api.jobs.market.accounts import AccountsDesk
from api.jobs.market.books import Books
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

    @classmethod
    def of(cls, community: Community) -> Self:
        """Opens the books of a community; `close` gives them back."""
        books = Books(community)
        provisional = ProvisionalBooks(books)
        periods = PeriodsDesk(books)
        statements = StatementsDesk(books, provisional, periods)
        return cls(
            books=books,
            windows=WindowsDesk(books, provisional, periods),
            periods=periods,
            accounts=AccountsDesk(books, statements),
            statements=statements,
        )

    def close(self) -> None:
        """Gives the books' connections back."""
        self.books.close()
