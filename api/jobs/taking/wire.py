"""What the service and its intake workers say to each other, over pipes.

A frame is its kind, the number of the request that it is about, its length, and its bytes.
"""

import struct
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec

from api.errors import Internal, StorageFailed
from api.jobs.taking.answers import Outcome, TakenAnswer
from ledger.errors import LedgerError
from ledger.units import AccountId, Address, from_unix_s, to_unix_s
from metering.errors import EmptyFile, TooManyReadings, UnknownFormat
from metering.meters import MeterBook, MeterClass, MeterTerm
from metering.readings import MeterId

HEAD: Final = struct.Struct(">BQQ")
_INSTANT: Final = struct.Struct(">Q")
_REFUSALS: Final = {
    kind.code: kind for kind in (UnknownFormat, EmptyFile, TooManyReadings, StorageFailed, Internal)
}


class Kind(IntEnum):
    """What a frame is."""

    SETUP = 1  # To a worker, first: what it takes readings into.
    BOOK = 2  # To a worker: the meters from now on.
    TAKE = 3  # To a worker: a request.
    READY = 4  # From a worker: it can be given requests.
    ANSWER = 5  # From a worker: what became of a request.


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker takes readings into."""

    database_url: str
    chain_id: int
    registry: bytes
    meter_readings_per_minute: int


class _Term(msgspec.Struct, frozen=True, array_like=True):
    meter_id: bytes
    key: bytes
    account: int
    meter_class: str
    limit_w: int
    from_s: int
    until_s: int | None


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    body: bytes
    counts: dict[str, int]
    refusal: str = ""  # Its code; then there is nothing else but its facts.
    facts: dict[str, int | str] = {}


_SETUP = msgspec.msgpack.Decoder(Setup)
_BOOK = msgspec.msgpack.Decoder(list[_Term])
_ANSWER = msgspec.msgpack.Decoder(_Answer)


def frame(kind: Kind, number: int, *parts: bytes) -> bytes:
    """A frame as it is sent."""
    return b"".join((HEAD.pack(kind, number, sum(map(len, parts))), *parts))


def setup_frame(setup: Setup) -> bytes:
    """The first frame."""
    return frame(Kind.SETUP, 0, msgspec.msgpack.encode(setup))


def setup_of(payload: bytes) -> Setup:
    """What the first frame holds."""
    return _SETUP.decode(payload)


def book_frame(book: MeterBook) -> bytes:
    """All meters' terms."""
    terms = [
        _Term(
            term.meter_id,
            term.key,
            term.account,
            term.meter_class.value,
            term.limit_w,
            to_unix_s(term.valid_from),
            None if term.valid_until is None else to_unix_s(term.valid_until),
        )
        for meter_id in book.meters()
        for term in book.terms_of_meter(meter_id)
    ]
    return frame(Kind.BOOK, 0, msgspec.msgpack.encode(terms))


def book_of(payload: bytes) -> MeterBook:
    """The meters that a frame holds."""
    return MeterBook(
        MeterTerm(
            meter_id=MeterId(term.meter_id),
            key=Address(term.key),
            account=AccountId(term.account),
            meter_class=MeterClass(term.meter_class),
            limit_w=term.limit_w,
            valid_from=from_unix_s(term.from_s),
            valid_until=None if term.until_s is None else from_unix_s(term.until_s),
        )
        for term in _BOOK.decode(payload)
    )


def take_frame(number: int, accepted_at_s: int, body: bytes) -> bytes:
    """A request."""
    return frame(Kind.TAKE, number, _INSTANT.pack(accepted_at_s), body)


def request_of(payload: bytes) -> tuple[int, bytes]:
    """When the request came, and its body."""
    return _INSTANT.unpack_from(payload)[0], payload[_INSTANT.size :]


def answer_frame(number: int, outcome: Outcome) -> bytes:
    """What became of a request."""
    if isinstance(outcome, TakenAnswer):
        answer = _Answer(outcome.body, dict(outcome.counts))
    else:
        known = outcome if outcome.code in _REFUSALS else Internal()
        answer = _Answer(b"", {}, known.code, known.facts())  # type: ignore[arg-type]
    return frame(Kind.ANSWER, number, msgspec.msgpack.encode(answer))


def outcome_of(payload: bytes) -> Outcome:
    """What an answer holds."""
    answer = _ANSWER.decode(payload)
    if not answer.refusal:
        return TakenAnswer(body=answer.body, counts=Counter(answer.counts))
    kind: Callable[..., LedgerError] = _REFUSALS[answer.refusal]
    return kind(**answer.facts)
