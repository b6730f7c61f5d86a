"""Tells the central system what happened at a charge point, through whatever fault it has."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from charging.points import Availability, Flow, SampledValue
from charging.simulator.backlog import CALL_TIMEOUT_S, Backlog, Entry, Part
from charging.simulator.clock import Clock
from charging.simulator.connectors import Connector, Reading, Transaction
from charging.simulator.dialects import Cause, Dialect, Happening
from charging.simulator.errors import CallFailed
from charging.simulator.faults import Fault
from charging.simulator.link import Link
from charging.simulator.ocmf import OcmfSigner, SignedReading
from charging.simulator.values import BEGIN, END, PERIODIC, TRIGGER, sampled_values, signed_value
from charging.simulator.wire import LineLost, Message, Payload, Wire
from ledger.units import EPOCH, to_rfc3339

CLOCK_AHEAD: Final = timedelta(hours=1)
LATE_BY: Final = timedelta(seconds=30)  # Of the fault `late-values`.

FLOWS: Final = {
    Availability.CHARGING: Flow.CHARGING,
    Availability.SUSPENDED_EV: Flow.SUSPENDED_EV,
    Availability.SUSPENDED_EVSE: Flow.SUSPENDED_EVSE,
    Availability.AVAILABLE: Flow.IDLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """One charge point's voice."""

    charge_point_id: str
    clock: Clock
    faults: frozenset[Fault]
    dialect: Dialect
    link: Link
    backlog: Backlog
    signer: OcmfSigner | None
    switched_on_at: datetime

    def stamp(self, at: datetime) -> str:
        """An instant as this charge point's clock has it."""
        if Fault.CLOCK_1970 in self.faults:
            at = EPOCH + (at - self.switched_on_at)
        if Fault.CLOCK_HOUR_OFF in self.faults:
            at += CLOCK_AHEAD
        return to_rfc3339(at.astimezone(UTC))

    async def say(self, message: Message, wire: Wire | None = None) -> Payload | None:
        """Sends what is worth saying only now; None if nobody heard it."""
        if wire is None:
            if not self.link.online:
                return None
            wire = await self.link.wire()
        try:
            return await wire.call(message, message_id=str(uuid.uuid4()), timeout_s=CALL_TIMEOUT_S)
        except (LineLost, CallFailed):
            return None

    def status(self, connector: Connector, at: datetime) -> None:
        """Tells a connector's state, if anybody hears it."""
        message = self.dialect.status(connector.connector_id, connector.state, self.stamp(at))
        self.backlog.put(
            Entry(transaction_id="", part=Part.UPDATE, render=lambda: message, fleeting=True)
        )

    def started(
        self, connector: Connector, transaction: Transaction, heard: Callable[[Payload], None]
    ) -> None:
        """Tells of a charge that began."""
        reading = connector.show(transaction.started_at)
        remote = transaction.remote_start_id is not None
        happening = self._happening(
            transaction,
            reading,
            cause=Cause.REMOTE_START if remote else Cause.TOKEN,
            context=BEGIN,
            flow=FLOWS.get(connector.state, Flow.CONNECTED),
        )
        meter_start_wh = 0 if Fault.BEGIN_ZERO in self.faults else transaction.start_wh
        self._put(
            transaction,
            Part.START,
            lambda: self.dialect.started(happening, meter_start_wh),
            heard,
        )
        if self.dialect.version == "1.6" and Fault.BEGIN_ZERO in self.faults:
            self._put(transaction, Part.UPDATE, lambda: self.dialect.updated(happening))

    def sampled(
        self, connector: Connector, transaction: Transaction, reading: Reading, cause: Cause
    ) -> None:
        """Tells meter values of a running charge."""
        happening = self._happening(
            transaction,
            reading,
            cause=cause,
            context=TRIGGER if cause is Cause.TRIGGER else PERIODIC,
            flow=FLOWS.get(connector.state, Flow.CONNECTED),
        )
        self._put(transaction, Part.UPDATE, lambda: self.dialect.updated(happening))

    def flow_changed(self, connector: Connector, transaction: Transaction, at: datetime) -> None:
        """Tells that energy flows, or no longer does."""
        self.status(connector, at)
        happening = Happening(
            transaction=transaction,
            at=self.stamp(at),
            cause=Cause.FLOW,
            sequence=transaction.sequence,
            offline=not self.link.online,
            flow=FLOWS.get(connector.state, Flow.CONNECTED),
        )
        if self.dialect.flow_changed(happening) is not None:
            transaction.sequence += 1
            self._put(transaction, Part.UPDATE, lambda: self.dialect.updated(happening))

    def ended(self, transaction: Transaction, reading: Reading) -> None:
        """Tells of a charge that is over, with its signed record if the meter can sign."""
        told = reading
        if Fault.STOP_BELOW_START in self.faults:
            session_wh = max(0, reading.register_wh - transaction.start_wh)
            told = Reading(at=reading.at, register_wh=session_wh, power_w=0)
        happening = self._happening(
            transaction,
            told,
            cause=Cause.STOP,
            context=END,
            flow=Flow.IDLE if transaction.reason == "EVDisconnected" else Flow.CONNECTED,
            beside=self._record(transaction, reading),
        )
        self._put(transaction, Part.STOP, lambda: self.dialect.ended(happening, told.register_wh))
        if Fault.LATE_VALUES in self.faults:
            for at in (reading.at - LATE_BY, reading.at + LATE_BY):
                self._late(transaction, Reading(at=at, register_wh=reading.register_wh, power_w=0))

    def meter(self, connector: Connector, at: datetime) -> None:
        """Tells meter values outside of any charge."""
        values = sampled_values(connector.show(at), context=TRIGGER, faults=self.faults, place=0)
        message = self.dialect.meter(connector.connector_id, self.stamp(at), values)
        self.backlog.put(Entry(transaction_id="", part=Part.UPDATE, render=lambda: message))

    def _late(self, transaction: Transaction, reading: Reading) -> None:
        happening = self._happening(
            transaction, reading, cause=Cause.PERIODIC, context=PERIODIC, flow=Flow.CONNECTED
        )
        self._put(transaction, Part.UPDATE, lambda: self.dialect.updated(happening))

    def _happening(
        self,
        transaction: Transaction,
        reading: Reading,
        *,
        cause: Cause,
        context: str,
        flow: Flow,
        beside: tuple[SampledValue, ...] = (),
    ) -> Happening:
        values = sampled_values(
            reading, context=context, faults=self.faults, place=transaction.sequence
        )
        happening = Happening(
            transaction=transaction,
            at=self.stamp(reading.at),
            cause=cause,
            sequence=transaction.sequence,
            values=values + beside,
            offline=not self.link.online,
            flow=flow,
        )
        transaction.sequence += 1
        return happening

    def _record(self, transaction: Transaction, reading: Reading) -> tuple[SampledValue, ...]:
        if self.signer is None:
            return ()
        signer = self.signer
        if Fault.FORGED_OCMF in self.faults:
            signer = OcmfSigner.made(signer.curve)
        record = signer.sign(
            SignedReading(at=transaction.started_at, register_wh=transaction.start_wh),
            SignedReading(at=reading.at, register_wh=reading.register_wh),
            id_token=transaction.id_token,
            point=self.charge_point_id,
        )
        return (signed_value(record, self.signer),)

    def _put(
        self,
        transaction: Transaction,
        part: Part,
        render: Callable[[], Message],
        heard: Callable[[Payload], None] | None = None,
    ) -> None:
        self.backlog.put(
            Entry(transaction_id=transaction.local_id, part=part, render=render, heard=heard)
        )
