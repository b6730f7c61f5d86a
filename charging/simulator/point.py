"""A charge point that a script, or a car, can use: plug in, charge, stop, unplug.

async with ChargePoint("ws://127.0.0.1:8000", "CP1", "secret", protocol="2.0.1") as point:
    await point.plug_in(at=morning)
    await point.started()  # Somebody starts it from afar.
    await point.charge(until=noon, energy_wh=7_320)
    await point.unplug(at=evening)
"""

import asyncio
import ssl
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self

from charging.points import Availability
from charging.simulator.clock import Clock, RunningClock
from charging.simulator.connectors import S_PER_HOUR, SECOND, Connector, Transaction
from charging.simulator.dialects import Cause
from charging.simulator.errors import BadScript
from charging.simulator.faults import Fault
from charging.simulator.ocmf import OcmfSigner
from charging.simulator.plan import Plan
from charging.simulator.settings import METER_INTERVAL
from charging.simulator.station import Station
from ledger.units import EPOCH, to_rfc3339

STEP_S: Final = 900  # A script's meter values are at quarter hours.
TOLD_WITHIN_S: Final = 60
INSTANT: Final = timedelta(microseconds=1)
INSTANTS_PER_S: Final = 1_000_000


def _silent(_: str) -> None:
    """Notes nothing."""


class ChargePoint:
    """One charge point with some connectors, online while its context is open."""

    def __init__(
        self,
        url: str,
        charge_point_id: str,
        password: str | None,
        *,
        protocol: str = "1.6",
        connectors: int = 1,
        clock: Clock | None = None,
        power_w: int = 11_000,
        interval_s: int = 60,
        register_wh: int = 0,
        signer: OcmfSigner | None = None,
        faults: Collection[Fault] = (),
        note: Callable[[str], None] = _silent,
        ssl_context: ssl.SSLContext | None = None,
        checks_schemas: bool = True,
        ping_s: int | None = 20,
        retry_ms: int = 1_000,
    ) -> None:
        """
        Args:
            url: of the central system; `/ocpp` if it has no path.
            power_w: the most that a connector gives.
            interval_s: between meter values of a car that charges by itself; 0 for none.
            register_wh: what each connector's lifetime register shows at first.
            note: is told in a line whatever happens.
            retry_ms: real time before a message that was refused is sent again.

        Raises:
            BadPointSetting: names the setting and its rule.
        """
        plan = Plan(
            url=url,
            charge_point_id=charge_point_id,
            password=password,
            protocol=protocol,
            connectors=connectors,
            clock=clock or RunningClock(),
            power_w=power_w,
            interval_s=interval_s,
            register_wh=register_wh,
            signer=signer,
            faults=frozenset(faults),
            note=note,
            ssl_context=ssl_context,
            checks_schemas=checks_schemas,
            ping_s=ping_s,
            retry_ms=retry_ms,
        )
        self.charge_point_id = charge_point_id
        self.clock = plan.clock
        self.plan = plan
        self._station = Station(plan)
        self._charges = self._station.charges

    async def __aenter__(self) -> Self:
        """Connects and boots.

        Raises:
            CentralUnreachable: nobody speaks OCPP at the URL.
            PointRefused: wrong password, or an unknown charge point.
        """
        try:
            await self._station.open()
        except BaseException:
            await self._station.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hangs up; what was not told yet never will be (`told` waits for it)."""
        await self._station.close()

    @property
    def online(self) -> bool:
        """Whether it is connected and has booted."""
        return self._station.link.online

    @property
    def connections(self) -> int:
        """How many connections there were so far."""
        return self._station.link.connections

    @property
    def interval_s(self) -> int:
        """Between meter values, as set now; 0 for none."""
        return self._station.settings[METER_INTERVAL]

    @property
    def transactions(self) -> list[Transaction]:
        """All charges that are over, and those that run."""
        return [
            transaction
            for connector in self._station.connectors.values()
            for transaction in [*connector.past, connector.transaction]
            if transaction is not None
        ]

    def connector(self, connector_id: int = 1) -> Connector:
        """A connector's state.

        Raises:
            BadScript: there is no such connector.
        """
        connector = self._station.connectors.get(connector_id)
        if connector is None:
            known = len(self._station.connectors)
            raise BadScript(field="connector_id", rule=f"from 1 to {known}")
        return connector

    async def plug_in(self, connector_id: int = 1, *, at: datetime | None = None) -> None:
        """A cable goes in; a start that waits for it goes on."""
        connector = self.connector(connector_id)
        now_at = await self._reach(connector, at)
        connector.plugged = True
        connector.measured_at = now_at
        if connector.available:
            self._charges.set_state(connector, Availability.PREPARING, now_at)
        self._charges.begin_awaited(connector, now_at)

    async def started(self, connector_id: int = 1, *, within_s: float | None = None) -> Transaction:
        """The charge that runs there, as soon as one does and its start is answered or offline.

        Args:
            within_s: real seconds.

        Raises:
            TimeoutError: nobody started one.
        """
        connector = self.connector(connector_id)
        async with asyncio.timeout(within_s):
            await self._station.changes.until(lambda: connector.transaction is not None)
        transaction = connector.transaction
        assert transaction is not None  # noqa: S101 (just seen)
        await self._told_of(connector)
        return transaction

    async def ended(self, connector_id: int = 1, *, within_s: float | None = None) -> None:
        """Returns when no charge runs there, and that has been told."""
        connector = self.connector(connector_id)
        async with asyncio.timeout(within_s):
            await self._station.changes.until(lambda: connector.transaction is None)
        await self._told_of(connector)

    async def charge(
        self,
        connector_id: int = 1,
        *,
        until: datetime,
        energy_wh: int,
        step_s: int = STEP_S,
        also_at: Iterable[datetime] = (),
    ) -> int:
        """Charges evenly, with a meter value at every boundary of `step_s`, `also_at` and `until`.

        A power limit is obeyed, and a stop from afar ends it: then less is charged than was asked.

        Returns:
            Wh by the register.

        Raises:
            BadScript: no charge runs, `until` is not after the last meter value, or the energy
                is more than the connector can give by then.
        """
        connector = self.connector(connector_id)
        transaction = connector.transaction
        if transaction is None:
            raise BadScript(field="charge", rule="a charge must have started")
        start_at, before_wh = connector.measured_at, connector.register_wh
        if until <= start_at:
            raise BadScript(field="until", rule="after the last meter value")
        most_ws = connector.power_w_max * ((until - start_at) // INSTANT) // INSTANTS_PER_S
        if not 0 <= energy_wh * S_PER_HOUR <= most_ws:
            rule = f"from 0 to {most_ws // S_PER_HOUR} in {(until - start_at) // SECOND} s"
            raise BadScript(field="energy_wh", rule=rule)
        planned_ws = 0
        for at in _moments(start_at, until, step_s, also_at):
            await self._reach(connector, at)
            await self.told()
            if connector.transaction is not transaction:
                break
            before_ws, planned_ws = planned_ws, _share(energy_wh, start_at, at, until)
            allowed_ws = connector.limited_w * ((at - connector.measured_at) // INSTANT)
            gained_ws = min(planned_ws - before_ws, -(-allowed_ws // INSTANTS_PER_S))
            connector.count(gained_ws, at)
            self._charges.measure(connector, at, Cause.PERIODIC)
            await self.told()
        return connector.register_wh - before_wh

    async def measure(self, connector_id: int = 1, *, at: datetime | None = None) -> None:
        """Takes and tells a meter value."""
        connector = self.connector(connector_id)
        self._charges.measure(connector, await self._reach(connector, at), Cause.PERIODIC)
        await self._told_of(connector)

    async def suspend(self, connector_id: int = 1, *, at: datetime | None = None) -> None:
        """The car takes no more; the charge goes on without energy."""
        connector = self.connector(connector_id)
        now_at = await self._reach(connector, at)
        connector.advance(now_at)
        connector.measured_at = now_at
        connector.power_w = 0
        self._charges.suspend(connector, Availability.SUSPENDED_EV, now_at)
        await self._told_of(connector)

    async def stop(
        self, connector_id: int = 1, *, at: datetime | None = None, reason: str = "Local"
    ) -> None:
        """Somebody ends the charge at the charge point."""
        connector = self.connector(connector_id)
        self._charges.end(connector, await self._reach(connector, at), reason)
        await self.told()

    async def unplug(self, connector_id: int = 1, *, at: datetime | None = None) -> None:
        """The cable is out, which ends a charge that still runs."""
        connector = self.connector(connector_id)
        now_at = await self._reach(connector, at)
        connector.plugged = False
        self._charges.end(connector, now_at, "EVDisconnected")
        if connector.available:
            self._charges.set_state(connector, Availability.AVAILABLE, now_at)
        await self._told_of(connector)

    async def present(
        self, id_token: str, connector_id: int = 1, *, at: datetime | None = None
    ) -> bool:
        """Somebody holds a card before it: stops that token's charge, or asks and starts one."""
        connector = self.connector(connector_id)
        now_at = await self._reach(connector, at)
        running = connector.transaction
        if running is not None:
            if running.id_token.casefold() == id_token.casefold():
                await self.stop(connector_id, at=now_at)
                return True
            return False
        dialect = self._station.dialect
        answer = await self._station.teller.say(dialect.authorise(id_token))
        if answer is None or not dialect.token_accepted(answer) or not connector.plugged:
            return False
        self._charges.begin(connector, id_token, remote_start_id=None, at=now_at)
        await self.told()
        return True

    async def go_offline(self) -> None:
        """Loses the connection; what happens meanwhile is told later."""
        self._station.link.hold()

    async def go_online(self, *, at: datetime | None = None) -> None:
        """Comes back, and tells what happened meanwhile."""
        if at is not None:
            await self.clock.reach(at)
        self._station.link.release()
        await self._station.changes.until(lambda: self.online)
        await self.told()

    async def lose_power(self, *, at: datetime | None = None, remembers: bool = True) -> None:
        """Power fails and comes back: charges end with `PowerLoss`, or are forgotten."""
        if at is not None:
            await self.clock.reach(at)
        self._charges.lose_power(at=self.clock.now_at(), remembers=remembers)
        await self.told()

    async def wait_until(self, holds: Callable[[], bool], at: datetime | None) -> None:
        """Returns when it holds or the clock shows `at`; it is looked at on every change here."""
        if at is None:
            await self._station.changes.until(holds)
        else:
            await self._station.changes.until_or_at(holds, self.clock, at)

    async def told(self) -> None:
        """Returns when the central system has answered all, or we are offline on purpose.

        Raises:
            TimeoutError: it has not for a minute of real time.
        """
        backlog, link = self._station.backlog, self._station.link
        async with asyncio.timeout(TOLD_WITHIN_S):
            await self._station.changes.until(lambda: backlog.empty or link.held)

    async def _told_of(self, connector: Connector) -> None:
        """A script waits until it was heard; a car that charges by itself does not."""
        if not connector.driven:
            await self.told()

    async def _reach(self, connector: Connector, at: datetime | None) -> datetime:
        """Comes to `at`; nothing happens before what was measured last."""
        if at is not None:
            await self.clock.reach(at)
        stated_at = at or self.clock.now_at()
        if at is not None and at < connector.measured_at and not connector.driven:
            raise BadScript(field="at", rule=f"not before {to_rfc3339(connector.measured_at)}")
        return max(stated_at, connector.measured_at)


def _share(energy_wh: int, start_at: datetime, at: datetime, until: datetime) -> int:
    """Ws of an even charge of `energy_wh` that have flowed by `at`, rounded down."""
    passed, whole = (at - start_at) // INSTANT, (until - start_at) // INSTANT
    return energy_wh * S_PER_HOUR * passed // whole


def _moments(
    start_at: datetime, until: datetime, step_s: int, also_at: Iterable[datetime]
) -> list[datetime]:
    first = (start_at - EPOCH) // (step_s * SECOND) + 1
    last = (until - EPOCH) // (step_s * SECOND)
    boundaries = {EPOCH + step * step_s * SECOND for step in range(first, last + 1)}
    given = {at for at in also_at if start_at < at < until}
    return sorted(boundaries | given | {until})
