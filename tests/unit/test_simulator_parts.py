"""Clocks, meters, limits, values and settings of a simulated charge point."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from charging.simulator.clock import RunningClock, ScriptClock
from charging.simulator.connectors import Connector, Reading, Transaction
from charging.simulator.errors import BadPointSetting, BadScript
from charging.simulator.faults import MEANING, Fault, faults_named
from charging.simulator.limits import limit_w_of
from charging.simulator.link import Line
from charging.simulator.point import ChargePoint, _moments
from charging.simulator.script import ScriptedSession
from charging.simulator.values import BEGIN, PERIODIC, sampled_values

T0 = datetime(2016, 6, 1, 10, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NO_FAULTS: frozenset[Fault] = frozenset()


def connector(*, wanted_wh: int | None = None, power_w: int = 7_200) -> Connector:
    charging = Connector(
        connector_id=1,
        register_ws=910_000 * 3_600,
        power_w_max=power_w,
        measured_at=T0,
        driven=True,
        wanted_ws=None if wanted_wh is None else wanted_wh * 3_600,
        transaction=Transaction(
            local_id="t",
            connector_id=1,
            id_token="",
            remote_start_id=None,
            started_at=T0,
            start_wh=910_000,
        ),
    )
    charging.flow()
    return charging


def test_energy_is_power_times_seconds_however_often_it_is_measured() -> None:
    often, once = connector(), connector()
    for second in range(1, 3_601):
        often.advance(T0 + timedelta(seconds=second, milliseconds=second % 1_000))
    once.advance(T0 + 60 * MINUTE)
    assert often.register_ws == once.register_ws == (910_000 + 7_200) * 3_600


def test_a_full_car_takes_no_more() -> None:
    car = connector(wanted_wh=1_000)
    assert car.full_at() == T0 + timedelta(seconds=500)
    car.advance(T0 + 60 * MINUTE)
    assert (car.register_wh, car.full, car.power_w, car.full_at()) == (911_000, True, 0, None)


def test_a_limit_holds_from_when_it_is_set() -> None:
    car = connector()
    car.advance(T0 + 30 * MINUTE)
    car.limit_w = 3_600
    car.flow()
    car.advance(T0 + 60 * MINUTE)
    assert car.register_wh == 910_000 + 3_600 + 1_800
    car.limit_w = 0
    car.flow()
    car.advance(T0 + 90 * MINUTE)
    assert car.register_wh == 910_000 + 3_600 + 1_800


def test_time_that_runs_backwards_counts_nothing() -> None:
    car = connector()
    car.advance(T0 - 60 * MINUTE)
    assert car.register_wh == 910_000
    assert car.measured_at == T0


def profile(unit: str, *periods: dict[str, Any]) -> dict[str, Any]:
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": list(periods)}
    return {"chargingSchedule": schedule}


@pytest.mark.parametrize(
    ("given", "elapsed_s", "limit_w"),
    [
        (profile("W", {"startPeriod": 0, "limit": Decimal("3680.9")}), 0, 3_680),
        (profile("A", {"startPeriod": 0, "limit": 16}), 0, 11_040),
        (profile("A", {"startPeriod": 0, "limit": 16, "numberPhases": 1}), 0, 3_680),
        (profile("W", {"startPeriod": 0, "limit": 9}, {"startPeriod": 60, "limit": 5}), 59, 9),
        (profile("W", {"startPeriod": 0, "limit": 9}, {"startPeriod": 60, "limit": 5}), 60, 5),
        (profile("W", {"startPeriod": 0, "limit": -1}), 0, 0),
        (profile("W", {"startPeriod": 60, "limit": 5}), 0, None),
        (
            {
                "chargingSchedule": [
                    profile("W", {"startPeriod": 0, "limit": 7})["chargingSchedule"]
                ]
            },
            0,
            7,
        ),
        ({"chargingSchedule": []}, 0, None),
        ({}, 0, None),
    ],
)
def test_a_profile_states_watts(given: dict[str, Any], elapsed_s: int, limit_w: int | None) -> None:
    assert limit_w_of(given, elapsed_s=elapsed_s) == limit_w


READING = Reading(at=T0, register_wh=12_345, power_w=7_200)


@pytest.mark.parametrize(
    ("fault", "place", "text", "unit"),
    [
        (None, 1, "12345", "Wh"),
        (Fault.FLOAT_NOISE, 1, "12.345000000000002", "kWh"),
        (Fault.MIXED_UNITS, 0, "12345", "Wh"),
        (Fault.MIXED_UNITS, 1, "12.345", "kWh"),
        (Fault.BEGIN_ZERO, 1, "12345", "Wh"),
    ],
)
def test_a_register_is_worded_as_its_fault_wants(
    fault: Fault | None, place: int, text: str, unit: str
) -> None:
    faults = frozenset({fault}) if fault else NO_FAULTS
    energy = sampled_values(READING, context=PERIODIC, faults=faults, place=place)[0]
    assert (energy.text, energy.unit) == (text, unit)


def test_a_batch_without_energy_has_power_still() -> None:
    faults = frozenset({Fault.NO_ENERGY})
    values = sampled_values(READING, context=PERIODIC, faults=faults, place=1)
    assert [value.measurand for value in values] == ["Power.Active.Import", "Voltage"]


def test_a_first_value_of_zero_is_only_the_first() -> None:
    values = sampled_values(READING, context=BEGIN, faults=frozenset({Fault.BEGIN_ZERO}), place=0)
    assert values[0].text == "0"


def test_every_fault_has_a_meaning_and_a_name_of_its_own() -> None:
    assert set(MEANING) == set(Fault)
    assert len(set(MEANING.values())) == len(Fault)
    assert faults_named(["vanishes", "duplicates"]) == {Fault.VANISHES, Fault.DUPLICATES}
    with pytest.raises(BadPointSetting, match="'sulks' is none of offline-replay"):
        faults_named(["sulks"])


def test_a_script_clock_wakes_sleepers_in_the_order_of_their_times() -> None:
    async def scenario() -> list[tuple[str, datetime]]:
        clock = ScriptClock(T0)
        woken: list[tuple[str, datetime]] = []

        async def sleep(name: str, minutes: int) -> None:
            await clock.sleep_until(T0 + minutes * MINUTE)
            woken.append((name, clock.now_at()))

        tasks = [asyncio.create_task(sleep(name, m)) for name, m in (("c", 9), ("a", 1), ("b", 5))]
        await asyncio.sleep(0)
        await clock.reach(T0 + 6 * MINUTE)
        assert [name for name, _ in woken] == ["a", "b"]
        await clock.reach(T0 + 2 * MINUTE)
        assert clock.now_at() == T0 + 6 * MINUTE
        await clock.reach(T0 + 10 * MINUTE)
        await asyncio.gather(*tasks)
        return woken

    assert asyncio.run(scenario()) == [
        ("a", T0 + MINUTE),
        ("b", T0 + 5 * MINUTE),
        ("c", T0 + 9 * MINUTE),
    ]


def test_a_fast_clock_runs_as_often_as_it_says() -> None:
    async def scenario() -> None:
        clock = RunningClock(speed=10_000, start_at=T0)
        await clock.reach(T0 + 5 * MINUTE)
        assert T0 + 5 * MINUTE <= clock.now_at() < T0 + 60 * MINUTE

    asyncio.run(scenario())
    with pytest.raises(BadPointSetting, match="speed"):
        RunningClock(speed=0)


def test_meter_values_are_at_boundaries_at_given_times_and_at_the_end() -> None:
    until = T0 + 40 * MINUTE
    also = [T0, T0 + 10 * MINUTE, until + MINUTE]
    minutes = [(at - T0) // MINUTE for at in _moments(T0, until, 900, also)]
    assert minutes == [8, 10, 23, 38, 40]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000/ocpp/CP%2F1"),
        ("wss://example.org/", "wss://example.org/ocpp/CP%2F1"),
        ("ws://example.org/central/", "ws://example.org/central/CP%2F1"),
    ],
)
def test_an_address_ends_in_the_charge_points_id(url: str, address: str) -> None:
    line = Line(url=url, charge_point_id="CP/1", password=None, subprotocol="", version="1.6")
    assert line.address == address


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("protocol", "2.1"),
        ("connectors", 0),
        ("connectors", 101),
        ("power_w", 0),
        ("interval_s", -1),
        ("register_wh", -1),
        ("register_wh", 10**12 + 1),
    ],
)
def test_a_charge_point_that_cannot_exist_names_its_setting(field: str, value: object) -> None:
    with pytest.raises(BadPointSetting, match=f"field={field}"):
        ChargePoint("ws://127.0.0.1", "CP1", None, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:8000", "ws://", ""])
def test_an_address_that_is_no_websockets_is_refused(url: str) -> None:
    with pytest.raises(BadPointSetting, match="field=url"):
        ChargePoint(url, "CP1", None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"plugout_at": T0}, "plugout_at"),
        ({"full_at": T0}, "full_at"),
        ({"full_at": T0 + 61 * MINUTE}, "full_at"),
        ({"energy_wh": -1}, "energy_wh"),
    ],
)
def test_a_session_that_cannot_have_been_is_refused(changes: dict[str, Any], field: str) -> None:
    sound: dict[str, Any] = {
        "plugin_at": T0,
        "plugout_at": T0 + 60 * MINUTE,
        "energy_wh": 7_000,
    }
    with pytest.raises(BadScript, match=field):
        ScriptedSession(**(sound | changes))


def test_a_session_charges_at_full_power_and_then_stands() -> None:
    session = ScriptedSession(plugin_at=T0, plugout_at=T0 + 90 * MINUTE, energy_wh=7_200)
    assert session.charges_until(T0, 7_200) == T0 + 60 * MINUTE
    assert session.charges_until(T0, 3_600) == T0 + 90 * MINUTE
    assert session.charges_until(T0, 7_199) == T0 + timedelta(seconds=3_601)
