"""A community's clock that a test drives by hand."""

from datetime import datetime, timedelta


class HandClock:
    """Stands still until it is moved: `community.clock = HandClock(at)`."""

    def __init__(self, start_at: datetime, *, speed: int = 1) -> None:
        self.at = start_at
        self.speed = speed

    def now(self) -> datetime:
        """Where the test has put it."""
        return self.at

    def pass_s(self, seconds: int) -> None:
        """Lets time pass."""
        self.at += timedelta(seconds=seconds)
