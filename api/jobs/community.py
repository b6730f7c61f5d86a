"""One community, opened: its data directory, database, chain, outbox, index and clock."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from api.clock import Clock, NotBehindChain
from api.config import CommunityConfig
from api.datadir import DataDir
from api.errors import CommunityExists, NoCommunity
from api.files import our_file
from api.jobs.chain_rules import SharingRules, config_on, rules_of
from api.jobs.contracts import Contracts
from api.jobs.following import Answer, Following, Told
from api.jobs.opening import (
    DIRECTORY,
    clock_of,
    database_failures_named,
    open_chain,
    open_database,
    system_now,
)
from api.keys import KeyRing
from charging.escrow_history import ChainSession
from charging.orders import SessionId
from ledger.assignment import Rules
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.market_values import MarketConfig
from ledger.chain.protocol import Chain
from ledger.chain.rpc import RpcChain
from ledger.history import MarketHistory
from ledger.keccak import domain_separator
from ledger.outbox import Outbox
from ledger.outbox_states import Entry, Intent, Policy
from ledger.outbox_store import OutboxStore
from ledger.periods import Schedule
from ledger.settlement_store import SettlementStore
from ledger.units import Address, Hash32, from_unix_s, to_unix_s
from metering.meters import MeterBook
from metering.store import ReadingStore

OPERATOR = "operator"
CHARGING = "charging"  # Opens and closes charges for the hosts.
RELAY = "relay"  # Brings what people signed.
RELAY_GAS_MAX = 1_000_000  # More than any of it needs, a wallet's own code included.
OWNER, REGISTRAR = "owner", "registrar"
SIGNERS = (OWNER, OPERATOR, REGISTRAR)
ROLES = (*SIGNERS, CHARGING, RELAY, "supplier", "grid_operator", "importer", "salt")
BUMP_AFTER_S = 90  # A transaction that no block took by then is offered a higher fee.
CHAIN_LAG_S = 60  # More than any sound node's clock is behind ours.


@dataclass(kw_only=True)
class Community:
    """Everything that a job needs of one community."""

    directory: DataDir
    config: CommunityConfig
    keys: KeyRing
    engine: Engine
    chain: Chain
    clock: Clock  # The one source of this community's time.
    read_only: bool
    pause: Callable[[float], None] = time.sleep  # Between two looks at what is to be confirmed.
    _following: Following = field(init=False)

    def __post_init__(self) -> None:
        self._following = Following(
            lambda: self.chain,
            self.engine,
            lambda: self.contracts,
            chain_id=self.config.chain.chain_id,
            confirmations=self.config.chain.confirmations,
            read_only=self.read_only,
        )

    @property
    def following(self) -> Following:
        """What was told of the contracts so far, for who must not wait for the chain."""
        return self._following

    def beside(self, *, pause: Callable[[float], None]) -> "Community":
        """The same community for another thread: its history and its outbox are that thread's own.

        Args:
            pause: waits; whatever it raises ends the waiting.
        """
        return Community(
            directory=self.directory,
            config=self.config,
            keys=self.keys,
            engine=self.engine,
            chain=self.chain,
            clock=self.clock,
            read_only=self.read_only,
            pause=pause,
        )

    @cached_property
    def readings(self) -> ReadingStore:
        """Signed readings, every version."""
        return ReadingStore(self.engine)

    @cached_property
    def settlements(self) -> SettlementStore:
        """Planned and published runs."""
        return SettlementStore(self.engine)

    @property
    def database(self) -> str:
        """The database's URL, without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def owns_database(self) -> bool:
        """Whether the database holds this directory's community, and no other's."""
        return self.settlements.facts().get(DIRECTORY) == self.directory.identity

    def claim_database(self) -> None:
        """Notes whose database this is.

        Raises:
            CommunityExists: it holds another community.
        """
        own = self.directory.identity
        if self.settlements.facts().get(DIRECTORY, own) != own:
            raise CommunityExists(data_dir=self.database, rule="the database holds another one")
        with self.engine.begin() as connection:
            self.settlements.set_facts(connection, [(DIRECTORY, own)])

    @cached_property
    def outbox(self) -> Outbox:
        """The one way to write to the chain, but for charges."""
        hosts = {f"account:{charger.host}" for charger in self.config.chargers}
        return self._outbox_of([*SIGNERS, *sorted(host for host in hosts if host in self.keys)])

    @cached_property
    def charging_outbox(self) -> Outbox:
        """The way for charges: a driver's refund does not wait for a settlement."""
        return self._outbox_of([CHARGING])

    @cached_property
    def relay_outbox(self) -> Outbox:
        """The way for what people ask for: it does not wait for a settlement either."""
        self.keys.make([RELAY])  # Directories that are older than the role lack it.
        return self._outbox_of(
            [RELAY, *(role for role in SIGNERS if role in self.keys)],
            # A contract that signs for its account runs code of its owner's choice at our cost.
            gas_max={self.keys.wallet(RELAY).address: RELAY_GAS_MAX},
        )

    def _outbox_of(
        self, roles: Sequence[str], *, gas_max: Mapping[Address, int] | None = None
    ) -> Outbox:
        set_time = None
        if isinstance(self.chain, EmbeddedChain) and self.config.chain.clock == "data":
            set_time = self.chain.set_next_timestamp
        return Outbox(
            self.chain,
            [self.keys.wallet(role) for role in roles],
            OutboxStore(self.engine, chain_id=self.config.chain.chain_id),
            now=system_now,
            policy=Policy(
                confirmations=self.config.chain.confirmations,
                bump_after_s=BUMP_AFTER_S if isinstance(self.chain, RpcChain) else None,
                gas_max=gas_max or {},
            ),
            set_time=set_time,
            pause=self.pause,
        )

    @cached_property
    def contracts(self) -> Contracts:
        """The contracts' addresses, as they were noted when they were deployed."""
        return Contracts.of(self.settlements.facts())

    @cached_property
    def market_config(self) -> MarketConfig:
        """What the market's contract fixed."""
        return config_on(self.chain, self.contracts.market)

    @cached_property
    def schedule(self) -> Schedule:
        """The market's time grid."""
        return self.market_config.schedule

    @cached_property
    def rules(self) -> Rules:
        """The market's rules."""
        return rules_of(self.market_config, sharing_of(self.config))

    @cached_property
    def is_demo(self) -> bool:
        """Whether a demo made it, on a chain of its own: then its wallets' keys are published."""
        return self.directory.is_demo() and isinstance(self.chain, EmbeddedChain)

    @cached_property
    def operators(self) -> frozenset[Address]:
        """People who hold the operator's role besides the market's operator."""
        return frozenset(
            Address(bytes.fromhex(address.removeprefix("0x"))) for address in self.config.operators
        )

    @property
    def reading_domain(self) -> Hash32:
        """EIP-712 domain that meters sign under."""
        return domain_separator(self.config.chain.chain_id, self.contracts.registry)

    def now_s(self) -> int:
        """The community's time."""
        return to_unix_s(self.clock.now())

    @property
    def chain_clock(self) -> Clock:
        """The clock for what is compared with blocks: an embedded chain's may be ahead of ours."""
        if not isinstance(self.chain, EmbeddedChain):
            return self.clock
        return NotBehindChain(self.clock, lambda: self.chain.head().timestamp_s)

    def next_block_from_s(self) -> int:
        """A time that the next block is surely not before: a node's clock may be behind ours."""
        now_s = self.now_s()
        if isinstance(self.chain, EmbeddedChain):
            return now_s
        return max(now_s - CHAIN_LAG_S, self.chain.head().timestamp_s)

    @staticmethod
    def system_now() -> datetime:
        """The machine's time, whole seconds: for sign-in, and what readings may not be ahead of."""
        return system_now()

    def ask(self, question: Callable[[Told], Answer]) -> Answer:
        """What the contracts' events say where they are final, while nobody tells more."""
        return self._following.ask(question)

    def refresh(self) -> MarketHistory:
        """Follows the chain's events, and gives the market's history up to where it is final.

        A reorganised chain is told again from its beginning.
        """
        return self.ask(lambda told: told.market)

    def charges_now(self) -> dict[SessionId, ChainSession]:
        """Every charging session as the chain has it where it is final: a copy."""
        return self.ask(lambda told: dict(told.charges.sessions))

    def book(self) -> MeterBook:
        """All meters' terms, as the registry's events tell them."""
        return self.ask(lambda told: told.book)

    def intent(
        self,
        key: str,
        data: bytes,
        *,
        to: Address | None,
        role: str = OPERATOR,
        at_s: int | None = None,
        gas: int | None = None,
        slots: tuple[int, ...] = (),
    ) -> Intent:
        """A transaction that this community owes, under its key."""
        return Intent(
            key=key,
            sender=self.keys.wallet(role).address,
            to=to,
            data=data,
            created_at=system_now(),
            gas=gas,
            slots=slots,
            not_before_at=None if at_s is None else from_unix_s(at_s),
        )

    def execute(self, intents: Sequence[Intent]) -> list[Entry]:
        """Puts intents and waits until each is confirmed."""
        for intent in intents:
            self.outbox.put(intent)
        return [self.outbox.wait(intent.key) for intent in intents]

    def close(self) -> None:
        """Gives database and chain back."""
        self.engine.dispose()
        if isinstance(self.chain, EmbeddedChain | RpcChain):
            self.chain.close()


def stored_config(directory: DataDir) -> CommunityConfig:
    """The configuration that a directory's community was made from."""
    with our_file(directory.config_path):
        return CommunityConfig.model_validate_json(directory.config_json())


def sharing_of(config: CommunityConfig) -> SharingRules:
    """Keys and priorities as configured."""
    return SharingRules(keys=config.market.keys, priorities=config.market.priorities)


def open_parts(
    directory: DataDir,
    config: CommunityConfig,
    *,
    genesis_at: datetime | None = None,
    read_only: bool = False,
) -> Community:
    """Opens database and chain of a data directory; with `genesis_at`, as its making needs them."""
    keys = directory.keys(encrypted=config.chain.rpc is not None)
    engine = open_database(directory, read_only=read_only)
    try:
        chain = open_chain(directory, config, genesis_at=genesis_at, read_only=read_only)
    except BaseException:
        engine.dispose()
        raise
    return Community(
        directory=directory,
        config=config,
        keys=keys,
        engine=engine,
        chain=chain,
        clock=clock_of(config, chain, engine),
        read_only=read_only,
    )


@contextmanager
def open_community(
    path: Path, *, read_only: bool = False, password_file: Path | None = None
) -> Iterator[Community]:
    """Opens the community of a data directory, for one job.

    Args:
        password_file: holds the keystore's password; else it is looked for when a key is needed.

    Raises:
        NoCommunity, WrongVersion: there is none, or another version made it.
        DataDirectoryInUse: another process writes to it.
        StorageFailed, ChainUnavailable: disk, database or chain refuse.
    """
    directory = DataDir(path, password_file=password_file)
    directory.require()
    community = open_parts(directory, stored_config(directory), read_only=read_only)
    try:
        with database_failures_named(community.database):
            if not community.owns_database():
                rule = f"the database {community.database} is not this directory's"
                raise NoCommunity(data_dir=str(path), rule=rule)
            yield community
    finally:
        community.close()
