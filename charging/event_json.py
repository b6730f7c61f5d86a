"""What a charge point said, as JSON and back: how events are kept."""

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
    TransactionStarted,
    TransactionUpdated,
)

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
_OURS: Final = frozenset({"received_at"})  # Not said by the charger.


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
    """What tells an event from another: all that the charger said, not when it reached us."""
    said = {name: value for name, value in msgspec.to_builtins(event).items() if name not in _OURS}
    return sha256(msgspec.json.encode([kind_of(event), said])).digest()


@cache
def _decoder(kind: str) -> "msgspec.json.Decoder[PointEvent]":
    return msgspec.json.Decoder(KINDS[kind])
