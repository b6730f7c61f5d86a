"""A time that passes quickly, and the same in several processes: each reckons it for itself."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from ledger.units import from_unix_s

NS_PER_S = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class NightClock:
    """Since an instant of the machine's, so many times as fast."""

    start_s: int
    began_ns: int
    speed: int

    @classmethod
    def starting(cls, start_s: int, *, speed: int) -> "NightClock":
        """It shows `start_s` now."""
        return cls(start_s=start_s, began_ns=time.time_ns(), speed=speed)

    def now(self) -> datetime:
        """Whole seconds, aware, UTC."""
        return from_unix_s(self.now_s())

    def now_s(self) -> int:
        """In Unix seconds."""
        return self.start_s + (time.time_ns() - self.began_ns) * self.speed // NS_PER_S

    def rule(self, patch: pytest.MonkeyPatch) -> None:
        """Makes it the time of every community that this process opens from now on."""

        def clock_of(*_: Any) -> NightClock:
            return self

        patch.setattr("api.jobs.community.clock_of", clock_of)
