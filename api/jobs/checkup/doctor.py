"""Looks at a community from all sides, also while it is served; changes nothing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from api.config import CommunityConfig
from api.datadir import DataDir
from api.errors import StorageFailed
from api.jobs.checkup.books import check_database, check_meters, check_outbox, check_periods
from api.jobs.checkup.chain import check_chain, check_contracts, check_gas, check_roles
from api.jobs.checkup.checks import Check, Verdict, failing_as, problem
from api.jobs.checkup.directory import check_directory, check_keys
from api.jobs.community import Community, open_parts, stored_config
from api.jobs.opening import database_failures_named, open_chain, open_database

OF_ALL = (check_contracts, check_meters, check_periods)
OF_KEYS = (check_roles, check_gas, check_outbox)  # Once the keystore is open.
DAMAGED = "stop the service, keep a copy, restore a backup"
OLDER = "start the service once: it brings older tables up; newer ones need the newer program"


def examine(directory: DataDir) -> list[Check]:
    """Every check; one that cannot be made is a problem, and stops no other."""
    found: list[Check] = []
    config: CommunityConfig | None = None
    with failing_as("directory", "is it the right one? WATTLEDGER_DATA_DIR says which", found):
        directory.require()
        config = stored_config(directory)
    if config is None:
        return found
    found += check_directory(directory)
    found += check_keys(directory, config)
    has_keys = any(each.name == "keys" and each.verdict is Verdict.OK for each in found)
    has_database = _look_at_database(directory, found)
    has_chain = _look_for_chain(directory, config, found)
    if has_database and has_chain:
        found += _examine_community(directory, config, has_keys=has_keys)
    return found


def _look_at_database(directory: DataDir, found: list[Check]) -> bool:
    with failing_as("database", DAMAGED, found, wrong_version=OLDER):
        engine = open_database(directory, read_only=True)
        try:
            with database_failures_named(engine.url.render_as_string(hide_password=True)):
                found += check_database(engine)
        finally:
            engine.dispose()
        return found[-1].verdict is Verdict.OK
    return False


def _look_for_chain(directory: DataDir, config: CommunityConfig, found: list[Check]) -> bool:
    advice = "does the endpoint answer? community.json says where it is"
    if config.chain.rpc is None:
        advice = "restore a backup"
    with failing_as("chain", advice, found), ExitStack() as stack:
        chain = open_chain(directory, config, read_only=True)
        stack.callback(getattr(chain, "close", lambda: None))
        return True
    return False


def _examine_community(
    directory: DataDir, config: CommunityConfig, *, has_keys: bool
) -> Iterator[Check]:
    try:
        community = open_parts(directory, config, read_only=True)
    except StorageFailed:  # Of the keys, which were looked at already.
        return
    try:
        if not community.owns_database():
            detail = "it holds another community than this directory"
            yield problem("database", detail, "WATTLEDGER_DATABASE_URL says which one is read")
            return
        about_chain = _made(check_chain, community)
        yield from about_chain
        if any(each.name == "chain" and each.verdict is Verdict.PROBLEM for each in about_chain):
            return  # Nothing that it says can be relied on.
        for check in (*OF_ALL, *(OF_KEYS if has_keys else ())):
            yield from _made(check, community)
    finally:
        community.close()


def _made(check: Callable[[Community], Iterator[Check]], community: Community) -> list[Check]:
    found: list[Check] = []
    name = check.__name__.removeprefix("check_")
    with (
        failing_as(name, "the log of the service may say more", found),
        database_failures_named(community.database),
    ):
        found += check(community)
    return found
