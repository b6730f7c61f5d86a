"""Charge points to play with at a served demo: the simulator's, by OCPP, in a thread."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import httpx2

from api.datadir import DataDir
from api.jobs.community import stored_config
from api.jobs.create import charger_password
from charging.simulator.clock import RunningClock
from charging.simulator.drive import drive
from charging.simulator.faults import Fault
from charging.simulator.point import ChargePoint
from metering.instants import parse_instant
from tests.browser.service import Served

READY_WITHIN_S = 40
INTERVAL_S = 1  # Until the service says how often it wants to hear.
POWER_W = 7_400
BATTERY_WH = 40_000


@contextmanager
def charge_points(
    service: Served, names: Sequence[str], *, refusing: Sequence[str] = ()
) -> Iterator[None]:
    """Charge points with a car at each cable, until the block ends.

    Args:
        refusing: of the names, those that refuse to start a charge.
    """
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    points = [_point(service, name, refuses=name in refusing) for name in names]
    thread = threading.Thread(target=lambda: loop.run_until_complete(_live(points, ended)))
    thread.start()
    try:
        for name in names:
            _until_usable(service, name)
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def _point(service: Served, name: str, *, refuses: bool) -> ChargePoint:
    market, directory = fetch(service, "/v1/market"), DataDir(service.home)
    return ChargePoint(
        service.url.replace("http", "ws"),
        name,
        charger_password(stored_config(directory), directory.keys(), name),
        protocol="1.6",
        connectors=1,
        clock=RunningClock(speed=market["speed"], start_at=parse_instant(market["now"])),
        power_w=POWER_W,
        interval_s=INTERVAL_S,
        faults=frozenset({Fault.REFUSES_START}) if refuses else frozenset(),
    )


async def _live(points: Sequence[ChargePoint], ended: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        for point in points:
            await stack.enter_async_context(point)
        cars = [asyncio.create_task(drive(point, 1, battery_wh=BATTERY_WH)) for point in points]
        await ended.wait()
        for car in cars:
            car.cancel()
        await asyncio.gather(*cars, return_exceptions=True)


def _until_usable(service: Served, name: str) -> None:
    ends_at = time.monotonic() + READY_WITHIN_S
    while not _is_usable(fetch(service, f"/v1/chargers/{name}")):
        assert time.monotonic() < ends_at, f"{name} is not free"
        time.sleep(0.1)


def _is_usable(point: dict[str, Any]) -> bool:
    (connector,) = point["connectors"]
    return point["state"] == "online" and connector["state"] in {"available", "preparing"}


def fetch(service: Served, path: str) -> Any:
    """What the service says to everybody."""
    answer = httpx2.get(service.url + path)
    assert answer.status_code == 200, answer.text
    return answer.json()
