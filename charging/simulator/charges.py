"""The charges at one charge point: how they begin, are measured and end, and what befalls them."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from charging.points import Availability
from charging.simulator.changes import Changes
from charging.simulator.connectors import Connector, Transaction
from charging.simulator.dialects import Cause
from charging.simulator.faults import Fault
from charging.simulator.teller import Teller

FAULTY_SAMPLE: Final = 2  # Faults of mid-session befall a charge at its second periodic value.
STORM_CONNECTIONS: Final = 20
SUSPENSIONS: Final = {
    Availability.CHARGING: "energy flows",
    Availability.SUSPENDED_EV: "the car takes no more",
    Availability.SUSPENDED_EVSE: "the limit lets nothing flow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """Keeps the connectors' states, and has every change told."""

    connectors: Mapping[int, Connector]
    teller: Teller
    changes: Changes
    note: Callable[[str], None]
    reboot: Callable[[], None]  # Cuts the connection; the next one begins with a boot.
    come_back_after: Callable[[Transaction], None]  # Of the fault `offline-replay`.

    def set_state(self, connector: Connector, state: Availability, at: datetime) -> None:
        """A new state is told; one that is not new is not."""
        if connector.state is not state:
            connector.state = state
            self.teller.status(connector, at)
            self.changes.tell()

    def begin_awaited(self, connector: Connector, at: datetime) -> None:
        """Begins a charge if a start has been accepted and a cable is in."""
        awaited = connector.awaited
        if awaited is None or not connector.plugged or connector.transaction is not None:
            return
        connector.awaited = None
        self.begin(connector, awaited.id_token, remote_start_id=awaited.remote_start_id, at=at)

    def begin(
        self, connector: Connector, id_token: str, *, remote_start_id: int | None, at: datetime
    ) -> Transaction:
        """A charge begins with what the register shows."""
        connector.measured_at = at
        transaction = Transaction(
            local_id=str(uuid.uuid4()),
            connector_id=connector.connector_id,
            id_token=id_token,
            remote_start_id=remote_start_id,
            started_at=at,
            start_wh=connector.register_wh,
        )
        connector.transaction = transaction
        connector.flow()
        connector.state = Availability.CHARGING
        if connector.driven and connector.limited_w == 0:
            connector.state = Availability.SUSPENDED_EVSE

        def heard(answer: Mapping[str, Any]) -> None:
            self._start_heard(connector, transaction, answer)

        self.teller.started(connector, transaction, heard)
        self.teller.status(connector, at)
        self.note(
            f"connector {connector.connector_id}: charging for {id_token or 'nobody'}, "
            f"register {transaction.start_wh} Wh"
        )
        self.changes.tell()
        return transaction

    def measure(self, connector: Connector, at: datetime, cause: Cause) -> None:
        """Takes and tells a meter value of a running charge."""
        transaction = connector.transaction
        if transaction is None:
            return
        connector.advance(at)
        if cause is Cause.TRIGGER and not connector.driven:
            at = connector.measured_at  # Between two of its values a script's register is unknown.
        reading = connector.show(at)
        transaction.last = reading
        transaction.samples += 1
        self.teller.sampled(connector, transaction, reading, cause)
        self.note(
            f"connector {connector.connector_id}: {transaction.energy_wh} Wh so far, "
            f"register {reading.register_wh} Wh, {reading.power_w} W"
        )
        if transaction.samples == FAULTY_SAMPLE:
            self._befall(connector)

    def suspend(self, connector: Connector, state: Availability, at: datetime) -> None:
        """Energy stops flowing, or flows again."""
        if connector.transaction is not None and connector.state is not state:
            connector.state = state
            self.note(f"connector {connector.connector_id}: {SUSPENSIONS[state]}")
            self.teller.flow_changed(connector, connector.transaction, at)
            self.changes.tell()

    def end(self, connector: Connector, at: datetime, reason: str) -> None:
        """A charge ends with what the register shows."""
        transaction = connector.transaction
        if transaction is None:
            return
        connector.advance(at)
        self._close(connector, transaction, at, reason)
        self.teller.ended(transaction, connector.show(at))
        self.note(
            f"connector {connector.connector_id}: stopped ({reason}), "
            f"{transaction.energy_wh} Wh, register {transaction.stop_wh} Wh"
        )
        self._rest(connector, at)
        if Fault.OFFLINE_REPLAY in self.teller.faults:
            self.come_back_after(transaction)

    def lose_power(self, *, at: datetime, remembers: bool) -> None:
        """Everything stops; after the boot, charges end with `PowerLoss` or are forgotten."""
        self.note("power is lost")
        self.reboot()
        for connector in self.connectors.values():
            transaction = connector.transaction
            connector.awaited = None
            if transaction is None:
                continue
            self._close(connector, transaction, at, "PowerLoss")
            if remembers:
                self.teller.ended(transaction, connector.show(at))
            self._rest(connector, at)

    def _close(
        self, connector: Connector, transaction: Transaction, at: datetime, reason: str
    ) -> None:
        transaction.stopped_at = at
        transaction.stop_wh = connector.register_wh
        transaction.reason = reason
        connector.transaction = None
        connector.limit_w = None  # A profile of a transaction ends with it.
        connector.power_w = 0
        connector.past.append(transaction)

    def _rest(self, connector: Connector, at: datetime) -> None:
        if not connector.available:
            state = Availability.UNAVAILABLE
        else:
            state = Availability.FINISHING if connector.plugged else Availability.AVAILABLE
        self.set_state(connector, state, at)
        self.changes.tell()

    def _start_heard(
        self, connector: Connector, transaction: Transaction, answer: Mapping[str, Any]
    ) -> None:
        self.teller.dialect.learn_id(transaction, answer)
        if not self.teller.dialect.token_accepted(answer):
            if connector.transaction is transaction:
                now_at = max(self.teller.clock.now_at(), connector.measured_at)
                self.end(connector, now_at, "DeAuthorized")
            return
        if Fault.RECONNECT_STORM in self.teller.faults:
            self.teller.link.storms = STORM_CONNECTIONS
            self.teller.link.cut()
        if Fault.OFFLINE_REPLAY in self.teller.faults:
            self.note("the connection is lost")
            self.teller.link.hold()
        self.changes.tell()

    def _befall(self, connector: Connector) -> None:
        """What goes wrong in the middle of a charge."""
        faults = self.teller.faults
        if Fault.METER_RESET in faults:
            self.note(f"connector {connector.connector_id}: the register restarts from 0")
            connector.register_ws = 0
        if Fault.VANISHES in faults:
            self.note("vanishes")
            self.teller.link.hold()
        if faults & {Fault.POWER_LOSS, Fault.POWER_LOSS_SILENT}:
            self.lose_power(at=connector.measured_at, remembers=Fault.POWER_LOSS in faults)
