"""What a charge point tells us and what we ask of it, the same words for every protocol.

A protocol module (`charging/ocpp/…`) turns messages into these values, hands them to a `PointSink`,
and answers the charger only when the sink has answered: by then everything is on the disk. The
sink, in turn, asks the charger through a `PointLink`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Availability(StrEnum):
    """A connector as its charger last described it."""

    AVAILABLE = "available"
    PREPARING = "preparing"  # A cable or a card, and no transaction yet.
    CHARGING = "charging"
    SUSPENDED_EV = "suspended_ev"  # The car takes nothing.
    SUSPENDED_EVSE = "suspended_evse"  # The charger gives nothing.
    FINISHING = "finishing"  # The transaction is over, the cable still in.
    OCCUPIED = "occupied"  # OCPP 2.0.1 says no more than that.
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


class Flow(StrEnum):
    """Whether energy flows in a transaction, as far as the charger says."""

    CHARGING = "charging"
    SUSPENDED_EV = "suspended_ev"
    SUSPENDED_EVSE = "suspended_evse"
    CONNECTED = "connected"  # Plugged in, and nothing flows yet or any more.
    IDLE = "idle"  # Not plugged in.


class Answer(StrEnum):
    """What a charger said to a command."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # It will not.
    UNKNOWN = "unknown"  # It does not know the command or the transaction.
    NO_ANSWER = "no_answer"  # It did not answer in time; whether it acts is unknown.
    OFFLINE = "offline"  # It has no connection.


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledValue:
    """One value of a meter, as it was received; nothing is interpreted yet.

    Names are OCPP's, in the spelling of 1.6 and 2.0.1 alike (`Energy.Active.Import.Register`).
    """

    text: str  # A decimal number, or signed data.
    measurand: str = "Energy.Active.Import.Register"
    unit: str = ""  # `Wh`, `kWh`, …; empty: the protocol's default.
    multiplier: int = 0  # OCPP 2.0.1: the value is text · 10^multiplier.
    phase: str = ""
    context: str = "Sample.Periodic"
    location: str = "Outlet"
    signed: bool = False  # `text` is signed data (OCMF and others).
    encoding: str = ""  # How signed data is encoded, as far as the charger says.
    public_key: str = ""  # The key that the charger gave with signed data; never trusted alone.


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSample:
    """What a meter showed at one instant."""

    taken_at: datetime | None  # By the charger's clock, aware UTC; None: it did not say.
    values: tuple[SampledValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointEvent:
    """Something that a charge point told us."""

    charge_point_id: str
    message_id: str  # The protocol's own id of the message; repeated when it is sent again.
    received_at: datetime  # By our clock, aware UTC.


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted(PointEvent):
    """It started, or reconnected and said who it is."""

    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive(PointEvent):
    """A heartbeat: it is there and has nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(PointEvent):
    """A connector's state; connector 0 is the whole charge point."""

    connector_id: int
    availability: Availability
    error: str = ""
    at: datetime | None = None  # By the charger's clock.


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionEvent(PointEvent):
    """Something about one charge.

    In OCPP 1.6 the transaction's id is ours, in 2.0.1 the charger's. In 1.6 a start carries
    none (`transaction_id` is empty, the sink's reply gives it), and a charger that was offline may
    repeat `-1` for ever.
    """

    transaction_id: str
    connector_id: int | None  # None: the message does not say.
    id_token: str = ""
    remote_start_id: int | None = None
    at: datetime | None = None  # By the charger's clock.
    offline: bool = False  # It happened while the charger had no connection.
    sequence: int | None = None  # OCPP 2.0.1 `seqNo`.
    samples: tuple[MeterSample, ...] = ()
    flow: Flow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionStarted(TransactionEvent):
    """A charge began."""

    meter_start_text: str | None = None  # OCPP 1.6 `meterStart`: Wh, as received.


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionUpdated(TransactionEvent):
    """A charge goes on: meter values, a change of flow. Meter values outside of any charge, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionEnded(TransactionEvent):
    """A charge is over."""

    meter_stop_text: str | None = None  # OCPP 1.6 `meterStop`: Wh, as received.
    reason: str = ""  # `Local`, `EVDisconnected`, `PowerLoss`, …


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised(PointEvent):
    """Somebody held a card or a code before the charger, which asks whether they may charge."""

    id_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The sink's answer to an event."""

    accepted: bool = True  # Whether the token may charge; the event is kept in any case.
    transaction_id: str = ""  # OCPP 1.6: the id that the charge has from now on.
    cost_micro: int | None = None  # So far, for chargers that show it.


class PointSink(Protocol):
    """Takes what charge points say. When `take` returns, the event survives a power cut here."""

    async def take(self, event: PointEvent) -> Reply: ...

    async def connected(self, charge_point_id: str, protocol: str) -> None:
        """A charger's connection is there; it is sent what it missed."""
        ...

    async def disconnected(self, charge_point_id: str) -> None: ...


class PointLink(Protocol):
    """Asks something of charge points; none of these raises because a charger will not."""

    def is_connected(self, charge_point_id: str) -> bool: ...

    async def start(
        self,
        charge_point_id: str,
        connector_id: int,
        *,
        id_token: str,
        remote_start_id: int,
        limit_w: int | None = None,
    ) -> Answer:
        """Asks it to start a charge (RemoteStartTransaction, RequestStartTransaction)."""
        ...

    async def stop(self, charge_point_id: str, transaction_id: str) -> Answer: ...

    async def limit(
        self, charge_point_id: str, connector_id: int, transaction_id: str, *, limit_w: int
    ) -> Answer:
        """Sets the largest power of a running charge (SetChargingProfile, TxProfile)."""
        ...

    async def ask_meter(self, charge_point_id: str, connector_id: int) -> Answer:
        """Asks for meter values now (TriggerMessage)."""
        ...

    async def ask_status(self, charge_point_id: str, connector_id: int) -> Answer:
        """Asks for the connector's state now (TriggerMessage)."""
        ...

    async def unlock(self, charge_point_id: str, connector_id: int) -> Answer: ...

    async def reset(self, charge_point_id: str, *, hard: bool = False) -> Answer: ...

    async def set_available(
        self, charge_point_id: str, connector_id: int, *, available: bool
    ) -> Answer: ...


class PointDoor(Protocol):
    """Who may connect as which charge point, by which security profile (OCPP 2.0.1 part 2, A00)."""

    async def may_connect(
        self, charge_point_id: str, *, password: bytes | None, certificate_name: str | None
    ) -> bool:
        """Whether a charger of this id may connect.

        Args:
            password: of HTTP Basic, None if it gave none.
            certificate_name: common name of its verified client certificate, None without one.
        """
        ...
