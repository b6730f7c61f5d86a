"""Attends to sessions that nobody else moves on: starts, stops, limits, and time that runs out."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from api.jobs.charging.asking import Asking
from api.jobs.charging.escrow_side import EscrowSide
from charging.desk import SessionState
from charging.guard import Guard
from charging.intake import ChargeIntake, SessionEnder
from charging.journal import Journal
from charging.orders import SessionId
from charging.points import Answer, Availability, PointLink
from charging.registers import EnergyTrack
from charging.sessions import (
    LEFT_PATIENCE_S,
    RUNNING,
    START_MISSING_S,
    START_WITHIN_S,
    STOP_AGAIN_S,
    STOP_PATIENCE_S,
    TELLS_WITHIN_S,
    ChargeSession,
)
from charging.store import ChargingStore, Connection
from ledger.units import from_unix_s, to_unix_s

ASK_AGAIN_S = 60  # A charger that did not answer, or did not begin, is asked again.
OFFLINE_AGAIN_S = 1
LIMIT_AGAIN_S = 60  # One that does not take limits is not asked all the time.
SPENDING_PATIENCE_S = 3_600  # With a charger that is there, and goes on though asked to stop.
DEPOSIT_USED = "the deposit is nearly used up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The charger of a session, as it is now."""

    is_connected: bool
    contact_s: int  # When it last came or went; 0: never.
    state: tuple[Availability, int] | None  # Its connector's, and since when.
    speed: int = 1  # People and networks take real seconds, of which each is so many of ours.

    def is_silent(self, session: ChargeSession, now_s: int) -> bool:
        """Whether a charge may have begun that the charger could not tell of.

        It was asked to start, and has no connection, or has one again for a moment only.
        """
        if session.start_asked_s is None:
            return False
        return not self.is_connected or now_s - self.contact_s < TELLS_WITHIN_S * self.speed

    def is_deaf(self, session: ChargeSession, now_s: int, *, is_spent: bool) -> bool:
        """Whether a charger that was asked to stop is not waited for any longer.

        Args:
            is_spent: what was measured costs the whole deposit.
        """
        asked_s, patience_s = session.stop_asked_s or 0, STOP_PATIENCE_S * self.speed
        if self.is_connected:  # It may have much to tell, and is only now asked.
            asked_s = max(asked_s, min(self.contact_s, asked_s + 2 * patience_s))
        if session.stop_reason == DEPOSIT_USED and not is_spent:
            # Nobody waits for the rest of such a deposit, and the host is owed what flows.
            if not self.is_connected:
                return False
            patience_s = SPENDING_PATIENCE_S * self.speed
        return now_s - asked_s >= patience_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is to be asked of a charger for a session."""

    session: ChargeSession
    start: bool = False
    is_first: bool = True  # It was not asked before.
    stop_transaction: str | None = None
    limit_transaction: str | None = None
    limit_w: int = 0


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
        asking: Asking,
        interval_s_of: Callable[[str], int],
        now: Callable[[], datetime],
        wake: Callable[[], None],
        tell: Callable[[ChargeSession], None],
        speed: int = 1,
    ) -> None:
        """`speed` is the clock's: whoever is waited for has as many real seconds as ever."""
        self._journal = journal
        self._store = store
        self._intake = intake
        self._ender = ender
        self._escrow = escrow_side
        self._link = link
        self._asking = asking
        self._interval_s_of = interval_s_of
        self._now = now
        self._wake = wake
        self._tell = tell
        self._speed = speed
        self._soon = asyncio.Event()
        self._limits: dict[SessionId, int] = {}  # W that chargers accepted; asked anew if lost.

    def attend(self) -> None:
        """Asks for a round soon."""
        self._soon.set()

    async def rest(self, seconds: float) -> None:
        """Waits until it is time for a round, or until one is asked for."""
        # Not `wait_for`: in Python 3.11 it can swallow the cancellation that ends this loop.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._soon.wait()
        self._soon.clear()

    async def round(self) -> None:
        """Looks at every session once."""
        asks, changed = await self._journal.write(self._look)
        for session in changed:
            self._tell(session)
        if changed:
            self._wake()
        for ask in asks:
            self._ask(ask)

    async def release(self, session: ChargeSession) -> None:
        """Stops the charge of a session that ended on the chain while its charger goes on."""
        number = session.transaction_no
        if number is None:
            return
        transaction = await self._journal.write(
            lambda open_: self._store.messages.transaction_by_number(open_, number)
        )
        if not transaction.ended:
            self._ask(Ask(session=session, stop_transaction=transaction.transaction_id))

    # Asking chargers.

    def _ask(self, ask: Ask) -> None:
        name, transaction_id = ask.session.session_id, ask.stop_transaction
        if ask.start:
            self._asking.ask((name, "start"), partial(self._start, ask))
        if transaction_id is not None:
            self._asking.ask((name, "stop"), partial(self._stop, ask.session, transaction_id))
        if ask.limit_transaction is not None:
            self._asking.ask((name, "limit"), partial(self._limit, ask, ask.limit_transaction))

    async def _limit(self, ask: Ask, transaction_id: str) -> None:
        """Near the end of a deposit a charger gives less, so that the charge need not stop."""
        session = ask.session
        answer = await self._link.limit(
            session.charge_point_id, session.connector_id, transaction_id, limit_w=ask.limit_w
        )
        if answer is Answer.ACCEPTED:
            self._limits[session.session_id] = ask.limit_w
        else:
            await asyncio.sleep(LIMIT_AGAIN_S)

    async def _start(self, ask: Ask) -> None:
        session = ask.session
        answer = await self._link.start(
            session.charge_point_id,
            session.connector_id,
            id_token=session.id_token,
            remote_start_id=session.number,
            limit_w=session.power_w,
        )
        # One that was asked before may refuse because it charges already, and say so later.
        if ask.is_first and answer in (Answer.REJECTED, Answer.UNKNOWN):
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
        answer = await self._link.stop(session.charge_point_id, transaction_id)
        # Asked again only after a while; one that was not there, soon after it has come.
        await asyncio.sleep(OFFLINE_AGAIN_S if answer is Answer.OFFLINE else STOP_AGAIN_S)

    # In the journal's thread.

    def _look(self, connection: Connection) -> tuple[list[Ask], list[ChargeSession]]:
        asks: list[Ask] = []
        changed: list[ChargeSession] = []
        running = self._store.sessions_now(connection, RUNNING)
        if not running:
            return asks, changed
        states = self._store.places.availabilities(connection)
        points = self._store.places.points(connection)
        now_s = to_unix_s(self._now())
        for session in running:
            point = points.get(session.charge_point_id)
            where = Where(
                is_connected=self._link.is_connected(session.charge_point_id),
                contact_s=point.contact_s if point else 0,
                state=states.get((session.charge_point_id, session.connector_id)),
                speed=self._speed,
            )
            after = self._attended(connection, session, now_s, where, asks)
            if after != session:
                changed.append(after)
        return asks, changed

    def _attended(
        self,
        connection: Connection,
        session: ChargeSession,
        now_s: int,
        where: Where,
        asks: list[Ask],
    ) -> ChargeSession:
        if session.opened_s is None:
            return session
        track = self._intake.track(connection, session)
        if track is None or not (track.has_started or track.ended):
            return self._not_begun(connection, session, now_s, where, asks)
        if session.state is SessionState.OPEN:
            session = replace(session, state=SessionState.CHARGING)
            self._store.save_session(connection, session)
        if self._is_over(session, track, now_s, where):
            return self._ender.end(connection, session, track, self._now())
        return self._guarded(connection, session, track, now_s, asks)

    def _not_begun(
        self,
        connection: Connection,
        session: ChargeSession,
        now_s: int,
        where: Where,
        asks: list[Ask],
    ) -> ChargeSession:
        """The deposit is there, and no charge yet."""
        waited_s = now_s - (session.opened_s or now_s)
        may_have_begun = where.is_silent(session, now_s)
        if session.stop_asked_s is not None:
            if may_have_begun and now_s - session.stop_asked_s < STOP_PATIENCE_S * self._speed:
                return session
            return self._escrow.owe_cancel(connection, session, "stopped before it began")
        within_s = START_WITHIN_S * self._speed
        if waited_s >= within_s and not (may_have_begun and now_s < session.charge_ends_s):
            reason = f"no charge began within {within_s} s"
            return self._escrow.owe_cancel(connection, session, reason)
        asked_s = session.start_asked_s
        again_s = ASK_AGAIN_S * self._speed
        is_due = asked_s is None or now_s - asked_s >= again_s or asked_s < where.contact_s
        if is_due and where.is_connected:
            session = replace(session, start_asked_s=now_s)
            self._store.save_session(connection, session)
            asks.append(Ask(session=session, start=True, is_first=asked_s is None))
        return session

    @staticmethod
    def _is_over(
        session: ChargeSession,
        track: EnergyTrack,
        now_s: int,
        where: Where,
    ) -> bool:
        """Whether a charge is settled with what is known, though its charger may say more later."""
        if session.ended_s is not None and now_s - session.ended_s >= START_MISSING_S * where.speed:
            return True  # A stop whose start never came.
        if session.stop_asked_s is not None:
            cost_micro = track.live(from_unix_s(now_s)).cost_micro_down(session.order.tariff)
            is_spent = cost_micro >= session.deposit_micro
            if where.is_deaf(session, now_s, is_spent=is_spent):
                return True
        if now_s >= session.charge_ends_s + STOP_PATIENCE_S // 4:
            return True
        if where.state is None or track.ended:
            return False
        availability, since_s = where.state
        heard_s = 0 if track.heard_at is None else to_unix_s(track.heard_at)
        # Only what it said after the start tells of this charge.
        has_left = availability is Availability.AVAILABLE and since_s > heard_s
        return has_left and now_s - since_s >= LEFT_PATIENCE_S * where.speed

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
        # Whether it stops does not hang on a limit: a charger may accept one and go on as before.
        verdict = guard.check_measured(measured, session.deposit_micro)
        reason = session.stop_reason
        if session.stop_asked_s is None and verdict.stop:
            reason = DEPOSIT_USED
        elif session.stop_asked_s is None and now_s >= session.charge_ends_s:
            reason = "a session lasts at most a day"
        if reason and session.stop_asked_s is None:
            session = replace(session, stop_asked_s=now_s, stop_reason=reason)
            self._store.save_session(connection, session)
        limit_w = self._limits.get(session.session_id, session.power_w)
        is_other = abs(verdict.limit_w - limit_w) * 20 > limit_w  # By a twentieth.
        if session.stop_asked_s is None and not (is_other and verdict.limit_w):
            return session
        transaction = self._store.messages.transaction_by_number(connection, number)
        name = transaction.transaction_id
        if session.stop_asked_s is not None:
            asks.append(Ask(session=session, stop_transaction=name))
        else:
            asks.append(Ask(session=session, limit_transaction=name, limit_w=verdict.limit_w))
        return session

    def _guard(self, session: ChargeSession) -> Guard:
        return Guard(
            tariff=session.order.tariff,
            power_w=session.power_w,
            interval_s=self._interval_s_of(session.charge_point_id),
        )
