"""What a charger's request becomes: an event for the sink, and the answer that waits for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypedDict

from charging.ocpp.faults import Fault, Refusal
from charging.ocpp.frames import Payload
from charging.points import PointEvent, Reply

INTEGER_MIN: Final = -(2**31)  # OCPP's integers have 32 bits (1.6 §7, 2.0.1 part 2 §2.1).
INTEGER_MAX: Final = 2**31 - 1
REASON_CHARS_MAX: Final = 50


class Origin(TypedDict):
    """Who said it, in which message and when: what every event begins with."""

    charge_point_id: str
    message_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a charger is told and granted."""

    heartbeat_s: int = 300  # Between two heartbeats.
    sample_s: int = 10  # Between two meter values of a running charge.
    answer_within_s: float = 30.0  # For a command; then its outcome is unknown.
    setting_within_s: float = 10.0  # For a setting, which may not hold up a driver's start.
    frame_chars_max: int = 65_536
    frames_per_s: float = 50.0  # Out of turn, of one charger; more are read more slowly.
    frames_burst: int = 200
    calls_waiting_max: int = 32  # Then nothing more is read from this charger.


@dataclass(slots=True)
class Heard:
    """A request understood. Without an event there is nothing to keep, and it is answered at once.

    `answer` makes the library's `call_result` of the sink's reply.
    """

    event: PointEvent | None
    answer: Callable[[Reply], Any]


def always(result: object) -> Callable[[Reply], object]:
    """An answer that does not depend on what the sink replies."""
    return lambda _reply: result


Hear = Callable[[Payload, Origin, Terms], Heard]


def just(result: object) -> Hear:
    """Hears a request that is answered always alike and leaves nothing to keep."""

    def hear(_payload: Payload, _origin: Origin, _terms: Terms) -> Heard:
        return Heard(None, always(result))

    return hear


def reason_of(stated: object) -> str:
    """Why a charge ended, also in words that are not the standard's; `Local` if it states none.

    OCPP 1.6 §6.47 and 2.0.1 part 2, TransactionType, let it be left out in that case.
    """
    return stated[:REASON_CHARS_MAX] if isinstance(stated, str) else "Local"


def fitting_integer(payload: Mapping[str, Any], field: str) -> int | None:
    """An integer field within OCPP's range; None if it is not there or does not fit."""
    value = payload.get(field)
    if not isinstance(value, int | Decimal) or not INTEGER_MIN <= value <= INTEGER_MAX:
        return None
    return int(value)


def integer(payload: Mapping[str, Any], field: str) -> int | None:
    """The same; raises Refusal for one that does not fit."""
    value = fitting_integer(payload, field)
    if value is None and payload.get(field) is not None:
        rule = f"an integer from {INTEGER_MIN} to {INTEGER_MAX}"
        raise Refusal(fault=Fault.VALUE, cause=f"{field}: {rule}")
    return value


def required_integer(payload: Mapping[str, Any], field: str) -> int:
    """The same for a field that must be there."""
    value = integer(payload, field)
    if value is None:
        raise Refusal(fault=Fault.OCCURRENCE, cause=f"{field}: is required")
    return value
