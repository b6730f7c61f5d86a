"""Cars of a night: their chargers, and drivers who want to charge whatever happens."""

import asyncio
import random

from api.jobs.replay.point_clock import PointClock
from charging.simulator.point import ChargePoint
from tests.e2e.charging_service import REGISTER_WH
from tests.e2e.night_world import HOUR_S, PASSWORD, PATIENCE_S, POINTS, POWER_W, World
from tests.e2e.test_serve_killed import order_of, patiently, place, until


async def chargers(world: World) -> None:
    """Both charge points, and one car after the other at each."""
    for name, protocol in POINTS.items():
        world.points[name] = await _opened(world, name, protocol)
    cars = [asyncio.create_task(_cars(point)) for point in world.points.values()]
    try:
        while not world.is_done:
            await asyncio.sleep(0.1)
    finally:
        for car in cars:
            car.cancel()
        await asyncio.gather(*cars, return_exceptions=True)
        for point in world.points.values():
            await point.__aexit__(None, None, None)


async def _opened(world: World, name: str, protocol: str) -> ChargePoint:
    while True:
        point = ChargePoint(
            f"ws://127.0.0.1:{world.port}",
            name,
            PASSWORD,
            protocol=protocol,
            clock=PointClock(world),
            power_w=POWER_W,
            register_wh=REGISTER_WH,
            retry_ms=100,
        )
        try:
            return await point.__aenter__()
        except Exception:  # noqa: BLE001 (nobody there yet, or killed in the middle of it)
            await asyncio.sleep(0.2)


async def _cars(point: ChargePoint) -> None:
    connector = point.connector()
    connector.driven = True
    while True:
        await point.plug_in()
        charge = await point.started()
        while connector.transaction is charge:
            await point.measure()
            await asyncio.sleep(0.5)
        await point.unplug()
        await asyncio.sleep(0.2)


def drive(world: World, name: str, drawn: random.Random) -> None:
    """A driver: orders, charges for some minutes, stops, waits for the refund; all night long."""
    driver = world.drivers[name]
    patiently(driver.sign_in)
    world.signed_in.append(name)
    world.has_fallen.wait(PATIENCE_S)
    clock = world.clock
    last_s = world.night.end_s - HOUR_S // 2
    while clock.now_s() < last_s:
        body = order_of(driver, name)
        session_id = patiently(lambda body=body: place(driver, body))  # type: ignore[misc]
        world.sessions.append(session_id)
        until(driver, session_id, "charging", "closed")
        world.sleep_until(clock.now_s() + drawn.randrange(300, 1_800))
        patiently(lambda session_id=session_id: driver.stop(session_id))  # type: ignore[misc]
        until(driver, session_id, "closed")
        world.sleep_until(clock.now_s() + drawn.randrange(0, 1_200))
