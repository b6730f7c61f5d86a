"""A community's time: the one source of it. Nothing else asks the machine what time it is there."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from api.errors import BadInput
from ledger.units import from_unix_s, to_unix_s

SPEED_MAX: Final = 100_000
NS_PER_S: Final = 10**9


class Clock(Protocol):
    """What a community needs of time."""

    @property
    def speed(self) -> int:
        """Seconds of the community's that pass in a real one."""
        ...

    def now(self) -> datetime:
        """The community's time: aware, UTC, in whole seconds."""
        ...


class SystemClock:
    """The machine's time."""

    speed: Final = 1

    def now(self) -> datetime:
        """Whole seconds."""
        return datetime.now(UTC).replace(microsecond=0)


class ChainClock:
    """The time that a chain shows: of a community whose time follows its data, while it stands."""

    speed: Final = 1

    def __init__(self, head_s: Callable[[], int], *, stood_s: int = 0) -> None:
        """`stood_s`: how far it had come when it ran last; that may be later than any block."""
        self._head_s = head_s
        self._stood_s = stood_s

    def now(self) -> datetime:
        """The last block's time, or where it stood."""
        return from_unix_s(max(self._head_s(), self._stood_s))


class NotBehindChain:
    """A clock's time, or that of an embedded chain which is ahead: every block takes a second."""

    def __init__(self, clock: Clock, head_s: Callable[[], int]) -> None:
        self._clock = clock
        self._head_s = head_s

    @property
    def speed(self) -> int:
        """The clock's."""
        return self._clock.speed

    def now(self) -> datetime:
        """The later of the two."""
        return max(self._clock.now(), from_unix_s(self._head_s()))


class RunningClock:
    """Time that goes on by itself from where it stood, `speed` times as fast as real time."""

    def __init__(self, start_at: datetime, *, speed: int = 1) -> None:
        if not 1 <= speed <= SPEED_MAX:
            raise BadInput(field="--speed", rule=f"a whole number from 1 to {SPEED_MAX}")
        self._start_s = to_unix_s(start_at)
        self._speed = speed
        self._began_ns = time.monotonic_ns()

    @property
    def speed(self) -> int:
        """Seconds of this time in a real one."""
        return self._speed

    def now(self) -> datetime:
        """The start and what has passed."""
        passed_ns = (time.monotonic_ns() - self._began_ns) * self._speed
        return from_unix_s(self._start_s + passed_ns // NS_PER_S)
