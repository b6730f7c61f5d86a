"""A charge point's connection to its central system: dialled, lost, dialled again."""

import asyncio
import base64
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from charging.simulator.changes import Changes
from charging.simulator.errors import BadPointSetting, CallFailed, CentralUnreachable, PointRefused
from charging.simulator.wire import Handler, LineLost, Wire

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

PATH_DEFAULT: Final = "/ocpp"
DIAL_TIMEOUT_S: Final = 10
CLOSE_TIMEOUT_S: Final = 2
RETRY_MS: Final = 250  # Before the first attempt to reconnect; doubled for each further one.
RETRY_DOUBLINGS: Final = 7
FRAME_BYTES_MAX: Final = 2**20
HTTP_BAD_REQUEST: Final = 400
HTTP_UNAUTHORIZED: Final = 401
HTTP_FORBIDDEN: Final = 403
HTTP_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where a charge point calls, and as whom (security profiles 1 and 2)."""

    url: str
    charge_point_id: str
    password: str | None
    subprotocol: str
    version: str
    ssl_context: ssl.SSLContext | None = None
    checks_schemas: bool = True
    ping_s: int | None = 20

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in {"ws", "wss"} or not urlsplit(self.url).hostname:
            raise BadPointSetting(field="url", rule="starts with ws:// or wss:// and has a host")
        if not self.charge_point_id:
            raise BadPointSetting(field="id", rule="not empty")

    @property
    def address(self) -> str:
        """`ws://host:port/ocpp/{id}`; a URL that has a path keeps it."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/") or PATH_DEFAULT
        return f"{parts.scheme}://{parts.netloc}{path}/{quote(self.charge_point_id, safe='')}"

    @property
    def headers(self) -> dict[str, str]:
        """HTTP Basic, if there is a password."""
        if self.password is None:
            return {}
        pair = f"{self.charge_point_id}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


class Link:
    """Keeps a line open. `greet` speaks first on each connection, then it is ready for others."""

    def __init__(
        self,
        line: Line,
        *,
        greet: Callable[[Wire], Awaitable[None]],
        handle: Handler,
        spawn: Callable[[Awaitable[None]], None],
        changes: Changes,
    ) -> None:
        self._line = line
        self._greet = greet
        self._handle = handle
        self._spawn = spawn
        self._changes = changes
        self._wire: Wire | None = None
        self._ready = False
        self._life: asyncio.Task[None] | None = None
        self.held = False  # Offline on purpose.
        self.storms = 0  # Connections that will be cut as soon as they are ready.
        self.connections = 0

    @property
    def online(self) -> bool:
        """Whether messages go out now."""
        return self._ready and self._wire is not None and not self._wire.lost

    async def open(self) -> None:
        """Dials for the first time, and returns when the central system has accepted us.

        Raises:
            CentralUnreachable: nobody listens, or nobody who speaks our protocol.
            PointRefused: we are not let in.
        """
        connection = await self._dial()
        self._life = asyncio.create_task(self._live(connection))
        await self._changes.until(lambda: self._ready or self._over)
        if self._over:
            await self._life

    async def close(self) -> None:
        """Hangs up for good."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)

    async def wire(self) -> Wire:
        """The connection, as soon as there is one."""
        await self._changes.until(lambda: self.online)
        assert self._wire is not None  # noqa: S101 (online means that there is one)
        return self._wire

    def hold(self) -> None:
        """Goes offline without a word, and stays so until released."""
        self.held = True
        self.cut()

    def release(self) -> None:
        """Comes back."""
        self.held = False
        self._changes.tell()

    def cut(self) -> None:
        """Loses the connection without a closing frame."""
        self._ready = False
        if self._wire is not None:
            self._wire.cut()
        self._changes.tell()

    @property
    def _over(self) -> bool:
        return self._life is not None and self._life.done()

    async def _live(self, first: "ClientConnection") -> None:
        connection: ClientConnection | None = first
        failures = 0
        while True:
            if connection is not None:
                lasted = await self._serve(connection)
                failures = 0 if lasted else failures + 1
            if failures:
                await self._rest(failures)
            await self._changes.until(lambda: not self.held)
            try:
                connection = await self._dial()
            except (CentralUnreachable, PointRefused):
                connection = None
                failures += 1

    async def _serve(self, connection: "ClientConnection") -> bool:
        """Lives on one connection until it ends; whether it was ever ready."""
        wire = Wire(
            connection,
            version=self._line.version,
            handle=self._handle,
            spawn=self._spawn,
            checks_schemas=self._line.checks_schemas,
        )
        self._wire = wire
        self.connections += 1
        reading = asyncio.create_task(wire.read())
        lasted = False
        try:
            await self._greet(wire)
            lasted = self._ready = True
            self._changes.tell()
            if self.storms:
                self.storms -= 1
                self.cut()
            await reading
        except (LineLost, CallFailed):
            pass
        finally:
            self._ready = False
            self._wire = None
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await connection.close()
            self._changes.tell()
        return lasted

    async def _rest(self, failures: int) -> None:
        """Waits before the next attempt; points with other names wait a little differently."""
        rest_ms = RETRY_MS << min(failures - 1, RETRY_DOUBLINGS)
        spread_ms = zlib.crc32(self._line.charge_point_id.encode()) % RETRY_MS
        await asyncio.sleep((rest_ms + spread_ms) / 1_000)

    async def _dial(self) -> "ClientConnection":
        from websockets.asyncio.client import connect  # noqa: PLC0415
        from websockets.exceptions import InvalidStatus, WebSocketException  # noqa: PLC0415
        from websockets.typing import Subprotocol  # noqa: PLC0415

        line = self._line
        try:
            dialled = await connect(
                line.address,
                subprotocols=[Subprotocol(line.subprotocol)],
                additional_headers=line.headers,
                user_agent_header="wattledger-simulator",
                compression=None,
                proxy=None,
                ssl=line.ssl_context,
                open_timeout=DIAL_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=line.ping_s,
                max_size=FRAME_BYTES_MAX,
            )
        except InvalidStatus as refusal:
            raise _refused(line, refusal.response.status_code) from refusal
        except (OSError, TimeoutError, WebSocketException) as error:
            raise CentralUnreachable(url=line.address, rule=_reason(error)) from error
        if dialled.subprotocol != line.subprotocol:
            await dialled.close()
            raise CentralUnreachable(url=line.address, rule=f"it must speak {line.subprotocol}")
        return dialled


def _refused(line: Line, status: int) -> PointRefused:
    reasons = {
        HTTP_BAD_REQUEST: f"it does not speak {line.subprotocol}",
        HTTP_UNAUTHORIZED: "wrong password, or no charge point of this id is known there",
        HTTP_FORBIDDEN: "this charge point is not allowed there, or the address is not OCPP's",
        HTTP_NOT_FOUND: "there is no OCPP at this address, or no charge point of this id",
    }
    return PointRefused(
        url=line.address, status=status, rule=reasons.get(status, "the connection was refused")
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there: is the service running?"
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    if isinstance(error, TimeoutError):
        return f"no answer within {DIAL_TIMEOUT_S} s"
    return (str(error) or type(error).__name__).splitlines()[0]
