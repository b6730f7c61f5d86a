"""Chargers of the `ocpp` library, which know the standard by themselves: the other end of tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ocpp import v16, v201
from ocpp.exceptions import NotSupportedError
from ocpp.routing import on
from ocpp.v16.call_result import (
    ChangeAvailability,
    ChangeConfiguration,
    GetConfiguration,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    SetChargingProfile,
    TriggerMessage,
    UnlockConnector,
)
from ocpp.v201 import call_result as result201
from websockets.exceptions import ConnectionClosed

from tests.ocpp_world import World


@dataclass
class Asked:
    """What a charger was asked, and what it says to it."""

    of: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    rate_unit: str = "Power"

    async def note(self, action: str, payload: dict[str, Any], usual: str = "Accepted") -> Any:
        self.of.append((action, payload))
        return self.status.get(action, usual)

    def last(self, action: str) -> dict[str, Any]:
        return [payload for name, payload in self.of if name == action][-1]


class Charger16(v16.ChargePoint):
    """A charge point of OCPP 1.6."""

    def __init__(self, name: str, socket: Any, asked: Asked) -> None:
        super().__init__(name, socket)
        self.asked = asked

    @on("ChangeConfiguration")
    async def change_configuration(self, **said: Any) -> ChangeConfiguration:
        usual = "Rejected" if "," in said["value"] else "Accepted"
        return ChangeConfiguration(await self.asked.note("ChangeConfiguration", said, usual))

    @on("GetConfiguration")
    async def get_configuration(self, **said: Any) -> GetConfiguration:
        await self.asked.note("GetConfiguration", said)
        key = {"key": said["key"][0], "readonly": True, "value": self.asked.rate_unit}
        return GetConfiguration(configuration_key=[key])

    @on("RemoteStartTransaction")
    async def remote_start(self, **said: Any) -> RemoteStartTransaction:
        return RemoteStartTransaction(await self.asked.note("RemoteStartTransaction", said))

    @on("RemoteStopTransaction")
    async def remote_stop(self, **said: Any) -> RemoteStopTransaction:
        return RemoteStopTransaction(await self.asked.note("RemoteStopTransaction", said))

    @on("SetChargingProfile")
    async def set_profile(self, **said: Any) -> SetChargingProfile:
        return SetChargingProfile(await self.asked.note("SetChargingProfile", said))

    @on("TriggerMessage")
    async def trigger(self, **said: Any) -> TriggerMessage:
        return TriggerMessage(await self.asked.note("TriggerMessage", said))

    @on("UnlockConnector")
    async def unlock(self, **said: Any) -> UnlockConnector:
        return UnlockConnector(await self.asked.note("UnlockConnector", said, "Unlocked"))

    @on("Reset")
    async def reset(self, **said: Any) -> Reset:
        await self.asked.note("Reset", said)
        raise NotSupportedError

    @on("ChangeAvailability")
    async def change_availability(self, **said: Any) -> ChangeAvailability:
        return ChangeAvailability(await self.asked.note("ChangeAvailability", said, "Scheduled"))


class Charger201(v201.ChargePoint):
    """A charging station of OCPP 2.0.1."""

    def __init__(self, name: str, socket: Any, asked: Asked) -> None:
        super().__init__(name, socket)
        self.asked = asked

    @on("SetVariables")
    async def set_variables(self, **said: Any) -> result201.SetVariables:
        data = said["set_variable_data"][0]
        status = await self.asked.note("SetVariables", said)
        result = {name: data[name] for name in ("component", "variable")}
        return result201.SetVariables([result | {"attributeStatus": status}])

    @on("GetVariables")
    async def get_variables(self, **said: Any) -> result201.GetVariables:
        data = said["get_variable_data"][0]
        await self.asked.note("GetVariables", said)
        result = {name: data[name] for name in ("component", "variable")}
        unit = "A" if self.asked.rate_unit == "Current" else "W"
        found = {"attributeStatus": "Accepted", "attributeValue": unit}
        return result201.GetVariables([result | found])

    @on("RequestStartTransaction")
    async def request_start(self, **said: Any) -> result201.RequestStartTransaction:
        status = await self.asked.note("RequestStartTransaction", said)
        return result201.RequestStartTransaction(status)

    @on("RequestStopTransaction")
    async def request_stop(self, **said: Any) -> result201.RequestStopTransaction:
        status = await self.asked.note("RequestStopTransaction", said)
        return result201.RequestStopTransaction(status, {"reasonCode": "TxNotFound"})

    @on("SetChargingProfile")
    async def set_profile(self, **said: Any) -> result201.SetChargingProfile:
        return result201.SetChargingProfile(await self.asked.note("SetChargingProfile", said))

    @on("TriggerMessage")
    async def trigger(self, **said: Any) -> result201.TriggerMessage:
        return result201.TriggerMessage(await self.asked.note("TriggerMessage", said))

    @on("UnlockConnector")
    async def unlock(self, **said: Any) -> result201.UnlockConnector:
        status = await self.asked.note("UnlockConnector", said, "UnknownConnector")
        return result201.UnlockConnector(status)

    @on("Reset")
    async def reset(self, **said: Any) -> result201.Reset:
        return result201.Reset(await self.asked.note("Reset", said, "Scheduled"))

    @on("ChangeAvailability")
    async def change_availability(self, **said: Any) -> result201.ChangeAvailability:
        return result201.ChangeAvailability(await self.asked.note("ChangeAvailability", said))


@asynccontextmanager
async def library_charger(
    world: World, protocol: str, asked: Asked, charge_point_id: str = "CP-1"
) -> AsyncIterator[Any]:
    """A charger of the library, connected and listening."""
    async with world.charger(charge_point_id, protocols=(protocol,)) as charger:
        kind = Charger16 if protocol == "ocpp1.6" else Charger201
        point = kind(charge_point_id, charger.socket, asked)
        listening = asyncio.create_task(point.start())
        try:
            yield point
        finally:
            await charger.socket.close()
            listening.cancel()
            await asyncio.wait({listening})
            if not listening.cancelled() and (error := listening.exception()):
                assert isinstance(error, ConnectionClosed), error
