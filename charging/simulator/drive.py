"""Cars that charge by themselves: they come, take what flows until they are full, and leave."""

from datetime import datetime, timedelta
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


async def stay(
    point: ChargePoint,
    connector_id: int,
    *,
    battery_wh: int,
    leaves_at: datetime,
    lingers: timedelta,
) -> Transaction | None:
    """One car, for which a start may be waiting: without one it leaves at once.

    Args:
        battery_wh: what it takes until it is full.
        leaves_at: it goes then, full or not.
        lingers: how long it stands when it is full.

    Returns:
        Its charge.
    """
    connector = point.connector(connector_id)
    connector.driven = True
    connector.wanted_ws = battery_wh * S_PER_HOUR
    await point.plug_in(connector_id)
    charge = connector.transaction
    while charge is not None and connector.transaction is charge:
        now_at = point.clock.now_at()
        if connector.full:
            leaves_at = min(leaves_at, now_at + lingers)
        if now_at >= leaves_at:
            break
        await _flow_on(point, connector, charge, until=leaves_at)
    await point.unplug(connector_id)
    return charge


async def _charged(point: ChargePoint, connector: Connector) -> bool:
    """Lives through one charge; whether any energy flowed."""
    charge = await point.started(connector.connector_id)
    while connector.transaction is charge:
        await _flow_on(point, connector, charge)
    return charge.energy_wh > 0


async def _flow_on(
    point: ChargePoint,
    connector: Connector,
    charge: Transaction,
    *,
    until: datetime | None = None,
) -> None:
    """Waits for the next meter value, a full car, a new limit, the end, or until it is so late."""
    power_w, interval_s = connector.power_w, point.interval_s
    last_at = charge.last.at if charge.last else charge.started_at
    full_at = connector.full_at()
    times = [last_at + interval_s * SECOND] if interval_s else []
    times += [full_at] if full_at is not None else []
    times += [until] if until is not None else []
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
