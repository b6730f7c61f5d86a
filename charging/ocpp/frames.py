"""OCPP-J frames: JSON arrays in and out (OCPP-J 1.6 §4.2, OCPP 2.0.1 part 4 §4.2).

Numbers with a fraction are read as `Decimal`: no float comes near energy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from charging.ocpp.faults import Fault, Refusal
from ledger.json_text import DEPTH_MAX, NotJson, require_shallow

CALL: Final = 2
CALL_RESULT: Final = 3
CALL_ERROR: Final = 4
CALL_ITEMS: Final = 4
RESULT_ITEMS: Final = 3
ERROR_ITEMS_MIN: Final = 3  # Description and details are left out by some chargers.
NUL_ESCAPE: Final = r"\u0000"
MESSAGE_ID_CHARS_MAX: Final = 255  # The standard says 36; some chargers use more.

Payload = dict[str, Any]

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class Call:
    """A request."""

    message_id: str
    action: str
    payload: Payload


@dataclass(slots=True)
class CallResult:
    """The answer to a request."""

    message_id: str
    payload: Payload


@dataclass(slots=True)
class CallError:
    """The refusal of a request."""

    message_id: str
    code: str
    description: str


@dataclass(slots=True)
class BrokenCall:
    """Not a request as it should be, but its id can be read, so that it can be answered."""

    message_id: str
    refusal: Refusal


@dataclass(slots=True)
class Unreadable:
    """Nothing that can be answered."""

    reason: str


Frame = Call | CallResult | CallError | BrokenCall | Unreadable


def read_frame(text: str) -> Frame:
    """What a charger sent; never raises, whatever it is."""
    try:
        if text.count("[") + text.count("{") > DEPTH_MAX:
            require_shallow(text)
        frame = _DECODER.decode(text)
    except (msgspec.MsgspecError, NotJson, RecursionError, ValueError) as error:
        return Unreadable(f"not JSON: {error}")
    if NUL_ESCAPE in text:
        frame = _without_nul(frame)
    if type(frame) is not list or len(frame) < RESULT_ITEMS - 1:
        return Unreadable("not an array of a message type, an id and more")
    message_id = frame[1]
    if type(message_id) is not str or not 0 < len(message_id) <= MESSAGE_ID_CHARS_MAX:
        return Unreadable(f"the message id is not a string of 1 to {MESSAGE_ID_CHARS_MAX}")
    return _sorted(frame[0], message_id, frame)


def _sorted(kind: object, message_id: str, frame: list[Any]) -> Frame:
    if type(kind) is int:
        if kind == CALL:
            return _call(message_id, frame)
        if kind == CALL_RESULT:
            return _result(message_id, frame)
        if kind == CALL_ERROR:
            return _error(message_id, frame)
    return _broken(message_id, Fault.MESSAGE_TYPE, "the message type is not 2, 3 or 4")


def _call(message_id: str, frame: list[Any]) -> Frame:
    if len(frame) != CALL_ITEMS:
        return _broken(message_id, Fault.FRAME, f"a CALL has {CALL_ITEMS} items")
    action, payload = frame[2], frame[3]
    if type(action) is not str:
        return _broken(message_id, Fault.FRAME, "the action is not a string")
    if type(payload) is not dict:
        return _broken(message_id, Fault.FORM, "the payload is not an object")
    return Call(message_id, action, payload)


def _result(message_id: str, frame: list[Any]) -> Frame:
    if len(frame) != RESULT_ITEMS or type(frame[2]) is not dict:
        return Unreadable("a CALLRESULT whose payload is not an object")
    return CallResult(message_id, frame[2])


def _error(message_id: str, frame: list[Any]) -> Frame:
    if len(frame) < ERROR_ITEMS_MIN or type(frame[2]) is not str:
        return Unreadable("a CALLERROR whose code is not a string")
    description = frame[3] if len(frame) > ERROR_ITEMS_MIN else ""
    return CallError(message_id, frame[2], description if type(description) is str else "")


def _broken(message_id: str, fault: Fault, cause: str) -> BrokenCall:
    return BrokenCall(message_id, Refusal(fault=fault, cause=cause))


def _without_nul(value: Any) -> Any:
    """The same without NUL characters, which no database stores in a text."""
    if type(value) is str:
        return value.replace("\0", "")
    if type(value) is list:
        return [_without_nul(item) for item in value]
    if type(value) is dict:
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    return value


def call_text(message_id: str, action: str, payload: Mapping[str, object]) -> str:
    """A request of ours."""
    return _ENCODER.encode((CALL, message_id, action, payload)).decode()


def result_text(message_id: str, payload: Mapping[str, object]) -> str:
    """Our answer to a request."""
    return _ENCODER.encode((CALL_RESULT, message_id, payload)).decode()


def error_text(message_id: str, code: str, description: str) -> str:
    """Our refusal of a request."""
    return _ENCODER.encode((CALL_ERROR, message_id, code, description, {})).decode()
