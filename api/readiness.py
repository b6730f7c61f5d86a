"""What keeps the service from doing its work, in words that name no file, address or key."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.errors import NoMarket
from api.service import Service
from ledger.chain.errors import ChainUnavailable, WrongChain


def problems_of(service: Service) -> list[str]:
    """All that is wrong now; waits for database and chain."""
    return [*_database(service), *_chain(service), *service.problems()]


def _database(service: Service) -> list[str]:
    try:
        with service.community.engine.begin() as connection:
            connection.execute(text("SELECT 1"))
    except DBAPIError:
        return ["database: does not answer"]
    return []


def _chain(service: Service) -> list[str]:
    try:
        service.community.chain.head()
        service.market.require()
    except (ChainUnavailable, WrongChain, NoMarket) as error:
        return [f"chain: {error.code}"]
    return []
