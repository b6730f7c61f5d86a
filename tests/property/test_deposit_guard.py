"""Over random charges: a guarded charge never costs more than its deposit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from charging.guard import Guard
from charging.tariffs import ChargeTariff, cost_micro_down

prices = st.one_of(st.sampled_from((0, 1, 390_000, 12_000_000)), st.integers(0, 10**8))
tariffs = st.builds(
    ChargeTariff,
    energy_per_kwh=prices,
    start_fee=prices,
    time_per_hour=prices,
    idle_per_hour=prices,
)
guards = st.builds(
    Guard,
    tariff=tariffs,
    power_w=st.sampled_from((1_380, 3_680, 11_000, 22_000, 350_000)),
    interval_s=st.sampled_from((1, 10, 60, 900)),
    reaction_s=st.sampled_from((0, 1, 30, 120)),
)


@settings(max_examples=200)
@given(guard=guards, extra=st.integers(0, 10**7), data=st.data())
def test_a_charge_that_the_guard_watches_never_costs_more_than_its_deposit(
    guard: Guard, extra: int, data: st.DataObject
) -> None:
    deposit_micro = guard.deposit_micro_min + extra
    mws, time_s, idle_s = 0, 0, 0  # Energy in W·s, so that no fraction of a Wh is lost.
    for _ in range(60):
        verdict = guard.check(
            energy_wh=mws // 3_600, time_s=time_s, idle_s=idle_s, deposit_micro=deposit_micro
        )
        span_s = guard.reaction_s if verdict.stop else guard.interval_s
        idles = data.draw(st.booleans())
        drawn_w = data.draw(st.sampled_from((0, 1, guard.power_w // 2, guard.power_w)))
        mws += 0 if idles else drawn_w * span_s
        idle_s += span_s if idles else 0
        time_s += 0 if idles else span_s
        if verdict.stop:
            break
    cost_micro = cost_micro_down(guard.tariff, energy_wh=mws // 3_600, time_s=time_s, idle_s=idle_s)
    assert cost_micro <= deposit_micro


@given(guard=guards)
def test_the_smallest_deposit_is_good_for_a_kwh_at_full_power(guard: Guard) -> None:
    deposit_micro = guard.deposit_micro_min
    seconds = 3_600_000 // guard.power_w
    for s in range(0, seconds + 1, guard.interval_s):
        verdict = guard.check(
            energy_wh=guard.power_w * s // 3_600, time_s=s, idle_s=0, deposit_micro=deposit_micro
        )
        assert not verdict.stop


@given(
    guard=guards,
    deposit_micro=st.integers(0, 10**9),
    energy_wh=st.integers(0, 10**5),
    s=st.integers(0, 86_400),
    age_s=st.integers(0, 4_000),
)
def test_what_the_verdict_says_is_left_is_left(
    guard: Guard, deposit_micro: int, energy_wh: int, s: int, age_s: int
) -> None:
    tariff = guard.tariff
    verdict = guard.check(
        energy_wh=energy_wh, time_s=s, idle_s=0, deposit_micro=deposit_micro, age_s=age_s
    )
    assert 0 <= verdict.limit_w <= guard.power_w

    def cost_micro(more_wh: int, more_s: int) -> int:
        return cost_micro_down(tariff, energy_wh=energy_wh + more_wh, time_s=s + more_s, idle_s=0)

    if verdict.stop:
        assert verdict.lasts_s in {0, None}
        return
    assert cost_micro(0, 0) <= deposit_micro
    if verdict.lasts_s is not None:
        lasts_s = verdict.lasts_s
        assert cost_micro(guard.power_w * lasts_s // 3_600, lasts_s) <= deposit_micro
    if verdict.limit_wh is not None:
        assert cost_micro(verdict.limit_wh, 0) <= deposit_micro
    if verdict.limit_s is not None:
        limit_s = verdict.limit_s
        assert cost_micro(guard.power_w * limit_s // 3_600, limit_s) <= deposit_micro
