"""A demo's charge points, simulated, by real OCPP: whoever starts one finds a car there."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from api.config import ChargerSection
from api.jobs.charging.chargers import Charger, ChargerBook
from api.jobs.community import Community
from api.jobs.replay.point_clock import PointClock
from api.loops import Loop, LoopState
from charging.registers import EnergyTrack
from charging.sessions import LIVE
from charging.simulator.connectors import S_PER_HOUR
from charging.simulator.drive import stay
from charging.simulator.point import ChargePoint
from charging.store import ChargingStore, Connection
from ledger.chain.escrow import EscrowReader
from ledger.errors import LedgerError
from ledger.keccak import keccak256
from ledger.units import from_unix_s

AGAIN_S: Final = 5.0  # Real seconds until a charge point that failed is switched on again.
LAST_WORDS_S: Final = 2.0
VISIT_WH_MIN, VISIT_WH_MAX = 12_000, 40_000
VISIT_HOURS: Final = 20
LINGERS_S: Final = 20  # Real seconds that a full car stands; whoever looks sees that it is full.
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """What comes when a charge is started."""

    battery_wh: int  # What it takes until it is full.
    leaves_at: datetime
    lingers: timedelta


class Garage:
    """All charge points of a demo."""

    def __init__(self, community: Community, url: str) -> None:
        """`url` is where they connect: the service itself."""
        self._community = community
        self._url = url
        self._book = ChargerBook(community)
        self._store = ChargingStore(community.engine)
        self._clock = community.chain_clock
        self._loop = Loop("chargers")
        self._points: dict[str, ChargePoint] = {}
        self._expected: dict[tuple[str, int], Car] = {}  # By charge point and connector.
        self._lives: list[asyncio.Task[None]] = []

    def state(self) -> LoopState:
        """How the charge points are; one that is not connected is no problem of ours."""
        self._loop.passed()
        return self._loop.state()

    def is_free(self, charge_point_id: str) -> bool:
        """Whether a car could charge there now."""
        point = self._points.get(charge_point_id)
        if point is None or not point.online:
            return False
        connector = point.connector()
        return connector.transaction is None and connector.awaited is None and not connector.plugged

    def expect(self, charge_point_id: str, connector_id: int, car: Car) -> None:
        """Says which car comes when a charge is started there."""
        self._expected[charge_point_id, connector_id] = car

    def forget(self, charge_point_id: str, connector_id: int) -> None:
        """It will not come any more."""
        self._expected.pop((charge_point_id, connector_id), None)

    def open(self) -> None:
        """Switches all on."""
        self._lives = [
            asyncio.create_task(self._live(section)) for section in self._book.points().values()
        ]

    async def close(self) -> None:
        """Ends all charges as people would, has that told, and switches all off."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await asyncio.gather(*map(self._leave, self._points.values()))
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        self._lives = []

    @staticmethod
    async def _leave(point: ChargePoint) -> None:
        for place in range(1, point.plan.connectors + 1):
            if point.connector(place).transaction is not None:
                await point.stop(place)

    async def _live(self, section: ChargerSection) -> None:
        """One charge point, for ever."""
        name = section.charge_point_id
        while True:
            try:
                registers = await asyncio.to_thread(self._registers, section)
                async with self._made(section) as point:
                    for place, register_wh in registers.items():
                        point.connector(place).register_ws = register_wh * S_PER_HOUR
                    self._points[name] = point
                    async with asyncio.TaskGroup() as places:
                        for place in registers:
                            places.create_task(self._serve(point, place))
            except Exception as error:
                known = isinstance(error, LedgerError)
                log.info("chargers: %s: %s", name, error, exc_info=not known)
            finally:
                self._points.pop(name, None)
            await asyncio.sleep(AGAIN_S)

    def _made(self, section: ChargerSection) -> ChargePoint:
        name = section.charge_point_id
        return ChargePoint(
            self._url,
            name,
            self._book.password(name),
            protocol="1.6" if sum(name.encode()) % 2 else "2.0.1",
            connectors=section.connectors,
            clock=PointClock(self._clock),
            power_w=section.power_w,
            interval_s=section.interval_s * self._clock.speed,  # Until the service sets it.
            checks_schemas=False,
        )

    async def _serve(self, point: ChargePoint, place: int) -> None:
        """One connector: whoever starts a charge there has a car to charge."""
        connector = point.connector(place)
        connector.driven = True
        while True:
            await point.wait_until(lambda: connector.awaited is not None, None)
            if connector.awaited is not None:
                expected = self._expected.pop((point.charge_point_id, place), None)
                car = expected or self._visitor(connector.awaited.id_token)
                await stay(
                    point,
                    place,
                    battery_wh=car.battery_wh,
                    leaves_at=car.leaves_at,
                    lingers=car.lingers,
                )

    def _visitor(self, id_token: str) -> Car:
        """Somebody who looks at the demo has a car like others."""
        drawn = int.from_bytes(keccak256(id_token.encode())[:8])
        return Car(
            battery_wh=VISIT_WH_MIN + drawn % (VISIT_WH_MAX - VISIT_WH_MIN),
            leaves_at=self._clock.now() + timedelta(hours=VISIT_HOURS),
            lingers=timedelta(seconds=LINGERS_S * self._clock.speed),
        )

    # Registers: a meter keeps its own through any failure of power, and so must a simulated one.

    def _registers(self, section: ChargerSection) -> Mapping[int, int]:
        return {
            charger.connector_id: self._register_wh(charger)
            for charger in self._book.of_point(section.charge_point_id)
        }

    def _register_wh(self, charger: Charger) -> int:
        """The highest value that anybody has of this register."""
        community = self._community
        reader = EscrowReader(community.chain, community.contracts.escrow)
        found = [reader.charger_of(charger.charger_id).last_wh]
        readings = community.readings
        stretches = readings.known_stretches()
        for meter in readings.meters():
            if meter.label == charger.label and meter.meter_id in stretches:
                last_at = stretches[meter.meter_id].last_at
                series = readings.series([meter.meter_id], from_at=last_at, until_at=last_at)
                found.append(int(series[meter.meter_id].import_wh.max()))
        return max(found + self._store.run(partial(self._told_wh, charger)))

    def _told_wh(self, charger: Charger, connection: Connection) -> list[int]:
        """What the charges tell of it that are not settled yet."""
        found = []
        for session in self._store.sessions_in(connection, LIVE):
            number = session.transaction_no
            if session.order.charger_id != charger.charger_id or number is None:
                continue
            track = EnergyTrack(
                last_wh=session.last_wh,
                power_w=session.power_w,
                opened_at=from_unix_s(session.opened_s or session.created_s),
            )
            for event in self._store.messages.events_of(connection, number):
                track.take(event)
            found.append(track.live(self._clock.now()).stop_wh)
        return found
