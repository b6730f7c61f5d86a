"""One charge point's parts, wired together: boots, beats, hears, reconnects, restarts."""

import asyncio
import uuid
from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from charging.simulator.backlog import CALL_TIMEOUT_S, Backlog
from charging.simulator.changes import Changes
from charging.simulator.charges import Charges
from charging.simulator.connectors import S_PER_HOUR, SECOND, Connector, Transaction
from charging.simulator.dialects import Dialect
from charging.simulator.link import Line, Link
from charging.simulator.messages16 import Ocpp16
from charging.simulator.messages201 import Ocpp201
from charging.simulator.obedience import Obedience
from charging.simulator.plan import Plan
from charging.simulator.settings import CONNECTION_TIMEOUT, HEARTBEAT, METER_INTERVAL, may_be
from charging.simulator.teller import Teller
from charging.simulator.wire import Answer, Wire

OFFLINE_FOR: Final = timedelta(hours=3)  # Of the fault `offline-replay`.
BOOT_RETRY_S_MAX: Final = 60
HEARTBEAT_S: Final = 300  # Until the central system says otherwise.
CONNECTION_TIMEOUT_S: Final = 60


class Station:
    """Parts and background tasks of a charge point; `ChargePoint` is what people use."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = plan.clock
        self.changes = Changes()
        self.settings = {
            METER_INTERVAL: plan.interval_s,
            HEARTBEAT: HEARTBEAT_S,
            CONNECTION_TIMEOUT: CONNECTION_TIMEOUT_S,
        }
        self.dialect: Dialect = Ocpp16(plan.faults) if plan.protocol == "1.6" else Ocpp201()
        self.connectors = {
            connector_id: Connector(
                connector_id=connector_id,
                register_ws=plan.register_wh * S_PER_HOUR,
                power_w_max=plan.power_w,
                measured_at=plan.clock.now_at(),
            )
            for connector_id in range(1, plan.connectors + 1)
        }
        self._tasks: set[asyncio.Future[None]] = set()
        self._boot_reason = "PowerUp"  # Empty: it has booted.
        self.link = self._linked()
        self.backlog = Backlog(
            self.link,
            faults=plan.faults,
            changes=self.changes,
            note=plan.note,
            retry_ms=plan.retry_ms,
        )
        self.teller = self._voice()
        self.charges = Charges(
            connectors=self.connectors,
            teller=self.teller,
            changes=self.changes,
            note=plan.note,
            reboot=lambda: self.restart("PowerUp"),
            come_back_after=self._come_back_after,
        )
        self._obedience = Obedience(
            charge_point_id=plan.charge_point_id,
            charges=self.charges,
            settings=self.settings,
            restart=lambda: self.restart("RemoteReset"),
            note=plan.note,
        )

    async def open(self) -> None:
        """Connects and boots.

        Raises:
            CentralUnreachable, PointRefused: why it could not.
        """
        await self.link.open()
        self.spawn(self.backlog.run())
        self.spawn(self._beat(self.clock.now_at()))

    async def close(self) -> None:
        """Hangs up and ends all background tasks."""
        await self.link.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def spawn(self, work: Awaitable[None]) -> None:
        """Does something beside."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def restart(self, reason: str) -> None:
        """Loses the connection and boots on the next one."""
        self._boot_reason = reason
        self.link.cut()

    def _linked(self) -> Link:
        plan = self.plan
        line = Line(
            url=plan.url,
            charge_point_id=plan.charge_point_id,
            password=plan.password,
            subprotocol=self.dialect.subprotocol,
            version=self.dialect.version,
            ssl_context=plan.ssl_context,
            checks_schemas=plan.checks_schemas,
            ping_s=plan.ping_s,
        )
        return Link(
            line,
            greet=self._greet,
            handle=self._handle,
            spawn=self.spawn,
            changes=self.changes,
        )

    def _voice(self) -> Teller:
        return Teller(
            charge_point_id=self.plan.charge_point_id,
            clock=self.clock,
            faults=self.plan.faults,
            dialect=self.dialect,
            link=self.link,
            backlog=self.backlog,
            signer=self.plan.signer,
            switched_on_at=self.clock.now_at(),
        )

    def _handle(self, action: str, payload: Mapping[str, Any]) -> Answer:
        return self.dialect.command(self._obedience, action, payload)

    async def _greet(self, wire: Wire) -> None:
        """Boots if it has to, then tells every connector's state."""
        while self._boot_reason:
            boot = self.dialect.boot(self.plan.charge_point_id, self._boot_reason)
            answer = await wire.call(boot, message_id=str(uuid.uuid4()), timeout_s=CALL_TIMEOUT_S)
            if answer["status"] == "Accepted":
                self._boot_reason = ""
                self._beat_every(int(answer["interval"]))
                break
            self.plan.note(f"the central system says {answer['status']} to the boot")
            await asyncio.sleep(min(max(1, int(answer["interval"])), BOOT_RETRY_S_MAX))
        for connector in self.connectors.values():
            at = self.teller.stamp(self.clock.now_at())
            status = self.dialect.status(connector.connector_id, connector.state, at)
            await self.teller.say(status, wire)
        self.plan.note("connected")

    def _beat_every(self, seconds: int) -> None:
        """A heartbeat interval of 0 leaves it to us (OCPP 1.6 section 6.2)."""
        self.settings[HEARTBEAT] = seconds if may_be(HEARTBEAT, seconds) else HEARTBEAT_S

    async def _beat(self, due_at: datetime) -> None:
        while True:
            due_at = max(due_at + self.settings[HEARTBEAT] * SECOND, self.clock.now_at())
            await self.clock.sleep_until(due_at)
            await self.teller.say(self.dialect.heartbeat())

    def _come_back_after(self, transaction: Transaction) -> None:
        async def come_back() -> None:
            ended_at = transaction.stopped_at or self.clock.now_at()
            await self.clock.sleep_until(ended_at + OFFLINE_FOR)
            self.link.release()

        self.spawn(come_back())
