"""Takes in what several requests hold: read, checked and judged one by one, kept in one go."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy.exc import DBAPIError

from api.errors import Internal, RateLimited, StorageFailed
from api.jobs.taking.answers import READINGS_MAX, Outcome, TakenAnswer
from ledger.errors import LedgerError
from ledger.units import Hash32
from metering.errors import Problem
from metering.meters import MeterBook
from metering.readings import MeterId
from metering.readings_json import read_readings
from metering.signing import CheckedReadings, verify_many
from metering.store import ReadingStore

MINUTE_S: Final = 60
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When readings are taken in, and by what is known then."""

    book: MeterBook
    now_at: datetime  # The machine's time: no reading may be ahead of it.
    accepted_at: datetime  # The community's.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One request, read and checked."""

    checked: CheckedReadings
    indices: Sequence[int]
    problems: Sequence[Problem]


class MeterRates:
    """How many readings a meter may send in a minute: enough for a year that was missed."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._counts = Counter[MeterId]()
        self._minute = 0

    def limited(self, checked: CheckedReadings) -> CheckedReadings:
        """Refuses what is too much; counts only what the meter itself has signed."""
        minute, passed_s = divmod(int(time.monotonic()), MINUTE_S)
        if minute != self._minute:
            self._counts.clear()
            self._minute = minute
        errors = list(checked.errors)
        for place, (signed, error) in enumerate(zip(checked.signed, checked.errors, strict=True)):
            if error is not None:
                continue
            meter_id = signed.reading.meter_id
            self._counts[meter_id] += 1
            if self._counts[meter_id] > self._per_minute:
                errors[place] = RateLimited(retry_after_s=MINUTE_S - passed_s)
        return replace(checked, errors=errors)


class Taker:
    """Takes readings into one store; may be used by several threads."""

    def __init__(
        self, store: ReadingStore, domain: Hash32, *, meter_readings_per_minute: int
    ) -> None:
        """`domain`: what meters sign under."""
        self._store = store
        self._domain = domain
        self._rates = MeterRates(meter_readings_per_minute)

    def take(self, bodies: Sequence[bytes], moment: Moment) -> list[Outcome]:
        """What becomes of each request; what is accepted is kept for good when this returns."""
        try:
            return self._take(bodies, moment)
        except DBAPIError as error:
            failed = StorageFailed(path="database", reason=" ".join(str(error.orig).split()))
            log.warning("readings could not be kept: %s", failed)
            return [failed for _ in bodies]
        except Exception:
            log.exception("readings could not be taken in")
            if len(bodies) == 1:
                return [Internal()]
            # Whichever of them brought the fault to light must not sink the others.
            return [outcome for body in bodies for outcome in self.take([body], moment)]

    def _take(self, bodies: Sequence[bytes], moment: Moment) -> list[Outcome]:
        each = [self._read(body, moment.book) for body in bodies]
        results = iter(
            self._store.take_each(
                [read.checked for read in each if isinstance(read, _Read)],
                book=moment.book,
                now_at=moment.now_at,
                accepted_at=moment.accepted_at,
            )
        )
        return [
            TakenAnswer.of(next(results).located(read.indices, read.problems))
            if isinstance(read, _Read)
            else read
            for read in each
        ]

    def _read(self, body: bytes, book: MeterBook) -> _Read | LedgerError:
        try:
            signed, indices, problems = read_readings(body, count_max=READINGS_MAX)
        except LedgerError as error:
            return error.with_traceback(None)
        checked = self._rates.limited(verify_many(signed, book, self._domain))
        return _Read(checked=checked, indices=indices, problems=problems)
