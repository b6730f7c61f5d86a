"""Windows and periods: `[start, start + window_s)`, K of them settled together (DESIGN §1)."""

from dataclasses import dataclass

from ledger.errors import OutOfRange
from ledger.units import PERIOD_WINDOWS_MAX

WINDOW_S_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The time grid of one market; instants are Unix seconds."""

    first_period_start_s: int
    window_s: int
    period_windows: int  # K
    grace_s: int
    dispute_period_s: int
    finalize_within_s: int

    def __post_init__(self) -> None:
        if self.window_s < 1:
            raise OutOfRange(
                field="window_s", value=self.window_s, value_min=1, value_max=WINDOW_S_MAX
            )
        if not 1 <= self.period_windows <= PERIOD_WINDOWS_MAX:
            raise OutOfRange(
                field="period_windows",
                value=self.period_windows,
                value_min=1,
                value_max=PERIOD_WINDOWS_MAX,
            )

    @property
    def period_s(self) -> int:
        """Length of a period in seconds."""
        return self.window_s * self.period_windows

    def period_start_of(self, instant_s: int) -> int:
        """Start of the period that an instant lies in."""
        return instant_s // self.period_s * self.period_s

    def period_end(self, period_start_s: int) -> int:
        """First second after a period."""
        return period_start_s + self.period_s

    def boundaries(self, period_start_s: int) -> list[int]:
        """The K + 1 window boundaries of a period."""
        return [
            period_start_s + self.window_s * window for window in range(self.period_windows + 1)
        ]

    def due_at(self, period_start_s: int, complete_at_s: int | None) -> int:
        """When a period's first run is due.

        Args:
            complete_at_s: when every active meter had a reading at or after the period's end; None
                while one has not.
        """
        end_s = self.period_end(period_start_s)
        grace_ends_s = end_s + self.grace_s
        if complete_at_s is None:
            return grace_ends_s
        return min(grace_ends_s, max(end_s, complete_at_s))
