"""What drivers pay at charge points with the faults of the field: never for too much."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from charging.simulator.faults import Fault
from charging.simulator.point import ChargePoint
from charging.tariffs import ChargeTariff, cost_micro_down
from tests.e2e.charging_service import (
    DEPOSIT_MICRO,
    REGISTER_WH,
    TARIFF,
    Driver,
    charger_section,
    charging_service,
)
from tests.once import made_once

PASSWORD = "open sesame"
ENERGY_WH = 12
WAITS_FOR = timedelta(seconds=5)  # Blocks of other sessions put the opening a little ahead.
CHARGES_FOR = timedelta(seconds=5)

EXACT = {
    Fault.OFFLINE_REPLAY: "1.6",
    Fault.STOP_BEFORE_START: "2.0.1",
    Fault.DUPLICATES: "1.6",
    Fault.DUPLICATES_NEW_ID: "2.0.1",
    Fault.ENDLESS_STOP: "1.6",
    Fault.TRANSACTION_MINUS_ONE: "1.6",
    Fault.NO_ENERGY: "2.0.1",
    Fault.LATE_VALUES: "1.6",
    Fault.FLOAT_NOISE: "2.0.1",
    Fault.MIXED_UNITS: "1.6",
    Fault.STOP_BELOW_START: "2.0.1",
    Fault.CLOCK_HOUR_OFF: "1.6",
    Fault.CLOCK_1970: "2.0.1",
    Fault.RECONNECT_STORM: "1.6",
    Fault.MALFORMED_FRAMES: "2.0.1",
    Fault.UPPER_CASE_TOKEN: "1.6",
}
AT_MOST = {
    Fault.BEGIN_ZERO: "1.6",
    Fault.METER_RESET: "2.0.1",
    Fault.POWER_LOSS: "1.6",
}
OPENED = ("open", "charging", "stopping", "closed")
Sessions = Mapping[Fault, dict[str, Any]]


def point_of(driver: Driver, fault: Fault, version: str) -> ChargePoint:
    """A charge point with one fault."""
    return ChargePoint(
        driver.url.replace("http", "ws"),
        fault.value,
        PASSWORD,
        protocol=version,
        faults=[fault],
        register_wh=REGISTER_WH,
        retry_ms=50,
    )


async def charge(point: ChargePoint, fault: Fault) -> None:
    """One short charge, with all its trouble."""
    running = await point.started(within_s=240)
    flows_at = point.connector().measured_at + WAITS_FOR
    await point.charge(until=flows_at, energy_wh=0)
    if point.connector().transaction is running:
        await point.charge(until=flows_at + CHARGES_FOR, energy_wh=ENERGY_WH, step_s=1)
    if point.connector().transaction is running:
        await point.unplug()
    if fault is Fault.OFFLINE_REPLAY:
        await point.go_online()
    await point.told()


async def charge_everywhere(driver: Driver) -> dict[Fault, dict[str, Any]]:
    """Side by side; each fault's session when it has ended."""
    async with AsyncExitStack() as stack:
        points = {
            fault: await stack.enter_async_context(point_of(driver, fault, version))
            for fault, version in (EXACT | AT_MOST).items()
        }
        for point in points.values():
            await point.plug_in()
        charges = [asyncio.create_task(charge(point, fault)) for fault, point in points.items()]
        sessions = {}
        for fault in points:  # A wallet's deposits are taken one after the other.
            sessions[fault] = await asyncio.to_thread(driver.order, fault.value)
            await asyncio.to_thread(driver.until, sessions[fault], *OPENED)
        await asyncio.gather(*charges)
        return {
            fault: await asyncio.to_thread(driver.until, session_id, "closed")
            for fault, session_id in sessions.items()
        }


@pytest.fixture(scope="session")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    """A session at a charge point of each fault."""

    def make(told: Path) -> None:
        chargers = [charger_section(fault.value, PASSWORD) for fault in EXACT | AT_MOST]
        with charging_service(tmp_path_factory.mktemp("street") / "home", chargers) as driver:
            told.write_text(json.dumps(asyncio.run(charge_everywhere(driver))))

    found = json.loads(made_once(tmp_path_factory, "faulty-sessions", make).read_text())
    return {Fault(name): session for name, session in found.items()}


def check_money(session: Mapping[str, Any]) -> None:
    """The cost is that of the stated energy and time, and the rest came back."""
    cost = cost_micro_down(
        ChargeTariff(**TARIFF),
        energy_wh=session["energy_wh"],
        time_s=session["time_s"],
        idle_s=session["idle_s"],
    )
    assert int(session["paid_micro"]) == cost
    assert int(session["refunded_micro"]) == DEPOSIT_MICRO - cost


@pytest.mark.slow
@pytest.mark.parametrize("fault", EXACT)
def test_a_fault_that_leaves_the_register_readable_changes_no_bill(
    fault: Fault, sessions: Sessions
) -> None:
    assert sessions[fault]["energy_wh"] == ENERGY_WH
    check_money(sessions[fault])


@pytest.mark.slow
@pytest.mark.parametrize("fault", AT_MOST)
def test_a_fault_that_hides_energy_is_never_to_the_drivers_cost(
    fault: Fault, sessions: Sessions
) -> None:
    assert 0 <= sessions[fault]["energy_wh"] <= ENERGY_WH
    check_money(sessions[fault])
