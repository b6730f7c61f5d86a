"""Many charges at simulated charge points, with trouble at every hand-over, in virtual time.

Charge points have faults and lose their sockets, the database is busy, the chain is down or takes
nothing, wallets are empty. Time stands still while anybody is at work, and then goes to whatever
comes next: days pass in minutes.
"""

import asyncio
import heapq
import itertools
import random
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from api.charge_point_transport import websocket_options
from api.routers import ocpp
from charging.desk import ENDED, SessionState, SessionView
from charging.orders import ChargeOrder, SessionId, charger_id_of
from charging.sessions import LIVE
from charging.simulator.errors import CentralUnreachable, PointRefused
from charging.simulator.faults import Fault
from charging.simulator.ocmf import OcmfSigner
from charging.simulator.point import ChargePoint
from ledger.chain import settlement_token
from ledger.chain.errors import Refusal, TransactionRefused
from ledger.chain.wallet import Wallet
from ledger.errors import LedgerError
from tests.charging_world import WALLET_MICRO, ChargingWorld, Clock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
POWER_W = 11_000
S_PER_HOUR = 3_600
BATTERY_WS = 6_000 * S_PER_HOUR
DEPOSIT_MICRO = 12_000_000
PATIENCE_S = 3.0  # Real seconds for a remote start.
BUSY_EVERY = 60  # One transaction of the database in so many fails.
REFUSED_EVERY = 40  # One transaction of the chain in so many is refused.
HOLDING_BACK = frozenset({Fault.NEVER_STARTS, Fault.REFUSES_START})
OF_16 = frozenset({Fault.TRANSACTION_MINUS_ONE})


class Tide(Clock):
    """Virtual time; a clock of simulated charge points, too. All whose time has come go on."""

    def __init__(self, now_at: datetime) -> None:
        super().__init__(now_at)
        self._order = itertools.count()
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._actors = 0

    async def sleep_until(self, at: datetime) -> None:
        """Heartbeats are not played."""
        await asyncio.get_running_loop().create_future()

    async def reach(self, at: datetime) -> None:
        """Waits until it is `at`, and until nobody else is at work."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (at, next(self._order), turn))
        self._go_on()
        await turn

    async def act(self, work: Awaitable[None]) -> None:
        """Somebody whom time waits for."""
        try:
            await work
        finally:
            self._actors -= 1
            self._go_on()

    def expect(self, actors: int) -> None:
        self._actors += actors

    def now(self) -> datetime:
        return self.now_at

    def _go_on(self) -> None:
        if not self._waiting or len(self._waiting) < self._actors:
            return
        at = self._waiting[0][0]
        self.now_at = max(self.now_at, at)
        while self._waiting and self._waiting[0][0] <= at:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)


class PointClock:
    """A charge point's view of the tide."""

    def __init__(self, tide: Tide) -> None:
        self._tide = tide

    def now_at(self) -> datetime:
        return self._tide.now_at

    async def sleep_until(self, at: datetime) -> None:
        await self._tide.sleep_until(at)

    async def reach(self, at: datetime) -> None:
        await self._tide.reach(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What is known of a session by those outside the service."""

    session_id: SessionId
    driver: Wallet
    faults: frozenset[Fault]
    charged_wh: int  # By the simulated meter; at most so much flowed.


@dataclass
class Soak:
    """The service, its chargers, and whatever troubles them."""

    world: ChargingWorld
    tide: Tide
    chance: random.Random
    sessions: int
    signers: dict[str, OcmfSigner]
    url: str = ""
    begun: int = 0
    over: int = 0
    ordered: list[Ordered] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    registers_wh: dict[str, int] = field(default_factory=dict)
    is_calm: bool = False
    _minting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _step: timedelta = 10 * SECOND
    _seeds: Any = field(default_factory=lambda: itertools.count(100))
    _nonces: Any = field(default_factory=lambda: itertools.count(1))

    async def play(self) -> None:
        """All sessions, side by side at the charge points."""
        names = sorted(self.world.runtime.book.points())
        self.tide.expect(len(names) + 2)
        async with self._ocpp(), asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self.tide.act(self._at_point(name)))
            group.create_task(self.tide.act(self._serve()))
            group.create_task(self.tide.act(self._trouble()))

    # Those who are at work.

    async def _serve(self) -> None:
        """The service looks after its sessions as time goes on, seldom while nothing happens."""
        while self.over < self.sessions:
            await self.tide.reach(self.tide.now_at + self._step)
            self._step = min(2 * self._step, 10 * MINUTE)
            with suppress(OperationalError):  # The service's own rounds note it, and go on.
                await self.world.rounds(1)

    async def _trouble(self) -> None:
        """The chain is down for a while, or takes nothing."""
        chain = self.world.chain
        while self.over < self.sessions:
            await self._later(self.chance.uniform(300, 7_200))
            what = self.chance.choice(("is_down", "takes_nothing"))
            self.troubles[f"chain {what}"] += 1
            setattr(chain, what, True)
            await self._later(self.chance.uniform(5, 90))
            setattr(chain, what, False)

    async def _later(self, seconds: float) -> None:
        await self.tide.reach(self.tide.now_at + timedelta(seconds=int(seconds) + 1))

    async def _at_point(self, name: str) -> None:
        """One session after the other at one charge point."""
        while self.begun < self.sessions:
            self.begun += 1
            await self._session(name)
            self.over += 1
            await self._later(self.chance.uniform(10, 600))

    async def _session(self, name: str) -> None:
        faults = self._faults()
        self.troubles.update(f"charger {fault}" for fault in faults)
        version = "1.6" if faults & OF_16 else self.chance.choice(("1.6", "2.0.1"))
        point = await self._opened(name, version, faults)
        driver = await self._driver()
        self._step = 10 * SECOND
        try:
            order = self._order(driver, name)
            session_id = order.session_id(self.world.runtime.escrow_side.separator)
            if await self._placed(driver, order):
                await self._charge(point, session_id, faults)
                await self._ended(session_id)
                charged_wh = await self._charged_wh(point, session_id, faults)
                self.ordered.append(
                    Ordered(
                        session_id=session_id,
                        driver=driver,
                        faults=faults,
                        charged_wh=charged_wh,
                    )
                )
        finally:
            self.registers_wh[name] = point.connector().register_wh
            await point.__aexit__(None, None, None)

    def _faults(self) -> frozenset[Fault]:
        count = self.chance.choices((0, 1, 2, 3), (2, 5, 3, 1))[0]
        return frozenset(self.chance.sample(list(Fault), count))

    # Drivers.

    async def _driver(self) -> Wallet:
        """A wallet with tokens, which lets the escrow take them."""
        seed = next(self._seeds)
        wallet = Wallet((10_000 + seed).to_bytes(32))
        contracts = self.world.community.contracts
        owner = self.world.community.keys.wallet("owner")
        mint = settlement_token.mint(wallet.address, WALLET_MICRO)
        async with self._minting:
            await self.world.send(owner, contracts.token, mint)
        approve = settlement_token.approve(contracts.escrow, 10 * WALLET_MICRO)
        await self.world.send(wallet, contracts.token, approve)
        return wallet

    def _order(self, driver: Wallet, name: str) -> ChargeOrder:
        deposit_micro = self.chance.choice((DEPOSIT_MICRO, DEPOSIT_MICRO // 6))
        return self.world.order(
            driver,
            charger_id=charger_id_of(name, 1),
            deposit_micro=deposit_micro,
            nonce=next(self._nonces),
        )

    async def _placed(self, driver: Wallet, order: ChargeOrder) -> bool:
        """Brings an order until it is taken, or for as long as it is good."""
        signature = self.world.sign(driver, order)
        for _ in range(40):
            try:
                await self.world.runtime.desk.place(order, signature, None)
            except (LedgerError, OperationalError) as error:
                self.troubles[f"order {type(error).__name__}"] += 1
                await self._later(10)
                continue
            if self.chance.random() < 0.03:
                self.troubles["wallet emptied"] += 1
                token = self.world.community.contracts.token
                held_micro = self.world.held_micro(driver.address)
                data = settlement_token.transfer(self.world.community.contracts.market, held_micro)
                with suppress(AssertionError):
                    await self.world.send(driver, token, data)
            return True
        return False

    # Charge points.

    async def _opened(self, name: str, version: str, faults: frozenset[Fault]) -> ChargePoint:
        while True:
            point = ChargePoint(
                self.url,
                name,
                self.world.runtime.book.password(name),
                protocol=version,
                clock=PointClock(self.tide),
                power_w=POWER_W,
                interval_s=0,
                register_wh=self.registers_wh.get(name, 910_000),
                signer=self.signers.get(name),
                faults=faults,
                retry_ms=20,
            )
            try:
                return await point.__aenter__()
            except (CentralUnreachable, PointRefused, TimeoutError):
                self.troubles["not let in"] += 1

    async def _charge(
        self, point: ChargePoint, session_id: SessionId, faults: frozenset[Fault]
    ) -> None:
        """A car comes, charges if it may, and leaves; then the charger comes back if it is away."""
        if await self._until(session_id, SessionState.OPEN) in ENDED:
            return
        await self._later(5)
        point.connector().driven = True  # The car takes what it gets.
        point.connector().wanted_ws = BATTERY_WS
        await point.plug_in(at=self.tide.now_at)
        patience_s = 0.3 if faults & HOLDING_BACK else PATIENCE_S
        try:
            await point.started(within_s=patience_s)
        except TimeoutError:
            self.troubles["not started"] += 1
        with suppress(TimeoutError):
            await self._flow(point, session_id, self.tide.now_at)
        if Fault.OFFLINE_REPLAY in faults:
            await point.go_online(at=self.tide.now_at + 3 * HOUR)

    async def _flow(self, point: ChargePoint, session_id: SessionId, begun_at: datetime) -> None:
        """A charge of some values, a lost socket or a stop from the page among them."""
        at = begun_at
        for _ in range(self.chance.randint(2, 9)):
            if point.connector().transaction is None:
                break
            at += self.chance.randint(30, 600) * SECOND
            await point.measure(at=at)
            await point.told()
            await self._meanwhile(point, session_id)
        await point.unplug(at=max(at, self.tide.now_at))
        await point.told()

    async def _meanwhile(self, point: ChargePoint, session_id: SessionId) -> None:
        roll = self.chance.random()
        if roll < 0.08:
            self.troubles["socket cut"] += 1
            point._station.link.cut()
        elif roll < 0.14:
            self.troubles["stopped from the page"] += 1
            with suppress(LedgerError, OperationalError):
                await self.world.runtime.desk.stop(session_id)
        self._step = 10 * SECOND

    async def _charged_wh(
        self, point: ChargePoint, session_id: SessionId, faults: frozenset[Fault]
    ) -> int:
        """What the simulated meter counted; of one that restarts, what flowed."""
        if Fault.METER_RESET in faults:
            connector = point.connector()
            return 1 + (BATTERY_WS - (connector.wanted_ws or 0)) // S_PER_HOUR
        token = await self._token(session_id)
        charges = [each for each in point.transactions if each.id_token.upper() == token]
        return sum(charge.energy_wh for charge in charges)

    async def _token(self, session_id: SessionId) -> str:
        """What the charger called the driver; asked until the database answers."""
        while True:
            with suppress(OperationalError):
                view = await self.world.runtime.desk.view(session_id)
                return (await self.world.session(view)).id_token
            await asyncio.sleep(0.01)

    # Waiting.

    async def _view(self, session_id: SessionId) -> SessionView | None:
        try:
            return await self.world.runtime.desk.view(session_id)
        except OperationalError:
            return None

    async def _until(self, session_id: SessionId, state: SessionState) -> SessionState:
        while True:
            view = await self._view(session_id)
            if view is not None and (view.state is state or view.state in ENDED):
                return view.state
            await self._later(3)

    async def _ended(self, session_id: SessionId) -> None:
        wait_s = 10
        while True:
            view = await self._view(session_id)
            if view is not None and view.state not in LIVE:
                return
            await self._later(wait_s)
            wait_s = min(2 * wait_s, 600)

    @asynccontextmanager
    async def _ocpp(self) -> AsyncIterator[None]:
        """A web server with nothing but the chargers' door."""
        app = FastAPI()
        app.state.points = self.world.runtime.points
        app.include_router(ocpp.router)
        config = uvicorn.Config(app, log_config=None, lifespan="off", **websocket_options())
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            self.url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
            try:
                yield
            finally:
                server.should_exit = True
                await serving


def make_database_busy(soak: Soak) -> None:
    """Now and then a transaction cannot begin, or cannot be committed."""

    def fail(what: str) -> Callable[[Any], None]:
        def failing(_: Any) -> None:
            if not soak.is_calm and soak.chance.randrange(BUSY_EVERY) == 0:
                soak.troubles[f"database {what}"] += 1
                raise OperationalError(what, {}, sqlite3.OperationalError("database is locked"))

        return failing

    engine = soak.world.community.engine
    event.listen(engine, "begin", fail("begin"), insert=True)
    event.listen(engine, "commit", fail("commit"), insert=True)


def make_chain_refuse(soak: Soak) -> None:
    """Now and then the node does not take a transaction."""
    chain = soak.world.chain
    send_raw = chain.send_raw

    def refusing(raw: bytes) -> Any:
        if not soak.is_calm and soak.chance.randrange(REFUSED_EVERY) == 0:
            soak.troubles["chain refuses"] += 1
            raise TransactionRefused(
                reason=soak.chance.choice(
                    (Refusal.FUNDS_MISSING, Refusal.UNDERPRICED, Refusal.NONCE_TOO_HIGH)
                )
            )
        return send_raw(raw)

    chain.send_raw = refusing  # type: ignore[method-assign]
