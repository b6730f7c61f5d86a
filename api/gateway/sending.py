"""Brings what the queue holds to the service, oldest first, through whatever outage."""

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from api.clock import SystemClock
from api.driver.http import BadAnswer, Service, ServiceRefused, ServiceUnreachable
from api.gateway.answers import Market, Refused, fetch_market, taken_of
from api.gateway.errors import OtherCommunity
from api.gateway.queue_file import UNKNOWN, ReadingQueue
from ledger.units import to_rfc3339, to_unix_s
from metering.readings import SignedReading
from metering.readings_json import to_json

BATCH: Final = 1_000
PAUSE_S: Final = 1  # After a failure; twice as long each time, up to PAUSE_S_MAX.
PAUSE_S_MAX: Final = 300
WAIT_S_MAX: Final = 3_600  # Whatever a service asks for.
DAY_S: Final = 86_400
IDLE_S: Final = 60  # So often what was put off is looked at.
APART_S: Final = 30  # Clocks that are further apart are told of.
AHEAD_MAX: Final = timedelta(
    minutes=10
)  # Of a reading's time before the service's clock, which may yet come.
SHOWN: Final = 1_000  # Refusals that are remembered for the summary.
HEALS: Final = frozenset({UNKNOWN, "meter_not_valid_at"})  # The meter may be registered later.
EARLY: Final = "time_in_future"
Place = tuple[bytes, int]  # A meter and an instant.
log = logging.getLogger("wattledger.gateway")


@dataclass(slots=True)
class Sent:
    """What became of readings since the gateway began."""

    accepted: int = 0
    duplicates: int = 0
    refused: dict[Place, dict[str, Any]] = field(default_factory=dict)  # And not accepted since.


class Sender:
    """Its methods wait for the network; `wake` and `stop` may be called from other threads."""

    def __init__(self, service: Service, queue: ReadingQueue, *, every_s: int) -> None:
        self.sent = Sent()
        self._service = service
        self._queue = queue
        self._every_s = every_s
        self._is_known = False  # Whether the service is seen to be the one that is signed for.
        self._tidied_s = 0
        self._said_s = 0  # What was told of the clock last.
        self._woken = threading.Event()
        self._stopped = threading.Event()

    def wake(self) -> None:
        """There is something to send."""
        self._woken.set()

    def stop(self) -> None:
        """No further request is begun."""
        self._stopped.set()
        self._woken.set()

    def run(self, *, until_empty: threading.Event | None = None) -> None:
        """Sends until it is stopped, or until nothing may be sent once that event is set.

        Raises:
            StorageFailed: it does not pass by itself.
        """
        while not self._stopped.is_set():
            self._tidy()
            is_last = until_empty is not None and until_empty.is_set()
            self._woken.clear()
            self._persist(self.send_all)
            if is_last:
                return
            if until_empty is None or not until_empty.is_set():
                self._woken.wait(IDLE_S)

    def meet(self) -> None:
        """Sees to it that the service is the one that readings are signed for.

        Raises:
            OtherCommunity: it is another one, or the queue is.
        """
        market = fetch_market(self._service)
        self._queue.bind(market.domain)
        self._is_known = True
        self._look_at_clocks()
        _remark(market, self._every_s)

    def send_all(self) -> None:
        """Sends what may be sent now.

        Raises:
            ServiceUnreachable, BadAnswer, ServiceRefused: it was not heard, or not understood.
            OtherCommunity: who answers is another one.
        """
        if not self._is_known:
            self.meet()
        while not self._stopped.is_set():
            batch = self._queue.next_batch(self._now_s(), BATCH)
            if not batch:
                return
            self._send(batch)

    def _persist(self, work: Callable[[], None]) -> None:
        """Does something that needs the service, again and again until it is done."""
        pause_s = PAUSE_S
        while not self._stopped.is_set():
            try:
                work()
            except (ServiceUnreachable, BadAnswer, ServiceRefused, OtherCommunity) as error:
                wait_s = max(pause_s, min(self._service.wait_s, WAIT_S_MAX))
                rule = error.detail if isinstance(error, ServiceRefused) else error.rule
                log.warning("%s: %s; all is kept, again in %d s", error.code, rule, wait_s)
                # Neighbours that came back together do not ask together.
                self._stopped.wait(wait_s + secrets.randbelow(250 * pause_s + 1) / 1_000)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
            else:
                return

    def _send(self, batch: list[SignedReading]) -> None:
        body = {"readings": [to_json(each) for each in batch]}
        answer = self._service.ask("/v1/readings", body)
        taken = taken_of(self._service.url, answer, len(batch))
        done = [each for place, each in enumerate(batch) if place not in taken.refused]
        self._queue.done(done)
        for each in done:
            self.sent.refused.pop(_place(each), None)
        for place, refused in taken.refused.items():
            self._refused(batch[place], refused)
        self.sent.accepted += taken.accepted
        self.sent.duplicates += taken.duplicates
        log.info(
            "sent %d: %d accepted, %d duplicates, %d refused; the last is of %s",
            *(len(batch), taken.accepted, taken.duplicates, len(taken.refused)),
            to_rfc3339(batch[-1].reading.taken_at),
        )
        self._look_at_clocks()

    def _tidy(self) -> None:
        """Once a day the queue forgets what was done long ago."""
        now_s = self._now_s()
        if abs(now_s - self._tidied_s) >= DAY_S:
            self._queue.forget_done(now_s)
            self._tidied_s = now_s

    def _refused(self, signed: SignedReading, refused: Refused) -> None:
        again = refused.code in HEALS or (refused.code == EARLY and not self._is_wrong(signed))
        taken_at = to_rfc3339(signed.reading.taken_at)
        if again:
            self._queue.put_off(signed, refused.code, refused.detail, now_s=self._now_s())
        else:
            self._queue.refused(signed, refused.code, refused.detail)
        # It is told of once, however often it is tried.
        if _place(signed) not in self.sent.refused:
            log.warning(
                "the reading of %s is refused, and %s: %s: %s",
                *(taken_at, "tried again later" if again else "kept", refused.code, refused.detail),
            )
        if len(self.sent.refused) < SHOWN:
            facts = {"taken_at": taken_at, "code": refused.code, "detail": refused.detail}
            self.sent.refused[_place(signed)] = facts | {"again": again}

    def _is_wrong(self, signed: SignedReading) -> bool:
        """Whether a time is not early but wrong: later it would be believed all the same."""
        return signed.reading.taken_at - self._service.now_at() > AHEAD_MAX

    def _look_at_clocks(self) -> None:
        """Tells of a clock that is wrong, and once more when it changes."""
        ahead_s = self._service.ahead_s
        if abs(ahead_s - self._said_s) <= APART_S:
            return
        self._said_s = ahead_s if abs(ahead_s) > APART_S else 0
        if self._said_s:
            where = "behind" if ahead_s > 0 else "ahead of"
            log.warning("this machine's clock is %d s %s the service's", abs(ahead_s), where)

    def _now_s(self) -> int:
        return to_unix_s(SystemClock().now())


def _place(signed: SignedReading) -> Place:
    return signed.reading.meter_id, to_unix_s(signed.reading.taken_at)


def _remark(market: Market, every_s: int) -> None:
    """Says what will make readings useless, though nothing is wrong with them."""
    if market.window_s % every_s:
        log.warning(
            "windows last %d s: with --every %d not each of their boundaries is read",
            *(market.window_s, every_s),
        )
    apart_s = abs(to_unix_s(market.now_at) - to_unix_s(SystemClock().now()))
    if market.speed != 1 or apart_s > PAUSE_S_MAX:
        log.warning("the community lives in a time of its own, %s now", to_rfc3339(market.now_at))
