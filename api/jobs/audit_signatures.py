"""The audit's first question: did the meter that a reading names sign it?

A meter's key may be changed, or the meter retired, from the very moment on in which it speaks. Who
takes readings in hears of it a little later, and until then believes the old key: such a reading is
remarked, and a later one is a discrepancy.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from api.jobs.audit_report import AuditReport, Progress
from api.jobs.evidence import KnownReading
from api.jobs.meter_book import book_of_logs
from ledger.chain.protocol import Chain, Log
from ledger.errors import BadSignature, LedgerError
from ledger.units import Hash32, to_rfc3339, to_unix_s
from metering.errors import MeterNotValidAt
from metering.intake import CLOCK_TOLERANCE
from metering.signing import verify, verify_many

SECOND: Final = timedelta(seconds=1)
HEARD_WITHIN_S: Final = 600  # Confirmations, and a chain that is slow.


def check_signatures(
    report: AuditReport,
    readings: Sequence[KnownReading],
    chain: Chain,
    registry_logs: Sequence[Log],
    *,
    domain: Hash32,
    progress: Progress,
) -> None:
    """Notes each reading that its meter did not sign."""
    signed = [each.signed for each in readings]
    checked = verify_many(signed, book_of_logs(registry_logs), domain)
    changes = _Changes(chain, registry_logs)
    for known, error in zip(readings, checked.errors, strict=True):
        if error is None:
            continue
        reading = known.signed.reading
        where = f"reading 0x{reading.meter_id.hex()} {to_rfc3339(reading.taken_at)}"
        if isinstance(error, BadSignature | MeterNotValidAt) and _was_good(known, changes, domain):
            report.remark(where, "its meter's key had just been changed, or the meter retired")
        else:
            report.note(where, str(error))
    progress("readings", len(signed), len(signed))


class _Changes:
    """The registry's logs with their times, which are read when they are needed."""

    def __init__(self, chain: Chain, logs: Sequence[Log]) -> None:
        self._chain = chain
        self._logs = logs
        self._times_s: dict[int, int] = {}

    def before(self, accepted_at_s: int, meter_id: bytes) -> list[Sequence[Log]]:
        """What the registry had said before each change that may not have been heard of yet."""
        return [
            self._logs[:place]
            for place, log in enumerate(self._logs)
            if meter_id in log.topics
            and self._time_s(log.block_number) > accepted_at_s - HEARD_WITHIN_S
        ]

    def _time_s(self, number: int) -> int:
        if number not in self._times_s:
            block = self._chain.block(number)
            self._times_s[number] = block.timestamp_s if block else 0
        return self._times_s[number]


def _was_good(known: KnownReading, changes: _Changes, domain: Hash32) -> bool:
    """Whether the meter had signed it, by what could be known when it was accepted."""
    meter_id, taken_s = known.signed.reading.meter_id, to_unix_s(known.signed.reading.taken_at)
    if taken_s > known.accepted_at_s + CLOCK_TOLERANCE // SECOND:
        return False  # No intake takes it so early: the instant is not to be believed.
    for said in changes.before(known.accepted_at_s, meter_id):
        try:
            verify(known.signed, book_of_logs(said), domain)
        except LedgerError:
            continue
        return True
    return False
