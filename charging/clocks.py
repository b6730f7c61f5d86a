"""A charger's clock, corrected by ours: an hour off, at 1970, or right with late messages.

A stamp pairs what the charger's clock said with when we received it. A stamp is *credible* under an
offset if the corrected time is neither before the session's earliest start nor after we heard of
it. The offset under which most stamps are credible counts, none at all if that is as good; a stamp
that is not credible under it is taken as of when we received it. So durations stay the charger's
where its clock runs evenly, and late messages keep their times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low
from typing import Final

EARLIEST_BEFORE_OPENING: Final = timedelta(seconds=300)  # DESIGN §3.
LATEST_AFTER_OPENING: Final = timedelta(days=1)
RECEIVED_SLACK: Final = timedelta(seconds=60)  # Our clocks may differ by so much.
NO_OFFSET: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """When something happened, by the charger's clock and by when we heard of it."""

    charger_at: datetime | None  # Aware UTC.
    received_at: datetime

    @property
    def lag(self) -> timedelta | None:
        """How far our clock was ahead of the stamp on receipt."""
        return None if self.charger_at is None else self.received_at - self.charger_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClock:
    """Turns stamps into instants of one session."""

    opened_at: datetime
    offset: timedelta = NO_OFFSET  # Added to what the charger's clock says.

    @classmethod
    def fitted(cls, opened_at: datetime, stamps: Iterable[Stamp]) -> "SessionClock":
        """The clock under which most of the stamps are credible; their order does not matter."""
        known = [stamp for stamp in stamps if stamp.charger_at is not None]
        plain = cls(opened_at=opened_at)
        if all(plain.believes(stamp) for stamp in known):
            return plain
        lags = _lags(known)
        others = {min(lags), median_low(lags)} - {NO_OFFSET}
        clocks = [plain, *(cls(opened_at=opened_at, offset=offset) for offset in sorted(others))]
        return max(clocks, key=lambda clock: sum(clock.believes(stamp) for stamp in known))

    def stays_fitted(self, stamps: Iterable[Stamp]) -> bool:
        """Whether further stamps that it `stays_with` leave it the one that is fitted.

        They do if no offset at all makes more of the stamps credible: one more stamp that it
        believes keeps it so. The smallest lag is tried before the median, none at all before both.
        """
        known = [stamp for stamp in stamps if stamp.charger_at is not None]
        if self.offset not in {NO_OFFSET, min(_lags(known), default=NO_OFFSET)}:
            return False
        believed = sum(map(self.believes, known))
        return believed == len(known) or believed == self._most_credible(known)

    def stays_with(self, stamp: Stamp) -> bool:
        """Whether a clock that `stays_fitted` is also the one that is fitted with this stamp."""
        lag = stamp.lag
        if lag is None or self.offset == NO_OFFSET:
            return self.believes(stamp)
        return lag >= self.offset and self.believes(stamp)

    def _most_credible(self, known: Iterable[Stamp]) -> int:
        """How many stamps are credible under the best of all offsets: most intervals at a point."""
        edges: list[tuple[timedelta, int]] = []
        for stamp in known:
            lag = stamp.lag or NO_OFFSET
            since = stamp.received_at - self.opened_at
            least = lag - since - EARLIEST_BEFORE_OPENING
            edges.append((timedelta.min if since < NO_OFFSET else least, 0))
            edges.append((lag + RECEIVED_SLACK, 1))
        open_now = most = 0
        for _, closes in sorted(edges):
            open_now += -1 if closes else 1
            most = max(most, open_now)
        return most

    def believes(self, stamp: Stamp) -> bool:
        """Whether the corrected time can be true; of a stamp without time nothing is known."""
        if stamp.charger_at is None:
            return True
        lag = stamp.received_at - stamp.charger_at
        if lag + RECEIVED_SLACK < self.offset:
            return False
        return (
            stamp.received_at < self.opened_at
            or lag - self.offset <= stamp.received_at - self.opened_at + EARLIEST_BEFORE_OPENING
        )

    def at(self, stamp: Stamp) -> datetime:
        """The instant, between the session's earliest start and when we heard of it.

        What we heard of before the opening happened, for the session, at its opening.
        """
        if stamp.received_at < self.opened_at:
            return self.opened_at
        if stamp.charger_at is None or not self.believes(stamp):
            return stamp.received_at
        return min(stamp.charger_at + self.offset, stamp.received_at)


def _lags(stamps: Sequence[Stamp]) -> list[timedelta]:
    return [lag for stamp in stamps if (lag := stamp.lag) is not None]
