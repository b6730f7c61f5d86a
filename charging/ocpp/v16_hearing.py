"""OCPP 1.6J: a charger's requests as events (Core, FirmwareManagement, security extensions)."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from ocpp.v16 import call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import (
    Action,
    AuthorizationStatus,
    DataTransferStatus,
    GenericStatus,
    RegistrationStatus,
)

from charging.ocpp.faults import Fault, Refusal, Version
from charging.ocpp.frames import Payload
from charging.ocpp.hearing import (
    Hear,
    Heard,
    Origin,
    Terms,
    always,
    integer,
    just,
    reason_of,
    required_integer,
)
from charging.ocpp.instants import instant_of, instant_text
from charging.ocpp.samples import number_text, samples_of_v16
from charging.ocpp.schemas import check_request, mended, mended_around
from charging.points import (
    Alive,
    Authorised,
    Availability,
    Booted,
    Reply,
    StatusChanged,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)

AVAILABILITIES: Final = {
    "Available": Availability.AVAILABLE,
    "Preparing": Availability.PREPARING,
    "Charging": Availability.CHARGING,
    "SuspendedEV": Availability.SUSPENDED_EV,
    "SuspendedEVSE": Availability.SUSPENDED_EVSE,
    "Finishing": Availability.FINISHING,
    "Reserved": Availability.RESERVED,
    "Unavailable": Availability.UNAVAILABLE,
    "Faulted": Availability.FAULTED,
}
NO_ERROR: Final = "NoError"
START: Final = "StartTransaction"
STOP: Final = "StopTransaction"
VALUES: Final = "MeterValues"
MENDED: Final = frozenset({START, STOP, VALUES})  # Not refused for what can be left out.
ACTIONS: Final = frozenset(action.value for action in Action)


def hear(action: str, payload: Payload, origin: Origin, terms: Terms) -> Heard:
    """The event and the answer of a request; raises Refusal."""
    heard = HEARD.get(action)
    if heard is None:
        fault = Fault.UNSUPPORTED_ACTION if action in ACTIONS else Fault.UNKNOWN_ACTION
        raise Refusal(fault=fault, cause=f"{action[:50]}: nothing that a charge point may ask")
    if action not in MENDED:
        check_request(Version.V16, action, payload)
    return heard(payload, origin, terms)


def _boot(payload: Payload, origin: Origin, terms: Terms) -> Heard:
    get = payload.get
    event = Booted(
        **origin,
        vendor=payload["chargePointVendor"],
        model=payload["chargePointModel"],
        serial=get("chargePointSerialNumber") or get("chargeBoxSerialNumber", ""),
        firmware=get("firmwareVersion", ""),
    )
    answer = call_result.BootNotification(
        current_time=instant_text(origin["received_at"]),
        interval=terms.heartbeat_s,
        status=RegistrationStatus.accepted,
    )
    return Heard(event, always(answer))


def _heartbeat(_payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    answer = call_result.Heartbeat(current_time=instant_text(origin["received_at"]))
    return Heard(Alive(**origin), always(answer))


def _status(payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    code = payload["errorCode"]
    error = [] if code == NO_ERROR else [code]
    error += [payload[name] for name in ("vendorErrorCode", "info") if payload.get(name)]
    event = StatusChanged(
        **origin,
        connector_id=required_integer(payload, "connectorId"),
        availability=AVAILABILITIES[payload["status"]],
        error=": ".join(error),
        at=instant_of(payload.get("timestamp")),
    )
    return Heard(event, always(call_result.StatusNotification()))


def _authorize(payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    event = Authorised(**origin, id_token=payload["idTag"])
    return Heard(event, lambda reply: call_result.Authorize(id_tag_info=_tag_info(reply)))


def _start(payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    sound = mended_around(Version.V16, START, payload, "connectorId", "idTag")
    event = TransactionStarted(
        **origin,
        transaction_id="",
        connector_id=required_integer(sound, "connectorId"),
        id_token=sound["idTag"],
        at=instant_of(sound.get("timestamp")),
        meter_start_text=_register_text(payload["meterStart"]),
    )
    return Heard(event, _started)


def _started(reply: Reply) -> call_result.StartTransaction:
    number = int(reply.transaction_id) if reply.transaction_id.isdecimal() else 0
    return call_result.StartTransaction(transaction_id=number, id_tag_info=_tag_info(reply))


def _meter_values(payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    sound = mended_around(Version.V16, VALUES, payload, "connectorId", "meterValue")
    number = integer(sound, "transactionId")
    samples = samples_of_v16(sound["meterValue"])
    event = TransactionUpdated(
        **origin,
        transaction_id="" if number is None else str(number),
        connector_id=required_integer(sound, "connectorId"),
        at=samples[-1].taken_at,
        samples=samples,
    )
    return Heard(event, always(call_result.MeterValues()))


def _stop(payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    """A stop is never refused for what it says beside its number."""
    sound = mended(Version.V16, STOP, payload)
    if "transactionId" not in sound:
        raise Refusal(fault=Fault.OCCURRENCE, cause="transactionId: is required, an integer")
    event = TransactionEnded(
        **origin,
        transaction_id=number_text(sound["transactionId"]),
        connector_id=None,
        id_token=sound.get("idTag", ""),
        at=instant_of(sound.get("timestamp")),
        samples=samples_of_v16(sound.get("transactionData")),
        meter_stop_text=_register_text(payload.get("meterStop")),
        reason=reason_of(payload.get("reason")),
    )
    return Heard(event, partial(_stopped, with_tag=bool(event.id_token)))


def _stopped(reply: Reply, *, with_tag: bool) -> call_result.StopTransaction:
    return call_result.StopTransaction(id_tag_info=_tag_info(reply) if with_tag else None)


def _register_text(value: Any) -> str | None:
    """`meterStart` and `meterStop` as sent, also where one should be an integer and is none."""
    return value if isinstance(value, str) else number_text(value) or None


def _tag_info(reply: Reply) -> IdTagInfo:
    accepted, invalid = AuthorizationStatus.accepted, AuthorizationStatus.invalid
    return IdTagInfo(status=accepted if reply.accepted else invalid)


HEARD: Final[Mapping[str, Hear]] = {
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "StatusNotification": _status,
    "Authorize": _authorize,
    START: _start,
    VALUES: _meter_values,
    STOP: _stop,
    "DataTransfer": just(call_result.DataTransfer(status=DataTransferStatus.unknown_vendor_id)),
    "DiagnosticsStatusNotification": just(call_result.DiagnosticsStatusNotification()),
    "FirmwareStatusNotification": just(call_result.FirmwareStatusNotification()),
    "LogStatusNotification": just(call_result.LogStatusNotification()),
    "SecurityEventNotification": just(call_result.SecurityEventNotification()),
    "SignedFirmwareStatusNotification": just(call_result.SignedFirmwareStatusNotification()),
    # No certificate authority is run here.
    "SignCertificate": just(call_result.SignCertificate(status=GenericStatus.rejected)),
}
