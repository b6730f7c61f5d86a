"""OCPP 2.0.1: a charging station's requests as events.

An EVSE is what we call a connector: it has one transaction at a time and one meter, whatever
plugs hang from it (OCPP 2.0.1 part 1 §3).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

from ocpp.v201 import call_result
from ocpp.v201.datatypes import IdTokenInfoType
from ocpp.v201.enums import (
    Action,
    AuthorizationStatusEnumType,
    DataTransferStatusEnumType,
    GenericStatusEnumType,
    GetCertificateStatusEnumType,
    Iso15118EVCertificateStatusEnumType,
    NotifyEVChargingNeedsStatusEnumType,
    RegistrationStatusEnumType,
)

from charging.ocpp.faults import Fault, Refusal, Version
from charging.ocpp.frames import Payload
from charging.ocpp.hearing import (
    Hear,
    Heard,
    Origin,
    Terms,
    always,
    fitting_integer,
    just,
    reason_of,
    required_integer,
)
from charging.ocpp.instants import instant_of, instant_text
from charging.ocpp.samples import samples_of_v201
from charging.ocpp.schemas import check_request, mended, mended_around
from charging.points import (
    Alive,
    Authorised,
    Availability,
    Booted,
    Flow,
    Reply,
    StatusChanged,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)

FLOWS: Final = {
    "Charging": Flow.CHARGING,
    "EVConnected": Flow.CONNECTED,
    "SuspendedEV": Flow.SUSPENDED_EV,
    "SuspendedEVSE": Flow.SUSPENDED_EVSE,
    "Idle": Flow.IDLE,
}
# Of several plugs of an EVSE the first of these that one of them is in speaks for the EVSE.
AVAILABILITIES: Final = {
    "Occupied": Availability.OCCUPIED,
    "Reserved": Availability.RESERVED,
    "Available": Availability.AVAILABLE,
    "Faulted": Availability.FAULTED,
    "Unavailable": Availability.UNAVAILABLE,
}
TRANSACTION: Final = "TransactionEvent"
VALUES: Final = "MeterValues"
STARTED: Final = "Started"
ENDED: Final = "Ended"
ACTIONS: Final = frozenset(action.value for action in Action)
MICRO_DIGITS: Final = 6


class Listener:
    """Hears one charging station; remembers the plugs of its EVSEs."""

    def __init__(self) -> None:
        self._plugs: dict[int, dict[int, str]] = {}

    def hear(self, action: str, payload: Payload, origin: Origin, terms: Terms) -> Heard:
        """The event and the answer of a request; raises Refusal."""
        if action == TRANSACTION:
            return _transaction(payload, origin)
        heard = self._status if action == "StatusNotification" else HEARD.get(action)
        if heard is None:
            fault = Fault.UNSUPPORTED_ACTION if action in ACTIONS else Fault.UNKNOWN_ACTION
            raise Refusal(fault=fault, cause=f"{action[:50]}: nothing that a station may ask")
        if action != VALUES:
            check_request(Version.V201, action, payload)
        return heard(payload, origin, terms)

    def _status(self, payload: Payload, origin: Origin, _terms: Terms) -> Heard:
        evse_id = required_integer(payload, "evseId")
        plugs = self._plugs.setdefault(evse_id, {})
        plugs[required_integer(payload, "connectorId")] = payload["connectorStatus"]
        speaking = next(status for status in AVAILABILITIES if status in plugs.values())
        event = StatusChanged(
            **origin,
            connector_id=evse_id,
            availability=AVAILABILITIES[speaking],
            at=instant_of(payload["timestamp"]),
        )
        return Heard(event, always(call_result.StatusNotification()))


def _transaction(payload: Payload, origin: Origin) -> Heard:
    stated = payload.get("transactionInfo")  # An object, or the message is refused.
    if payload.get("eventType") == ENDED:  # Never refused for what it says beside its id.
        payload = mended(Version.V201, TRANSACTION, payload)
        if "transactionInfo" not in payload:
            cause = "transactionInfo.transactionId: is required, at most 36 characters"
            raise Refusal(fault=Fault.OCCURRENCE, cause=cause)
    else:
        token = [] if payload.get("idToken") is None else ["idToken"]
        kept = ("eventType", "transactionInfo", *token)
        payload = mended_around(Version.V201, TRANSACTION, payload, *kept)
    info, evse = payload["transactionInfo"], payload.get("evse") or {}
    event = _kind(payload["eventType"], stated)(
        **origin,
        transaction_id=info["transactionId"],
        connector_id=fitting_integer(evse, "id"),
        id_token=(payload.get("idToken") or {}).get("idToken", ""),
        remote_start_id=fitting_integer(info, "remoteStartId"),
        at=instant_of(payload.get("timestamp")),
        offline=payload.get("offline", False),
        sequence=fitting_integer(payload, "seqNo"),
        samples=samples_of_v201(payload.get("meterValue")),
        flow=FLOWS.get(info.get("chargingState")),
    )
    return Heard(event, partial(_transaction_answer, with_token="idToken" in payload))


def _kind(event_type: str, stated: Any) -> Callable[..., TransactionEvent]:
    if event_type == ENDED:
        return partial(TransactionEnded, reason=reason_of(stated.get("stoppedReason")))
    return TransactionStarted if event_type == STARTED else TransactionUpdated


def _transaction_answer(reply: Reply, *, with_token: bool) -> call_result.TransactionEvent:
    # The library says float, and sends what it gets: no float comes near money here.
    return call_result.TransactionEvent(
        total_cost=_tokens(reply.cost_micro),  # type: ignore[arg-type]
        id_token_info=_token_info(reply) if with_token else None,
    )


def _tokens(cost_micro: int | None) -> Decimal | None:
    return None if cost_micro is None else Decimal(cost_micro).scaleb(-MICRO_DIGITS)


def _boot(payload: Payload, origin: Origin, terms: Terms) -> Heard:
    station = payload["chargingStation"]
    event = Booted(
        **origin,
        vendor=station["vendorName"],
        model=station["model"],
        serial=station.get("serialNumber", ""),
        firmware=station.get("firmwareVersion", ""),
        reason=payload["reason"],
    )
    answer = call_result.BootNotification(
        current_time=instant_text(origin["received_at"]),
        interval=terms.heartbeat_s,
        status=RegistrationStatusEnumType.accepted,
    )
    return Heard(event, always(answer))


def _heartbeat(_payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    answer = call_result.Heartbeat(current_time=instant_text(origin["received_at"]))
    return Heard(Alive(**origin), always(answer))


def _authorize(payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    event = Authorised(**origin, id_token=payload["idToken"]["idToken"])
    return Heard(event, lambda reply: call_result.Authorize(id_token_info=_token_info(reply)))


def _meter_values(payload: Payload, origin: Origin, _terms: Terms) -> Heard:
    sound = mended_around(Version.V201, VALUES, payload, "evseId", "meterValue")
    samples = samples_of_v201(sound["meterValue"])
    event = TransactionUpdated(
        **origin,
        transaction_id="",
        connector_id=required_integer(sound, "evseId"),
        at=samples[-1].taken_at,
        samples=samples,
    )
    return Heard(event, always(call_result.MeterValues()))


def _token_info(reply: Reply) -> IdTokenInfoType:
    accepted, invalid = AuthorizationStatusEnumType.accepted, AuthorizationStatusEnumType.invalid
    return IdTokenInfoType(status=accepted if reply.accepted else invalid)


HEARD: Final[Mapping[str, Hear]] = {
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "Authorize": _authorize,
    VALUES: _meter_values,
    "ClearedChargingLimit": just(call_result.ClearedChargingLimit()),
    "DataTransfer": just(
        call_result.DataTransfer(status=DataTransferStatusEnumType.unknown_vendor_id)
    ),
    "FirmwareStatusNotification": just(call_result.FirmwareStatusNotification()),
    # No certificates are issued or looked up here (use cases M and A02).
    "Get15118EVCertificate": just(
        call_result.Get15118EVCertificate(
            status=Iso15118EVCertificateStatusEnumType.failed, exi_response=""
        )
    ),
    "GetCertificateStatus": just(
        call_result.GetCertificateStatus(status=GetCertificateStatusEnumType.failed)
    ),
    "LogStatusNotification": just(call_result.LogStatusNotification()),
    "NotifyChargingLimit": just(call_result.NotifyChargingLimit()),
    "NotifyCustomerInformation": just(call_result.NotifyCustomerInformation()),
    "NotifyDisplayMessages": just(call_result.NotifyDisplayMessages()),
    "NotifyEVChargingNeeds": just(
        call_result.NotifyEVChargingNeeds(status=NotifyEVChargingNeedsStatusEnumType.rejected)
    ),
    "NotifyEVChargingSchedule": just(
        call_result.NotifyEVChargingSchedule(status=GenericStatusEnumType.accepted)
    ),
    "NotifyEvent": just(call_result.NotifyEvent()),
    "NotifyMonitoringReport": just(call_result.NotifyMonitoringReport()),
    "NotifyReport": just(call_result.NotifyReport()),
    "PublishFirmwareStatusNotification": just(call_result.PublishFirmwareStatusNotification()),
    "ReportChargingProfiles": just(call_result.ReportChargingProfiles()),
    "ReservationStatusUpdate": just(call_result.ReservationStatusUpdate()),
    "SecurityEventNotification": just(call_result.SecurityEventNotification()),
    "SignCertificate": just(call_result.SignCertificate(status=GenericStatusEnumType.rejected)),
}
