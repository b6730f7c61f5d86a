"""Log-ins of chargers that fail too often are not listened to for the rest of the minute.

What is counted is who knocks, by network address and by the name that they give: nobody keeps a
charger out by failing under its name from elsewhere. Log-ins that succeed are not counted.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from api.errors import RateLimited
from api.guard import host_of
from api.rates import Rates

FAILED: Final = "charger_log_ins"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInLimits:
    """How many log-ins may fail in a minute."""

    of_one_name: int = 10  # From one network address.
    of_all_names: int = 120  # From one network address, behind which there may be a car park.


def failed_log_ins(connection: HTTPConnection) -> "FailedLogIns":
    """The count of the application that somebody knocks at; it begins with the first one."""
    state = connection.app.state
    if not hasattr(state, FAILED):
        setattr(state, FAILED, FailedLogIns(Rates()))
    found: FailedLogIns = getattr(state, FAILED)
    return found


class FailedLogIns:
    """Counts failed log-ins of one application."""

    def __init__(self, rates: Rates, limits: LogInLimits | None = None) -> None:
        self._rates = rates
        self._limits = limits or LogInLimits()

    def refusal(self, connection: HTTPConnection, charge_point_id: str) -> RateLimited | None:
        """Why somebody is not listened to; None if they are."""
        try:
            for who, per_minute in self._counted(connection, charge_point_id):
                self._rates.require_room(FAILED, who, per_minute)
        except RateLimited as refusal:
            return refusal
        return None

    def failed(self, connection: HTTPConnection, charge_point_id: str) -> None:
        """Somebody was not who they said."""
        for who, per_minute in self._counted(connection, charge_point_id):
            self._rates.add(FAILED, who, per_minute, 1)

    def _counted(
        self, connection: HTTPConnection, charge_point_id: str
    ) -> tuple[tuple[str, int], tuple[str, int]]:
        host, name = host_of(connection.scope), charge_point_id[:48]
        return (host, self._limits.of_all_names), (f"{host} {name}", self._limits.of_one_name)
