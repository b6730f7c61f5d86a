"""What the market's transactions cost, compared exactly with the committed snapshot."""

import random

import pytest
from web3 import Web3

import contracts
from ledger.chain import market_calls
from tests.chain.conftest import funded
from tests.chain.evm_world import World
from tests.chain.gas_snapshot import checked
from tests.chain.market_world import FIRST_PERIOD, HOUR_S, START, Community

MEMBERS = 1_000
EIP_170_BYTES = 24_576


# Gas a member at 1,000 members, whole transactions, that may never be exceeded.
MOST = {
    "settle_1_window": 1_460,
    "settle_1_window_access_list": 1_440,
    "settle_96_windows": 1_600,
    "propose_and_finalize_1_window": 1_800,
    "propose_and_finalize_96_windows": 2_000,
}


def day_deltas() -> list[int]:
    """A window of a day in which half of the homes sell, up to 1 kWh or so each way."""
    draw = random.Random(20_160_601)
    members = [draw.randint(-3 * 10**8, 3 * 10**8) for _ in range(MEMBERS - 1)]
    return [-sum(members), *members]


def neighbourhood(world: World, windows: int, *, disputed: bool) -> Community:
    """1,000 accounts with money on each, one period behind them."""
    window_s = 96 * 900 // windows
    times = {"periodWindows": windows, "windowS": window_s}
    if disputed:
        times |= {"disputePeriodS": HOUR_S, "finalizeWithinS": HOUR_S}
    community = Community.create(world, members=1, **times)
    others = MEMBERS - community.count
    community.enrol([Web3.to_checksum_address((2**150 + i).to_bytes(20)) for i in range(others)])
    community.deposit(0, 10**9)
    each = 5 * 10**8
    community.end_of()
    run(community, [-each * (MEMBERS - 1), *[each] * (MEMBERS - 1)], FIRST_PERIOD)
    community.end_of(second(community))
    return community


def second(community: Community) -> int:
    return FIRST_PERIOD + community.period_s


def run(community: Community, deltas: list[int], period: int, slots: tuple[int, ...] = ()) -> int:
    """Settles a period in whatever way the community has; the gas of all it takes."""
    if community.config["disputePeriodS"] == 0:
        return community.settle(deltas, period=period, slots=slots).gas_used
    proposed = community.propose(deltas, period=period)
    community.world.later(HOUR_S)
    return proposed.gas_used + community.finalize(deltas, period=period).gas_used


@pytest.fixture
def fresh() -> World:
    return World(START)


@pytest.mark.slow
@pytest.mark.parametrize(("windows", "name"), [(1, "1_window"), (96, "96_windows")])
@pytest.mark.parametrize("disputed", [False, True])
def test_a_settlement_of_a_thousand_members_costs_what_the_snapshot_says(
    fresh: World, windows: int, name: str, disputed: bool
) -> None:
    community = neighbourhood(fresh, windows, disputed=disputed)
    label = ("propose_and_finalize_" if disputed else "settle_") + name
    with fresh.undone():
        gas = checked(label, run(community, day_deltas(), second(community)))
        assert gas <= MOST[label] * MEMBERS
    if label == "settle_1_window":
        fresh.at(second(community) + community.period_s + 10)
        # As the service sends it: naming what a transaction touches makes it cheaper.
        slots = market_calls.slots_of_settlement(MEMBERS // 4, by_operator=True)
        label += "_access_list"
        gas = checked(label, run(community, day_deltas(), second(community), slots))
        assert gas <= MOST[label] * MEMBERS


def test_what_members_do_costs_what_the_snapshot_says(fresh: World) -> None:
    daily = funded(Community.create(fresh))
    member = daily.parties.of_account(2)
    daily.fund(member, 10_000_000)
    checked("deposit", daily.send("deposit", 2, 5_000_000, sender=member).gas_used)
    deadline = FIRST_PERIOD
    signature = daily.sign_permit(member, 5_000_000, 0, deadline)
    arguments = (2, member.address, 5_000_000, 0, deadline, signature)
    checked("deposit_with_permit", daily.send("depositWithPermit", *arguments).gas_used)
    checked("request", daily.send("requestWithdrawal", 2, 9_000_000, sender=member).gas_used)
    daily.world.later(daily.config["withdrawalDelayS"])
    checked("withdraw", daily.send("withdraw", 2).gas_used)
    limits = {"account": 2, "validFrom": 0, "maxBuyPerKwh": 250_000, "minSellPerKwh": 0, "nonce": 1}
    checked(
        "set_limits", daily.send("setLimits", limits, daily.sign_limits(limits, member)).gas_used
    )
    owners = [Web3.to_checksum_address((2**150 + i).to_bytes(20)) for i in range(200)]
    checked("enrol_200", daily.send("enrolMany", 5, owners).gas_used)


def test_the_market_leaves_room_in_its_contract() -> None:
    size = checked("market_bytes", len(contracts.load("EnergyMarket").deployed_bytecode))
    assert EIP_170_BYTES - size >= 4_500
