"""What a central system may set in a charge point, each a whole number of seconds."""

from typing import Final

METER_INTERVAL: Final = "meter interval"
HEARTBEAT: Final = "heartbeat"
CONNECTION_TIMEOUT: Final = "connection timeout"

SECONDS_MAX: Final = 86_400
SECONDS_MIN: Final = {METER_INTERVAL: 0, HEARTBEAT: 1, CONNECTION_TIMEOUT: 1}


def may_be(name: str, value: int) -> bool:
    """Whether a setting may have this value; a meter interval of 0 is none at all."""
    return SECONDS_MIN[name] <= value <= SECONDS_MAX
