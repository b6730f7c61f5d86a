"""The central systems that `bench_ocpp` compares, each in a process of its own.

All check every message against the library's schemas. The first two only count what they are told,
so that what is measured is OCPP and not a disk; the third keeps it.
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

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
from api.config import config_of
from api.jobs.charging.runtime import Runtime
from api.jobs.create import create_community
from api.routers import ocpp
from charging.desk import SessionState
from charging.ocpp.central_system import CentralSystem
from charging.orders import ChargeOrder, charger_id_of
from charging.points import PointEvent, Reply, TransactionStarted, TransactionUpdated
from charging.sessions import ChargeSession
from charging.store import ChargingStore, Connection, Transaction
from charging.tariffs import ChargeTariff
from ledger.units import Address
from tests.charging_world import charging_document


@dataclass
class Count:
    """What has been heard, and of how many at most."""

    chargers: int
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
    points = CentralSystem(sink=CountingSink(count), door=OpenDoor(), now=lambda: datetime.now(UTC))
    await _serve_ours(points, opened)


async def _serve_ours(points: CentralSystem, opened: Opened) -> None:
    app = FastAPI()
    app.state.points = points
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


async def stored(count: Count, opened: Opened) -> None:
    """The same over the real sink: what is said of a charge is on the disk before it is answered,
    and every charge is watched that its deposit suffices."""
    with tempfile.TemporaryDirectory() as home:
        config = config_of(charging_document(chain={}), "bench")
        community = create_community(Path(home) / "bench", config, progress=lambda *_: None)
        runtime = Runtime(community)
        store = ChargingStore(community.engine)
        store.run(lambda open_: [_charging(store, open_, each) for each in range(count.chargers)])
        runtime.points._door = OpenDoor()
        take = runtime.sink.take

        async def counted(event: PointEvent) -> Reply:
            reply = await take(event)
            count.meter_values += isinstance(event, TransactionUpdated)
            return reply

        runtime.sink.take = counted  # type: ignore[method-assign]
        async with runtime:
            await _serve_ours(runtime.points, opened)


def _charging(store: ChargingStore, connection: Connection, number: int) -> None:
    """A charge that runs at charger `CP-{number}` as its transaction 7."""
    now_s, name = int(time.time()), f"CP-{number}"
    order = ChargeOrder(
        driver=Address(number.to_bytes(20)),
        charger_id=charger_id_of(name, 1),
        deposit_micro=10**12,
        tariff=ChargeTariff(energy_per_kwh=390_000),
        valid_until_s=now_s + 600,
        nonce=number,
    )
    session_id = order.session_id(bytes(32))
    transaction = store.messages.add_transaction(
        connection,
        Transaction(
            number=0,
            charge_point_id=name,
            transaction_id="7",
            connector_id=1,
            id_token="",
            session_id=session_id,
            begun=True,
            ended=False,
        ),
        ours=False,
    )
    session = ChargeSession(
        session_id=session_id,
        number=0,
        order=order,
        order_signature=bytes(65),
        charge_point_id=name,
        connector_id=1,
        host=Address(bytes(20)),
        record_key=Address(bytes(20)),
        power_w=11_000,
        last_wh=0,
        vat_bps=0,
        state=SessionState.CHARGING,
        created_s=now_s,
        opened_s=now_s,
        deposit_micro=order.deposit_micro,
        transaction_no=transaction.number,
    )
    store.add_session(connection, session)
    started_at = datetime.now(UTC).replace(microsecond=0)
    started = TransactionStarted(
        charge_point_id=name,
        message_id="s",
        received_at=started_at,
        transaction_id="7",
        connector_id=1,
        at=started_at,
        meter_start_text="0",
    )
    store.messages.add_event(connection, started, transaction.number)


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


SERVERS: dict[str, Callable[[Count, Opened], Awaitable[None]]] = {
    "ours": ours,
    "plain": plain,
    "stored": stored,
}


def run(name: str, chargers: int, pipe: Pipe) -> None:
    """The process: answers each message in the pipe with (CPU seconds, KiB, meter values)."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = Count(chargers)

    def report() -> None:
        pipe.recv()
        pipe.send((time.process_time(), resident_kib(), count.meter_values))

    async def main() -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), report)
        await SERVERS[name](count, pipe.send)

    if name != "plain":
        uvloop.run(main())
    else:
        asyncio.run(main())


def resident_kib() -> int:
    """Memory of this process now."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 A kernel's counter, not a file.
        pages = int(statm.read().split()[1])
    return pages * resource.getpagesize() // 1024
