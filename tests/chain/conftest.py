"""Communities that contract tests share; what a test does to one has not happened afterwards."""

from collections.abc import Iterator

import pytest

from tests.chain.escrow_world import Site
from tests.chain.evm_world import World
from tests.chain.market_world import HOUR_S, START, Community

MEMBER_MICRO = 100_000_000  # 100 tokens on each account.


@pytest.fixture(scope="session")
def evm() -> World:
    return World(START)


@pytest.fixture(scope="session")
def daily_community(evm: World) -> Community:
    return funded(Community.create(evm))


@pytest.fixture(scope="session")
def disputed_community(evm: World) -> Community:
    """Periods of four hours; a proposal can be disputed for one, and be finalized in the next."""
    times = {"periodWindows": 4, "windowS": HOUR_S, "graceS": 0}
    dispute = {"disputePeriodS": HOUR_S, "finalizeWithinS": HOUR_S, "withdrawalDelayS": 6 * HOUR_S}
    return funded(Community.create(evm, **times, **dispute))


@pytest.fixture
def daily(evm: World, daily_community: Community) -> Iterator[Community]:
    """A community of daily periods that are settled at once."""
    with evm.undone():
        yield daily_community


@pytest.fixture
def disputed(evm: World, disputed_community: Community) -> Iterator[Community]:
    """A community whose proposals wait for a dispute period."""
    with evm.undone():
        yield disputed_community


def funded(community: Community) -> Community:
    for account in range(community.count):
        community.deposit(account, MEMBER_MICRO)
    return community


@pytest.fixture(scope="session")
def charging_site(evm: World) -> Site:
    return Site.create(evm)


@pytest.fixture
def site(evm: World, charging_site: Site) -> Iterator[Site]:
    """A charging site with a plain token and one charger, free."""
    with evm.undone():
        yield charging_site
