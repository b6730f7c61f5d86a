"""What a charge point said, as JSON and back: how events are kept."""

from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Final

import msgspec

from charging.points import (
    Alive,
    Authorised,
    Booted,
    PointEvent,
    StatusChanged,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from ledger.units import EPOCH

KINDS: Final[dict[str, type[PointEvent]]] = {
    kind.__name__: kind
    for kind in (
        Alive,
        Authorised,
        Booted,
        StatusChanged,
        TransactionStarted,
        TransactionUpdated,
        TransactionEnded,
    )
}


def kind_of(event: PointEvent) -> str:
    """The name that an event's kind has in the database."""
    return type(event).__name__


def to_json(event: PointEvent) -> str:
    """An event as JSON."""
    return msgspec.json.encode(event).decode()


def from_json(kind: str, text: str) -> PointEvent:
    """The event that was kept."""
    return _decoder(kind).decode(text)


def digest_of(event: PointEvent) -> bytes:
    """What tells an event from another: all that the charger said, not when it reached us.

    What a charger says of a charge again, of the same instant, is the same under another message
    id, too: it did not hear our answer.
    """
    is_dated = isinstance(event, TransactionEvent) and event.at is not None
    message_id = "" if is_dated else event.message_id
    said = replace(event, received_at=EPOCH, message_id=message_id)
    return sha256(kind_of(event).encode() + msgspec.json.encode(said)).digest()


@cache
def _decoder(kind: str) -> "msgspec.json.Decoder[PointEvent]":
    return msgspec.json.Decoder(KINDS[kind])
