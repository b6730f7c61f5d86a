"""The deposit guard by worked examples: 0.36 per kWh, 11 kW, a value a minute, 30 s to react."""

from dataclasses import replace

import pytest

from charging.guard import Guard
from charging.points import Flow
from charging.tariffs import ChargeTariff
from ledger.errors import OutOfRange
from tests.charge_events import Telling, at, value

# 11 kW at 0.36 per kWh are 3.96 an hour: 1,100 micro a second. The reserve is 90 s and one Wh.
ENERGY = ChargeTariff(energy_per_kwh=360_000)
GUARD = Guard(tariff=ENERGY, power_w=11_000, interval_s=60)
RESERVE_MICRO = 90 * 1_100 + 360
WH_MICRO = 360


def stops(energy_wh: int, deposit_micro: int, guard: Guard = GUARD, age_s: int = 0) -> bool:
    verdict = guard.check(
        energy_wh=energy_wh, time_s=0, idle_s=0, deposit_micro=deposit_micro, age_s=age_s
    )
    return verdict.stop


def test_the_reserve_is_what_can_be_taken_until_the_charger_has_stopped() -> None:
    assert GUARD.reserve_micro == RESERVE_MICRO


def test_the_smallest_deposit_pays_one_kwh_and_the_reserve() -> None:
    # 1 kWh takes 327.3 s at 11 kW, 328 whole seconds.
    assert GUARD.deposit_micro_min == 328 * 1_100 + RESERVE_MICRO
    with_fee = replace(ENERGY, start_fee=500_000)
    assert replace(GUARD, tariff=with_fee).deposit_micro_min == 860_800 + RESERVE_MICRO


def test_a_charge_goes_on_while_the_reserve_is_whole_and_not_a_micro_longer() -> None:
    enough = 1_000 * WH_MICRO + RESERVE_MICRO
    assert not stops(1_000, enough)
    assert stops(1_000, enough - 1)


def test_what_was_taken_since_the_last_value_counts_as_full_power() -> None:
    enough = 1_000 * WH_MICRO + RESERVE_MICRO + 20 * 1_100
    assert not stops(1_000, enough, age_s=20)
    assert stops(1_000, enough, age_s=21)


def test_silence_stops_a_charge_in_time() -> None:
    ages = [age for age in range(0, 3_600, 60) if not stops(0, 1_000_000, age_s=age)]
    assert ages == list(range(0, 840, 60))  # (1,000,000 − 99,360) / 1,100 = 818 s.


def test_the_dearer_of_time_and_idling_is_reserved() -> None:
    tariff = ChargeTariff(time_per_hour=3_600, idle_per_hour=36_000)
    assert replace(GUARD, tariff=tariff).reserve_micro == 900


def test_the_start_fee_is_spent_at_once() -> None:
    guard = replace(GUARD, tariff=replace(ENERGY, start_fee=500_000))
    assert stops(0, 500_000 + RESERVE_MICRO - 1, guard)
    assert not stops(0, 500_000 + RESERVE_MICRO, guard)


def test_a_free_charge_lasts_for_ever() -> None:
    guard = replace(GUARD, tariff=ChargeTariff())
    verdict = guard.check(energy_wh=10**6, time_s=10**6, idle_s=0, deposit_micro=1)
    assert (verdict.stop, verdict.lasts_s, verdict.limit_wh) == (False, None, None)
    assert (verdict.limit_s, verdict.limit_w) == (None, 11_000)
    assert guard.deposit_micro_min == 1


def test_how_long_the_deposit_lasts_follows_from_the_power_drawn() -> None:
    deposit_micro = 1_000_000 + RESERVE_MICRO

    def lasts_s(drawn_w: int | None) -> int | None:
        verdict = GUARD.check(
            energy_wh=0, time_s=0, idle_s=0, deposit_micro=deposit_micro, drawn_w=drawn_w
        )
        return verdict.lasts_s

    assert lasts_s(None) == 909  # 1,000,000 / 1,100.
    assert lasts_s(5_500) == 1_818
    assert lasts_s(99_000) == 909
    assert lasts_s(0) is None


def test_the_limits_for_the_charger_follow_from_what_is_left() -> None:
    rich = GUARD.check(energy_wh=0, time_s=0, idle_s=0, deposit_micro=10_000_000)
    assert rich.limit_w == 11_000
    assert rich.limit_wh == (10_000_000 - RESERVE_MICRO) // WH_MICRO
    assert rich.limit_s == 10_000_000 // 1_100
    poor = GUARD.check(energy_wh=0, time_s=0, idle_s=0, deposit_micro=100_000)
    # Six intervals and the reaction are 390 s, and one Wh is kept: 99,640 / (390 · 0.1) W.
    assert poor.limit_w == 2_554
    assert not poor.stop
    assert GUARD.check(energy_wh=0, time_s=0, idle_s=0, deposit_micro=20_000).limit_w == 0


def test_a_charger_that_keeps_to_a_limit_may_go_on_longer() -> None:
    left = {"energy_wh": 0, "time_s": 0, "idle_s": 0, "deposit_micro": 60_000}
    assert GUARD.check(**left).stop
    assert not GUARD.check(**left, limited_w=5_000).stop


def test_a_measured_charge_is_judged_by_its_age() -> None:
    power = value("7000", measurand="Power.Active.Import")
    track = Telling().start(0, "0").says(300, "1000", power).track()
    enough = 1_000 * WH_MICRO + RESERVE_MICRO + 40 * 1_100
    assert not GUARD.check_measured(track.live(at(340)), enough).stop
    assert GUARD.check_measured(track.live(at(341)), enough).stop
    assert GUARD.check_measured(track.live(at(340)), enough + 7_000).lasts_s == 10


def test_a_measured_charge_without_any_value_is_as_old_as_its_start() -> None:
    live = Telling().start(0).flows(0, Flow.CHARGING).track().live(at(100))
    assert GUARD.check_measured(live, RESERVE_MICRO + 100 * 1_100).stop is False
    assert GUARD.check_measured(live, RESERVE_MICRO + 100 * 1_100 - 1).stop is True


@pytest.mark.parametrize(
    "wrong",
    [
        {"power_w": 0},
        {"power_w": 10**7 + 1},
        {"interval_s": 0},
        {"interval_s": 86_401},
        {"reaction_s": -1},
    ],
)
def test_a_guard_of_no_charger_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OutOfRange):
        Guard(**{"tariff": ENERGY, "power_w": 1, "interval_s": 1, **wrong})  # type: ignore[arg-type]
