"""What happens to a session, put into one queue by a thread that stays connected."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from api.driver.answers import Session
from api.driver.desk import NOT_SIGNED_IN, DriverDesk
from api.driver.http import ServiceRefused, ServiceUnreachable
from charging.desk import ENDED
from charging.orders import SessionId
from ledger.errors import LedgerError

GIVE_UP_S: Final = 600  # A service that is away for so long is not waited for.
PAUSE_S: Final = 1.0  # Before coming back; twice as long each time, up to PAUSE_S_MAX.
PAUSE_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The connection is gone; it is tried again."""

    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp:
    """Nothing more will be heard."""

    error: LedgerError


class Interrupted:
    """The driver pressed Ctrl-C."""


News = Session | Dropped | GaveUp | Interrupted
Inbox = SimpleQueue[News]  # Its `put` may be called by a signal handler, unlike Queue's.


def listen(desk: DriverDesk, session_id: SessionId, inbox: Inbox) -> None:
    """Puts every change of a session into a queue, through whatever drops, until it has ended."""
    listener = _Listener(desk, session_id, inbox.put)
    threading.Thread(target=listener.run, name="session-events", daemon=True).start()


class _Listener:
    def __init__(
        self, desk: DriverDesk, session_id: SessionId, tell: Callable[[News], None]
    ) -> None:
        self._desk = desk
        self._session_id = session_id
        self._tell = tell
        self._last_seen: str | None = None
        self._heard_s = time.monotonic()
        self._pause_s = PAUSE_S
        self._ended = False

    def run(self) -> None:
        while not self._ended:
            try:
                self._hear()
                if not self._ended:  # The stream ended, and we do not know how the session did.
                    self._take(self._desk.session(self._session_id))
            except LedgerError as error:
                if not _may_pass(error) or time.monotonic() - self._heard_s > GIVE_UP_S:
                    self._tell(GaveUp(error=error))
                    return
                self._tell(Dropped(rule=error.detail))
            if not self._ended:
                time.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)

    def _hear(self) -> None:
        for session, event_id in self._desk.events(self._session_id, self._last_seen):
            self._last_seen = event_id
            self._take(session)

    def _take(self, session: Session) -> None:
        self._heard_s, self._pause_s = time.monotonic(), PAUSE_S
        self._ended = session.state in ENDED
        self._tell(session)


def _may_pass(error: LedgerError) -> bool:
    if isinstance(error, ServiceRefused):
        return error.may_pass or error.code == NOT_SIGNED_IN
    return isinstance(error, ServiceUnreachable)
