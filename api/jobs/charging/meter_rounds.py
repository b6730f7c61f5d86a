"""Reads the meters of idle chargers once a period, so that the market waits for none."""

from collections.abc import Callable
from datetime import datetime

from api.jobs.charging.chargers import ChargerBook
from charging.points import PointLink
from ledger.units import to_unix_s

ROUND_S = 15.0
ROUND_S_MIN = 0.5
ROUNDS_A_PERIOD = 4


class MeterRounds:
    """Asks every connected charger for its register once a period, and when the service starts.

    One that is charging says it anyway; a charger that does not know the question is no worse off
    than before: its meter's last reading counts once the period's grace is over.
    """

    def __init__(
        self,
        book: ChargerBook,
        link: PointLink,
        *,
        period_s: int,
        now: Callable[[], datetime],
        speed: int = 1,
    ) -> None:
        self._book = book
        self._link = link
        self._period_s = period_s
        self._now = now
        self._speed = speed
        self._asked: dict[bytes, int] = {}  # The last period in which each charger was asked.

    @property
    def rest_s(self) -> float:
        """Real seconds between two rounds: several a period, however fast time passes."""
        return max(ROUND_S_MIN, min(ROUND_S, self._period_s / self._speed / ROUNDS_A_PERIOD))

    async def round(self) -> None:
        """Asks whoever was not asked in this period yet, one after the other."""
        period = to_unix_s(self._now()) // self._period_s
        for charger_id, charger in self._book.chargers.items():
            if self._asked.get(charger_id) == period:
                continue
            if self._link.is_connected(charger.charge_point_id):
                self._asked[charger_id] = period
                await self._link.ask_meter(charger.charge_point_id, charger.connector_id)
