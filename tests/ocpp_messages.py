"""Messages as chargers send them, both versions; tests change what they are about."""

from typing import Any

from charging.ocpp.faults import Refusal, Version
from charging.ocpp.hearing import Heard, Origin, Terms
from charging.ocpp.messages import payload_of
from charging.ocpp.schemas import schema_name, validator_of
from charging.ocpp.v16_hearing import hear
from charging.ocpp.v201_hearing import Listener
from charging.points import Reply
from tests.ocpp_world import NOW

ORIGIN = Origin(charge_point_id="CP-1", message_id="m-1", received_at=NOW)
TERMS = Terms()
ACCEPTED = Reply(accepted=True, transaction_id="7", cost_micro=1_500_000)

V16: dict[str, dict[str, Any]] = {
    "Authorize": {"idTag": "card-1"},
    "BootNotification": {
        "chargePointVendor": "Vendor",
        "chargePointModel": "Model",
        "chargePointSerialNumber": "S-1",
        "firmwareVersion": "1.2",
    },
    "DataTransfer": {"vendorId": "Vendor", "messageId": "x", "data": "y"},
    "DiagnosticsStatusNotification": {"status": "Uploaded"},
    "FirmwareStatusNotification": {"status": "Installed"},
    "Heartbeat": {},
    "LogStatusNotification": {"status": "Uploaded", "requestId": 1},
    "MeterValues": {
        "connectorId": 1,
        "transactionId": 7,
        "meterValue": [
            {
                "timestamp": "2026-11-03T11:00:00Z",
                "sampledValue": [
                    {"value": "1200.5", "unit": "Wh", "context": "Sample.Clock"},
                    {"value": "7.36", "measurand": "Power.Active.Import", "unit": "kW"},
                ],
            }
        ],
    },
    "SecurityEventNotification": {"type": "InvalidFirmware", "timestamp": "2026-11-03T11:00:00Z"},
    "SignCertificate": {"csr": "-----BEGIN"},
    "SignedFirmwareStatusNotification": {"status": "Installed", "requestId": 1},
    "StartTransaction": {
        "connectorId": 1,
        "idTag": "Card-1",
        "meterStart": 1000,
        "timestamp": "2026-11-03T10:00:00+01:00",
    },
    "StatusNotification": {
        "connectorId": 1,
        "errorCode": "NoError",
        "status": "SuspendedEV",
        "timestamp": "2026-11-03T11:00:00Z",
    },
    "StopTransaction": {
        "transactionId": 7,
        "meterStop": 9000,
        "timestamp": "2026-11-03T11:30:00Z",
        "idTag": "card-1",
        "reason": "EVDisconnected",
        "transactionData": [
            {
                "timestamp": "2026-11-03T11:30:00Z",
                "sampledValue": [{"value": "OCMF|{}|{}", "format": "SignedData"}],
            }
        ],
    },
}

V201: dict[str, dict[str, Any]] = {
    "Authorize": {"idToken": {"idToken": "card-1", "type": "ISO14443"}},
    "BootNotification": {
        "reason": "PowerUp",
        "chargingStation": {
            "vendorName": "Vendor",
            "model": "Model",
            "serialNumber": "S-1",
            "firmwareVersion": "1.2",
        },
    },
    "ClearedChargingLimit": {"chargingLimitSource": "EMS"},
    "DataTransfer": {"vendorId": "Vendor"},
    "FirmwareStatusNotification": {"status": "Installed", "requestId": 1},
    "Get15118EVCertificate": {
        "iso15118SchemaVersion": "x",
        "action": "Install",
        "exiRequest": "x",
    },
    "GetCertificateStatus": {
        "ocspRequestData": {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": "x",
            "issuerKeyHash": "x",
            "serialNumber": "x",
            "responderURL": "x",
        }
    },
    "Heartbeat": {},
    "LogStatusNotification": {"status": "Uploaded", "requestId": 1},
    "MeterValues": {
        "evseId": 1,
        "meterValue": [
            {"timestamp": "2026-11-03T11:00:00Z", "sampledValue": [{"value": 1200}]},
        ],
    },
    "NotifyChargingLimit": {"chargingLimit": {"chargingLimitSource": "EMS"}},
    "NotifyCustomerInformation": {
        "data": "x",
        "seqNo": 0,
        "generatedAt": "2026-11-03T11:00:00Z",
        "requestId": 1,
    },
    "NotifyDisplayMessages": {"requestId": 1},
    "NotifyEVChargingNeeds": {
        "evseId": 1,
        "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase"},
    },
    "NotifyEVChargingSchedule": {
        "timeBase": "2026-11-03T11:00:00Z",
        "evseId": 1,
        "chargingSchedule": {
            "id": 1,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11000}],
        },
    },
    "NotifyEvent": {
        "generatedAt": "2026-11-03T11:00:00Z",
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": "2026-11-03T11:00:00Z",
                "trigger": "Alerting",
                "actualValue": "x",
                "eventNotificationType": "HardWiredNotification",
                "component": {"name": "EVSE"},
                "variable": {"name": "Problem"},
            }
        ],
    },
    "NotifyMonitoringReport": {
        "requestId": 1,
        "seqNo": 0,
        "generatedAt": "2026-11-03T11:00:00Z",
    },
    "NotifyReport": {"requestId": 1, "generatedAt": "2026-11-03T11:00:00Z", "seqNo": 0},
    "PublishFirmwareStatusNotification": {"status": "Published"},
    "ReportChargingProfiles": {
        "requestId": 1,
        "chargingLimitSource": "CSO",
        "evseId": 1,
        "chargingProfile": [
            {
                "id": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": [
                    {
                        "id": 1,
                        "chargingRateUnit": "W",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1}],
                    }
                ],
            }
        ],
    },
    "ReservationStatusUpdate": {"reservationId": 1, "reservationUpdateStatus": "Expired"},
    "SecurityEventNotification": {"type": "x", "timestamp": "2026-11-03T11:00:00Z"},
    "SignCertificate": {"csr": "-----BEGIN"},
    "StatusNotification": {
        "timestamp": "2026-11-03T11:00:00Z",
        "connectorStatus": "Occupied",
        "evseId": 2,
        "connectorId": 1,
    },
    "TransactionEvent": {
        "eventType": "Started",
        "timestamp": "2026-11-03T11:00:00Z",
        "triggerReason": "RemoteStart",
        "seqNo": 0,
        "transactionInfo": {
            "transactionId": "tx-1",
            "chargingState": "Charging",
            "remoteStartId": 5,
        },
        "evse": {"id": 2, "connectorId": 1},
        "idToken": {"idToken": "Card-1", "type": "Central"},
        "meterValue": [
            {
                "timestamp": "2026-11-03T11:00:00Z",
                "sampledValue": [
                    {
                        "value": 12,
                        "context": "Transaction.Begin",
                        "unitOfMeasure": {"unit": "Wh", "multiplier": 2},
                        "signedMeterValue": {
                            "signedMeterData": "T0NNRg==",
                            "signingMethod": "",
                            "encodingMethod": "OCMF",
                            "publicKey": "a2V5",
                        },
                    }
                ],
            }
        ],
    },
}
MESSAGES = {Version.V16: V16, Version.V201: V201}
EVERY_MESSAGE = [(version, action) for version in Version for action in MESSAGES[version]]


def heard(version: Version, action: str, payload: dict[str, Any]) -> Heard:
    """What becomes of a request."""
    listen = hear if version is Version.V16 else Listener().hear
    return listen(action, payload, ORIGIN, TERMS)


def answer(version: Version, action: str, payload: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """The payload of its answer, which fits the library's schema."""
    said = payload_of(heard(version, action, payload).answer(reply))
    name = schema_name(version, action, response=True)
    validator_of(version, name).validate(said)
    return said


def refusal_of(version: Version, action: str, payload: dict[str, Any]) -> tuple[str, str]:
    """The error code that a request is refused with, and its description."""
    try:
        heard(version, action, payload)
    except Refusal as refusal:
        return refusal.code(version), refusal.description
    raise AssertionError(f"{action} was heard")
