"""What a run may do to balances, through `settle` and through `finalize`."""

import pytest

from tests.chain.evm_world import World, reverts
from tests.chain.market_world import (
    DAY_S,
    FIRST_PERIOD,
    HOUR_S,
    TARIFF,
    Community,
    delta_words,
)

HELD = 10**11  # On each account.
CAP = 96 * 50_000 * TARIFF["gridImportPerKwh"]  # Of a member, run 0.
BALANCE_MAX = 2**51 - 1
FLAT = [0] * 5


def test_a_settlement_moves_each_balance_by_its_delta_and_no_token(daily: Community) -> None:
    deltas = [-70, 20, 100, -60, 10]
    daily.end_of()
    done = daily.settle(deltas)
    assert [name for name, _ in done.events] == ["Proposed", "Finalized"]
    assert done.events[-1][1] == {"periodStart": FIRST_PERIOD, "run": 0}
    assert daily.balances() == [HELD + delta for delta in deltas]
    assert daily.held_micro() * 1_000 == sum(daily.balances())
    assert daily.read("pending") == (0, 0, 0, 0)
    assert daily.read("nextPeriodStart") == FIRST_PERIOD + DAY_S


def test_an_account_may_pay_its_last_nano_and_not_one_more(daily: Community) -> None:
    daily.end_of()
    with reverts("EnergyMarket_Overdrawn", 3, HELD + 1, HELD):
        daily.settle([HELD + 1, 0, 0, -HELD - 1, 0])
    daily.settle([HELD, 0, 0, -HELD, 0])
    assert daily.read("balanceOf", 3) == 0


def test_an_overdrawn_account_is_found_when_its_neighbour_gains(daily: Community) -> None:
    """The lane above lends what is missing: the words alone would not tell."""
    daily.end_of()
    with reverts("EnergyMarket_Overdrawn", 0, 2 * HELD, HELD):
        daily.settle([-2 * HELD, 2 * HELD, 0, 0, 0])
    with reverts("EnergyMarket_Overdrawn", 2, 2**63, HELD):
        daily.settle([0, 0, -(2**63), 2**63 - 1, 1])


@pytest.mark.parametrize("excess", [1, -1, 10**9])
def test_money_is_neither_made_nor_lost(daily: Community, excess: int) -> None:
    daily.end_of()
    with reverts("EnergyMarket_Unbalanced", excess):
        daily.settle([-70, 20, 100, -60, 10 + excess])


def test_lane_sums_that_wrap_around_make_no_money(daily: Community) -> None:
    """Four times 2^62 is zero modulo 2^64: a test of the wrapped sum would pass this."""
    daily.end_of()
    quarter = 2**62
    with reverts("EnergyMarket_BalanceTooLarge", 0, HELD + quarter, BALANCE_MAX):
        daily.settle([quarter, quarter, quarter, quarter, 0])
    with reverts("EnergyMarket_BalanceTooLarge", 1, HELD + 2**51, BALANCE_MAX):
        daily.settle([-1, 2**51, -(2**51) + 1, 0, 0])


def test_a_balance_reaches_its_maximum_and_not_one_nano_more(evm: World) -> None:
    with evm.undone():
        rich = Community.create(evm, debitMaxWh=10**8, supplierDebitMaxNano=2**64 - 1)
        for account in range(4):
            rich.deposit(account, 2**50 // 1_000)
        held = 2**50 // 1_000 * 1_000
        missing = BALANCE_MAX - held
        rich.end_of()
        with reverts("EnergyMarket_BalanceTooLarge", 4, BALANCE_MAX + 1, BALANCE_MAX):
            rich.settle([-held, -held, held - missing - 1, 0, BALANCE_MAX + 1])
        rich.settle([-held, held - missing, 0, missing, 0])
        assert rich.read("balanceOf", 3) == BALANCE_MAX
        with reverts("EnergyMarket_BalanceTooLarge", 3, BALANCE_MAX + 1, BALANCE_MAX):
            rich.settle([0, 0, -1, 1, 0], run=1)


@pytest.fixture
def capped(evm: World) -> Community:
    """Everybody has more than the caps let go."""
    with evm.undone():
        community = Community.create(evm, debitMaxWh=1_000, supplierDebitMaxNano=5_000_000)
        for account in range(5):
            community.deposit(account, 10**9)
        community.end_of()
        yield community


def test_a_members_debit_is_capped_by_its_connection(capped: Community) -> None:
    cap = 96 * 1_000 * 300_000
    for member in (2, 3, 4):
        deltas = [0] * 5
        deltas[0], deltas[member] = cap + 1, -cap - 1
        with reverts("EnergyMarket_AboveDebitCap", member, cap + 1, cap):
            capped.settle(deltas)
    capped.settle([3 * cap, 0, -cap, -cap, -cap])


def test_a_revision_may_debit_twice_the_cap(capped: Community) -> None:
    cap = 2 * 96 * 1_000 * 300_000
    capped.settle(FLAT)
    with reverts("EnergyMarket_AboveDebitCap", 4, cap + 1, cap):
        capped.settle([cap + 1, 0, 0, 0, -cap - 1], run=1)
    capped.settle([cap, 0, 0, 0, -cap], run=1)


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize("account", [0, 1])
def test_accounts_0_and_1_have_a_cap_of_their_own(
    capped: Community, run: int, account: int
) -> None:
    if run == 1:
        capped.settle(FLAT)
    deltas = [0, 0, 5_000_001, 0, 0]
    deltas[account] = -5_000_001
    with reverts("EnergyMarket_AboveDebitCap", account, 5_000_001, 5_000_000):
        capped.settle(deltas, run=run)
    deltas[2], deltas[account] = 5_000_000, -5_000_000
    capped.settle(deltas, run=run)


def test_the_cap_is_the_one_of_the_tariff_at_the_periods_start(capped: Community) -> None:
    capped.settle(FLAT)
    dearer = TARIFF | {"gridImportPerKwh": 600_000}
    starts_at = FIRST_PERIOD + 7 * DAY_S
    capped.send("announceTariff", dearer, starts_at, sender=capped.parties.owner)
    capped.world.later(5 * DAY_S)
    capped.send("enactTariff")
    assert capped.read("tariffAt", starts_at - 1) == (300_000, 80_000, 20_000, 0)
    assert capped.read("tariffAt", starts_at) == (600_000, 80_000, 20_000, 0)
    cap = 2 * 96 * 1_000 * 300_000
    with reverts("EnergyMarket_AboveDebitCap", 2, cap + 1, cap):
        capped.settle([cap + 1, 0, -cap - 1, 0, 0], run=1)


def test_a_shortfall_cannot_be_spent_twice_by_revisions_up_and_down(daily: Community) -> None:
    """Account 2 owes 150, has 100 (scaled), is revised down to 50, then up to 150 again."""
    unit = HELD // 100
    daily.end_of()
    short = [{"account": 2, "shortfallNano": 50 * unit}]
    daily.settle([-50 * unit, 150 * unit, -100 * unit, 0, 0], shorts=short)
    assert daily.balances()[:3] == [50 * unit, 250 * unit, 0]
    # applied = -100, amount = -50: it gets 50 back, not 100, for the other 50 it never paid; and
    # account 0, which had paid 50 for it, gets those back.
    daily.settle([50 * unit, -100 * unit, 50 * unit, 0, 0], run=1)
    assert daily.balances()[:3] == [100 * unit, 150 * unit, 50 * unit]
    # applied = -50, amount = -150: the bill of 100 meets a balance of 50.
    daily.world.later(DAY_S)
    with reverts("EnergyMarket_Overdrawn", 2, 100 * unit, 50 * unit):
        daily.settle([0, 100 * unit, -100 * unit, 0, 0], run=2)
    daily.settle([-50 * unit, 100 * unit, -50 * unit, 0, 0], run=2, shorts=short)
    assert daily.balances()[:3] == [50 * unit, 250 * unit, 0]
    # A deposit later the shortfall is collected, and account 0 is whole.
    daily.deposit(2, 100_000_000)
    daily.world.later(DAY_S)
    daily.settle([50 * unit, 0, -50 * unit, 0, 0], run=3)
    assert daily.balances()[:3] == [100 * unit, 250 * unit, 50 * unit]


def test_a_run_is_applied_once(disputed: Community) -> None:
    deltas = [-10, 0, 10, 0, 0]
    disputed.end_of()
    disputed.propose(deltas)
    disputed.world.later(HOUR_S)
    disputed.finalize(deltas)
    assert disputed.balances() == [HELD - 10, HELD, HELD + 10, HELD, HELD]
    for _ in range(2):
        with reverts("EnergyMarket_NotPending", FIRST_PERIOD, 0):
            disputed.finalize(deltas)
        disputed.world.later(HOUR_S)


def test_only_the_pending_proposal_is_finalized(disputed: Community) -> None:
    disputed.end_of()
    with reverts("EnergyMarket_NotPending", FIRST_PERIOD, 0):
        disputed.finalize(FLAT)
    disputed.propose(FLAT)
    disputed.world.later(HOUR_S)
    for period, run in ((FIRST_PERIOD, 1), (FIRST_PERIOD + 4 * HOUR_S, 0)):
        with reverts("EnergyMarket_NotPending", period, run):
            disputed.finalize(FLAT, period=period, run=run)


def test_a_proposal_is_finalized_between_its_dispute_period_and_its_lapse(
    disputed: Community,
) -> None:
    disputed.end_of()
    disputed.propose(FLAT)
    proposed_at = disputed.world.now
    disputed.world.at(proposed_at + HOUR_S - 1)
    with reverts("EnergyMarket_DisputeOpen", proposed_at + HOUR_S):
        disputed.finalize(FLAT)
    for at in (proposed_at + HOUR_S, proposed_at + 2 * HOUR_S):
        with disputed.world.undone():
            disputed.world.at(at)
            disputed.finalize(FLAT)
    disputed.world.at(proposed_at + 2 * HOUR_S + 1)
    with reverts("EnergyMarket_Lapsed", FIRST_PERIOD, 0, proposed_at + 2 * HOUR_S):
        disputed.finalize(FLAT)


@pytest.mark.parametrize(
    "changes",
    [
        {"cutoffAt": FIRST_PERIOD + 4 * HOUR_S + 1},
        {"statementsRoot": b"\x03" * 32},
        {"windowsHash": b"\x03" * 32},
        {"words": delta_words([-11, 0, 11, 0, 0])},
        {"words": [*delta_words([-10, 0, 10, 0, 0]), 1]},
        {"words": [*delta_words([-10, 0, 10, 0, 0]), *[0] * 7]},
    ],
)
def test_finalize_takes_only_what_was_proposed(disputed: Community, changes: dict) -> None:
    deltas = [-10, 0, 10, 0, 0]
    disputed.end_of()
    disputed.propose(deltas)
    disputed.world.later(HOUR_S)
    with reverts("EnergyMarket_WrongCommitment"):
        disputed.finalize(deltas, **changes)


@pytest.mark.parametrize("words", [1, 3, 8])
def test_zero_words_within_the_last_chunk_change_nothing(disputed: Community, words: int) -> None:
    """They are its padding: the root is the same, and so is what happens."""
    deltas = [-10, 0, 10, 0, 0]
    disputed.end_of()
    disputed.propose(deltas)
    disputed.world.later(HOUR_S)
    padded = [*delta_words(deltas), *[0] * 7][:words]
    disputed.finalize(deltas, words=padded)
    assert disputed.balances() == [HELD - 10, HELD, HELD + 10, HELD, HELD]


@pytest.mark.parametrize(
    ("deltas", "error"),
    [
        ([1, 0, 0, 0, 0], "EnergyMarket_Unbalanced"),
        ([HELD + 1, 0, 0, 0, -HELD - 1], "EnergyMarket_Overdrawn"),
        ([2**51, 0, -(2**51), 0, 0], "EnergyMarket_BalanceTooLarge"),
    ],
)
def test_a_proposal_that_cannot_be_applied_is_cancelled_and_made_again(
    disputed: Community, deltas: list[int], error: str
) -> None:
    disputed.end_of()
    disputed.propose(deltas)
    disputed.world.later(HOUR_S)
    with reverts(error):
        disputed.finalize(deltas)
    disputed.send("cancel")
    disputed.propose(FLAT)
    disputed.world.later(HOUR_S)
    disputed.finalize(FLAT)


def test_members_enrolled_while_a_proposal_is_pending_are_not_touched(disputed: Community) -> None:
    deltas = [-10, 0, 0, 0, 10]
    disputed.end_of()
    disputed.propose(deltas)
    disputed.send("enrol", 5, disputed.parties.stranger.address)
    disputed.fund(disputed.parties.stranger, 7)
    disputed.send("deposit", 5, 7, sender=disputed.parties.stranger)
    disputed.world.later(HOUR_S)
    disputed.finalize(deltas)
    assert disputed.read("balanceOf", 4) == HELD + 10
    assert disputed.read("balanceOf", 5) == 7_000
    assert disputed.read("balanceWords", 0, 2)[1] == HELD + 10 + (7_000 << 64)
