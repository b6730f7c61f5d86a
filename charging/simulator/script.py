"""Sessions that really happened, played again with the times and energies that they had."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from charging.simulator.connectors import S_PER_HOUR, SECOND, Transaction
from charging.simulator.errors import BadScript
from charging.simulator.faults import Fault
from charging.simulator.point import STEP_S, ChargePoint
from charging.simulator.station import OFFLINE_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedSession:
    """One car's stay: plugged in, charged with `energy_wh`, plugged out.

    It charges at the charge point's power from the start on, as cars do, and stands full until it
    leaves; `full_at` states another end of charging. Times are whole seconds.
    """

    plugin_at: datetime
    plugout_at: datetime
    energy_wh: int
    connector_id: int = 1
    full_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.plugout_at <= self.plugin_at:
            raise BadScript(field="plugout_at", rule="after plugin_at")
        if self.full_at is not None and not self.plugin_at < self.full_at <= self.plugout_at:
            raise BadScript(field="full_at", rule="after plugin_at, and not after plugout_at")
        if self.energy_wh < 0:
            raise BadScript(field="energy_wh", rule="not negative")

    def charges_until(self, started_at: datetime, power_w: int) -> datetime:
        """When the car is full: as soon as the power allows, at the latest at plug-out."""
        if self.full_at is not None:
            return self.full_at
        needed = -(-self.energy_wh * S_PER_HOUR // power_w) * SECOND
        return min(started_at + max(needed, SECOND), self.plugout_at)


async def play(
    point: ChargePoint,
    session: ScriptedSession,
    *,
    step_s: int = STEP_S,
    also_at: Iterable[datetime] = (),
    start_within_s: float | None = 60,
) -> Transaction:
    """Plugs in, waits for the remote start, charges, plugs out; each at its stated time.

    Args:
        step_s: meter values at its multiples, besides begin, end and `also_at`.
        start_within_s: real seconds to wait for the remote start.

    Returns:
        The charge as it was measured; a limit or a stop from afar makes it less than stated.

    Raises:
        TimeoutError: no remote start came.
        BadScript: the energy does not fit between start and plug-out.
    """
    place = session.connector_id
    await point.plug_in(place, at=session.plugin_at)
    try:
        charge = await point.started(place, within_s=start_within_s)
    except TimeoutError:
        await point.unplug(place, at=session.plugout_at)
        raise
    connector = point.connector(place)
    until = session.charges_until(charge.started_at, connector.power_w_max)
    await point.charge(
        place, until=until, energy_wh=session.energy_wh, step_s=step_s, also_at=also_at
    )
    if connector.transaction is charge and until < session.plugout_at:
        await point.suspend(place, at=until)
    await point.unplug(place, at=session.plugout_at)
    if Fault.OFFLINE_REPLAY in point.plan.faults:
        await point.go_online(at=session.plugout_at + OFFLINE_FOR)
    return charge
