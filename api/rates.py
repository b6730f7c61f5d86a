"""How often somebody may do something: counted in memory, so for this process."""

import time
from typing import TYPE_CHECKING, Final

from api.errors import RateLimited

if TYPE_CHECKING:
    from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

NAME: Final = "wattledger"


class Rates:
    """Sliding windows of a minute, one for each kind of request and each visitor."""

    def __init__(self) -> None:
        self._limiter: SlidingWindowCounterRateLimiter | None = None
        self._totals: FixedWindowRateLimiter | None = None

    def take(self, what: str, who: str, per_minute: int) -> None:
        """Counts one request.

        Raises:
            RateLimited: that was one too many.
        """
        from limits import RateLimitItemPerMinute  # noqa: PLC0415 (starts with the first request)
        from limits.storage import MemoryStorage  # noqa: PLC0415
        from limits.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

        if self._limiter is None:
            self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        item = RateLimitItemPerMinute(per_minute, namespace=NAME)
        if not self._limiter.hit(item, what, who):
            reset_s = self._limiter.get_window_stats(item, what, who).reset_time
            raise RateLimited(retry_after_s=max(1, round(reset_s - time.time())))

    def require_room(self, what: str, who: str, per_minute: int) -> None:
        """Refuses a request where `add` has come to the limit.

        Raises:
            RateLimited: it has, for the rest of this minute.
        """
        from limits import RateLimitItemPerMinute  # noqa: PLC0415 (as above)

        item, totals = RateLimitItemPerMinute(per_minute, namespace=NAME), self._totals_of()
        if not totals.test(item, what, who):
            reset_s = totals.get_window_stats(item, what, who).reset_time
            raise RateLimited(retry_after_s=max(1, round(reset_s - time.time())))

    def add(self, what: str, who: str, per_minute: int, count: int) -> None:
        """Counts what a request came to, which is known when it is over."""
        from limits import RateLimitItemPerMinute  # noqa: PLC0415 (as above)

        item = RateLimitItemPerMinute(per_minute, namespace=NAME)
        self._totals_of().hit(item, what, who, cost=count)

    def _totals_of(self) -> "FixedWindowRateLimiter":
        from limits.storage import MemoryStorage  # noqa: PLC0415 (as above)
        from limits.strategies import FixedWindowRateLimiter  # noqa: PLC0415

        if self._totals is None:
            self._totals = FixedWindowRateLimiter(MemoryStorage())
        return self._totals
