"""OCPP 1.6 (JSON): what a charge point sends. Source: OCPP 1.6 edition 2, section 6."""

from collections.abc import Mapping
from typing import Any, Final

from charging.points import Availability, SampledValue
from charging.simulator.commands16 import obey
from charging.simulator.connectors import Transaction
from charging.simulator.dialects import MODEL, VENDOR, Commanded, Happening
from charging.simulator.faults import Fault
from charging.simulator.wire import Answer, Message, Payload

ID_TAG_CHARS_MAX: Final = 20
NO_TRANSACTION: Final = -1
STATES: Final = {
    Availability.AVAILABLE: "Available",
    Availability.PREPARING: "Preparing",
    Availability.CHARGING: "Charging",
    Availability.SUSPENDED_EV: "SuspendedEV",
    Availability.SUSPENDED_EVSE: "SuspendedEVSE",
    Availability.FINISHING: "Finishing",
    Availability.OCCUPIED: "Preparing",
    Availability.RESERVED: "Reserved",
    Availability.UNAVAILABLE: "Unavailable",
    Availability.FAULTED: "Faulted",
}


class Ocpp16:
    """The words of OCPP 1.6."""

    version = "1.6"
    subprotocol = "ocpp1.6"

    def __init__(self, faults: frozenset[Fault]) -> None:
        self._faults = faults

    def boot(self, serial: str, reason: str) -> Message:  # noqa: ARG002 (1.6 has no reason)
        """Who we are."""
        return Message(
            action="BootNotification",
            payload={
                "chargePointVendor": VENDOR,
                "chargePointModel": MODEL,
                "chargePointSerialNumber": serial[:25],
                "firmwareVersion": "1.0",
            },
        )

    def heartbeat(self) -> Message:
        """We are there."""
        return Message(action="Heartbeat", payload={})

    def status(self, connector_id: int, state: Availability, at: str) -> Message:
        """A connector's state."""
        return Message(
            action="StatusNotification",
            payload={
                "connectorId": connector_id,
                "errorCode": "NoError",
                "status": STATES[state],
                "timestamp": at,
            },
        )

    def authorise(self, id_token: str) -> Message:
        """May it charge?"""
        return Message(action="Authorize", payload={"idTag": id_token[:ID_TAG_CHARS_MAX]})

    def meter(self, connector_id: int, at: str, values: tuple[SampledValue, ...]) -> Message:
        """Meter values outside of any transaction."""
        return Message(
            action="MeterValues",
            payload={"connectorId": connector_id, "meterValue": [_meter_value(at, values)]},
        )

    def started(self, happening: Happening, meter_start_wh: int) -> Message:
        """`StartTransaction`; the answer names the transaction."""
        return Message(
            action="StartTransaction",
            payload={
                "connectorId": happening.transaction.connector_id,
                "idTag": happening.transaction.id_token[:ID_TAG_CHARS_MAX],
                "meterStart": meter_start_wh,
                "timestamp": happening.at,
            },
        )

    def updated(self, happening: Happening) -> Message:
        """`MeterValues` of a transaction."""
        return Message(
            action="MeterValues",
            payload={
                "connectorId": happening.transaction.connector_id,
                "transactionId": self._id_of(happening.transaction),
                "meterValue": [_meter_value(happening.at, happening.values)],
            },
        )

    def flow_changed(self, happening: Happening) -> Message | None:  # noqa: ARG002
        """The status says it."""
        return None

    def ended(self, happening: Happening, meter_stop_wh: int) -> Message:
        """`StopTransaction`, with the last meter values and the signed record."""
        transaction = happening.transaction
        payload: Payload = {
            "transactionId": self._id_of(transaction),
            "idTag": transaction.id_token[:ID_TAG_CHARS_MAX],
            "meterStop": meter_stop_wh,
            "timestamp": happening.at,
            "reason": transaction.reason,
        }
        if happening.values:
            payload["transactionData"] = [_meter_value(happening.at, happening.values)]
        return Message(action="StopTransaction", payload=payload)

    def token_accepted(self, answer: Mapping[str, Any]) -> bool:
        """Whether the answer lets the token charge."""
        info = answer.get("idTagInfo", {})
        return bool(info.get("status", "Accepted") == "Accepted")

    def learn_id(self, transaction: Transaction, answer: Mapping[str, Any]) -> None:
        """Keeps the central system's transaction id."""
        transaction.central_id = answer.get("transactionId", transaction.central_id)

    def command(self, point: Commanded, action: str, payload: Mapping[str, Any]) -> Answer:
        """Does what the central system asks."""
        return obey(point, action, payload)

    def _id_of(self, transaction: Transaction) -> int:
        if Fault.TRANSACTION_MINUS_ONE in self._faults or transaction.central_id is None:
            return NO_TRANSACTION
        return transaction.central_id


def _meter_value(at: str, values: tuple[SampledValue, ...]) -> Payload:
    return {"timestamp": at, "sampledValue": [_sampled(value) for value in values]}


def _sampled(value: SampledValue) -> Payload:
    sampled: Payload = {
        "value": value.text,
        "context": value.context,
        "measurand": value.measurand,
        "location": value.location,
    }
    if value.signed:
        return sampled | {"format": "SignedData"}
    return sampled | {"unit": value.unit}
