"""One charger's connection: it is heard, answered and asked, one request at a time each way.

A reader takes frames off the socket. Requests wait in a short queue for their turn, so that an
answer to a command of ours is read while a request is still with the sink: nothing here can wait
for itself. When the queue is full, or frames keep coming out of turn, this charger is read more
slowly, and no other one notices.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import uuid4

from charging.ocpp.commands import Command, answer_of
from charging.ocpp.dialects import Dialect
from charging.ocpp.faults import Fault, Refusal
from charging.ocpp.frames import (
    BrokenCall,
    Call,
    CallError,
    CallResult,
    Unreadable,
    call_text,
    error_text,
    read_frame,
    result_text,
)
from charging.ocpp.hearing import Heard, Origin, Terms
from charging.ocpp.messages import payload_of
from charging.ocpp.sockets import CLOSE_TOO_BIG, Pace, Socket, SocketClosed
from charging.points import Answer, Booted, PointSink, Reply

ANSWERS_KEPT: Final = 16  # The same message sent again over the same connection is answered alike.
CLOSE_WITHIN_S: Final = 5.0
HEARTBEAT: Final = "Heartbeat"
NOTHING: Final = Reply()  # Of the sink, where it is not asked.

LOG = logging.getLogger(__name__)


class Connection:
    """One charger, from handshake to goodbye."""

    def __init__(
        self,
        socket: Socket,
        charge_point_id: str,
        dialect: Dialect,
        *,
        sink: PointSink,
        now: Callable[[], datetime],
        terms: Terms,
        booted: Callable[["Connection"], Awaitable[None]],
    ) -> None:
        self.charge_point_id = charge_point_id
        self.dialect = dialect
        self._socket = socket
        self._sink = sink
        self._now = now
        self._terms = terms
        self._booted = booted
        # Each with the hash of its text: chargers have been seen to use a message id twice.
        self._calls: asyncio.Queue[tuple[Call, int] | None] = asyncio.Queue(terms.calls_waiting_max)
        self._answered: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()
        self._asking = asyncio.Lock()
        self._asked: tuple[str, asyncio.Future[CallResult | CallError | None]] | None = None
        self._is_hearing = False
        self._ended = False
        self._reader: asyncio.Task[None] | None = None
        self._after_boot: asyncio.Task[None] | None = None
        self.finished = asyncio.Event()

    # Listening.

    async def serve(self) -> None:
        """Until the charger is gone and everything that it said has been taken."""
        self._reader = asyncio.create_task(self._read())
        try:
            while not (self._ended and self._calls.empty()):
                waiting = await self._calls.get()
                if waiting is not None:
                    self._is_hearing = True
                    await self._hear(*waiting)
                    self._is_hearing = False
        finally:
            self._reader.cancel()
            if self._after_boot is not None:
                self._after_boot.cancel()
            self.finished.set()

    async def close(self, code: int) -> None:
        """Ends the connection; what was read already is still taken."""
        with suppress(SocketClosed, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._socket.close(code)
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        terms = self._terms
        pace = Pace(rate_per_s=terms.frames_per_s, burst=terms.frames_burst, now_s=clock())
        try:
            while True:
                text = await self._socket.recv()
                if len(text) > terms.frame_chars_max:
                    await self._socket.close(CLOSE_TOO_BIG)
                    return
                if not await self._sort(text):
                    await asyncio.sleep(pace.wait_s(clock()))
        except SocketClosed:
            pass
        finally:
            self._end()

    def _end(self) -> None:
        self._ended = True
        if self._asked is not None and not self._asked[1].done():
            self._asked[1].set_result(None)
        if self._calls.empty():  # Else the worker is awake and will see the end by itself.
            self._calls.put_nowait(None)

    async def _sort(self, text: str) -> bool:
        """Puts a frame where it belongs; whether it came in its turn (OCPP-J 1.6 §4.1.1)."""
        frame = read_frame(text)
        match frame:
            case Call():
                in_turn = not self._is_hearing and self._calls.empty()
                await self._calls.put((frame, hash(text)))
                return in_turn
            case CallResult() | CallError():
                return self._answer_came(frame)
            case BrokenCall(message_id, refusal):
                await self._refuse(message_id, refusal)
            case Unreadable(reason):
                LOG.warning("%s: a frame is ignored, %s", self.charge_point_id, reason[:200])
        return False

    async def _hear(self, call: Call, content: int) -> None:
        """Takes one request in; only then is it answered."""
        key = (call.message_id, call.action)
        former = self._answered.get(key)
        if former is not None and former[0] == content:
            await self._send(former[1])
            return
        try:
            heard, text = await self._take(call)
        except Refusal as refusal:
            await self._refuse(call.message_id, refusal)
            return
        except Exception:
            # Not kept, so it must not be acknowledged: the charger will send it again.
            LOG.exception("%s: %s was not taken", self.charge_point_id, call.action)
            cause = "the message could not be stored; send it again"
            await self._refuse(call.message_id, Refusal(fault=Fault.INTERNAL, cause=cause))
            return
        if call.action != HEARTBEAT:  # Its answer is the time.
            self._answered[key] = (content, text)
            if len(self._answered) > ANSWERS_KEPT:
                self._answered.popitem(last=False)
        await self._send(text)
        if isinstance(heard.event, Booted):
            self._start_after_boot()

    async def _take(self, call: Call) -> tuple[Heard, str]:
        """The answer of a request, as soon as the sink has what it says."""
        origin = Origin(
            charge_point_id=self.charge_point_id,
            message_id=call.message_id,
            received_at=self._now(),
        )
        heard = self.dialect.hear(call.action, call.payload, origin, self._terms)
        reply = NOTHING if heard.event is None else await self._sink.take(heard.event)
        return heard, result_text(call.message_id, payload_of(heard.answer(reply)))

    async def _refuse(self, message_id: str, refusal: Refusal) -> None:
        LOG.warning("%s: a request is refused, %s", self.charge_point_id, refusal.fault.name)
        code = refusal.code(self.dialect.version)
        await self._send(error_text(message_id, code, refusal.description))

    async def _send(self, text: str) -> None:
        with suppress(SocketClosed):  # The charger will ask again.
            await self._socket.send(text)

    def _start_after_boot(self) -> None:
        if self._after_boot is not None:
            self._after_boot.cancel()
        if not self._ended:
            self._after_boot = asyncio.ensure_future(self._booted(self))

    # Asking.

    async def ask(self, command: Command, *, within_s: float | None = None) -> Answer:
        """Sends a command and says how the charger answered it."""
        outcome = await self.request(command, within_s=within_s)
        return outcome if isinstance(outcome, Answer) else answer_of(outcome)

    async def request(
        self, command: Command, *, within_s: float | None = None
    ) -> CallResult | CallError | Answer:
        """Sends a command when the one before it has its answer (OCPP-J 1.6 §4.1.1).

        Returns: the charger's answer; OFFLINE if nothing was sent; NO_ANSWER if none came.
        """
        async with self._asking:
            if self._ended:
                return Answer.OFFLINE
            message_id = str(uuid4())
            answer = asyncio.get_running_loop().create_future()
            self._asked = (message_id, answer)
            try:
                async with asyncio.timeout(within_s or self._terms.answer_within_s):
                    await self._socket.send(call_text(message_id, command.action, command.payload))
                    return await answer or Answer.NO_ANSWER
            except (TimeoutError, SocketClosed):
                return Answer.NO_ANSWER
            finally:
                self._asked = None

    def _answer_came(self, frame: CallResult | CallError) -> bool:
        if self._asked is None or self._asked[0] != frame.message_id or self._asked[1].done():
            LOG.warning("%s: an answer to nothing that was asked", self.charge_point_id)
            return False
        self._asked[1].set_result(frame)
        return True
