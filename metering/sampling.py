"""Which of the many telegrams of a meter become readings: one at each whole multiple of a step."""

from collections import deque
from dataclasses import replace
from statistics import median_low
from typing import Final

from ledger.units import from_unix_s, to_unix_s
from metering.readings import Reading

INTERVAL_S: Final = 10  # Between two telegrams, until it is known: that of the slowest P1 port.
UNSURE_S: Final = 10  # So far a time of arrival may be from that of the register it stands for.
GAPS: Final = 15  # Of which the middle one is the meter's interval: one long pause changes nothing.


class Sampler:
    """Picks, for each boundary, the last reading at or before it that is not too old.

    It is too old when the meter would have sent another one by then: after more than its interval,
    as it was before. A reading keeps the time that the meter told. That of a meter without a clock
    came some seconds after its register was read, nobody knows how many: it is given the boundary's
    time, or all windows of such meters would be estimated.
    """

    def __init__(self, every_s: int) -> None:
        self._every_s = every_s
        self._last: Reading | None = None
        self._last_by_clock = False
        self._gaps_s = deque[int](maxlen=GAPS)
        self.missed = 0  # Boundaries for which there is no reading.

    @property
    def interval_s(self) -> int:
        """Seconds between two telegrams of this meter."""
        return median_low(self._gaps_s) if self._gaps_s else INTERVAL_S

    def take(self, reading: Reading, *, by_clock: bool) -> list[Reading]:
        """What is due with this one, oldest first: it, the one before it, both, or nothing.

        Args:
            by_clock: its time is the meter's own, and not that of its arrival.
        """
        last, self._last = self._last, reading
        due = [] if last is None else self._passed(last, to_unix_s(reading.taken_at))
        self._last_by_clock = by_clock
        is_new = last is None or reading.taken_at != last.taken_at
        if is_new and to_unix_s(reading.taken_at) % self._every_s == 0:
            due.append(reading)
        return due

    def _passed(self, last: Reading, now_s: int) -> list[Reading]:
        """The last one, if it stands for the first boundary between it and now."""
        last_s = to_unix_s(last.taken_at)
        if now_s <= last_s:  # A clock that was set back.
            return []
        boundary_s = last_s + -last_s % self._every_s
        is_passed = last_s < boundary_s < now_s
        is_due = is_passed and boundary_s - last_s <= self.interval_s
        passed = (now_s - 1) // self._every_s - last_s // self._every_s
        self.missed += passed - is_due
        self._gaps_s.append(now_s - last_s)
        if not is_due:
            return []
        keeps_time = self._last_by_clock or boundary_s - last_s > UNSURE_S
        return [last if keeps_time else replace(last, taken_at=from_unix_s(boundary_s))]
