"""Everything that charging keeps running beside the web server."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Self

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
from charging.desk import ENDED
from charging.intake import ChargeIntake
from charging.journal import Journal
from charging.ocpp.central_system import CentralSystem
from charging.points import PointLink
from charging.sessions import ChargeSession
from charging.store import ChargingStore
from ledger.chain.embedded import EmbeddedChain
from ledger.errors import LedgerError
from ledger.units import from_unix_s

CHAIN_ROUND_S = 1.0
INTERVAL_S_DEFAULT = 60
NS_PER_S = 10**9


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
        self.now = now or clock_of(community)
        self._store = ChargingStore(community.engine)
        self._journal = Journal(self._store)
        self._owed = threading.Event()
        self._ending = threading.Event()
        self._chain_problem: LedgerError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stack = AsyncExitStack()
        self.bulletin = Bulletin()
        self.book = ChargerBook(community)
        self.escrow_side = EscrowSide(community, self.book, self._store)
        self.readings = MarketReadings(community, self.book)
        ender = RecordMaker(self.book, self._store, self.escrow_side)
        self._intake = ChargeIntake(self._store, ender, self.now)
        self.sink = Sink(
            journal=self._journal,
            store=self._store,
            intake=self._intake,
            bulletin=self.bulletin,
            now=self.now,
            wake=self._owed.set,
        )
        self.door = self.book
        self.points = CentralSystem(sink=self.sink, door=self.door, now=self.now)
        asked: PointLink = link or self.points
        self.sink.link = asked
        self._attendant = Attendant(
            journal=self._journal,
            store=self._store,
            intake=self._intake,
            ender=ender,
            escrow_side=self.escrow_side,
            link=asked,
            interval_s_of=self._interval_s,
            now=self.now,
            wake=self._owed.set,
            tell=self.bulletin.tell,
        )
        self.sink.attend = self._attendant.attend
        self._rounds = MeterRounds(
            self.book, asked, period_s=community.schedule.period_s, now=self.now
        )
        views = Views(self.book, self._store, self._intake, self.now, asked.is_connected)
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
            asyncio.create_task(self._attendant.run()),
            asyncio.create_task(self._rounds.run()),
        ]
        self._stack.push_async_callback(self._stop, chain, tasks)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def problems(self) -> list[str]:
        """What is wrong now, in one line each; empty when all is well."""
        problem = self._chain_problem
        return [] if problem is None else [str(problem)]

    async def _stop(self, chain: threading.Thread, tasks: Sequence["asyncio.Task[Any]"]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._ending.set()
        self._owed.set()
        await asyncio.to_thread(chain.join)

    def _wake(self) -> None:
        self._owed.set()
        self._attendant.attend()

    def _interval_s(self, charge_point_id: str) -> int:
        section = self.book.points().get(charge_point_id)
        return section.interval_s if section else INTERVAL_S_DEFAULT

    def _changed(self, session: ChargeSession) -> None:
        """In the chain's thread: a session has moved on."""
        self.bulletin.tell(session)
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(self._attendant.attend)
        if session.state in ENDED and session.transaction_no is not None:
            asyncio.run_coroutine_threadsafe(self._attendant.release(session), loop)

    # The chain's thread.

    def _follow_chain(self) -> None:
        while not self._ending.is_set():
            self._owed.wait(CHAIN_ROUND_S)
            self._owed.clear()
            self.step_chain()

    def step_chain(self) -> None:
        """Sends what is owed, and follows what the chain says."""
        try:
            self.escrow_side.drain()
            self.escrow_side.follow(self._journal)
            self.readings.bring(self._store, self._journal)
        except LedgerError as problem:
            self._chain_problem = problem
        else:
            self._chain_problem = None


def clock_of(community: Community) -> Callable[[], datetime]:
    """The time in which charges are served.

    An embedded chain that follows data stands where the data ended: from there time goes on by
    itself while it is served, for people and blocks alike.
    """
    chain = community.chain
    if community.config.chain.clock != "data" or not isinstance(chain, EmbeddedChain):
        return lambda: from_unix_s(community.now_s())
    stood_s, began_ns = chain.head().timestamp_s, time.monotonic_ns()

    def running() -> datetime:
        return from_unix_s(stood_s + (time.monotonic_ns() - began_ns) // NS_PER_S)

    chain.follow_clock(running)
    return running
