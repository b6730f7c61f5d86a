"""Reads a meter: telegrams become readings, which are signed and kept."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from api.clock import SystemClock
from api.gateway.errors import MeterLost
from api.gateway.key_file import MeterKey
from api.gateway.queue_file import ReadingQueue
from api.gateway.sources import ReadLine, Source
from ledger.errors import LedgerError
from ledger.units import Hash32, to_rfc3339, to_unix_s
from metering.readings import Reading
from metering.sampling import Sampler
from metering.signing import sign_reading
from metering.telegrams import Telegram, TelegramFormat, TelegramReader

SILENT_S: Final = 120  # A line on which nothing came for so long is opened anew.
PAUSE_S: Final = 1  # Before a line is opened again; twice as long each time, up to PAUSE_S_MAX.
PAUSE_S_MAX: Final = 60
FIRST_WITHIN_S: Final = 60  # With --once.
TELL_S: Final = 60  # Telegrams that cannot be read are told of at most so often.
DOMAIN_AGAIN_S: Final = 0.5
NOTHING: Final = Hash32(bytes(32))
APART_S: Final = 60  # A meter's clock that is further from ours is told of.
log = logging.getLogger("wattledger.gateway")


@dataclass(slots=True)
class Heard:
    """What came from the meter since the gateway began."""

    telegrams: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)  # By code.
    taken: int = 0  # Readings.


class MeterReader:
    """Its methods wait for the meter; `stop` may be called from another thread."""

    def __init__(
        self,
        source: Source,
        telegram_format: TelegramFormat,
        *,
        key: MeterKey,
        queue: ReadingQueue,
        every_s: int,
        wake: Callable[[], None],
    ) -> None:
        """`wake` is told of each reading that is kept."""
        self.heard = Heard()
        self.sampler = Sampler(every_s)
        self._source = source
        self._format = telegram_format
        self._telegrams = TelegramReader(telegram_format)
        self._key = key
        self._queue = queue
        self._wake = wake
        self._stopped = threading.Event()
        self._told_s = float(-TELL_S)
        self._clock_told = False

    def stop(self) -> None:
        """Nothing more is read; what was cut off is no telegram."""
        self._stopped.set()

    def run(self) -> None:
        """Reads until it is stopped or the source has ended; a line that breaks is opened again.

        Raises:
            MeterLost: of a source that ends, when it cannot be read.
            StorageFailed: readings cannot be kept.
        """
        pause_s, separator = PAUSE_S, self._signed_for()
        while not self._stopped.is_set():
            before = self.heard.telegrams
            try:
                self._read_all(separator)
            except MeterLost as error:
                if not self._source.is_live:
                    raise
                pause_s = PAUSE_S if self.heard.telegrams > before else pause_s
                log.warning("%s; opened again in %d s", error, pause_s)
                self._stopped.wait(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
            else:
                return

    def read_one(self) -> None:
        """Keeps the reading of the first whole telegram.

        Raises:
            MeterLost: none came.
            StorageFailed: it cannot be kept.
        """
        ends_s = time.monotonic() + FIRST_WITHIN_S
        separator = self._signed_for()
        with self._source.open() as read:
            for telegrams in self._heard(read):
                if telegrams:
                    self._keep(self._reading(telegrams[0]), separator)
                    return
                if time.monotonic() > ends_s:
                    break
        if not self._stopped.is_set():
            rule = f"no whole telegram of the format {self._format.name}"
            raise MeterLost(source=self._source.name, rule=rule)

    def _signed_for(self) -> Hash32:
        """What readings are signed for; a key file may leave it open, until the service says it."""
        while (domain := self._queue.domain()) is None and not self._stopped.is_set():
            self._stopped.wait(DOMAIN_AGAIN_S)
        return NOTHING if domain is None else domain.separator  # Stopped: nothing will be read.

    def _read_all(self, separator: Hash32) -> None:
        """Until the end, or until it is stopped."""
        self._telegrams.forget_half()
        with self._source.open() as read:
            log.info("reading %s from %s", self._format.name, self._source.name)
            for telegrams in self._heard(read):
                for telegram in telegrams:
                    by_clock = telegram.measured_at is not None
                    for reading in self.sampler.take(self._reading(telegram), by_clock=by_clock):
                        self._keep(reading, separator)

    def _heard(self, read: ReadLine) -> Iterator[list[Telegram]]:
        """What each look at the line brings, until its end."""
        heard_s = time.monotonic()
        while not self._stopped.is_set():
            octets = read()
            if octets:
                heard_s = time.monotonic()
            elif self._source.is_live and (octets is None or time.monotonic() - heard_s > SILENT_S):
                rule = "the line is closed" if octets is None else f"silent for {SILENT_S} s"
                raise MeterLost(source=self._source.name, rule=rule)
            elif octets is None:
                return
            yield self._understood(octets)

    def _understood(self, octets: bytes) -> list[Telegram]:
        understood = []
        for found in self._telegrams.feed(octets):
            if isinstance(found, Telegram):
                self.heard.telegrams += 1
                understood.append(found)
            else:
                self._unreadable(found)
        return understood

    def _unreadable(self, error: LedgerError) -> None:
        self.heard.unreadable[error.code] += 1
        if time.monotonic() - self._told_s >= TELL_S:
            self._told_s = time.monotonic()
            count = self.heard.unreadable.total()
            log.warning("a telegram was passed over, %d by now: %s", count, error)

    def _reading(self, telegram: Telegram) -> Reading:
        arrived_at = SystemClock().now()
        if telegram.measured_at is not None and self._source.is_live:
            self._compare_clocks(to_unix_s(telegram.measured_at) - to_unix_s(arrived_at))
        return Reading(
            meter_id=self._key.meter_id,
            taken_at=telegram.measured_at or arrived_at,
            import_wh=telegram.import_wh,
            export_wh=telegram.export_wh,
        )

    def _compare_clocks(self, ahead_s: int) -> None:
        """Tells of a meter's clock that is wrong, once each time that it becomes so."""
        is_apart = abs(ahead_s) > APART_S
        if is_apart and not self._clock_told:
            where = "ahead of" if ahead_s > 0 else "behind"
            log.warning("the meter's clock is %d s %s this machine's", abs(ahead_s), where)
        self._clock_told = is_apart

    def _keep(self, reading: Reading, separator: Hash32) -> None:
        signed = sign_reading(reading, self._key.secret, separator)
        if self._queue.add(signed, now_s=to_unix_s(SystemClock().now())):
            self.heard.taken += 1
            log.info("kept the reading of %s", to_rfc3339(reading.taken_at))
            self._wake()
