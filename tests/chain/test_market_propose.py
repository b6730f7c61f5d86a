"""What may be published, when, and by whom."""

import pytest
from web3 import Web3

from tests.chain.evm_world import reverts
from tests.chain.market_world import (
    DAY_S,
    FIRST_PERIOD,
    HOUR_S,
    MID_MARKET,
    TARIFF,
    Community,
    delta_words,
    deltas_root,
    price_word,
    windows_hash,
)

PERIOD_S = 4 * HOUR_S
FLAT = [0] * 5
MINE = [30, 20, -100, 50, 0]


def commitment(deltas: list[int], *, run: int = 0, cutoff_at: int, prices: list[int]) -> bytes:
    """INTERFACES §5, word by word."""
    parts = (
        b"\x01" * 32,
        windows_hash(prices, b"\x02" * 32),
        deltas_root(delta_words(deltas)),
        run.to_bytes(32),
        cutoff_at.to_bytes(32),
    )
    return bytes(Web3.keccak(b"".join(parts)))


def test_a_proposal_stores_one_commitment_and_logs_its_parts(disputed: Community) -> None:
    disputed.end_of()
    done = disputed.propose(MINE)
    prices = [price_word(MID_MARKET)] * 4
    cutoff_at = FIRST_PERIOD + PERIOD_S
    assert done.events == [
        (
            "Proposed",
            {
                "periodStart": FIRST_PERIOD,
                "run": 0,
                "cutoffAt": cutoff_at,
                "statementsRoot": b"\x01" * 32,
                "windowsHash": windows_hash(prices, b"\x02" * 32),
                "deltasRoot": deltas_root(delta_words(MINE)),
            },
        )
    ]
    stored = disputed.read("commitmentOf", FIRST_PERIOD, 0)
    assert stored == commitment(MINE, cutoff_at=cutoff_at, prices=prices)
    assert disputed.read("pending") == (FIRST_PERIOD, 0, disputed.world.now, 1)


def test_a_proposal_by_a_stranger_is_refused(disputed: Community, daily: Community) -> None:
    stranger = disputed.parties.stranger
    disputed.end_of()
    with reverts("EnergyMarket_NotOperator", stranger.address):
        disputed.propose(FLAT, sender=stranger)
    daily.end_of()
    with reverts("EnergyMarket_NotOperator", stranger.address):
        daily.settle(FLAT, sender=stranger)


def test_propose_and_settle_each_belong_to_one_kind_of_community(
    disputed: Community, daily: Community
) -> None:
    daily.end_of()
    with reverts("EnergyMarket_DisputePeriodIsZero"):
        daily.propose(FLAT)
    with reverts("EnergyMarket_DisputePeriodIsNotZero", HOUR_S):
        disputed.settle(FLAT)


def test_a_second_proposal_waits_for_the_first(disputed: Community) -> None:
    disputed.end_of()
    disputed.propose(FLAT)
    with reverts("EnergyMarket_ProposalPending", FIRST_PERIOD, 0):
        disputed.propose(FLAT)


def test_run_0_goes_period_by_period(daily: Community) -> None:
    daily.world.at(FIRST_PERIOD + 9 * DAY_S)
    assert daily.read("nextPeriodStart") == FIRST_PERIOD
    for period in (FIRST_PERIOD + DAY_S, FIRST_PERIOD - DAY_S, 0):
        with reverts("EnergyMarket_NotNextPeriod", period, FIRST_PERIOD):
            daily.settle(FLAT, period=period)
    daily.settle(FLAT)
    with reverts("EnergyMarket_NotNextPeriod", FIRST_PERIOD, FIRST_PERIOD + DAY_S):
        daily.settle(FLAT)
    daily.settle(FLAT, period=FIRST_PERIOD + DAY_S)
    assert daily.read("nextPeriodStart") == FIRST_PERIOD + 2 * DAY_S


@pytest.mark.parametrize("run", [0, 1])
def test_an_unaligned_period_is_refused(daily: Community, run: int) -> None:
    daily.world.at(FIRST_PERIOD + 9 * DAY_S)
    daily.settle(FLAT)
    period = FIRST_PERIOD + DAY_S - 900
    with reverts("EnergyMarket_PeriodUnaligned", period):
        daily.settle(FLAT, period=period, run=run)


def test_run_n_needs_run_n_minus_1(daily: Community) -> None:
    daily.world.at(FIRST_PERIOD + 9 * DAY_S)
    with reverts("EnergyMarket_NotNextRun", FIRST_PERIOD, 1, 0):
        daily.settle(FLAT, run=1)
    daily.settle(FLAT)
    assert daily.read("finalRuns", FIRST_PERIOD) == 1
    with reverts("EnergyMarket_NotNextRun", FIRST_PERIOD, 2, 1):
        daily.settle(FLAT, run=2)
    daily.settle(FLAT, run=1)
    assert daily.read("finalRuns", FIRST_PERIOD) == 2
    assert daily.read("finalRuns", FIRST_PERIOD + DAY_S) == 0
    assert daily.read("finalRuns", FIRST_PERIOD + 900) == 0
    with reverts("EnergyMarket_NotNextRun", FIRST_PERIOD, 1, 2):
        daily.settle(FLAT, run=1)


def test_a_period_is_proposed_from_its_end_on(daily: Community) -> None:
    ends_at = FIRST_PERIOD + DAY_S
    daily.world.at(ends_at - 1)
    with reverts("EnergyMarket_PeriodNotEnded", FIRST_PERIOD, ends_at):
        daily.settle(FLAT)
    daily.world.at(ends_at)
    daily.settle(FLAT)


def test_the_cutoff_lies_between_the_periods_end_and_block_time(daily: Community) -> None:
    ends_at = FIRST_PERIOD + DAY_S
    now = ends_at + 50
    daily.world.at(now)
    for cutoff_at in (ends_at - 1, now + 1, 0, 2**64 - 1):
        with reverts("EnergyMarket_CutoffOutOfRange", cutoff_at, ends_at, now):
            daily.settle(FLAT, cutoffAt=cutoff_at)
    for cutoff_at in (ends_at, now):
        with daily.world.undone():
            daily.world.at(now)
            daily.settle(FLAT, cutoffAt=cutoff_at)


def test_a_revision_comes_a_whole_period_length_after_the_last_one(daily: Community) -> None:
    daily.end_of()
    daily.settle(FLAT)
    daily.settle(FLAT, run=1)  # the first one needs to wait for nobody
    applied_at = daily.world.now
    assert daily.read("lastRevisionAt") == applied_at
    with reverts("EnergyMarket_RevisionTooSoon", applied_at + DAY_S):
        daily.settle(FLAT, run=2)
    daily.world.at(applied_at + DAY_S - 1)
    with reverts("EnergyMarket_RevisionTooSoon", applied_at + DAY_S):
        daily.settle(FLAT, run=2)
    daily.settle(FLAT, period=FIRST_PERIOD + DAY_S)  # run 0 does not wait
    daily.world.at(applied_at + DAY_S + 5)
    daily.settle(FLAT, run=2)


@pytest.mark.parametrize("count", [0, 95, 97])
def test_there_is_one_price_word_a_window(daily: Community, count: int) -> None:
    daily.end_of()
    with reverts("EnergyMarket_WrongPriceCount", count, 96):
        daily.settle(FLAT, prices=[price_word(MID_MARKET)] * count)


@pytest.mark.parametrize("field", ["gridImportPerKwh", "gridExportPerKwh", "localFeePerKwh"])
def test_a_price_word_has_the_tariff_in_force(daily: Community, field: str) -> None:
    daily.end_of()
    wrong = price_word(MID_MARKET, TARIFF | {field: TARIFF[field] + 1})
    prices = [price_word(MID_MARKET)] * 95 + [wrong]
    with reverts("EnergyMarket_WrongTariff", 95, wrong, price_word(0)):
        daily.settle(FLAT, prices=prices)


@pytest.mark.parametrize("local", [MID_MARKET - 1, MID_MARKET + 1, MID_MARKET + 2**32, 2**159])
def test_a_mid_market_price_is_the_rules(daily: Community, local: int) -> None:
    daily.end_of()
    prices = [price_word(local)] + [price_word(MID_MARKET)] * 95
    with reverts("EnergyMarket_PriceOutOfBounds", 0, local, MID_MARKET, MID_MARKET):
        daily.settle(FLAT, prices=prices)


@pytest.mark.parametrize("words", [0, 1, 3])
def test_there_is_one_delta_word_for_four_accounts(daily: Community, words: int) -> None:
    daily.end_of()
    with reverts("EnergyMarket_WrongDeltaCount", words, 2):
        daily.settle(FLAT, words=[0] * words)


@pytest.mark.parametrize("lane", [1, 2, 3])
@pytest.mark.parametrize("amount", [1, -1, 2**63 - 1])
def test_a_lane_beyond_the_last_account_is_zero(daily: Community, lane: int, amount: int) -> None:
    daily.end_of()
    last = (amount << 64 * lane) % 2**256
    with reverts("EnergyMarket_UnusedLanes", last, 1):
        daily.settle(FLAT, words=[0, last])


def test_a_negative_amount_in_the_last_account_borrows_from_unused_lanes(daily: Community) -> None:
    daily.end_of()
    daily.settle([7, 0, 0, 0, -7])
    assert daily.read("balanceOf", 4) == 10**11 - 7


def test_a_full_last_word_has_no_unused_lanes(daily: Community) -> None:
    for account in (5, 6, 7):
        daily.send("enrol", account, daily.parties.stranger.address)
    daily.end_of()
    daily.settle([-7, 0, 0, 0, 0, 0, 0, 7])
    assert daily.read("balanceOf", 7) == 7


def shorts(*accounts: int, shortfall_nano: int = 1) -> list[dict[str, int]]:
    return [{"account": account, "shortfallNano": shortfall_nano} for account in accounts]


def test_a_short_account_pays_all_it_has_and_account_0_the_rest(daily: Community) -> None:
    daily.end_of()
    deltas = [-5, 10**11 + 5 + 10**11, -(10**11), 0, -(10**11)]
    done = daily.settle(deltas, shorts=shorts(2, shortfall_nano=5) + shorts(4, shortfall_nano=9))
    assert [event for event in done.events if event[0] == "Shortfall"] == [
        ("Shortfall", {"periodStart": FIRST_PERIOD, "run": 0, "account": a, "shortfallNano": s})
        for a, s in ((2, 5), (4, 9))
    ]
    assert daily.balances() == [10**11 - 5, 3 * 10**11 + 5, 0, 10**11, 0]


@pytest.mark.parametrize(
    ("listed", "wrong", "previous"), [((0,), 0, 0), ((3, 2), 2, 3), ((2, 2), 2, 2)]
)
def test_short_accounts_ascend_and_account_0_is_none(
    daily: Community, listed: tuple[int, ...], wrong: int, previous: int
) -> None:
    daily.end_of()
    deltas = [0, 2 * 10**11, -(10**11), -(10**11), 0]
    with reverts("EnergyMarket_ShortsOutOfOrder", wrong, previous):
        daily.settle(deltas, shorts=shorts(*listed))


def test_a_short_account_is_enrolled(daily: Community) -> None:
    daily.end_of()
    for account in (5, 2**32 - 1):
        with reverts("EnergyMarket_UnknownAccount", account):
            daily.settle(FLAT, shorts=shorts(account))


def test_a_shortfall_of_nothing_is_refused(daily: Community) -> None:
    daily.end_of()
    with reverts("EnergyMarket_ZeroShortfall", 2):
        daily.settle([10**11, 0, -(10**11), 0, 0], shorts=shorts(2, shortfall_nano=0))


@pytest.mark.parametrize("delta", [-(10**11) + 1, -(10**11) - 1, 0, 10**11])
def test_a_short_account_pays_neither_more_nor_less_than_it_has(
    daily: Community, delta: int
) -> None:
    daily.end_of()
    with reverts("EnergyMarket_ShortTakesNotAll", 2, delta, 10**11):
        daily.settle([-delta, 0, delta, 0, 0], shorts=shorts(2))


def test_a_matured_request_is_left_to_a_short_account(daily: Community) -> None:
    daily.send("requestWithdrawal", 3, 60_000_000, sender=daily.parties.of_account(3))
    daily.end_of(FIRST_PERIOD + 6 * DAY_S)
    available = 4 * 10**10
    # Neighbours that borrow from the lane are no matter.
    deltas = [available + 2, 0, -1, -available, -1]
    daily.settle(deltas, shorts=shorts(3))
    assert daily.send("withdraw", 3).events[0][1]["amountMicro"] == 60_000_000
    assert daily.read("balanceOf", 3) == 0
