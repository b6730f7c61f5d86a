"""Signatures of readings: EIP-712 `MeterReading` under the MeterRegistry's domain (INTERFACES §4).

The digest is laid out by hand: it is one hash over five fixed words, and doing that here is six
times faster than a general encoder (the tests compare the two).
"""

import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ledger.errors import BadSignature, LedgerError, MalleableSignature
from ledger.keccak import keccak256, recover, sign, typed_digest
from ledger.units import Address, Hash32, to_unix_s
from metering.errors import MeterNotValidAt, UnknownMeter
from metering.meters import MeterBook
from metering.readings import Reading, SignedReading

READING_TYPE: Final = (
    b"MeterReading(bytes32 meterId,uint64 takenAt,uint64 importWh,uint64 exportWh)"
)
READING_TYPE_HASH: Final = keccak256(READING_TYPE)
_WORDS: Final = struct.Struct(">32s32s24xQ24xQ24xQ")  # Type hash, meter, and three uint64 words.

BATCH_READINGS_MIN: Final = 1_000  # Below this a thread costs more than it saves.


def reading_digest(reading: Reading, separator: Hash32) -> Hash32:
    """The 32 bytes that a meter signs; `separator` is `domain_separator(chain_id, registry)`."""
    words = _WORDS.pack(
        READING_TYPE_HASH,
        reading.meter_id,
        to_unix_s(reading.taken_at),
        reading.import_wh,
        reading.export_wh,
    )
    return typed_digest(separator, keccak256(words))


def sign_reading(reading: Reading, private_key: bytes, separator: Hash32) -> SignedReading:
    """Signs a reading with a meter's key."""
    signature = sign(reading_digest(reading, separator), private_key)
    return SignedReading(reading=reading, signature=signature)


def signer_of(signed: SignedReading, separator: Hash32) -> Address:
    """Address of the key that signed; raises `BadSignature` or `MalleableSignature`."""
    return recover(reading_digest(signed.reading, separator), signed.signature)


def verify(signed: SignedReading, book: MeterBook, separator: Hash32) -> None:
    """Refuses a reading that was not signed by the key that its meter had at that instant.

    Raises:
        UnknownMeter, MeterNotValidAt: nobody's key could have signed it.
        BadSignature, MalleableSignature: another key did, or none.
    """
    reading = signed.reading
    terms = book.terms_accepting(reading.meter_id, reading.taken_at)
    signer = signer_of(signed, separator)
    if all(term.key != signer for term in terms):
        raise BadSignature(rule="not signed by the key that the meter has at that instant")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReadings:
    """Readings in order of arrival, and what is wrong with the signature of each, if anything.

    Only `verify_many` makes it, and intake takes nothing else in: no unsigned reading slips by.
    """

    signed: Sequence[SignedReading]
    errors: Sequence[LedgerError | None]


def verify_many(
    candidates: Sequence[SignedReading], book: MeterBook, separator: Hash32
) -> CheckedReadings:
    """Checks each reading as `verify` does; one that fails stops nothing."""
    # Threads, not processes: the curve's arithmetic, most of the work, runs without Python's lock.
    workers = min(_cores(), len(candidates) // BATCH_READINGS_MIN)
    if workers <= 1:
        errors = _verify_batch(candidates, book, separator)
        return CheckedReadings(signed=candidates, errors=errors)
    size = -(-len(candidates) // (4 * workers))  # Four each, so that none waits long for another.
    batches = [candidates[at : at + size] for at in range(0, len(candidates), size)]
    with ThreadPoolExecutor(workers) as pool:
        checked = pool.map(lambda batch: _verify_batch(batch, book, separator), batches)
        errors = [error for batch in checked for error in batch]
    return CheckedReadings(signed=candidates, errors=errors)


def _verify_batch(
    candidates: Sequence[SignedReading], book: MeterBook, separator: Hash32
) -> list[LedgerError | None]:
    errors: list[LedgerError | None] = []
    for signed in candidates:
        try:
            verify(signed, book, separator)
        except (UnknownMeter, MeterNotValidAt, BadSignature, MalleableSignature) as error:
            # The traceback would keep this frame, and with it the whole batch, alive.
            errors.append(error.with_traceback(None))
        else:
            errors.append(None)
    return errors


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
