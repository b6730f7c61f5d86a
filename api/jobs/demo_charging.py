"""The demo's charges: real sessions, through real OCPP connections, paid through the escrow."""

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path

from api.config import DAY_S, ChargerSection, PlaceSection
from api.errors import BadInput
from api.files import storage
from api.jobs.charging.runtime import Runtime
from api.jobs.community import Community
from api.jobs.demo_clock import DemoClock
from charging.desk import ENDED, Permit, SessionState, SessionView
from charging.orders import ChargeOrder, charger_id_of
from charging.sessions_csv import RecordedSession, read_sessions
from charging.simulator.point import ChargePoint
from charging.tariff_tables import tariff_table_of
from ledger.chain import settlement_token
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.wallet import Wallet
from ledger.errors import LedgerError
from ledger.units import MICRO_PER_TOKEN, from_unix_s, to_unix_s
from metering.errors import Problem

CHARGING_FILE = "trondheim_ev_sessions_2019-06_2019-11.csv"
SESSIONS_MAX = 60
WEEK_S = 7 * DAY_S
STAY_S_MAX = DAY_S - 600  # A session of the escrow lasts a day at most.
POWER_W_MIN = 7_400
POWER_STEP_W = 100
TARIFF = {"energy_per_kwh": 390_000, "start_fee": 350_000}
VAT_BPS = 1_900
STEP_S = 900  # Between the values of a car that charges, in the data.
STANDING_S = 3_600  # Between the values of a car that is full.
DEPOSIT_STEP_MICRO = 20 * MICRO_PER_TOKEN
PATIENCE_S = 60  # Real seconds for a remote start.
SPARE_MICRO = 10 * MICRO_PER_TOKEN  # The guard keeps a reserve.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSession:
    """One stay, moved into the demo's weeks, at a charger of the demo."""

    recorded: RecordedSession
    charge_point_id: str
    connector_id: int
    plugin_s: int
    plugout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingPlan:
    """What of a file of sessions is played, and where."""

    sessions: tuple[PlannedSession, ...]
    problems: tuple[Problem, ...]
    shift_weeks: int  # Added to every time of the file; mostly negative.
    chargers: tuple[tuple[str, int, int], ...]  # Charge point, connectors, power in W.
    cut_short: int  # Stays of more than a day, that end after one.

    @property
    def last_s(self) -> int:
        """When the last car leaves."""
        return max((session.plugout_s for session in self.sessions), default=0)

    @property
    def energy_wh(self) -> int:
        """All that is charged."""
        return sum(session.recorded.energy_wh for session in self.sessions)


@dataclass(slots=True, kw_only=True)
class ChargingResult:
    """What came of the charges."""

    plan: ChargingPlan
    views: list[SessionView] = field(default_factory=list)
    refund_ms: list[int] = field(default_factory=list)  # From the stop message to the refund.
    refund_blocks: list[int] = field(default_factory=list)  # The same, in blocks of the chain.
    failed: list[str] = field(default_factory=list)
    verified: int = 0  # Receipts that agree with the chain.
    sun_wh: int = 0  # Neighbours' sun in the charges whose days are settled.


def charging_file() -> Path:
    """The sessions that are shipped with the package."""
    return Path(str(resources.files("api") / "data" / CHARGING_FILE))


def plan_of(file: Path, *, days: int, first_day_s: int) -> ChargingPlan:
    """Reads a file, and moves its first days by whole weeks onto the registers' weeks.

    Raises:
        EmptyFile, MissingColumn, UnknownFormat: it is no such file.
        BadInput: no row is usable.
    """
    with storage(file), file.open("rb") as source:
        recorded, problems = read_sessions(source)
    if not recorded:
        raise BadInput(field=str(file), rule="no row is a session")
    begins_s = to_unix_s(recorded[0].plugin_at) // DAY_S * DAY_S
    until_s = begins_s + days * DAY_S
    kept = [each for each in recorded if to_unix_s(each.plugin_at) < until_s][:SESSIONS_MAX]
    shift_weeks = -((begins_s - first_day_s) // WEEK_S)
    sessions, chargers = _placed(kept, shift_weeks * WEEK_S)
    stays = (each.plugout_at - each.plugin_at for each in kept)
    return ChargingPlan(
        sessions=sessions,
        problems=tuple(problems),
        shift_weeks=shift_weeks,
        chargers=chargers,
        cut_short=sum(stay > timedelta(seconds=STAY_S_MAX) for stay in stays),
    )


def _placed(
    recorded: Sequence[RecordedSession], shift_s: int
) -> tuple[tuple[PlannedSession, ...], tuple[tuple[str, int, int], ...]]:
    """Each session at a connector that is free: as many of a charge point as it ever needed."""
    free_from: dict[str, list[int]] = defaultdict(list)
    power_w: dict[str, int] = defaultdict(lambda: POWER_W_MIN)
    sessions = []
    for each in recorded:
        plugin_s = to_unix_s(each.plugin_at) + shift_s
        stay_s = min(to_unix_s(each.plugout_at) + shift_s - plugin_s, STAY_S_MAX)
        free = free_from[each.charger]
        place = next((place for place, from_s in enumerate(free) if from_s < plugin_s), len(free))
        free[place : place + 1] = [plugin_s + stay_s]
        needed_w = -(-each.energy_wh * 3_600 // stay_s)
        rounded_w = -(-needed_w // POWER_STEP_W) * POWER_STEP_W
        power_w[each.charger] = max(power_w[each.charger], rounded_w)
        sessions.append(
            PlannedSession(
                recorded=each,
                charge_point_id=each.charger,
                connector_id=place + 1,
                plugin_s=plugin_s,
                plugout_s=plugin_s + stay_s,
            )
        )
    chargers = tuple((name, len(free_from[name]), power_w[name]) for name in sorted(free_from))
    return tuple(sessions), chargers


def charger_sections(plan: ChargingPlan, *, host: int) -> list[ChargerSection]:
    """The charge points that the sessions need, all of one host."""
    return [
        ChargerSection.model_validate(
            {
                "id": name,
                "host": host,
                "connectors": connectors,
                "power_w": power_w,
                "tariff": TARIFF,
                "vat_bps": VAT_BPS,
                "place": PlaceSection(name=f"Garage, charger {name}"),
            }
        )
        for name, connectors, power_w in plan.chargers
    ]


def play_sessions(
    community: Community, plan: ChargingPlan, *, until_s: int, progress: Progress
) -> ChargingResult:
    """Plays all sessions of a plan; one that goes wrong is named and stops no other."""
    return asyncio.run(_Stage(community, plan, until_s=until_s, progress=progress).play())


class _Stage:
    """One playing of a plan."""

    def __init__(
        self, community: Community, plan: ChargingPlan, *, until_s: int, progress: Progress
    ) -> None:
        self._community = community
        self._plan = plan
        self._until_s = until_s
        self._progress = progress
        self._result = ChargingResult(plan=plan)
        first_s = min(session.plugin_s for session in plan.sessions)
        start_s = max(community.chain.head().timestamp_s + 1, first_s - 3_600)
        self._clock = DemoClock(from_unix_s(start_s))
        self._drivers = self._make_drivers()
        if isinstance(community.chain, EmbeddedChain):
            community.chain.follow_clock(self._clock)
        self._runtime = Runtime(community, now=self._clock)
        self._nonce = 0

    def _make_drivers(self) -> dict[str, Wallet]:
        """A wallet for each user of the file, with tokens for all deposits at once."""
        community = self._community
        needed: dict[str, int] = defaultdict(int)
        for session in self._plan.sessions:
            needed[session.recorded.user] += deposit_micro(session.recorded.energy_wh)
        community.keys.make([driver_key(user) for user in needed])
        wallets = {user: community.keys.wallet(driver_key(user)) for user in needed}
        intents = [
            community.intent(
                f"mint:driver:{user}",
                settlement_token.mint(wallets[user].address, amount_micro),
                to=community.contracts.token,
                role="owner",
            )
            for user, amount_micro in needed.items()
        ]
        community.execute(intents)
        return wallets

    async def play(self) -> ChargingResult:
        """Opens charge points and service, and lets every car come and go."""
        async with self._runtime, self._ocpp() as url, AsyncExitStack() as stack:
            points = {
                name: await stack.enter_async_context(self._point(url, name, connectors, power_w))
                for name, connectors, power_w in self._plan.chargers
            }
            self._clock.expect(len(self._plan.sessions))
            async with asyncio.TaskGroup() as cars:
                for session in self._plan.sessions:
                    cars.create_task(self._stay(session, points[session.charge_point_id]))
            await self._read_meters()
        self._result.views.sort(key=lambda view: (view.created_at, view.session_id))
        return self._result

    def _point(self, url: str, name: str, connectors: int, power_w: int) -> ChargePoint:
        return ChargePoint(
            url,
            name,
            self._runtime.book.password(name),
            protocol="1.6" if sum(name.encode()) % 2 else "2.0.1",
            connectors=connectors,
            clock=self._clock,
            power_w=power_w,
            interval_s=0,
        )

    async def _stay(self, session: PlannedSession, point: ChargePoint) -> None:
        async with self._clock.actor():
            try:
                await self._charge(session, point)
            except (LedgerError, TimeoutError) as error:
                line = session.recorded.line
                self._result.failed.append(f"line {line}: {type(error).__name__} {error}")
            done = len(self._result.views) + len(self._result.failed)
            self._progress("charges", done, len(self._plan.sessions))

    async def _charge(self, session: PlannedSession, point: ChargePoint) -> None:
        plugin_at, plugout_at = from_unix_s(session.plugin_s), from_unix_s(session.plugout_s)
        await self._clock.reach(plugin_at)
        view = await self._order(session)
        await self._until(view, SessionState.OPEN)
        await self._stand(session, point, plugin_at, plugout_at)
        head, began_s = self._community.chain.head().number, time.monotonic()
        closed, _ = await asyncio.gather(
            self._until(view, SessionState.CLOSED),
            point.unplug(session.connector_id, at=plugout_at),
        )
        self._result.views.append(closed)
        self._result.refund_ms.append(int((time.monotonic() - began_s) * 1_000))
        self._result.refund_blocks.append(self._block_of(closed) - head)

    async def _stand(
        self, session: PlannedSession, point: ChargePoint, plugin_at: datetime, plugout_at: datetime
    ) -> None:
        """A car charges at the charger's power, and stands full until it leaves."""
        place, energy_wh = session.connector_id, session.recorded.energy_wh
        await point.plug_in(place, at=plugin_at)
        await point.started(place, within_s=PATIENCE_S)
        needed_s = -(-energy_wh * 3_600 // point.plan.power_w)
        full_at = min(plugin_at + timedelta(seconds=max(needed_s, 1)), plugout_at)
        await point.charge(place, until=full_at, energy_wh=energy_wh, step_s=STEP_S)
        if full_at < plugout_at:
            await point.suspend(place, at=full_at)
        step_s = STANDING_S - to_unix_s(full_at) % STANDING_S
        value_at = full_at + timedelta(seconds=step_s)
        while value_at < plugout_at:  # A charger that says nothing is taken to be charging.
            await point.measure(place, at=value_at)
            value_at += timedelta(seconds=STANDING_S)
        await self._clock.reach(plugout_at)

    async def _order(self, session: PlannedSession) -> SessionView:
        driver, escrow = self._drivers[session.recorded.user], self._runtime.escrow_side
        now_s = to_unix_s(self._clock())
        self._nonce += 1
        order = ChargeOrder(
            driver=driver.address,
            charger_id=charger_id_of(session.charge_point_id, session.connector_id),
            deposit_micro=deposit_micro(session.recorded.energy_wh),
            tariff=tariff_table_of(TARIFF).at(self._clock()),
            valid_until_s=now_s + 600,
            nonce=self._nonce,
        )
        signature = driver.sign_digest(order.session_id(escrow.separator))
        permit = await asyncio.to_thread(self._permit, driver, order.deposit_micro)
        view, _ = await self._runtime.desk.place(order, signature, permit)
        return view

    def _permit(self, driver: Wallet, amount_micro: int) -> Permit:
        community = self._community
        token = settlement_token.TokenReader(community.chain, community.contracts.token)
        deadline_s = to_unix_s(self._clock()) + 3_600
        digest = token.next_permit_digest(
            driver.address,
            community.contracts.escrow,
            amount_micro=amount_micro,
            deadline_s=deadline_s,
        )
        return Permit(deadline_s=deadline_s, signature=driver.sign_digest(digest))

    async def _until(self, view: SessionView, wanted: SessionState) -> SessionView:
        """Follows a session until it is where it is wanted, or has ended elsewhere."""
        async for seen in self._runtime.desk.follow(view.session_id):
            view = seen
            if view.state is wanted:
                return view
        if view.state in ENDED and view.state is not wanted:
            raise BadInput(field="session", rule=f"{view.state}: {view.reason}")
        return view

    def _block_of(self, view: SessionView) -> int:
        receipt = self._community.chain.receipt(view.close_tx) if view.close_tx else None
        return receipt.block_number if receipt else 0

    async def _read_meters(self) -> None:
        """The chargers' meters are read at the end, so that the market waits for none of them."""
        await self._clock.reach(from_unix_s(max(self._until_s, self._plan.last_s) + 60))
        for name, connectors, _ in self._plan.chargers:
            for connector_id in range(1, connectors + 1):
                await self._runtime.points.ask_meter(name, connector_id)

    @asynccontextmanager
    async def _ocpp(self) -> AsyncIterator[str]:
        """A web server with nothing but the chargers' door."""
        import uvicorn  # noqa: PLC0415 (only a server needs it)
        from fastapi import FastAPI  # noqa: PLC0415

        from api.charge_point_transport import websocket_options  # noqa: PLC0415
        from api.routers import ocpp  # noqa: PLC0415

        app = FastAPI()
        app.state.points = self._runtime.points
        app.include_router(ocpp.router)
        config = uvicorn.Config(app, log_config=None, lifespan="off", **websocket_options())
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                await serving


def driver_key(user: str) -> str:
    """Name of a demo driver's key."""
    return f"driver:{user}"


def deposit_micro(energy_wh: int) -> int:
    """What a driver puts down: in steps, and well above what the charge will cost."""
    cost_micro = TARIFF["start_fee"] + energy_wh * TARIFF["energy_per_kwh"] // 1_000
    return ((cost_micro * 5 // 4 + SPARE_MICRO) // DEPOSIT_STEP_MICRO + 1) * DEPOSIT_STEP_MICRO


def shifted(plan: ChargingPlan) -> str:
    """How far the file's times were moved, in words."""
    return f"{abs(plan.shift_weeks)} weeks {'back' if plan.shift_weeks < 0 else 'forward'}"
