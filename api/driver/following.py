"""Follows a charge to its end, and does on the way what its driver wants: stop, top up."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty
from typing import Final

from api.driver.answers import Session
from api.driver.desk import DriverDesk
from api.driver.news import Dropped, GaveUp, Inbox, Interrupted, News, listen
from charging.desk import ENDED, SessionState
from charging.orders import SessionId
from ledger.errors import LedgerError

ROUND_S: Final = 1.0  # How often the time is looked at.
STOP_AGAIN_S: Final = 5.0  # A stop that did not get through is asked for again.
LEFT_FIFTHS: Final = 5  # A deposit of which less than a fifth is left is nearly used,
LASTS_S_MIN: Final = 300  # or which lasts for less than this at full power.
SECONDS_PER_HOUR: Final = 3_600
RUNNING: Final = frozenset({SessionState.OPENING, SessionState.OPEN, SessionState.CHARGING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """When the driver wants the charge to stop, and how much may be added to the deposit, once."""

    energy_wh: int | None = None
    charge_s: int | None = None
    top_up_micro: int | None = None
    full_micro_per_hour: int = 0  # What the charger costs at full power.

    def is_nearly_used(self, session: Session, interval_s: int) -> bool:
        """Whether a deposit may soon stop the charge.

        Args:
            interval_s: between two meter values; the service keeps a reserve for one.
        """
        left_micro = session.deposit_micro - session.cost_micro
        kept_s = max(LASTS_S_MIN, 2 * interval_s)
        return LEFT_FIFTHS * left_micro < session.deposit_micro or (
            left_micro * SECONDS_PER_HOUR < kept_s * self.full_micro_per_hour
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How a charge ended."""

    session: Session
    stop_asked: bool  # By the driver, in words or by a wish.


@contextmanager
def interruptible(inbox: Inbox) -> Iterator[None]:
    """Ctrl-C becomes news, once; a second one ends the program."""
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        inbox.put(Interrupted())

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Following:
    """One charge that is followed."""

    def __init__(
        self,
        desk: DriverDesk,
        session_id: SessionId,
        wishes: Wishes,
        *,
        inbox: Inbox,
        show: Callable[[Session], None],
        note: Callable[[str], None],
        top_up: Callable[[int], object],
    ) -> None:
        """
        Args:
            inbox: where Ctrl-C is told, too.
            show: is told of every change, and about every second of none.
            note: is told in a line what was done.
            top_up: signs and sends an addition to the deposit, in micro.
        """
        self._desk = desk
        self._session_id = session_id
        self._wishes = wishes
        self._inbox = inbox
        self._show = show
        self._note = note
        self._top_up = top_up
        self._topped_up = wishes.top_up_micro is None
        self._stop_wanted = False
        self._stop_sent_s = time.monotonic() - STOP_AGAIN_S
        self._stop_taken = False
        self._session: Session | None = None
        self._heard_s = time.monotonic()
        self._interval_s = 0  # The longest between two meter values.

    def run(self) -> Followed:
        """Returns when the session has ended.

        Raises:
            LedgerError: what keeps us from hearing more of it.
        """
        listen(self._desk, self._session_id, self._inbox)
        while self._session is None or self._session.state not in ENDED:
            self._take(self._next())
            if self._session is not None:
                self._show(self._session)
                self._act(self._session)
        return Followed(session=self._session, stop_asked=self._stop_wanted)

    def _next(self) -> News | None:
        try:
            return self._inbox.get(timeout=ROUND_S)
        except Empty:
            return None

    def _take(self, news: News | None) -> None:
        match news:
            case Session():
                before_s = self._session.measured_s if self._session else None
                if before_s is not None and news.measured_s is not None:
                    self._interval_s = max(self._interval_s, news.measured_s - before_s)
                self._session, self._heard_s = news, time.monotonic()
            case Dropped(rule=rule):
                self._note(f"the connection dropped ({rule}); the charge goes on, trying again")
            case GaveUp(error=error):
                raise error
            case Interrupted():
                self._want_stop("stopping; Ctrl-C again leaves without waiting for the refund")

    def _act(self, session: Session) -> None:
        if session.state not in RUNNING:
            return
        wishes = self._wishes
        if wishes.energy_wh is not None and session.energy_wh >= wishes.energy_wh:
            self._want_stop("stopping: it has charged as much as was asked for")
        if wishes.charge_s is not None and self._charged_s(session) >= wishes.charge_s:
            self._want_stop("stopping: it has charged for as long as was asked for")
        is_charging = session.state is SessionState.CHARGING
        if is_charging and not (self._topped_up or self._stop_wanted):
            self._add_in_time(session)
        if self._stop_wanted:
            self._send_stop()

    def _charged_s(self, session: Session) -> float:
        """Seconds since the charge began, as of now."""
        if session.started_s is None:
            return 0
        return session.time_s + session.idle_s + time.monotonic() - self._heard_s

    def _want_stop(self, why: str) -> None:
        if not self._stop_wanted:
            self._stop_wanted = True
            self._note(why)

    def _send_stop(self) -> None:
        now_s = time.monotonic()
        if self._stop_taken or now_s - self._stop_sent_s < STOP_AGAIN_S:
            return
        self._stop_sent_s = now_s
        try:
            self._desk.stop(self._session_id)
            self._stop_taken = True
        except LedgerError as error:
            self._note(f"the stop did not get through, trying again: {error}")

    def _add_in_time(self, session: Session) -> None:
        """Tops up; a charge that cannot be topped up goes on with what it has."""
        if not self._wishes.is_nearly_used(session, self._interval_s):
            return
        self._topped_up = True
        try:
            self._top_up(self._wishes.top_up_micro or 0)
        except LedgerError as error:
            self._note(f"not topped up: {error}")
