"""One WebSocket connection that speaks OCPP-J: calls, results and errors as JSON arrays.

Source: OCPP 1.6 JSON specification section 4; OCPP 2.0.1 part 4 section 4. Messages are checked
against the schemas that the `ocpp` library ships.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from charging.simulator.errors import CallFailed

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CALL: Final = 2
RESULT: Final = 3
ERROR: Final = 4
CALL_PARTS: Final = 4
# The library reads these schemas, whose numbers have one decimal, with Decimal and keeps them.
DECIMAL_SCHEMAS: Final = {
    ("1.6", CALL, "SetChargingProfile"),
    ("1.6", CALL, "RemoteStartTransaction"),
    ("1.6", RESULT, "GetCompositeSchedule"),
}

Payload = dict[str, Any]


class LineLost(ConnectionError):
    """The connection ended; whether the last message was heard is unknown."""


class NotSupported(Exception):
    """The charge point has no such action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A call before it has an id."""

    action: str
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a charge point says to a call, and what it does when it has said so."""

    payload: Payload
    then: Callable[[], Awaitable[None]] | None = None


Handler = Callable[[str, Mapping[str, Any]], Answer]


class Wire:
    """Calls out, one at a time; calls in, answered in their order."""

    def __init__(
        self,
        socket: "ClientConnection",
        *,
        version: str,
        handle: Handler,
        spawn: Callable[[Awaitable[None]], None],
        checks_schemas: bool,
    ) -> None:
        self._socket = socket
        self._version = version
        self._handle = handle
        self._spawn = spawn
        self._checks_schemas = checks_schemas
        self._turn = asyncio.Lock()
        self._answers: dict[str, asyncio.Future[Payload]] = {}
        self.lost = False

    async def call(self, message: Message, *, message_id: str, timeout_s: int) -> Payload:
        """Sends a call and waits for its answer.

        Raises:
            CallFailed: it was answered with an error, or not in time.
            LineLost: the connection ended first.
        """
        if self._checks_schemas:
            self._check(CALL, message.action, message.payload)
        async with self._turn:
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._answers[message_id] = answer
            try:
                await self.send_frame(_frame(CALL, message_id, message.action, message.payload))
                async with asyncio.timeout(timeout_s):
                    return await answer
            except TimeoutError as error:
                raise CallFailed(
                    action=message.action, error="NoAnswer", rule=f"within {timeout_s} s"
                ) from error
            finally:
                self._answers.pop(message_id, None)

    async def send_frame(self, frame: str | bytes) -> None:
        """Sends a frame as it is.

        Raises:
            LineLost: there is nobody to hear it.
        """
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        if self.lost:
            raise LineLost
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise LineLost from error

    async def read(self) -> None:
        """Hears the other side until the connection ends; then whoever waits is told."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            async for frame in self._socket:
                await self._take(frame)
        except (ConnectionClosed, LineLost):
            pass
        finally:
            self.lost = True
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(LineLost())

    def cut(self) -> None:
        """Ends the connection as a pulled plug does: without a closing frame."""
        self.lost = True
        self._socket.transport.abort()

    async def _take(self, frame: str | bytes) -> None:
        try:
            parts = json.loads(frame, parse_float=Decimal)
        except ValueError:
            return  # Nobody can be answered.
        if not isinstance(parts, list) or len(parts) < CALL_PARTS - 1:
            return
        if parts[0] == CALL and len(parts) == CALL_PARTS:
            await self._answer(str(parts[1]), str(parts[2]), parts[3])
        elif parts[0] in {RESULT, ERROR}:
            self._hear(parts)

    def _hear(self, parts: list[Any]) -> None:
        answer = self._answers.get(str(parts[1]))
        if answer is None or answer.done():
            return
        if parts[0] == RESULT and isinstance(parts[2], dict):
            answer.set_result(parts[2])
        else:
            rule = str(parts[3]) if len(parts) >= CALL_PARTS else ""
            answer.set_exception(CallFailed(action="", error=str(parts[2]), rule=rule))

    async def _answer(self, message_id: str, action: str, payload: Any) -> None:
        try:
            self._check(CALL, action, payload)
            answer = self._handle(action, payload)
        except NotSupported:
            await self._refuse(message_id, "NotImplemented", f"no {action} here")
        except CallFailed as error:
            await self._refuse(message_id, error.error, error.rule)
        else:
            await self.send_frame(_frame(RESULT, message_id, answer.payload))
            if answer.then is not None:
                self._spawn(answer.then())

    async def _refuse(self, message_id: str, error: str, rule: str) -> None:
        await self.send_frame(_frame(ERROR, message_id, error, rule[:255], {}))

    @property
    def _malformed(self) -> str:
        return "FormationViolation" if self._version == "1.6" else "FormatViolation"

    def _check(self, kind: int, action: str, payload: Any) -> None:
        from ocpp.messages import get_validator  # noqa: PLC0415

        if not action.isalnum():  # It becomes a file's name.
            raise NotSupported(action)
        number = Decimal if (self._version, kind, action) in DECIMAL_SCHEMAS else float
        try:
            validator = get_validator(kind, action, self._version, parse_float=number)
        except OSError as error:
            raise NotSupported(action) from error
        for violation in validator.iter_errors(payload):
            raise CallFailed(action=action, error=self._malformed, rule=violation.message)


def _frame(*parts: object) -> str:
    return json.dumps(parts, separators=(",", ":"))
