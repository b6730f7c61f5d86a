"""What a home's registers did once, told again for ever, moved by whole weeks."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from api.config import DAY_S

WEEK_S: Final = 7 * DAY_S
Row = tuple[int, int, int]  # Unix seconds, import and export in Wh.
Registers = tuple[int, int]


class Profile:
    """Cumulative registers that repeat: after the span the same again, from where they stood.

    The span is of whole weeks, so that weekday and time of day stay what they were; of a shorter
    record whole days, or all of it.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """Rows of one meter in order of time, at least two."""
        first_s, last_s = rows[0][0], rows[-1][0]
        whole_s = last_s - first_s
        step_s = next((step for step in (WEEK_S, DAY_S) if whole_s >= step), whole_s)
        self.first_s = first_s
        self.span_s = whole_s // step_s * step_s
        self._rows = rows
        self._instants = [row[0] for row in rows]
        self._base = self._recorded(first_s)
        end = self._recorded(first_s + self.span_s)
        self._rise = (end[0] - self._base[0], end[1] - self._base[1])

    def at(self, instant_s: int) -> Registers:
        """Import and export since the first row, rounded down between two rows."""
        rounds, since_s = divmod(instant_s - self.first_s, self.span_s)
        now = self._recorded(self.first_s + since_s)
        return (
            rounds * self._rise[0] + now[0] - self._base[0],
            rounds * self._rise[1] + now[1] - self._base[1],
        )

    def instants(self, after_s: int, until_s: int) -> Iterator[int]:
        """When the meter is read, after one instant and up to another."""
        first_round = (after_s - self.first_s) // self.span_s
        last_round = (until_s - self.first_s) // self.span_s
        for number in range(first_round, last_round + 1):
            shift_s = number * self.span_s
            for recorded_s in self._instants:
                if recorded_s >= self.first_s + self.span_s:
                    break
                if after_s < recorded_s + shift_s <= until_s:
                    yield recorded_s + shift_s

    def _recorded(self, recorded_s: int) -> Registers:
        place = bisect_right(self._instants, recorded_s) - 1
        before_s, before_import, before_export = self._rows[place]
        if before_s == recorded_s or place + 1 == len(self._rows):
            return before_import, before_export
        after_s, after_import, after_export = self._rows[place + 1]
        passed_s, whole_s = recorded_s - before_s, after_s - before_s
        return (
            before_import + (after_import - before_import) * passed_s // whole_s,
            before_export + (after_export - before_export) * passed_s // whole_s,
        )
