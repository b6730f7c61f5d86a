"""OCPP 2.0.1: what a charging station sends. Source: OCPP 2.0.1 edition 3, part 2."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from charging.points import Availability, Flow, SampledValue
from charging.simulator.commands201 import obey
from charging.simulator.connectors import Transaction
from charging.simulator.dialects import MODEL, VENDOR, Commanded, Happening
from charging.simulator.wire import Answer, Message, Payload

STATES: Final = {
    Availability.AVAILABLE: "Available",
    Availability.RESERVED: "Reserved",
    Availability.UNAVAILABLE: "Unavailable",
    Availability.FAULTED: "Faulted",
}
FLOWS: Final = {
    Flow.CHARGING: "Charging",
    Flow.SUSPENDED_EV: "SuspendedEV",
    Flow.SUSPENDED_EVSE: "SuspendedEVSE",
    Flow.CONNECTED: "EVConnected",
    Flow.IDLE: "Idle",
}
STOP_TRIGGERS: Final = {
    "Remote": "RemoteStop",
    "EVDisconnected": "EVDeparted",
    "Local": "StopAuthorized",
    "DeAuthorized": "Deauthorized",
    "PowerLoss": "AbnormalCondition",
    "ImmediateReset": "ResetCommand",
    "SoftReset": "ResetCommand",
    "HardReset": "ResetCommand",
    "UnlockCommand": "UnlockCommand",
    "StoppedByEV": "ChargingStateChanged",
}
# Reasons that only OCPP 1.6 has.
REASONS: Final = {
    "SoftReset": "ImmediateReset",
    "HardReset": "ImmediateReset",
    "UnlockCommand": "Other",
}


class Ocpp201:
    """The words of OCPP 2.0.1."""

    version = "2.0.1"
    subprotocol = "ocpp2.0.1"

    def boot(self, serial: str, reason: str) -> Message:
        """Who we are."""
        station = {
            "vendorName": VENDOR,
            "model": MODEL,
            "serialNumber": serial[:25],
            "firmwareVersion": "1.0",
        }
        return Message(
            action="BootNotification", payload={"reason": reason, "chargingStation": station}
        )

    def heartbeat(self) -> Message:
        """We are there."""
        return Message(action="Heartbeat", payload={})

    def status(self, connector_id: int, state: Availability, at: str) -> Message:
        """An EVSE's only connector."""
        return Message(
            action="StatusNotification",
            payload={
                "timestamp": at,
                "connectorStatus": STATES.get(state, "Occupied"),
                "evseId": connector_id,
                "connectorId": min(connector_id, 1),
            },
        )

    def authorise(self, id_token: str) -> Message:
        """May it charge?"""
        return Message(action="Authorize", payload={"idToken": _token(id_token, remote=False)})

    def meter(self, connector_id: int, at: str, values: tuple[SampledValue, ...]) -> Message:
        """Meter values outside of any transaction."""
        return Message(
            action="MeterValues",
            payload={"evseId": connector_id, "meterValue": [_meter_value(at, values)]},
        )

    def started(self, happening: Happening, meter_start_wh: int) -> Message:  # noqa: ARG002
        """The first event; the register is among its values."""
        payload = _event("Started", happening)
        if happening.transaction.remote_start_id is not None:
            payload["transactionInfo"]["remoteStartId"] = happening.transaction.remote_start_id
        return Message(action="TransactionEvent", payload=payload)

    def updated(self, happening: Happening) -> Message:
        """Meter values of a transaction."""
        return Message(action="TransactionEvent", payload=_event("Updated", happening))

    def flow_changed(self, happening: Happening) -> Message | None:
        """Energy flows, or no longer does."""
        return self.updated(happening)

    def ended(self, happening: Happening, meter_stop_wh: int) -> Message:  # noqa: ARG002
        """The last event, with the signed record."""
        payload = _event("Ended", happening)
        reason = happening.transaction.reason
        payload["triggerReason"] = STOP_TRIGGERS.get(reason, "AbnormalCondition")
        payload["transactionInfo"]["stoppedReason"] = REASONS.get(reason, reason)
        return Message(action="TransactionEvent", payload=payload)

    def token_accepted(self, answer: Mapping[str, Any]) -> bool:
        """Whether the answer lets the token charge; no word is no objection."""
        info = answer.get("idTokenInfo", {})
        return bool(info.get("status", "Accepted") == "Accepted")

    def learn_id(self, transaction: Transaction, answer: Mapping[str, Any]) -> None:
        """Nothing: the id is ours."""

    def command(self, point: Commanded, action: str, payload: Mapping[str, Any]) -> Answer:
        """Does what the central system asks."""
        return obey(point, action, payload)


def _event(kind: str, happening: Happening) -> Payload:
    transaction = happening.transaction
    payload: Payload = {
        "eventType": kind,
        "timestamp": happening.at,
        "triggerReason": happening.cause.value,
        "seqNo": happening.sequence,
        "offline": happening.offline,
        "transactionInfo": {
            "transactionId": transaction.local_id,
            "chargingState": FLOWS[happening.flow],
        },
        "evse": {"id": transaction.connector_id, "connectorId": 1},
    }
    if kind != "Updated" and transaction.id_token:
        remote = transaction.remote_start_id is not None
        payload["idToken"] = _token(transaction.id_token, remote=remote)
    if happening.values:
        payload["meterValue"] = [_meter_value(happening.at, happening.values)]
    return payload


def _token(id_token: str, *, remote: bool) -> Payload:
    return {"idToken": id_token, "type": "Central" if remote else "ISO14443"}


def _meter_value(at: str, values: tuple[SampledValue, ...]) -> Payload:
    """A signed record goes beside the first plain value: it is that value, signed."""
    sampled = [_sampled(value) for value in values if not value.signed]
    for value in values:
        if value.signed:
            sampled[0]["signedMeterValue"] = _signed(value)
    return {"timestamp": at, "sampledValue": sampled}


def _sampled(value: SampledValue) -> Payload:
    """A number: whole where it is whole, a float only where a fault wants one."""
    return {
        "value": int(value.text) if value.text.isdigit() else float(value.text),
        "context": value.context,
        "measurand": value.measurand,
        "location": value.location,
        "unitOfMeasure": {"unit": value.unit},
    }


def _signed(value: SampledValue) -> Payload:
    return {
        "signedMeterData": base64.b64encode(value.text.encode()).decode(),
        "signingMethod": "",  # It is in the record.
        "encodingMethod": value.encoding,
        "publicKey": value.public_key,
    }
