"""The two central systems that `bench_ocpp` compares, each in a process of its own.

Both check every message against the library's schemas and only count what they are told, so that
what is measured is OCPP and not a disk.
"""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection

import uvicorn
import uvloop
from fastapi import FastAPI
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from api.charge_point_transport import websocket_options
from api.routers import ocpp
from charging.ocpp.central_system import CentralSystem
from charging.points import PointEvent, Reply, TransactionUpdated


@dataclass
class Count:
    """What has been heard."""

    meter_values: int = 0


class CountingSink:
    """A sink that forgets everything but the number."""

    def __init__(self, count: Count) -> None:
        self._count = count

    async def take(self, event: PointEvent) -> Reply:
        self._count.meter_values += isinstance(event, TransactionUpdated)
        return Reply()

    async def connected(self, charge_point_id: str, protocol: str) -> None: ...

    async def disconnected(self, charge_point_id: str) -> None: ...


class OpenDoor:
    """Lets everybody in."""

    async def may_connect(
        self, charge_point_id: str, *, password: bytes | None, certificate_name: str | None
    ) -> bool:
        return True


Opened = Callable[[int], None]


async def ours(count: Count, opened: Opened) -> None:
    """uvicorn and `charging/ocpp`, as `serve` runs them."""
    app = FastAPI()
    app.state.points = CentralSystem(
        sink=CountingSink(count), door=OpenDoor(), now=lambda: datetime.now(UTC)
    )
    app.include_router(ocpp.router)
    config = uvicorn.Config(
        app, port=0, log_level="error", lifespan="off", backlog=4096, **websocket_options()
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    opened(server.servers[0].sockets[0].getsockname()[1])
    await serving


async def plain(count: Count, opened: Opened) -> None:
    """The library's own charge point on a `websockets` server, both with their defaults."""

    class Point(ChargePoint):  # type: ignore[misc, unused-ignore]
        @on(Action.boot_notification)
        def boot(self, **_said: object) -> call_result.BootNotification:
            now = datetime.now(UTC).isoformat()
            return call_result.BootNotification(now, 300, RegistrationStatus.accepted)

        @on(Action.meter_values)
        def meter_values(self, **_said: object) -> call_result.MeterValues:
            count.meter_values += 1
            return call_result.MeterValues()

    async def attend(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await Point(socket.request.path if socket.request else "", socket).start()

    async with serve(attend, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        opened(next(iter(server.sockets)).getsockname()[1])
        await server.serve_forever()


SERVERS: dict[str, Callable[[Count, Opened], Awaitable[None]]] = {"ours": ours, "plain": plain}


def run(name: str, pipe: Connection) -> None:
    """The process: answers each message in the pipe with (CPU seconds, KiB, meter values)."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = Count()

    def report() -> None:
        pipe.recv()
        pipe.send((time.process_time(), resident_kib(), count.meter_values))

    async def main() -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), report)
        await SERVERS[name](count, pipe.send)

    if name == "ours":
        uvloop.run(main())
    else:
        asyncio.run(main())


def resident_kib() -> int:
    """Memory of this process now."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 A kernel's counter, not a file.
        pages = int(statm.read().split()[1])
    return pages * resource.getpagesize() // 1024
