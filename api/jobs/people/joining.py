"""Joining: somebody asks, the operator decides, and the loop enrols whom was accepted, once."""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from api.errors import NotFound
from api.jobs.community import OPERATOR, Community
from api.jobs.people.applications import Application, ApplicationState, Person
from api.jobs.people.errors import AlreadyApplied, AlreadyDecided, AlreadyMember, KeyNotHere
from api.jobs.people.patience import Patience
from api.jobs.people.people_store import PeopleStore
from ledger.chain import market_calls
from ledger.chain.market import MarketReader
from ledger.history import MarketHistory
from ledger.outbox_store import OutboxStore
from ledger.units import FIRST_MEMBER, AccountId, Address

Also = Callable[[Connection, Application], None]


class Joining:
    """Asked by people, in threads: its methods wait for disk and chain."""

    def __init__(self, community: Community, wake: Callable[[], None]) -> None:
        """`wake` tells the loop that there is somebody to enrol."""
        self._community = community
        self._store = PeopleStore()
        self._wake = wake

    def apply(self, address: Address, person: Person, also: Also) -> Application:
        """Asks to join.

        Args:
            also: is done in the same transaction.

        Raises:
            AlreadyMember, AlreadyApplied: there is no need to.
        """
        account = self._community.ask(lambda told: accounts_by_owner(told.market).get(address))
        if account is not None:
            raise AlreadyMember(account=account)
        now_at = self._community.clock.now()
        try:
            with self._community.engine.begin() as connection:
                self._require_no_other(connection, address)
                application = self._store.apply(connection, address, person, at=now_at)
                also(connection, application)
        except IntegrityError:
            with self._community.engine.begin() as connection:
                self._require_no_other(connection, address)
            raise
        return application

    def _require_no_other(self, connection: Connection, address: Address) -> None:
        other = self._store.open_of(connection, address)
        if other is not None:
            raise AlreadyApplied(application_id=str(other.application_id))

    def page(
        self,
        *,
        address: Address | None = None,
        state: ApplicationState | None = None,
        limit: int,
        before: int | None,
    ) -> tuple[Sequence[Application], int | None]:
        """Applications, one address's or all, newest first, and where the next page begins."""
        with self._community.engine.begin() as connection:
            return self._store.page(
                connection, address=address, state=state, limit=limit, before=before
            )

    def accept(self, application_id: int, by: Address, also: Also) -> Application:
        """Has somebody enrolled; asking twice is asking once.

        Raises:
            NotFound: there is no such application.
            AlreadyDecided: it was refused.
            KeyNotHere: the market's operator is somebody else than this service.
        """
        self._require_operators_key()
        with self._community.engine.begin() as connection:
            application = self._require(connection, application_id)
            if application.state is ApplicationState.REFUSED:
                raise AlreadyDecided(state=application.state, rule="it was refused")
            if application.state is ApplicationState.WAITING:
                application = self._store.decide(
                    connection,
                    application_id,
                    ApplicationState.ACCEPTING,
                    by=by,
                    at=self._community.clock.now(),
                )
            also(connection, application)
        self._wake()
        return application

    def refuse(self, application_id: int, by: Address, reason: str, also: Also) -> Application:
        """Says no; asking twice is asking once.

        Raises:
            NotFound: there is no such application.
            AlreadyDecided: it was accepted.
        """
        with self._community.engine.begin() as connection:
            application = self._require(connection, application_id)
            if application.state in (ApplicationState.ACCEPTING, ApplicationState.ACCEPTED):
                raise AlreadyDecided(state=application.state, rule="it was accepted")
            if application.state is ApplicationState.WAITING:
                application = self._store.decide(
                    connection,
                    application_id,
                    ApplicationState.REFUSED,
                    by=by,
                    at=self._community.clock.now(),
                    reason=reason,
                )
            also(connection, application)
        return application

    def _require(self, connection: Connection, application_id: int) -> Application:
        application = self._store.find(connection, application_id)
        if application is None:
            raise NotFound(rule="no such application")
        return application

    def _require_operators_key(self) -> None:
        keys, contracts = self._community.keys, self._community.contracts
        operator = MarketReader(self._community.chain, contracts.market).operator()
        if OPERATOR not in keys or keys.wallet(OPERATOR).address != operator:
            raise KeyNotHere(role=OPERATOR, rule="the market's operator enrols from elsewhere")


class Enrolments:
    """Enrols whom was accepted, one after the other: an account's number is the next one."""

    name: Final = "enrolments"

    def __init__(self, community: Community) -> None:
        self._community = community
        self._store = PeopleStore()
        self._intents = OutboxStore(community.engine, chain_id=community.config.chain.chain_id)
        self._patience = Patience()

    def step(self) -> bool:
        """Notes who is enrolled, and owes the chain the next enrolment."""
        with self._community.engine.begin() as connection:
            accepted = self._store.in_state(connection, ApplicationState.ACCEPTING)
        if not accepted:
            return False
        accounts = self._community.ask(lambda told: accounts_by_owner(told.market))
        for application in accepted:
            account = accounts.get(application.address)
            if account is not None:
                self._conclude(application, account)
                return True
        return self._owe(accepted[0])

    def _conclude(self, application: Application, account: AccountId) -> None:
        with self._community.engine.begin() as connection:
            self._store.decide(
                connection,
                application.application_id,
                ApplicationState.ACCEPTED,
                account=account,
            )

    def _owe(self, application: Application) -> bool:
        key = f"enrol:application:{application.application_id}"
        entry = self._intents.entry(key)
        if not self._patience.is_due(key, entry, self._community.system_now()):
            return False
        community = self._community
        # Nobody else enrols: if somebody did, it reverts, and the next number is tried.
        reader = MarketReader(community.chain, community.contracts.market)
        data = market_calls.enrol(reader.account_count(), application.address)
        intent = community.intent(key, data, to=community.contracts.market)
        if entry is None:
            self._intents.put(intent)
        else:
            self._intents.retry(intent)
        return True


def accounts_by_owner(history: MarketHistory) -> dict[Address, AccountId]:
    """The first member's account of each address."""
    accounts: dict[Address, AccountId] = {}
    for account in range(FIRST_MEMBER, history.account_count):
        accounts.setdefault(history.owners[account], AccountId(account))
    return accounts
