"""A simulated charge point at a central system, for tests of either version."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from charging.simulator.clock import ScriptClock
from charging.simulator.connectors import Transaction
from charging.simulator.faults import Fault
from charging.simulator.point import ChargePoint
from tests.api.central_system import PASSWORD, Central, central_system, remote_start, remote_stop

VERSIONS = ("1.6", "2.0.1")
T0 = datetime(2016, 6, 1, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
REGISTER_WH = 910_000
POWER_W = 7_200


@dataclass(frozen=True)
class Told:
    """A register value as it reached the central system."""

    context: str
    value: str
    unit: str
    at: str


@dataclass(frozen=True)
class Scene:
    """One charge point, its central system, and their version."""

    version: str
    central: Central
    point: ChargePoint
    clock: ScriptClock

    async def ask(self, call: Any) -> Any:
        """The central system asks the charge point; errors are raised."""
        return await (await self.central.point("CP1")).call(call, suppress=False)

    async def start(self, token: str = "driver-1") -> Transaction:
        """Plugs in and starts from afar, at the script's time."""
        await self.point.plug_in()
        answer = await self.ask(remote_start(self.version, token))
        assert answer.status == "Accepted"
        return await self.point.started(within_s=5)

    async def stop(self, charge: Transaction) -> Any:
        """Stops from afar."""
        known = charge.central_id if self.version == "1.6" else charge.local_id
        return await self.ask(remote_stop(self.version, str(known)))

    async def whole_charge(self) -> Transaction:
        """An hour at full power, half an hour of standing, then off."""
        charge = await self.start()
        await self.point.charge(until=T0 + HOUR, energy_wh=POWER_W)
        await self.point.unplug(at=T0 + 90 * MINUTE)
        return charge

    def starts(self) -> list[dict[str, Any]]:
        if self.version == "1.6":
            return self.central.of("StartTransaction")
        return self.central.of("TransactionEvent", "Started")

    def updates(self) -> list[dict[str, Any]]:
        if self.version == "1.6":
            return self.central.of("MeterValues")
        return self.central.of("TransactionEvent", "Updated")

    def stops(self) -> list[dict[str, Any]]:
        if self.version == "1.6":
            return self.central.of("StopTransaction")
        return self.central.of("TransactionEvent", "Ended")

    def order(self) -> str:
        """Transaction messages as they came: a letter each for start, update, stop."""
        letters = {
            "StartTransaction": "S",
            "MeterValues": "u",
            "StopTransaction": "E",
            "Started": "S",
            "Updated": "u",
            "Ended": "E",
        }
        names = (h.payload.get("event_type", h.action) for h in self.central.heard)
        return "".join(letters.get(name, "") for name in names)

    def registers(self, *payloads: dict[str, Any]) -> list[Told]:
        """Energy values of these messages, or of all updates."""
        told = []
        for payload in payloads or self.updates():
            for meter_value in payload.get("meter_value", payload.get("transaction_data", [])):
                for sampled in meter_value["sampled_value"]:
                    if sampled["measurand"].startswith("Energy") and "format" not in sampled:
                        unit = sampled.get("unit") or sampled["unit_of_measure"]["unit"]
                        told.append(
                            Told(
                                sampled["context"],
                                str(sampled["value"]),
                                unit,
                                meter_value["timestamp"],
                            )
                        )
        return told

    def stop_register(self) -> str:
        """The register that the stop states."""
        stop = self.stops()[0]
        return str(stop["meter_stop"]) if self.version == "1.6" else self.registers(stop)[0].value

    def reason(self) -> str:
        stop = self.stops()[0]
        reason = stop["reason"] if self.version == "1.6" else None
        return str(reason or stop["transaction_info"]["stopped_reason"])

    def states(self, connector_id: int = 1) -> list[str]:
        key = "status" if self.version == "1.6" else "connector_status"
        place = "connector_id" if self.version == "1.6" else "evse_id"
        told = self.central.of("StatusNotification")
        return [each[key] for each in told if each[place] == connector_id]


@asynccontextmanager
async def scene(
    version: str, *, faults: Collection[Fault] = (), **details: Any
) -> AsyncIterator[Scene]:
    """A charge point that lives by a script from T0 on."""
    clock = ScriptClock(T0)
    async with central_system() as central:
        point = ChargePoint(
            central.url,
            "CP1",
            PASSWORD,
            protocol=version,
            clock=clock,
            power_w=POWER_W,
            register_wh=REGISTER_WH,
            faults=faults,
            retry_ms=5,
            **details,
        )
        async with point:
            yield Scene(version, central, point, clock)
