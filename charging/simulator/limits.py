"""The power limit that a charging profile states now (OCPP 1.6 section 7.13, 2.0.1 K01)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

VOLTS: Final = 230
PHASES_DEFAULT: Final = 3


def limit_w_of(profile: Mapping[str, Any], *, elapsed_s: int) -> int | None:
    """Watts that the profile allows after `elapsed_s` seconds; None: it has no schedule.

    Amperes are per phase at 230 V; parts of a watt are cut off.
    """
    schedules = profile.get("chargingSchedule")
    if isinstance(schedules, list):
        schedules = schedules[0] if schedules else None
    if not isinstance(schedules, Mapping):
        return None
    periods = [
        period
        for period in schedules.get("chargingSchedulePeriod", [])
        if period["startPeriod"] <= elapsed_s
    ]
    if not periods:
        return None
    period = periods[-1]
    limit = Decimal(period["limit"])
    if schedules.get("chargingRateUnit") == "A":
        limit *= VOLTS * period.get("numberPhases", PHASES_DEFAULT)
    return max(0, int(limit))
