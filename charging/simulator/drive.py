"""A car that charges by itself: it comes, takes what flows until it is full, and leaves."""

from datetime import timedelta
from typing import Final

from charging.simulator.connectors import S_PER_HOUR, SECOND, Connector, Transaction
from charging.simulator.point import ChargePoint

AWAY_FOR: Final = timedelta(seconds=10)  # Between one car's leaving and the next one's coming.


async def drive(point: ChargePoint, connector_id: int, *, battery_wh: int) -> None:
    """One empty car after the other, for ever.

    A car that is full stays, and blocks the connector, until the charge is stopped from afar.

    Args:
        battery_wh: what each car takes until it is full.
    """
    connector = point.connector(connector_id)
    connector.driven = True
    while True:
        connector.wanted_ws = battery_wh * S_PER_HOUR
        await point.plug_in(connector_id)
        while not await _charged(point, connector):
            pass
        await point.clock.sleep_until(point.clock.now_at() + AWAY_FOR)
        await point.unplug(connector_id)
        await point.clock.sleep_until(point.clock.now_at() + AWAY_FOR)


async def _charged(point: ChargePoint, connector: Connector) -> bool:
    """Lives through one charge; whether any energy flowed."""
    charge = await point.started(connector.connector_id)
    while connector.transaction is charge:
        await _flow_on(point, connector, charge)
    return charge.energy_wh > 0


async def _flow_on(point: ChargePoint, connector: Connector, charge: Transaction) -> None:
    """Waits for the next meter value, a full car, a new limit, or the end."""
    power_w, interval_s = connector.power_w, point.interval_s
    last_at = charge.last.at if charge.last else charge.started_at
    full_at = connector.full_at()
    times = [last_at + interval_s * SECOND] if interval_s else []
    times += [full_at] if full_at is not None else []
    next_at = min(times, default=None)

    def disturbed() -> bool:
        return (
            connector.transaction is not charge
            or connector.power_w != power_w
            or point.interval_s != interval_s
        )

    await point.wait_until(disturbed, next_at)
    if disturbed() or next_at is None:
        return
    await point.measure(connector.connector_id, at=next_at)
    if connector.full and connector.transaction is charge:
        await point.suspend(connector.connector_id, at=next_at)
