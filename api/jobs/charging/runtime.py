"""Everything that charging keeps running beside the web server."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from typing import Any, Self

from api.jobs.charging.asking import Asking
from api.jobs.charging.attendant import Attendant
from api.jobs.charging.bulletin import Bulletin
from api.jobs.charging.chargers import ChargerBook
from api.jobs.charging.desk import Desk
from api.jobs.charging.escrow_side import EscrowSide
from api.jobs.charging.market_readings import MarketReadings
from api.jobs.charging.meter_rounds import MeterRounds
from api.jobs.charging.placing import OrderDesk
from api.jobs.charging.receipts import Receipts
from api.jobs.charging.records import RecordMaker
from api.jobs.charging.sink import Sink
from api.jobs.charging.views import Views
from api.jobs.community import Community
from api.jobs.opening import database_failures_named
from api.loops import Loop, LoopState, code_of, problems_of
from charging.desk import ENDED
from charging.intake import ChargeIntake
from charging.journal import Journal
from charging.ocpp.central_system import CentralSystem
from charging.points import PointLink
from charging.sessions import ChargeSession
from charging.store import ChargingStore, Connection
from ledger.errors import LedgerError

CHAIN_ROUND_S = 1.0
SESSIONS_ROUND_S = 1.0
REST_PER_WORK = 9  # However many sessions there are, attending takes a tenth of the time.
STOP_WITHIN_S = 3.0
LOOPS = ("sessions", "sending", "chain", "readings", "meters")
INTERVAL_S_DEFAULT = 10
REAL_INTERVAL_S = 2
log = logging.getLogger(__name__)


class Runtime:
    """Desk, sink, door and links of one community, and the loops behind them."""

    def __init__(
        self,
        community: Community,
        *,
        now: Callable[[], datetime] | None = None,
        link: PointLink | None = None,
    ) -> None:
        """`link` takes the place of the OCPP connections where charge points are elsewhere."""
        self._community = community
        self.now = now or community.chain_clock.now
        self._store = ChargingStore(community.engine)
        self._journal = Journal(self._store)
        self._owed = threading.Event()
        self._ending = threading.Event()
        self._loops = {name: Loop(f"charging: {name}") for name in LOOPS}
        self._asking = Asking()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stack = AsyncExitStack()
        self.bulletin = Bulletin()
        self.book = ChargerBook(community)
        self.escrow_side = EscrowSide(community, self.book, self._store)
        self.readings = MarketReadings(community, self.book)
        self._ender = ender = RecordMaker(self.book, self._store, self.escrow_side)
        self.escrow_side.settle_again = self._settle_again
        self._intake = ChargeIntake(self._store, ender, self.now)
        self.sink = Sink(
            journal=self._journal,
            store=self._store,
            intake=self._intake,
            bulletin=self.bulletin,
            asking=self._asking,
            now=self.now,
            wake=self._owed.set,
        )
        self.door = self.book
        self.points = CentralSystem(
            sink=self.sink, door=self.door, now=self.now, interval_s_of=self._interval_s
        )
        asked: PointLink = link or self.points
        self.sink.link = asked
        self._attendant = Attendant(
            journal=self._journal,
            store=self._store,
            intake=self._intake,
            ender=ender,
            escrow_side=self.escrow_side,
            link=asked,
            asking=self._asking,
            interval_s_of=self._interval_s,
            now=self.now,
            wake=self._owed.set,
            tell=self.bulletin.tell,
            speed=community.clock.speed,
        )
        self.sink.attend = self._attendant.attend
        self._rounds = MeterRounds(
            self.book,
            asked,
            period_s=community.schedule.period_s,
            now=self.now,
            speed=community.clock.speed,
        )
        views = Views(
            book=self.book,
            store=self._store,
            intake=self._intake,
            now=self.now,
            is_connected=asked.is_connected,
            interval_s_of=self._interval_s,
        )
        self.desk = Desk(
            book=self.book,
            store=self._store,
            journal=self._journal,
            orders=OrderDesk(community, self.book, self.now),
            escrow_side=self.escrow_side,
            views=views,
            receipts=Receipts(community, self._store),
            bulletin=self.bulletin,
            now=self.now,
            wake=self._wake,
        )

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.bulletin.attach(self._loop)
        self.escrow_side.changed.append(self._changed)
        self._stack.enter_context(self._journal)
        chain = threading.Thread(target=self._follow_chain, name="charging-chain", daemon=True)
        chain.start()
        tasks = [
            asyncio.create_task(self._attend()),
            asyncio.create_task(self._read_meters()),
        ]
        self._stack.push_async_callback(self._stop, chain, tasks)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def states(self) -> list[LoopState]:
        """How the loops are; their problems are stable codes."""
        return [loop.state() for loop in self._loops.values()]

    def problems(self) -> list[str]:
        """What is wrong now, in one line each; empty when all is well."""
        return sorted(problems_of(self.states()))

    async def _stop(self, chain: threading.Thread, tasks: Sequence["asyncio.Task[Any]"]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._asking.close()
        self._ending.set()
        self._owed.set()
        await asyncio.to_thread(chain.join, STOP_WITHIN_S)
        if chain.is_alive():  # A node that says nothing, mostly; what is owed is in the outbox.
            log.warning("charging: is cut off at work, and taken up at the next start")

    def _settle_again(self, connection: Connection, session: ChargeSession) -> ChargeSession:
        """A record that the chain refused is made anew, from all that is known by now."""
        track = self._intake.track(connection, session)
        if track is None:
            return self.escrow_side.owe_cancel(connection, session, "nothing was measured")
        return self._ender.end(connection, session, track, self.now())

    def _wake(self) -> None:
        self._owed.set()
        self._attendant.attend()

    def _interval_s(self, charge_point_id: str) -> int:
        section = self.book.points().get(charge_point_id)
        interval_s = section.interval_s if section else INTERVAL_S_DEFAULT
        speed = self._community.clock.speed
        # In fast time values come every other real second: that is when anybody can act on them.
        return interval_s if speed == 1 else max(interval_s, REAL_INTERVAL_S * speed)

    def _changed(self, session: ChargeSession) -> None:
        """In the chain's thread: a session has moved on."""
        self.bulletin.tell(session)
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(self._attendant.attend)
        if session.state in ENDED and session.transaction_no is not None:
            asyncio.run_coroutine_threadsafe(self._attendant.release(session), loop)

    # The loops. Whatever goes wrong in one round is tried again in the next one: no trouble of one
    # session, and none of database or chain, may hold the others' refunds up for good.

    async def _attend(self) -> None:
        while True:
            began_s = time.monotonic()
            with self._noting("sessions"):
                await self._attendant.round()
            took_s = time.monotonic() - began_s
            await self._attendant.rest(max(SESSIONS_ROUND_S, REST_PER_WORK * took_s))

    async def _read_meters(self) -> None:
        while True:
            with self._noting("meters"):
                await self._rounds.round()
            await asyncio.sleep(self._rounds.rest_s)

    def _follow_chain(self) -> None:
        """In a thread of its own."""
        while not self._ending.is_set():
            self._owed.wait(CHAIN_ROUND_S)
            self._owed.clear()
            self.step_chain()

    def step_chain(self) -> None:
        """Sends what is owed, and follows what the chain says."""
        with self._noting("sending"):
            self.escrow_side.drain()
            if self.escrow_side.problem is not None:
                raise self.escrow_side.problem
        with self._noting("chain"):
            self.escrow_side.follow(self._journal)
        with self._noting("readings"):
            self.readings.bring(self._store, self._journal)

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        """Notes what went wrong, and takes it back when all is well again."""
        loop = self._loops[name]
        try:
            with database_failures_named(self._community.database):
                yield
        except Exception as problem:
            code = code_of(problem)
            if loop.problem != code:
                is_known = isinstance(problem, LedgerError)
                log.warning("charging: %s: %s", name, problem, exc_info=not is_known)
            loop.passed(code)
        else:
            loop.passed()
