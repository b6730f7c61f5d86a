"""Where charge points' words arrive: written down first, then acted upon."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from api.jobs.charging.asking import Asking
from api.jobs.charging.bulletin import Bulletin
from charging.desk import SessionState
from charging.intake import ChargeIntake, StopCharge, Taken
from charging.journal import Journal
from charging.points import PointEvent, PointLink, Reply
from charging.sessions import STOP_AGAIN_S
from charging.store import ChargingStore, Connection
from ledger.units import to_unix_s


class Sink:
    """`PointSink` over the journal."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: ChargingStore,
        intake: ChargeIntake,
        bulletin: Bulletin,
        asking: Asking,
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._store = store
        self._intake = intake
        self._bulletin = bulletin
        self._asking = asking
        self._now = now
        self._wake = wake
        self.link: PointLink | None = None  # Set once; asks are dropped before.
        self.attend: Callable[[], None] = lambda: None  # There is something to do at once.

    async def take(self, event: PointEvent) -> Reply:
        """Keeps an event; when this returns it survives a power cut."""
        taken: Taken = await self._journal.write(lambda open_: self._intake.take(open_, event))
        session = taken.session
        if session is not None:
            self._bulletin.tell(session)
            if taken.has_moved:
                self.attend()
                if session.state is SessionState.STOPPING:
                    self._wake()
        if taken.stop is not None:
            stop = taken.stop
            self._asking.ask(stop, lambda: self._stop(stop))
        return taken.reply

    async def _stop(self, stop: StopCharge) -> None:
        """Asks a charger beside its own message: it may not listen before that is answered."""
        if self.link is not None:
            await self.link.stop(stop.charge_point_id, stop.transaction_id)
            await asyncio.sleep(STOP_AGAIN_S)

    async def connected(self, charge_point_id: str, protocol: str) -> None:
        """Notes that a charger is there."""
        contact_s, places = to_unix_s(self._now()), self._store.places

        def note(open_: Connection) -> None:
            places.note_contact(open_, charge_point_id, contact_s)
            places.note_protocol(open_, charge_point_id, protocol)

        await self._journal.write(note)
        self.attend()

    async def disconnected(self, charge_point_id: str) -> None:
        """Notes when a charger was last there."""
        contact_s, places = to_unix_s(self._now()), self._store.places
        await self._journal.write(
            lambda open_: places.note_contact(open_, charge_point_id, contact_s)
        )
