"""What a charge point does when it is told to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from charging.points import Availability
from charging.simulator.charges import Charges
from charging.simulator.connectors import Connector, RemoteStart
from charging.simulator.dialects import Ask, Cause, Verdict
from charging.simulator.faults import Fault
from charging.simulator.settings import CONNECTION_TIMEOUT, may_be
from charging.simulator.wire import Message

NO = Verdict(accepted=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obedience:
    """`Commanded`, for both versions."""

    charge_point_id: str
    charges: Charges
    settings: dict[str, int]
    restart: Callable[[], None]
    note: Callable[[str], None]

    def connector_ids(self) -> tuple[int, ...]:
        """From 1."""
        return tuple(self.charges.connectors)

    def remote_start(
        self,
        connector_id: int | None,
        *,
        id_token: str,
        remote_start_id: int | None,
        limit_w: int | None,
    ) -> Verdict:
        """Starts on a free connector; without a cable it waits for one for a while."""
        connector = self._free(connector_id)
        if connector is None or Fault.REFUSES_START in self._faults:
            self.note("refuses a remote start")
            return NO
        self.note(f"connector {connector.connector_id}: accepts a remote start for {id_token}")
        if Fault.NEVER_STARTS in self._faults:
            return Verdict(accepted=True)
        if Fault.UPPER_CASE_TOKEN in self._faults:
            id_token = id_token.upper()
        timeout = timedelta(seconds=self.settings[CONNECTION_TIMEOUT])
        awaited = RemoteStart(
            id_token=id_token,
            remote_start_id=remote_start_id,
            expires_at=self._now_at() + timeout,
        )
        connector.awaited = awaited
        if limit_w is not None:
            self._limit(connector, limit_w)

        async def start() -> None:
            if connector.plugged:
                self.charges.begin_awaited(connector, self._now_at())
                return
            self.charges.set_state(connector, Availability.PREPARING, self._now_at())
            await self.charges.teller.clock.sleep_until(awaited.expires_at)
            if connector.awaited is awaited:
                self.note(f"connector {connector.connector_id}: no cable came in time")
                connector.awaited = None
                self.charges.set_state(connector, Availability.AVAILABLE, self._now_at())

        return Verdict(accepted=True, then=start)

    def remote_stop(self, transaction_id: str) -> Verdict:
        """Stops a transaction that runs."""
        for connector in self.charges.connectors.values():
            running = connector.transaction
            if running and transaction_id in {str(running.central_id), running.local_id}:
                if Fault.REFUSES_STOP in self._faults:
                    self.note("refuses a remote stop")
                    return NO
                return Verdict(accepted=True, then=self._stopping(connector, "Remote"))
        return NO

    def set_limit(self, connector_id: int, limit_w: int | None) -> Verdict:
        """Limits, or lifts the limit of, one connector or all of them."""
        connectors = self._connectors(connector_id)
        if not connectors:
            return NO
        for connector in connectors:
            self._limit(connector, limit_w)
        return Verdict(accepted=True)

    def ask(self, what: Ask, connector_id: int | None) -> Verdict:
        """Sends what was asked for."""
        connectors = self._connectors(connector_id or 0)
        if not connectors:
            return NO
        teller = self.charges.teller

        async def tell() -> None:
            if what is Ask.BOOT:
                await teller.say(teller.dialect.boot(self.charge_point_id, "Triggered"))
            elif what is Ask.HEARTBEAT:
                await teller.say(teller.dialect.heartbeat())
            for connector in connectors:
                if what is Ask.STATUS:
                    teller.status(connector, self._now_at())
                elif what is Ask.METER and connector.transaction is not None:
                    self.charges.measure(connector, self._now_of(connector), Cause.TRIGGER)
                elif what is Ask.METER:
                    teller.meter(connector, self._now_at())

        return Verdict(accepted=True, then=tell)

    def setting(self, name: str) -> int:
        """In whole seconds."""
        return self.settings[name]

    def set_setting(self, name: str, value: int) -> Verdict:
        """Takes effect at once."""
        if not may_be(name, value):
            return NO
        self.note(f"the {name} is {value} s now")
        self.settings[name] = value
        self.charges.changes.tell()
        return Verdict(accepted=True)

    def unlock(self, connector_id: int) -> Verdict:
        """Unlocks the cable, which ends a charge."""
        connector = self.charges.connectors.get(connector_id)
        if connector is None:
            return NO
        return Verdict(accepted=True, then=self._stopping(connector, "UnlockCommand"))

    def reset(self, *, reason: str, waits: bool) -> Verdict:
        """Restarts, when all charges are over."""

        async def restart() -> None:
            connectors = self.charges.connectors.values()
            if waits:
                await self.charges.changes.until(
                    lambda: all(each.transaction is None for each in connectors)
                )
            for connector in connectors:
                self.charges.end(connector, self._now_of(connector), reason)
            self.note(f"restarts ({reason})")
            self.restart()

        return Verdict(accepted=True, then=restart)

    def set_available(self, connector_id: int, *, available: bool) -> Verdict:
        """Takes effect when no charge runs."""
        connectors = self._connectors(connector_id)
        if not connectors:
            return NO

        async def change() -> None:
            for connector in connectors:
                connector.available = available
                if connector.transaction is not None:
                    continue
                if not available:
                    state = Availability.UNAVAILABLE
                elif connector.plugged:
                    state = Availability.PREPARING
                else:
                    state = Availability.AVAILABLE
                self.charges.set_state(connector, state, self._now_at())

        return Verdict(accepted=True, then=change)

    def scheduled(self, connector_id: int) -> bool:
        """Whether a charge runs there."""
        return any(each.transaction is not None for each in self._connectors(connector_id))

    def report(self, message: Message) -> Verdict:
        """Sends it after the answer."""

        async def send() -> None:
            await self.charges.teller.say(message)

        return Verdict(accepted=True, then=send)

    def stamp_now(self) -> str:
        """By this charge point's clock."""
        return self.charges.teller.stamp(self._now_at())

    @property
    def _faults(self) -> frozenset[Fault]:
        return self.charges.teller.faults

    def _connectors(self, connector_id: int) -> list[Connector]:
        if connector_id == 0:
            return list(self.charges.connectors.values())
        connector = self.charges.connectors.get(connector_id)
        return [] if connector is None else [connector]

    def _free(self, connector_id: int | None) -> Connector | None:
        """The named connector if it is free; else one with a cable, else any."""
        free = [
            connector
            for connector in self._connectors(connector_id or 0)
            if connector.available and connector.transaction is None and connector.awaited is None
        ]
        return next((each for each in free if each.plugged), next(iter(free), None))

    def _limit(self, connector: Connector, limit_w: int | None) -> None:
        if Fault.IGNORES_LIMIT in self._faults:
            return
        now_at = self._now_of(connector)
        connector.advance(now_at)
        connector.limit_w = limit_w
        connector.flow()
        shown = "no limit" if limit_w is None else f"at most {limit_w} W"
        self.note(f"connector {connector.connector_id}: {shown}")
        if connector.driven and not connector.full:
            flows = connector.limited_w > 0
            state = Availability.CHARGING if flows else Availability.SUSPENDED_EVSE
            self.charges.suspend(connector, state, now_at)
        self.charges.changes.tell()

    def _stopping(self, connector: Connector, reason: str) -> Callable[[], Awaitable[None]]:
        async def stop() -> None:
            self.charges.end(connector, self._now_of(connector), reason)

        return stop

    def _now_at(self) -> datetime:
        return self.charges.teller.clock.now_at()

    def _now_of(self, connector: Connector) -> datetime:
        """Now, and never before the connector's last measurement."""
        return max(self._now_at(), connector.measured_at)
