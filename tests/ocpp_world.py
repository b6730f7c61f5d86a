"""A central system for tests, behind a real uvicorn; its sink and its door are in memory."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from api.charge_point_transport import Tls, websocket_options
from api.routers import ocpp
from charging.ocpp.central_system import CentralSystem
from charging.ocpp.hearing import Terms
from charging.points import PointEvent, Reply, TransactionEvent, TransactionStarted

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
NOW_TEXT = "2026-11-03T12:00:00.000Z"
PASSWORD = b"0123456789abcdef"


@dataclass
class MemorySink:
    """Keeps every event once, by charger and message, like one on a disk does."""

    known_tokens: set[str] = field(default_factory=lambda: {"card-1"})
    events: list[PointEvent] = field(default_factory=list)
    connections: list[tuple[str, str]] = field(default_factory=list)
    is_full: bool = False  # Then nothing can be kept.
    gate: asyncio.Event | None = None  # Shut, nothing is kept until it opens.
    _replies: dict[tuple[str, str, type], Reply] = field(default_factory=dict)

    async def take(self, event: PointEvent) -> Reply:
        if self.gate is not None:
            await self.gate.wait()
        if self.is_full:
            raise OSError(28, "No space left on device")
        key = (event.charge_point_id, event.message_id, type(event))
        if key not in self._replies:
            self.events.append(event)
            self._replies[key] = self._reply(event)
        return self._replies[key]

    def _reply(self, event: PointEvent) -> Reply:
        token = getattr(event, "id_token", "").lower()
        number = str(len(self.events)) if isinstance(event, TransactionStarted) else ""
        return Reply(
            accepted=not token or token in self.known_tokens,
            transaction_id=number,
            cost_micro=1_234_567 if isinstance(event, TransactionEvent) else None,
        )

    async def connected(self, charge_point_id: str, protocol: str) -> None:
        self.connections.append((charge_point_id, protocol))

    async def disconnected(self, charge_point_id: str) -> None:
        self.connections.append((charge_point_id, ""))

    def of(self, kind: type[PointEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class MemoryDoor:
    """Passwords and certificates by charger."""

    passwords: dict[str, bytes] = field(
        default_factory=lambda: dict.fromkeys(("CP-1", "CP-2", "CP:3"), PASSWORD)
    )
    certificates: dict[str, str] = field(default_factory=dict)

    async def may_connect(
        self, charge_point_id: str, *, password: bytes | None, certificate_name: str | None
    ) -> bool:
        if charge_point_id in self.certificates:
            return certificate_name == self.certificates[charge_point_id]
        return password is not None and self.passwords.get(charge_point_id) == password


@dataclass
class World:
    """What a test holds in its hands."""

    port: int
    sink: MemorySink
    door: MemoryDoor
    points: CentralSystem
    app: FastAPI
    scheme: str = "ws"

    @asynccontextmanager
    async def charger(
        self,
        charge_point_id: str = "CP-1",
        *,
        protocols: tuple[str, ...] = ("ocpp1.6",),
        user: str | None = None,
        password: bytes | None = PASSWORD,
        **options: Any,
    ) -> AsyncIterator["Charger"]:
        headers = options.pop("headers", {})
        if password is not None:
            credentials = (user or charge_point_id).encode() + b":" + password
            headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
        async with connect(
            f"{self.scheme}://localhost:{self.port}/ocpp/{charge_point_id}",
            subprotocols=[Subprotocol(name) for name in protocols] or None,
            additional_headers=headers,
            compression=None,
            **options,
        ) as socket:
            yield Charger(socket)


@dataclass
class Charger:
    """The other end, in plain JSON."""

    socket: ClientConnection

    async def say(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def hear(self, within_s: float = 10.0) -> Any:
        async with asyncio.timeout(within_s):
            return json.loads(await self.socket.recv())

    async def call(self, action: str, payload: object, message_id: str = "m-1") -> Any:
        await self.say([2, message_id, action, payload])
        return await self.hear()


@asynccontextmanager
async def central_system(
    *,
    terms: Terms | None = None,
    sink: MemorySink | None = None,
    tls: Tls | None = None,
    options: dict[str, Any] | None = None,
) -> AsyncIterator[World]:
    sink, door = sink or MemorySink(), MemoryDoor()
    points = CentralSystem(sink=sink, door=door, now=lambda: NOW, terms=terms)
    app = FastAPI()
    app.state.points, app.state.point_sink, app.state.point_door = points, sink, door
    app.include_router(ocpp.router)
    config = uvicorn.Config(
        app,
        host="localhost",
        port=0,
        log_level="error",
        lifespan="off",
        **(websocket_options(tls) | (options or {})),
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        scheme = "ws" if tls is None else "wss"
        yield World(port, sink, door, points, app, scheme)
    finally:
        server.should_exit = True
        await task


async def until(condition: Any, within_s: float = 10.0) -> None:
    """Waits for something to become true."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
