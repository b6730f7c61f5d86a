"""What the two versions of OCPP have to put into their own words, in one set of words."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from charging.points import Availability, Flow, SampledValue
from charging.simulator.connectors import Transaction
from charging.simulator.wire import Answer, Message

VENDOR: Final = "Wattledger"
MODEL: Final = "Simulator"


class Cause(StrEnum):
    """Why a charge point says something about a transaction."""

    CABLE = "CablePluggedIn"
    TOKEN = "Authorized"  # noqa: S105 (a word of OCPP)
    REMOTE_START = "RemoteStart"
    PERIODIC = "MeterValuePeriodic"
    TRIGGER = "Trigger"
    FLOW = "ChargingStateChanged"
    LIMIT = "ChargingRateChanged"
    STOP = "stop"  # The dialect derives it from the reason.


class Ask(StrEnum):
    """What a central system can have sent at once."""

    BOOT = "boot"
    HEARTBEAT = "heartbeat"
    STATUS = "status"
    METER = "meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something about a transaction, stamped and worded."""

    transaction: Transaction
    at: str  # RFC 3339, by the charge point's clock.
    cause: Cause
    sequence: int
    values: tuple[SampledValue, ...] = ()
    offline: bool = False
    flow: Flow = Flow.CHARGING


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a charge point says to a command, and what it does then."""

    accepted: bool
    then: Callable[[], Awaitable[None]] | None = None  # As `Answer.then`.


class Dialect(Protocol):
    """One version of OCPP."""

    version: str
    subprotocol: str

    def boot(self, serial: str, reason: str) -> Message: ...

    def heartbeat(self) -> Message: ...

    def status(self, connector_id: int, state: Availability, at: str) -> Message: ...

    def authorise(self, id_token: str) -> Message: ...

    def meter(self, connector_id: int, at: str, values: tuple[SampledValue, ...]) -> Message:
        """Meter values outside of any transaction."""
        ...

    def started(self, happening: Happening, meter_start_wh: int) -> Message: ...

    def updated(self, happening: Happening) -> Message: ...

    def flow_changed(self, happening: Happening) -> Message | None:
        """None where a status says it already (OCPP 1.6)."""
        ...

    def ended(self, happening: Happening, meter_stop_wh: int) -> Message: ...

    def token_accepted(self, answer: Mapping[str, Any]) -> bool: ...

    def learn_id(self, transaction: Transaction, answer: Mapping[str, Any]) -> None:
        """Keeps the id that the answer to a start gives (OCPP 1.6)."""
        ...

    def command(self, point: "Commanded", action: str, payload: Mapping[str, Any]) -> Answer:
        """Does what the central system asks.

        Raises:
            NotSupported: no such action here.
        """
        ...


class Commanded(Protocol):
    """What a charge point can be told to do, whatever the version."""

    def connector_ids(self) -> tuple[int, ...]: ...

    def remote_start(
        self,
        connector_id: int | None,
        *,
        id_token: str,
        remote_start_id: int | None,
        limit_w: int | None,
    ) -> Verdict: ...

    def remote_stop(self, transaction_id: str) -> Verdict: ...

    def set_limit(self, connector_id: int, limit_w: int | None) -> Verdict:
        """Connector 0 is every connector; None lifts the limit."""
        ...

    def ask(self, what: Ask, connector_id: int | None) -> Verdict: ...

    def setting(self, name: str) -> int: ...

    def set_setting(self, name: str, value: int) -> Verdict: ...

    def unlock(self, connector_id: int) -> Verdict: ...

    def reset(self, *, reason: str, waits: bool) -> Verdict:
        """Restarts; `waits` until no transaction runs, or else ends them for this reason."""
        ...

    def set_available(self, connector_id: int, *, available: bool) -> Verdict: ...

    def scheduled(self, connector_id: int) -> bool:
        """Whether a change of availability waits for the end of a transaction."""
        ...

    def report(self, message: Message) -> Verdict:
        """Sends a message after the answer (OCPP 2.0.1 `NotifyReport`)."""
        ...

    def stamp_now(self) -> str: ...
