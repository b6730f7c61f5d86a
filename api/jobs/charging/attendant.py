"""Attends to sessions that nobody else moves on: starts, stops, limits, and time that runs out."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.jobs.charging.escrow_side import EscrowSide
from charging.desk import SessionState
from charging.guard import Guard
from charging.intake import ChargeIntake, SessionEnder
from charging.journal import Journal
from charging.points import Answer, Availability, PointLink
from charging.registers import EnergyTrack
from charging.sessions import (
    LEFT_PATIENCE_S,
    RUNNING,
    START_MISSING_S,
    START_WITHIN_S,
    STOP_PATIENCE_S,
    ChargeSession,
)
from charging.store import ChargingStore, Connection
from ledger.units import to_unix_s

ROUND_S = 1.0
ASK_AGAIN_S = 60  # A charger that did not answer, or did not begin, is asked again.
STOP_AGAIN_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is to be asked of a charger for a session."""

    session: ChargeSession
    start: bool = False
    stop_transaction: str | None = None


class Attendant:
    """Goes round the sessions once a second, and at once when something happened."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: ChargingStore,
        intake: ChargeIntake,
        ender: SessionEnder,
        escrow_side: EscrowSide,
        link: PointLink,
        interval_s_of: Callable[[str], int],
        now: Callable[[], datetime],
        wake: Callable[[], None],
        tell: Callable[[ChargeSession], None],
    ) -> None:
        self._journal = journal
        self._store = store
        self._intake = intake
        self._ender = ender
        self._escrow = escrow_side
        self._link = link
        self._interval_s_of = interval_s_of
        self._now = now
        self._wake = wake
        self._tell = tell
        self._soon = asyncio.Event()
        self._asking: dict[tuple[bytes, str], asyncio.Task[Any]] = {}  # By session and what.

    def attend(self) -> None:
        """Asks for a round soon."""
        self._soon.set()

    async def run(self) -> None:
        """Goes round for ever."""
        while True:
            await self.round()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), ROUND_S)
            self._soon.clear()

    async def round(self) -> None:
        """Looks at every session once."""
        asks, changed = await self._journal.write(self._look)
        for session in changed:
            self._tell(session)
        if changed:
            self._wake()
        for ask in asks:
            if ask.start:
                self._send(ask.session, "start", self._start(ask.session))
            if ask.stop_transaction is not None:
                self._send(ask.session, "stop", self._stop(ask.session, ask.stop_transaction))

    async def release(self, session: ChargeSession) -> None:
        """Stops the charge of a session that ended on the chain while its charger goes on."""

        number = session.transaction_no
        if number is None:
            return

        def running(connection: Connection) -> str | None:
            found = self._store.transaction_by_number(connection, number)
            return None if found.ended else found.transaction_id

        transaction_id = await self._journal.write(running)
        if transaction_id is not None:
            self._send(session, "stop", self._stop(session, transaction_id))

    # Asking chargers; one question of a kind at a time for each session.

    def _send(self, session: ChargeSession, what: str, ask: Coroutine[Any, Any, None]) -> None:
        key = (bytes(session.session_id), what)
        if key in self._asking:
            ask.close()
            return
        task = asyncio.ensure_future(ask)
        self._asking[key] = task
        task.add_done_callback(lambda _: self._asking.pop(key, None))

    async def _start(self, session: ChargeSession) -> None:
        answer = await self._link.start(
            session.charge_point_id,
            session.connector_id,
            id_token=session.id_token,
            remote_start_id=session.number,
            limit_w=session.power_w,
        )
        if answer in (Answer.REJECTED, Answer.UNKNOWN):
            refused = await self._journal.write(lambda open_: self._refused(open_, session))
            self._tell(refused)
            self._wake()

    def _refused(self, connection: Connection, session: ChargeSession) -> ChargeSession:
        """A charger that will not start: the deposit goes back at once."""
        now = self._store.session(connection, session.session_id)
        if now is None or now.state is not SessionState.OPEN or now.transaction_no is not None:
            return now or session
        return self._escrow.owe_cancel(connection, now, "the charger refused to start")

    async def _stop(self, session: ChargeSession, transaction_id: str) -> None:
        await self._link.stop(session.charge_point_id, transaction_id)
        await asyncio.sleep(STOP_AGAIN_S)  # Asked again only after a while.

    # In the journal's thread.

    def _look(self, connection: Connection) -> tuple[list[Ask], list[ChargeSession]]:
        asks: list[Ask] = []
        changed: list[ChargeSession] = []
        states = self._store.availabilities(connection)
        now_s = to_unix_s(self._now())
        for session in self._store.sessions_in(connection, RUNNING):
            where = states.get((session.charge_point_id, session.connector_id))
            after = self._attended(connection, session, now_s, where, asks)
            if after != session:
                changed.append(after)
        return asks, changed

    def _attended(
        self,
        connection: Connection,
        session: ChargeSession,
        now_s: int,
        where: tuple[Availability, int] | None,
        asks: list[Ask],
    ) -> ChargeSession:
        if session.opened_s is None:
            return session
        track = self._intake.track(connection, session)
        if track is None or not track.has_started:
            return self._not_begun(connection, session, now_s, asks)
        if session.state is SessionState.OPEN:
            session = replace(session, state=SessionState.CHARGING)
            self._store.save_session(connection, session)
        if self._is_over(session, track, now_s, where):
            return self._ender.end(connection, session, track, self._now())
        return self._guarded(connection, session, track, now_s, asks)

    def _not_begun(
        self, connection: Connection, session: ChargeSession, now_s: int, asks: list[Ask]
    ) -> ChargeSession:
        """The deposit is there, and no charge yet."""
        waited_s = now_s - (session.opened_s or now_s)
        if session.stop_asked_s is not None:
            return self._escrow.owe_cancel(connection, session, "stopped before it began")
        if waited_s >= START_WITHIN_S:
            reason = f"no charge began within {START_WITHIN_S} s"
            return self._escrow.owe_cancel(connection, session, reason)
        asked_s = session.start_asked_s
        is_due = asked_s is None or now_s - asked_s >= ASK_AGAIN_S
        if is_due and self._link.is_connected(session.charge_point_id):
            session = replace(session, start_asked_s=now_s)
            self._store.save_session(connection, session)
            asks.append(Ask(session=session, start=True))
        return session

    @staticmethod
    def _is_over(
        session: ChargeSession,
        track: EnergyTrack,
        now_s: int,
        where: tuple[Availability, int] | None,
    ) -> bool:
        """Whether a charge is settled with what is known, though its charger may say more later."""
        if session.ended_s is not None and now_s - session.ended_s >= START_MISSING_S:
            return True  # A stop whose start never came.
        if session.stop_asked_s is not None and now_s - session.stop_asked_s >= STOP_PATIENCE_S:
            return True
        if now_s >= session.charge_ends_s + STOP_PATIENCE_S // 4:
            return True
        if where is None or track.ended:
            return False
        availability, since_s = where
        left = availability is Availability.AVAILABLE
        return left and now_s - since_s >= LEFT_PATIENCE_S

    def _guarded(
        self,
        connection: Connection,
        session: ChargeSession,
        track: EnergyTrack,
        now_s: int,
        asks: list[Ask],
    ) -> ChargeSession:
        """Stops a charge before its deposit or its day is used up."""
        number = session.transaction_no
        if number is None or session.ended_s is not None:
            return session
        guard = self._guard(session)
        measured = track.live(self._now())
        verdict = guard.check_measured(measured, session.deposit_micro)
        reason = session.stop_reason
        if session.stop_asked_s is None and verdict.stop:
            reason = "the deposit is nearly used up"
        elif session.stop_asked_s is None and now_s >= session.charge_ends_s:
            reason = "a session lasts at most a day"
        if reason and session.stop_asked_s is None:
            session = replace(session, stop_asked_s=now_s, stop_reason=reason)
            self._store.save_session(connection, session)
        if session.stop_asked_s is not None:
            transaction = self._store.transaction_by_number(connection, number)
            asks.append(Ask(session=session, stop_transaction=transaction.transaction_id))
        return session

    def _guard(self, session: ChargeSession) -> Guard:
        return Guard(
            tariff=session.order.tariff,
            power_w=session.power_w,
            interval_s=self._interval_s_of(session.charge_point_id),
        )
