"""Opens what a community consists of: its database, its chain, its clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, DBAPIError

from api.clock import ChainClock, Clock, SystemClock
from api.config import CommunityConfig
from api.datadir import DataDir
from api.errors import BadInput, StorageFailed
from api.jobs.tables import drop_tables, migrate, require_current
from api.settings import read_settings
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.protocol import Chain
from ledger.chain.rpc import RpcChain
from ledger.settlement_store import SettlementStore
from ledger.store import open_engine

DIRECTORY = "directory"  # The fact that tells whose database it is.
TIME_NOTED = "time_noted_s"  # The fact that tells how far running time has come.


def open_database(directory: DataDir, *, read_only: bool = False) -> Engine:
    """The community's database, with the tables of this version."""
    url = read_settings().database_url or directory.database_url
    with database_failures_named(url):
        try:
            engine = open_engine(url, read_only=read_only)
        except (ArgumentError, ImportError) as error:
            raise BadInput(field="WATTLEDGER_DATABASE_URL", rule=str(error)) from error
        try:
            if read_only:
                require_current(engine)
            else:
                migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def empty_database(directory: DataDir) -> None:
    """Takes this directory's community out of a database elsewhere; another one's stays."""
    if read_settings().database_url is None:
        return
    engine = open_database(directory)
    try:
        if SettlementStore(engine).facts().get(DIRECTORY) == directory.identity:
            drop_tables(engine)
    finally:
        engine.dispose()


def open_chain(
    directory: DataDir,
    config: CommunityConfig,
    *,
    genesis_at: datetime | None = None,
    read_only: bool,
) -> Chain:
    """The community's chain: embedded, or behind an endpoint.

    With `genesis_at` an embedded one is made where there is none, and its time stands still.
    """
    section = config.chain
    if section.rpc is not None:
        return RpcChain.connect(
            section.rpc, expected_chain_id=section.chain_id, timeout_s=read_settings().rpc_timeout_s
        )
    follows = section.clock == "system" and genesis_at is None
    return EmbeddedChain.open(
        directory.chain_path,
        chain_id=section.chain_id,
        genesis_at=genesis_at,
        read_only=read_only,
        clock=system_now if follows else None,
    )


def clock_of(config: CommunityConfig, chain: Chain, engine: Engine) -> Clock:
    """The clock of a community whose chain and database are open."""
    if config.chain.clock == "data":
        stood_s = int(SettlementStore(engine).facts().get(TIME_NOTED, "0"))
        return ChainClock(lambda: chain.head().timestamp_s, stood_s=stood_s)
    return SystemClock()


@contextmanager
def database_failures_named(url: str) -> Iterator[None]:
    """Turns what the database refuses into StorageFailed."""
    try:
        yield
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise StorageFailed(path=url.rsplit("@", 1)[-1], reason=reason) from error


def system_now() -> datetime:
    """The machine's time, in whole seconds."""
    return SystemClock().now()
