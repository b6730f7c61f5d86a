"""What the market says about itself and about an address, for whoever asks over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from api.errors import NoMarket
from api.jobs.community import Community
from api.jobs.contracts import Contracts
from ledger.chain.market import MarketReader
from ledger.chain.market_values import MarketConfig, MarketTariff, Pending
from ledger.units import FIRST_MEMBER, GRID_OPERATOR, AccountId, Address, to_unix_s


class Role(StrEnum):
    """What somebody is in a community."""

    DRIVER = "driver"  # Anybody who is signed in.
    MEMBER = "member"  # Owns an account.
    HOST = "host"  # Of a charger.
    OPERATOR = "operator"  # Of the market, and who works for it.
    AUDITOR = "auditor"  # The grid operator, whose account is 1.


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """The market at one instant."""

    name: str
    currency: str
    chain_id: int
    contracts: Contracts
    is_embedded: bool  # Its chain is kept by this service.
    config: MarketConfig
    operator: Address  # Now; the configuration holds the first one.
    tariff: MarketTariff  # Of the period that runs.
    vat_bps: int | None  # Contained in its prices, if that is said.
    account_count: int
    next_period_start_s: int  # The first period that is not final.
    pending: Pending
    now_at: datetime  # The community's time, not before the last block's.
    speed: int  # Seconds of it in a real one.


class MarketDesk:
    """Asks the chain. Its methods wait: call them in a thread."""

    def __init__(self, community: Community) -> None:
        self._community = community

    def view(self) -> MarketView:
        """The market now.

        Raises:
            NoMarket, ChainUnavailable: the chain lost it, or does not answer.
        """
        community, reader = self._community, self._reader
        schedule = community.schedule
        now_at = community.chain_clock.now()
        since_s = max(0, to_unix_s(now_at) - schedule.first_period_start_s)
        period_start_s = (
            schedule.first_period_start_s + since_s // schedule.period_s * schedule.period_s
        )
        return MarketView(
            name=community.config.name,
            currency=community.config.currency,
            chain_id=community.chain.chain_id,
            contracts=community.contracts,
            is_embedded=community.config.chain.rpc is None,
            config=community.market_config,
            operator=reader.operator(),
            tariff=reader.tariff_at(period_start_s),
            vat_bps=community.config.tariff.vat_bps,
            account_count=reader.account_count(),
            next_period_start_s=reader.next_period_start_s(),
            pending=reader.pending(),
            now_at=now_at,
            speed=community.clock.speed,
        )

    def accounts_of(self, address: Address) -> list[AccountId]:
        """Accounts that an address owns, 0 and 1 among them."""
        owners = self._community.refresh().owners
        return [AccountId(index) for index, owner in enumerate(owners) if owner == address]

    def owner_of(self, account: int) -> Address | None:
        """Whose account it is now; None if there is no such account."""
        owner = self._reader.address_of(account)
        return owner if any(owner) else None

    def roles_of(self, address: Address) -> set[Role]:
        """What an address is in the market; whom chargers belong to is not asked here."""
        roles = {Role.DRIVER}
        accounts = self.accounts_of(address)
        if any(account >= FIRST_MEMBER for account in accounts):
            roles.add(Role.MEMBER)
        if GRID_OPERATOR in accounts:
            roles.add(Role.AUDITOR)
        if address in self._community.operators or self._reader.operator() == address:
            roles.add(Role.OPERATOR)
        return roles

    def is_auditor(self, address: Address) -> bool:
        """Whether it is the grid operator's, who may see everything."""
        return self._reader.address_of(GRID_OPERATOR) == address

    def require(self) -> None:
        """Asks the chain for the market's contract.

        Raises:
            NoMarket, ChainUnavailable: it cannot be used.
        """
        chain, market = self._community.chain, self._community.contracts.market
        if not chain.code(market):
            raise NoMarket(chain_id=chain.chain_id, market=market.hex())

    @property
    def _reader(self) -> MarketReader:
        return MarketReader(self._community.chain, self._community.contracts.market)
