"""OCPP 1.6: what a central system asks of a charge point. Source: OCPP 1.6 edition 2, section 5."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from charging.simulator.dialects import Ask, Commanded, Verdict
from charging.simulator.limits import limit_w_of
from charging.simulator.settings import CONNECTION_TIMEOUT, HEARTBEAT, METER_INTERVAL
from charging.simulator.wire import Answer, NotSupported, Payload

KEYS: Final = {
    "MeterValueSampleInterval": METER_INTERVAL,
    "HeartbeatInterval": HEARTBEAT,
    "ConnectionTimeOut": CONNECTION_TIMEOUT,
}
ASKS: Final = {
    "BootNotification": Ask.BOOT,
    "Heartbeat": Ask.HEARTBEAT,
    "StatusNotification": Ask.STATUS,
    "MeterValues": Ask.METER,
}
PROFILES: Final = "Core,RemoteTrigger,SmartCharging"


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


def _remote_start(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    profile = payload.get("chargingProfile")
    return _status(
        point.remote_start(
            payload.get("connectorId"),
            id_token=payload["idTag"],
            remote_start_id=None,
            limit_w=limit_w_of(profile, elapsed_s=0) if profile else None,
        )
    )


def _remote_stop(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    return _status(point.remote_stop(str(payload["transactionId"])))


def _set_profile(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    limit_w = limit_w_of(payload["csChargingProfiles"], elapsed_s=0)
    return _status(point.set_limit(payload["connectorId"], limit_w))


def _clear_profile(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    return _status(point.set_limit(payload.get("connectorId", 0), None), no="Unknown")


def _trigger(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    what = ASKS.get(payload["requestedMessage"])
    if what is None:
        return Answer(payload={"status": "NotImplemented"})
    return _status(point.ask(what, payload.get("connectorId")))


def _change_configuration(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    name = KEYS.get(payload["key"])
    if name is None:
        return Answer(payload={"status": "NotSupported"})
    if not payload["value"].isdigit():
        return Answer(payload={"status": "Rejected"})
    return _status(point.set_setting(name, int(payload["value"])))


def _get_configuration(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    known: dict[str, Payload] = {
        key: {"key": key, "readonly": False, "value": str(point.setting(name))}
        for key, name in KEYS.items()
    }
    fixed = {
        "NumberOfConnectors": str(len(point.connector_ids())),
        "SupportedFeatureProfiles": PROFILES,
        "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,Voltage",
    }
    known |= {key: {"key": key, "readonly": True, "value": text} for key, text in fixed.items()}
    wanted = payload.get("key") or list(known)
    return Answer(
        payload={
            "configurationKey": [known[key] for key in wanted if key in known],
            "unknownKey": [key for key in wanted if key not in known],
        }
    )


def _unlock(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    return _status(point.unlock(payload["connectorId"]), yes="Unlocked", no="UnlockFailed")


def _reset(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    return _status(point.reset(reason=f"{payload['type']}Reset", waits=False))


def _change_availability(point: Commanded, payload: Mapping[str, Any]) -> Answer:
    connector_id = payload["connectorId"]
    scheduled = point.scheduled(connector_id)
    available = payload["type"] == "Operative"
    verdict = point.set_available(connector_id, available=available)
    return _status(verdict, yes="Scheduled" if scheduled else "Accepted")


def _data_transfer(_: Commanded, __: Mapping[str, Any]) -> Answer:
    return Answer(payload={"status": "UnknownVendorId"})


def _clear_cache(_: Commanded, __: Mapping[str, Any]) -> Answer:
    return Answer(payload={"status": "Accepted"})


COMMANDS: Final[Mapping[str, Callable[[Commanded, Mapping[str, Any]], Answer]]] = {
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "SetChargingProfile": _set_profile,
    "ClearChargingProfile": _clear_profile,
    "TriggerMessage": _trigger,
    "ChangeConfiguration": _change_configuration,
    "GetConfiguration": _get_configuration,
    "UnlockConnector": _unlock,
    "Reset": _reset,
    "ChangeAvailability": _change_availability,
    "DataTransfer": _data_transfer,
    "ClearCache": _clear_cache,
}
