"""A small central system on the `ocpp` library: it keeps all that charge points say."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PASSWORD = "open sesame"
HEARTBEAT_S = 3_600


@dataclass
class Heard:
    """One call that came in."""

    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass
class Central:
    """What came in, who is there, and what it is told."""

    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    points: dict[str, "Point16 | Point201"] = field(default_factory=dict)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    refused_tokens: set[str] = field(default_factory=set)
    refused_stops: int = 0  # The next so many stops are answered with an error.
    boot_status: list[str] = field(default_factory=list)  # Answers to come; then `Accepted`.
    transactions: int = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def of(self, action: str, event: str | None = None) -> list[dict[str, Any]]:
        """Payloads of an action, of one event type in OCPP 2.0.1."""
        return [
            heard.payload
            for heard in self.heard
            if heard.action == action
            and (event is None or heard.payload.get("event_type") == event)
        ]

    async def note(self, message_id: str, action: str, payload: dict[str, Any]) -> None:
        async with self.news:
            self.heard.append(Heard(message_id, action, payload))
            self.news.notify_all()

    async def until(self, action: str, count: int = 1, event: str | None = None) -> None:
        """Waits until so many have come in."""
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: len(self.of(action, event)) >= count)

    async def point(self, charge_point_id: str) -> "Point16 | Point201":
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: charge_point_id in self.points)
        return self.points[charge_point_id]

    def token_status(self, token: str) -> str:
        return "Blocked" if token in self.refused_tokens else "Accepted"

    def next_boot_status(self) -> str:
        return self.boot_status.pop(0) if self.boot_status else "Accepted"


def now() -> str:
    return datetime.now(UTC).isoformat()


class Point16(ChargePoint16):  # type: ignore[misc]
    central: Central

    @on("BootNotification")
    async def on_boot(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "BootNotification", payload)
        status = self.central.next_boot_status()
        interval = HEARTBEAT_S if status == "Accepted" else 1
        return result16.BootNotification(current_time=now(), interval=interval, status=status)

    @on("Heartbeat")
    async def on_heartbeat(self, call_unique_id: str) -> Any:
        await self.central.note(call_unique_id, "Heartbeat", {})
        return result16.Heartbeat(current_time=now())

    @on("StatusNotification")
    async def on_status(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "StatusNotification", payload)
        return result16.StatusNotification()

    @on("Authorize")
    async def on_authorize(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "Authorize", payload)
        status = self.central.token_status(payload["id_tag"])
        return result16.Authorize(id_tag_info={"status": status})

    @on("StartTransaction")
    async def on_start(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "StartTransaction", payload)
        self.central.transactions += 1
        return result16.StartTransaction(
            transaction_id=self.central.transactions,
            id_tag_info={"status": self.central.token_status(payload["id_tag"])},
        )

    @on("MeterValues")
    async def on_meter(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "MeterValues", payload)
        return result16.MeterValues()

    @on("StopTransaction")
    async def on_stop(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "StopTransaction", payload)
        if self.central.refused_stops:
            self.central.refused_stops -= 1
            raise ValueError("not today")
        return result16.StopTransaction()


class Point201(ChargePoint201):  # type: ignore[misc]
    central: Central

    @on("BootNotification")
    async def on_boot(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "BootNotification", payload)
        status = self.central.next_boot_status()
        interval = HEARTBEAT_S if status == "Accepted" else 1
        return result201.BootNotification(current_time=now(), interval=interval, status=status)

    @on("Heartbeat")
    async def on_heartbeat(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "Heartbeat", payload)
        return result201.Heartbeat(current_time=now())

    @on("StatusNotification")
    async def on_status(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "StatusNotification", payload)
        return result201.StatusNotification()

    @on("Authorize")
    async def on_authorize(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "Authorize", payload)
        status = self.central.token_status(payload["id_token"]["id_token"])
        return result201.Authorize(id_token_info={"status": status})

    @on("TransactionEvent")
    async def on_event(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "TransactionEvent", payload)
        if payload["event_type"] == "Ended" and self.central.refused_stops:
            self.central.refused_stops -= 1
            raise ValueError("not today")
        token = payload.get("id_token")
        if token is None:
            return result201.TransactionEvent()
        status = self.central.token_status(token["id_token"])
        return result201.TransactionEvent(id_token_info={"status": status})

    @on("MeterValues")
    async def on_meter(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "MeterValues", payload)
        return result201.MeterValues()

    @on("NotifyReport")
    async def on_report(self, call_unique_id: str, **payload: Any) -> Any:
        await self.central.note(call_unique_id, "NotifyReport", payload)
        return result201.NotifyReport()


def remote_start(version: str, token: str, *, connector_id: int = 1) -> Any:
    """The call that starts a charge from afar."""
    if version == "1.6":
        return call16.RemoteStartTransaction(id_tag=token, connector_id=connector_id)
    return call201.RequestStartTransaction(
        id_token={"idToken": token, "type": "Central"}, remote_start_id=42, evse_id=connector_id
    )


def remote_stop(version: str, transaction_id: str) -> Any:
    """The call that stops one."""
    if version == "1.6":
        return call16.RemoteStopTransaction(transaction_id=int(transaction_id))
    return call201.RequestStopTransaction(transaction_id=transaction_id)


def _refusal(connection: ServerConnection, request: Request) -> Response | None:
    given = request.headers.get("Authorization", "").removeprefix("Basic ")
    name = request.path.rsplit("/", 1)[1]
    if base64.b64decode(given).decode() == f"{name}:{PASSWORD}":
        return None
    return connection.respond(HTTPStatus.UNAUTHORIZED, "who are you?\n")


@asynccontextmanager
async def central_system(
    *, passwords: bool = True, subprotocols: Mapping[str, type[Any]] | None = None
) -> AsyncIterator[Central]:
    """Listens on a free port of this machine."""
    kinds = subprotocols or {"ocpp1.6": Point16, "ocpp2.0.1": Point201}
    central = Central()

    async def welcome(connection: ServerConnection) -> None:
        assert connection.request is not None
        name = connection.request.path.rsplit("/", 1)[1]
        point = kinds[str(connection.subprotocol)](name, connection)
        point.central = central
        async with central.news:
            central.points[name] = point
            central.news.notify_all()
        with suppress(ConnectionClosed):
            await point.start()

    async with serve(
        welcome,
        "127.0.0.1",
        0,
        subprotocols=list(kinds),  # type: ignore[arg-type]
        process_request=_refusal if passwords else None,
    ) as server:
        central.port = server.sockets[0].getsockname()[1]
        yield central
