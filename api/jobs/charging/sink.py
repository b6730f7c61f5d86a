"""Where charge points' words arrive: written down first, then acted upon."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from api.jobs.charging.bulletin import Bulletin
from charging.desk import SessionState
from charging.intake import ChargeIntake, Taken
from charging.journal import Journal
from charging.points import PointEvent, PointLink, Reply
from charging.store import ChargingStore


class Sink:
    """`PointSink` over the journal."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: ChargingStore,
        intake: ChargeIntake,
        bulletin: Bulletin,
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._store = store
        self._intake = intake
        self._bulletin = bulletin
        self._now = now
        self._wake = wake
        self._tasks: set[asyncio.Task[Any]] = set()
        self.link: PointLink | None = None  # Set once; asks are dropped before.
        self.attend: Callable[[], None] = lambda: None  # There is something to do at once.

    async def take(self, event: PointEvent) -> Reply:
        """Keeps an event; when this returns it survives a power cut."""
        taken: Taken = await self._journal.write(lambda open_: self._intake.take(open_, event))
        session = taken.session
        if session is not None:
            self._bulletin.tell(session)
            if session.state is SessionState.STOPPING:
                self._wake()
            self.attend()
        if taken.stop is not None and self.link is not None:
            stop = taken.stop
            self._later(self.link.stop(stop.charge_point_id, stop.transaction_id))
        return taken.reply

    async def connected(self, charge_point_id: str, protocol: str) -> None:
        """Notes that a charger is there."""
        contact_s = int(self._now().timestamp())

        def note(open_: Any) -> None:
            self._store.note_contact(open_, charge_point_id, contact_s)
            self._store.note_protocol(open_, charge_point_id, protocol)

        await self._journal.write(note)
        self.attend()

    async def disconnected(self, charge_point_id: str) -> None:
        """Notes when a charger was last there."""
        contact_s = int(self._now().timestamp())
        await self._journal.write(
            lambda open_: self._store.note_contact(open_, charge_point_id, contact_s)
        )

    def _later(self, ask: Coroutine[Any, Any, Any]) -> None:
        """Asks a charger once its own message is answered: it may not listen before."""
        task = asyncio.ensure_future(ask)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
