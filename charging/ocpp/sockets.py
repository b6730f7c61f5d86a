"""The socket under a connection, whatever carries it, and how fast it is read."""

from typing import Final, Protocol

CLOSE_TOO_BIG: Final = 1009
CLOSE_REPLACED: Final = 4000  # Our own: the same charger came again on another socket.


class SocketClosed(Exception):
    """Nothing more will come, and nothing more can be sent."""


class Socket(Protocol):
    """A WebSocket after its handshake. Every method may raise SocketClosed."""

    async def recv(self) -> str: ...

    async def send(self, text: str) -> None: ...

    async def close(self, code: int) -> None: ...


class Pace:
    """How long to wait after a frame that came out of turn.

    That is a request before the last one was answered, an answer to nothing, nonsense. A charger
    that keeps to the turns is never held up.

    A bucket of `burst` frames that fills at `rate_per_s` (floats: seconds, nothing is billed).
    """

    def __init__(self, *, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._left = float(burst)
        self._filled_at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Counts one frame and says how long to wait before the next."""
        filled = self._left + (now_s - self._filled_at_s) * self._rate_per_s
        self._left = min(self._burst, filled) - 1.0
        self._filled_at_s = now_s
        return max(0.0, -self._left / self._rate_per_s)
