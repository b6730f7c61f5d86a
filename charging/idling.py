"""For how long a car stood without taking anything, from what its charger says of the flow.

Three states of a charge's time: *charging*; *idle*: the car takes nothing (`SUSPENDED_EV`, plugged
in after it has charged, `FINISHING`); *waiting*: the charger gives nothing (`SUSPENDED_EVSE`, a
fault) or charging has not begun. Waiting is nobody's fault and is counted as whichever of time and
idling is cheaper for the driver (`Measured.idle_s_under`). A charger that says nothing is charging.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from charging.measured import whole_seconds
from charging.points import Availability, Flow


class Standing(IntEnum):
    """What a stretch of time counts as; of several said for one instant the highest."""

    IDLE = 0
    WAITING = 1
    CONNECTED = 2  # Idle once it has charged, waiting before.
    CHARGING = 3


OF_FLOW: Final = {
    Flow.CHARGING: Standing.CHARGING,
    Flow.SUSPENDED_EV: Standing.IDLE,
    Flow.SUSPENDED_EVSE: Standing.WAITING,
    Flow.CONNECTED: Standing.CONNECTED,
    Flow.IDLE: Standing.WAITING,  # No car there: it cannot be billed for standing.
}
OF_AVAILABILITY: Final = {  # The others say nothing about the flow.
    Availability.CHARGING: Standing.CHARGING,
    Availability.SUSPENDED_EV: Standing.IDLE,
    Availability.FINISHING: Standing.IDLE,
    Availability.SUSPENDED_EVSE: Standing.WAITING,
    Availability.PREPARING: Standing.CONNECTED,
    Availability.AVAILABLE: Standing.WAITING,
    Availability.UNAVAILABLE: Standing.WAITING,
    Availability.FAULTED: Standing.WAITING,
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class StandingChange:
    """From this instant on, this is what the charger says."""

    at: datetime
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """Whole seconds in which the car was there and did not charge."""

    idle_s: int = 0
    waiting_s: int = 0


def stood(changes: Iterable[StandingChange], from_at: datetime, until_at: datetime) -> Stood:
    """Idle and waiting time between two instants; the order of the changes does not matter."""
    idle, waiting = timedelta(0), timedelta(0)
    now, since_at, has_charged = Standing.CHARGING, from_at, False
    for change in [*sorted(changes), StandingChange(at=until_at, standing=Standing.IDLE)]:
        at = min(max(change.at, from_at), until_at)
        span = at - since_at
        if now is Standing.IDLE or (now is Standing.CONNECTED and has_charged):
            idle += span
        elif now is not Standing.CHARGING:
            waiting += span
        now, since_at = change.standing, at
        has_charged |= now is Standing.CHARGING
    return Stood(idle_s=whole_seconds(idle), waiting_s=whole_seconds(waiting))
