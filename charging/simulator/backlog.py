"""What a charge point still has to tell about its transactions: in order, until it is heard.

A charge point keeps these messages while it is offline and sends them when it is back (OCPP 1.6
section 4.1, OCPP 2.0.1 part 2, E04 and E13). A message is put into words when it is sent, since
only the answer to a start tells the transaction's id in OCPP 1.6.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from charging.simulator.changes import Changes
from charging.simulator.errors import CallFailed
from charging.simulator.faults import MALFORMED_FRAMES, Fault
from charging.simulator.link import Link
from charging.simulator.wire import LineLost, Message, Payload, Wire

ATTEMPTS_MAX: Final = 3  # OCPP 1.6 `TransactionMessageAttempts`.
CALL_TIMEOUT_S: Final = 30
ANSWERS_UNHEARD: Final = 2  # Of the fault `endless-stop`.


class Part(Enum):
    """Of a transaction."""

    START = auto()
    UPDATE = auto()
    STOP = auto()


@dataclass(slots=True, kw_only=True)
class Entry:
    """One message to be delivered."""

    transaction_id: str
    part: Part
    render: Callable[[], Message]
    heard: Callable[[Payload], None] | None = None
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    fleeting: bool = False  # Worth saying only now: never kept, never repeated.
    preceded: bool = False  # By malformed frames.


class Backlog:
    """Delivers entries one after the other, across lost connections."""

    def __init__(
        self,
        link: Link,
        *,
        faults: frozenset[Fault],
        changes: Changes,
        note: Callable[[str], None],
        retry_ms: int,
    ) -> None:
        self._link = link
        self._faults = faults
        self._changes = changes
        self._note = note
        self._retry_ms = retry_ms
        self._entries: deque[Entry] = deque()
        self._kept_back: dict[str, list[Entry]] = {}  # Of the fault `stop-before-start`.

    @property
    def empty(self) -> bool:
        """Whether everything has been heard."""
        return not self._entries

    def put(self, entry: Entry) -> None:
        """Adds a message; it goes out in its turn."""
        if entry.fleeting and not self._link.online:
            return
        if Fault.STOP_BEFORE_START in self._faults and entry.transaction_id:
            kept = self._kept_back.setdefault(entry.transaction_id, [])
            if entry.part is not Part.STOP:
                kept.append(entry)
                return
            self._entries.append(entry)
            self._entries.extend(self._kept_back.pop(entry.transaction_id))
        else:
            self._entries.append(entry)
        self._changes.tell()

    async def run(self) -> None:
        """Delivers for ever."""
        while True:
            await self._changes.until(lambda: bool(self._entries) and self._link.online)
            await self._deliver(self._entries[0])
            self._entries.popleft()
            self._changes.tell()

    async def _deliver(self, entry: Entry) -> None:
        unheard = ANSWERS_UNHEARD if self._never_gives_up(entry) else 0
        refusals = 0
        while True:
            wire = await self._link.wire()
            try:
                answer = await self._send(wire, entry)
            except LineLost:
                if entry.fleeting:
                    return
                continue
            except CallFailed as failure:
                if entry.fleeting:
                    return
                refusals += failure.error != "NoAnswer"
                self._note(f"{entry.render().action} was not taken: {failure.error} {failure.rule}")
                if refusals >= ATTEMPTS_MAX and not self._never_gives_up(entry):
                    return
                await asyncio.sleep(self._retry_ms / 1_000)
                continue
            if unheard:
                unheard -= 1
                continue
            if entry.heard is not None:
                entry.heard(answer)
            return

    def _never_gives_up(self, entry: Entry) -> bool:
        return Fault.ENDLESS_STOP in self._faults and entry.part is Part.STOP

    async def _send(self, wire: Wire, entry: Entry) -> Payload:
        if Fault.MALFORMED_FRAMES in self._faults and not entry.fleeting and not entry.preceded:
            entry.preceded = True
            for frame in MALFORMED_FRAMES:
                await wire.send_frame(frame)
        message = entry.render()
        answer = await wire.call(message, message_id=entry.message_id, timeout_s=CALL_TIMEOUT_S)
        for fault, message_id in (
            (Fault.DUPLICATES, entry.message_id),
            (Fault.DUPLICATES_NEW_ID, str(uuid.uuid4())),
        ):
            if fault in self._faults and not entry.fleeting:
                await wire.call(message, message_id=message_id, timeout_s=CALL_TIMEOUT_S)
        return answer
