"""Owner, operator and tariff: who may change what, and how long members have to leave."""

import pytest

from tests.chain.evm_world import World, reverts
from tests.chain.market_world import (
    DAY_S,
    FIRST_PERIOD,
    HOUR_S,
    TARIFF,
    ZERO,
    Community,
    price_word,
)

DELAY_S = 5 * DAY_S
FLAT = [0] * 5
NEXT = TARIFF | {"gridImportPerKwh": 400_000}


def announce(community: Community, starts_at: int, tariff: dict[str, int] = NEXT) -> None:
    community.send("announceTariff", tariff, starts_at, sender=community.parties.owner)


def test_ownership_is_handed_on_in_two_steps(daily: Community) -> None:
    owner, stranger = daily.parties.owner, daily.parties.stranger
    done = daily.send("announceOwner", stranger.address, sender=owner)
    assert done.events == [("OwnerAnnounced", {"owner": stranger.address})]
    assert daily.read("announcedOwner") == stranger.address
    assert daily.read("owner") == owner.address
    with reverts("EnergyMarket_NotAnnounced", owner.address):
        daily.send("acceptOwner", sender=owner)
    done = daily.send("acceptOwner", sender=stranger)
    assert done.events == [("OwnerChanged", {"owner": stranger.address})]
    assert daily.read("owner") == stranger.address
    assert daily.read("announcedOwner") == ZERO
    with reverts("EnergyMarket_NotOwner", owner.address):
        daily.send("announceOwner", owner.address, sender=owner)


def test_nobody_but_the_owner_announces_anything(daily: Community) -> None:
    operator = daily.parties.operator
    for name, arguments in (
        ("announceOwner", [operator.address]),
        ("announceOperator", [operator.address]),
        ("announceTariff", [NEXT, FIRST_PERIOD + 30 * DAY_S]),
    ):
        with reverts("EnergyMarket_NotOwner", operator.address):
            daily.send(name, *arguments, sender=operator)


def test_the_operator_changes_after_the_withdrawal_delay(daily: Community) -> None:
    owner, stranger = daily.parties.owner, daily.parties.stranger
    done = daily.send("announceOperator", stranger.address, sender=owner)
    assert done.events == [("OperatorAnnounced", {"operator": stranger.address})]
    announced_at = daily.world.now
    assert daily.read("announcedOperator") == (stranger.address, announced_at)
    daily.world.at(announced_at + DELAY_S - 1)
    with reverts("EnergyMarket_TooEarly", announced_at + DELAY_S):
        daily.send("acceptOperator", sender=stranger)
    daily.world.at(announced_at + DELAY_S)
    with reverts("EnergyMarket_NotAnnounced", owner.address):
        daily.send("acceptOperator", sender=owner)
    done = daily.send("acceptOperator", sender=stranger)
    assert done.events == [("OperatorChanged", {"operator": stranger.address})]
    assert daily.read("operator") == stranger.address
    assert daily.read("announcedOperator") == (ZERO, 0)
    with reverts("EnergyMarket_NotOperator", daily.parties.operator.address):
        daily.send("enrol", 5, owner.address)
    daily.send("enrol", 5, owner.address, sender=stranger)


def test_announcing_nobody_calls_a_change_of_operator_off(daily: Community) -> None:
    owner, stranger = daily.parties.owner, daily.parties.stranger
    daily.send("announceOperator", stranger.address, sender=owner)
    daily.send("announceOperator", ZERO, sender=owner)
    daily.world.later(DELAY_S)
    with reverts("EnergyMarket_NotAnnounced", stranger.address):
        daily.send("acceptOperator", sender=stranger)


def test_a_tariff_is_enacted_after_the_delay_and_binds_the_prices(daily: Community) -> None:
    starts_at = FIRST_PERIOD + 6 * DAY_S
    daily.world.at(FIRST_PERIOD)
    announce(daily, starts_at)
    announced_at = daily.world.now
    assert daily.read("announcedTariff") == ((400_000, 80_000, 20_000, 0), starts_at, announced_at)
    daily.world.at(announced_at + DELAY_S - 1)
    with reverts("EnergyMarket_TooEarly", announced_at + DELAY_S):
        daily.send("enactTariff", sender=daily.parties.stranger)
    daily.world.at(announced_at + DELAY_S)
    done = daily.send("enactTariff", sender=daily.parties.stranger)
    assert [name for name, _ in done.events] == ["TariffEnacted"]
    assert daily.read("announcedTariff") == ((0, 0, 0, 0), 0, 0)
    with reverts("EnergyMarket_NothingAnnounced"):
        daily.send("enactTariff")

    daily.world.at(starts_at + DAY_S)
    for day in range(6):
        daily.settle(FLAT, period=FIRST_PERIOD + day * DAY_S)
    with reverts("EnergyMarket_WrongTariff"):
        daily.settle(FLAT, period=starts_at)
    daily.settle(FLAT, period=starts_at, prices=[price_word(230_000, NEXT)] * 96)
    daily.settle(FLAT, period=FIRST_PERIOD, run=1)  # an old period keeps its old tariff


def test_a_tariff_starts_at_a_period_and_late_enough_to_leave(daily: Community) -> None:
    now = FIRST_PERIOD + DAY_S // 2
    daily.world.at(now)
    too_soon = FIRST_PERIOD + 5 * DAY_S
    with reverts("EnergyMarket_TariffTooSoon", too_soon, now + DELAY_S):
        announce(daily, too_soon)
    unaligned = FIRST_PERIOD + 6 * DAY_S + 900
    with reverts("EnergyMarket_TariffUnaligned", unaligned):
        announce(daily, unaligned)
    with reverts("EnergyMarket_TariffUnaligned"):
        announce(daily, 2**50 // DAY_S * DAY_S)
    announce(daily, FIRST_PERIOD + 6 * DAY_S)


def test_a_tariff_replaces_the_announced_one_and_an_enacted_one_of_the_same_start(
    daily: Community,
) -> None:
    starts_at = FIRST_PERIOD + 30 * DAY_S
    for price in (500_000, 600_000):
        announce(daily, starts_at, NEXT | {"gridImportPerKwh": price})
    daily.world.later(DELAY_S)
    daily.send("enactTariff")
    assert daily.read("tariffAt", starts_at)[0] == 600_000
    with reverts("EnergyMarket_TariffOutOfOrder", starts_at - DAY_S, starts_at):
        announce(daily, starts_at - DAY_S)
    announce(daily, starts_at, NEXT)
    daily.world.later(DELAY_S)
    daily.send("enactTariff")
    assert daily.read("tariffAt", starts_at)[0] == 400_000
    assert daily.read("tariffAt", starts_at - 1)[0] == 300_000
    assert daily.read("tariffAt", 2**64 - 1)[0] == 400_000
    assert daily.read("tariffAt", FIRST_PERIOD - 1) == (0, 0, 0, 0)


def test_a_tariff_is_too_late_once_its_first_period_is_settled(daily: Community) -> None:
    starts_at = FIRST_PERIOD + 5 * DAY_S
    announce(daily, starts_at)
    daily.world.at(starts_at + DAY_S)
    for day in range(6):
        daily.settle(FLAT, period=FIRST_PERIOD + day * DAY_S)
    with reverts("EnergyMarket_TariffTooLate", starts_at, starts_at + DAY_S):
        daily.send("enactTariff")


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_tariff_is_too_late_once_its_first_period_was_proposed(
    disputed: Community, cancelled: bool
) -> None:
    announced_at = FIRST_PERIOD - 8 * HOUR_S + 60
    disputed.world.at(announced_at)
    announce(disputed, FIRST_PERIOD)
    disputed.end_of()
    disputed.propose(FLAT)
    if cancelled:
        disputed.send("cancel")
    with reverts("EnergyMarket_TariffTooLate", FIRST_PERIOD, FIRST_PERIOD + 4 * HOUR_S):
        disputed.send("enactTariff")


@pytest.mark.parametrize(
    ("changes", "error", "facts"),
    [
        ({"gridImportPerKwh": 10**8 + 1}, "EnergyMarket_PriceTooHigh", (10**8 + 1, 10**8)),
        ({"localFeePerKwh": 220_001}, "EnergyMarket_NoMargin", (80_000, 220_001, 300_000)),
        ({"gridExportPerKwh": 2**32 - 1, "localFeePerKwh": 2**32 - 1}, "EnergyMarket_NoMargin", ()),
        ({"fixedPerKwh": 1}, "EnergyMarket_FixedOutOfBounds", (1, 0, 0)),
    ],
)
def test_an_impossible_tariff_is_refused(
    daily: Community, changes: dict[str, int], error: str, facts: tuple[int, ...]
) -> None:
    with reverts(error, *facts):
        announce(daily, FIRST_PERIOD + 30 * DAY_S, TARIFF | changes)


def test_a_tariff_may_be_at_all_its_bounds(daily: Community) -> None:
    highest = {"gridImportPerKwh": 10**8, "gridExportPerKwh": 10**8, "localFeePerKwh": 0}
    announce(daily, FIRST_PERIOD + 30 * DAY_S, highest | {"fixedPerKwh": 0})
    free = dict.fromkeys(TARIFF, 0)
    announce(daily, FIRST_PERIOD + 30 * DAY_S, free)


@pytest.mark.parametrize("fixed", [79_999, 280_001, 0])
def test_a_fixed_price_lies_between_its_bounds(evm: World, fixed: int) -> None:
    with reverts("EnergyMarket_FixedOutOfBounds", fixed, 80_000, 280_000):
        Community.create(evm, priceRule=1, tariff=TARIFF | {"fixedPerKwh": fixed})


def test_a_fixed_price_is_every_windows_price(evm: World) -> None:
    with evm.undone():
        fixed = Community.create(evm, priceRule=1, tariff=TARIFF | {"fixedPerKwh": 280_000})
        fixed.end_of()
        for wrong in (279_999, 280_001):
            with reverts("EnergyMarket_PriceOutOfBounds", 0, wrong, 280_000, 280_000):
                fixed.settle(FLAT, prices=[price_word(wrong)] * 96)
        fixed.settle(FLAT, prices=[price_word(280_000)] * 96)


@pytest.mark.parametrize("rule", [2, 3])
def test_other_rules_prices_lie_between_grid_export_and_import_less_fee(
    evm: World, rule: int
) -> None:
    with evm.undone():
        free = Community.create(evm, priceRule=rule)
        free.end_of()
        for wrong in (79_999, 280_001):
            with reverts("EnergyMarket_PriceOutOfBounds", 95, wrong, 80_000, 280_000):
                free.settle(FLAT, prices=[price_word(80_000)] * 95 + [price_word(wrong)])
        free.settle(FLAT, prices=[price_word(80_000)] * 95 + [price_word(280_000)])
