"""`wattledger forget`: erases what tells who somebody is, and how they live."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial

import typer

from api.cli.context import Options, Outcome, data_path
from api.datadir import DataDir
from api.errors import BadInput, NoCommunity
from api.jobs.community import Community, stored_config
from api.jobs.forgetting.forget import (
    Forgotten,
    forget_account,
    forget_application,
    forget_driver,
    forget_older,
)
from api.jobs.opening import clock_of, database_failures_named, open_chain, open_database
from ledger.keccak import checksum_address
from ledger.store import leave_no_trace, overwrite_erased
from ledger.units import AccountId, Address

Erase = Callable[[Community], Forgotten]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Whom, or what, to forget: one of these."""

    account: int | None = None
    application: int | None = None
    driver: Address | None = None
    older_than_days: int | None = None
    is_expired: bool = False  # As the community's configuration says.


def run_forget(options: Options, whom: Whom, *, is_sure: bool) -> Outcome:
    """Erases, once somebody has said that they are sure."""
    directory = DataDir(data_path(options), password_file=options.password_file)
    directory.require()
    erase, what = _wish(whom, stored_config(directory).retention_days)
    if not is_sure:
        question = f"Erase {what}? Nothing brings it back but an old backup"
        typer.confirm(question, abort=True, err=True)
    with _beside_a_service(directory) as community:
        done = erase(community)
    counts = {
        each.name: getattr(done, each.name) for each in fields(done) if each.name != "kept_because"
    }
    lines = [f"{what}: erased"]
    lines += [f"{count:>8}  {name.replace('_', '-')}" for name, count in counts.items() if count]
    if not any(counts.values()):
        lines = [f"{what}: there was nothing to erase"]
    lines += [f"readings and statements stay until: {reason}" for reason in done.kept_because]
    lines.append("Old backups and exports still hold it: remove those, too.")
    return Outcome(
        document={**counts, "kept_because": list(done.kept_because)}, text="\n".join(lines)
    )


def _wish(whom: Whom, retention_days: int) -> tuple[Erase, str]:
    wishes: list[tuple[Erase, str]] = []
    if whom.account is not None:
        account = AccountId(whom.account)
        wishes.append((partial(forget_account, account=account), f"account {account}"))
    if whom.application is not None:
        number = whom.application
        wishes.append((partial(forget_application, application_id=number), f"application {number}"))
    if whom.driver is not None:
        driver = checksum_address(whom.driver)
        wishes.append((partial(forget_driver, driver=whom.driver), f"driver {driver}"))
    for days, is_meant in (
        (whom.older_than_days, whom.older_than_days is not None),
        (retention_days, whom.is_expired),
    ):
        if is_meant and days is not None:
            wishes.append((partial(forget_older, days=days), f"all that is older than {days} days"))
    if len(wishes) != 1:
        rule = "say one: ACCOUNT, --application, --driver, --older-than or --expired"
        raise BadInput(field="ACCOUNT", rule=rule)
    return wishes[0]


@contextmanager
def _beside_a_service(directory: DataDir) -> Iterator[Community]:
    """A community whose database can be written to while another process serves it."""
    config = stored_config(directory)
    engine = open_database(directory)
    overwrite_erased(engine)
    try:
        chain = open_chain(directory, config, read_only=True)
        community = Community(
            directory=directory,
            config=config,
            keys=directory.keys(encrypted=config.chain.rpc is not None),
            engine=engine,
            chain=chain,
            clock=clock_of(config, chain, engine),
            read_only=True,
        )
    except BaseException:
        engine.dispose()
        raise
    try:
        with database_failures_named(community.database):
            if not community.owns_database():
                rule = f"the database {community.database} is not this directory's"
                raise NoCommunity(data_dir=str(directory.path), rule=rule)
            yield community
        leave_no_trace(community.engine)
    finally:
        community.close()
