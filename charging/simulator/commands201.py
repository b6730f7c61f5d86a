"""OCPP 2.0.1: what a central system asks of a charging station. Source: OCPP 2.0.1 part 2."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from charging.simulator.dialects import Ask, Commanded, Verdict
from charging.simulator.limits import limit_w_of
from charging.simulator.settings import CONNECTION_TIMEOUT, HEARTBEAT, METER_INTERVAL
from charging.simulator.wire import Answer, Message, NotSupported, Payload

# Component, variable: the setting.
VARIABLES: Final = {
    ("SampledDataCtrlr", "TxUpdatedInterval"): METER_INTERVAL,
    ("OCPPCommCtrlr", "HeartbeatInterval"): HEARTBEAT,
    ("TxCtrlr", "EVConnectionTimeOut"): CONNECTION_TIMEOUT,
}
ASKS: Final = {
    "BootNotification": Ask.BOOT,
    "Heartbeat": Ask.HEARTBEAT,
    "StatusNotification": Ask.STATUS,
    "MeterValues": Ask.METER,
    "TransactionEvent": Ask.METER,
}


def obey(point: Commanded, action: str, payload: Mapping[str, Any]) -> Answer:
    """Answers one call.

    Raises:
        NotSupported: no such action here.
    """
    command = COMMANDS.get(action)
    if command is None:
        raise NotSupported(action)
    return command(point, payload)


def _status(verdict: Verdict, *, yes: str = "Accepted", no: str = "Rejected") -> Answer:
    return Answer(payload={"status": yes if verdict.accepted else no}, then=verdict.then)


def _start(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    profile = payload.get("chargingProfile")
    return _status(
        point.remote_start(
            payload.get("evseId"),
            id_token=payload["idToken"]["idToken"],
            remote_start_id=payload["remoteStartId"],
            limit_w=limit_w_of(profile, elapsed_s=0) if profile else None,
        )
    )


def _stop(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    return _status(point.remote_stop(payload["transactionId"]))


def _set_profile(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    limit_w = limit_w_of(payload["chargingProfile"], elapsed_s=0)
    return _status(point.set_limit(payload["evseId"], limit_w))


def _clear_profile(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    criteria = payload.get("chargingProfileCriteria", {})
    return _status(point.set_limit(criteria.get("evseId", 0), None), no="Unknown")


def _trigger(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    what = ASKS.get(payload["requestedMessage"])
    if what is None:
        return Answer(payload={"status": "NotImplemented"})
    return _status(point.ask(what, payload.get("evse", {}).get("id")))


def _key_of(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["component"]["name"], item["variable"]["name"]


def _named(item: Mapping[str, Any]) -> Payload:
    return {"component": item["component"], "variable": item["variable"]}


def _set_variables(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    def result(item: Mapping[str, Any]) -> Payload:
        name = VARIABLES.get(_key_of(item))
        if name is None:
            return _named(item) | {"attributeStatus": "UnknownVariable"}
        text = item["attributeValue"]
        accepted = text.isdigit() and point.set_setting(name, int(text)).accepted
        return _named(item) | {"attributeStatus": "Accepted" if accepted else "Rejected"}

    return Answer(payload={"setVariableResult": [result(x) for x in payload["setVariableData"]]})


def _get_variables(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    def result(item: Mapping[str, Any]) -> Payload:
        name = VARIABLES.get(_key_of(item))
        if name is None:
            return _named(item) | {"attributeStatus": "UnknownVariable"}
        value = str(point.setting(name))
        return _named(item) | {"attributeStatus": "Accepted", "attributeValue": value}

    return Answer(payload={"getVariableResult": [result(x) for x in payload["getVariableData"]]})


def _base_report(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    report = [
        {
            "component": {"name": component},
            "variable": {"name": variable},
            "variableAttribute": [{"type": "Actual", "value": str(point.setting(name))}],
            "variableCharacteristics": {"dataType": "integer", "supportsMonitoring": False},
        }
        for (component, variable), name in VARIABLES.items()
    ]
    message = Message(
        action="NotifyReport",
        payload={
            "requestId": payload["requestId"],
            "generatedAt": point.stamp_now(),
            "seqNo": 0,
            "tbc": False,
            "reportData": report,
        },
    )
    return _status(point.report(message))


def _unlock(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    if point.scheduled(payload["evseId"]):  # A transaction runs: F05.FR.02.
        return Answer(payload={"status": "OngoingAuthorizedTransaction"})
    verdict = point.unlock(payload["evseId"])
    return _status(verdict, yes="Unlocked", no="UnknownConnector")


def _reset(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    waits = payload["type"] == "OnIdle" and point.scheduled(0)
    verdict = point.reset(reason="ImmediateReset", waits=waits)
    return _status(verdict, yes="Scheduled" if waits else "Accepted")


def _change_availability(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    connector_id = payload.get("evse", {}).get("id", 0)
    scheduled = point.scheduled(connector_id)
    available = payload["operationalStatus"] == "Operative"
    verdict = point.set_available(connector_id, available=available)
    return _status(verdict, yes="Scheduled" if scheduled else "Accepted")


def _data_transfer(_: Commanded, __: Mapping[str, Any]) -> Answer:
    return Answer(payload={"status": "UnknownVendorId"})


def _clear_cache(_: Commanded, __: Mapping[str, Any]) -> Answer:
    return Answer(payload={"status": "Accepted"})


COMMANDS: Final[Mapping[str, Callable[[Commanded, Mapping[str, Any]], Answer]]] = {
    "RequestStartTransaction": _start,
    "RequestStopTransaction": _stop,
    "SetChargingProfile": _set_profile,
    "ClearChargingProfile": _clear_profile,
    "TriggerMessage": _trigger,
    "SetVariables": _set_variables,
    "GetVariables": _get_variables,
    "GetBaseReport": _base_report,
    "UnlockConnector": _unlock,
    "Reset": _reset,
    "ChangeAvailability": _change_availability,
    "DataTransfer": _data_transfer,
    "ClearCache": _clear_cache,
}
