"""What people do with a charge, and what they see of it: between HTTP and the sessions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from charging.orders import ChargeOrder, ChargerId, SessionId, TopUp
from charging.points import Availability
from charging.tariffs import ChargeTariff
from ledger.units import Address, Hash32


class SessionState(StrEnum):
    """Where a session is between deposit and refund (INTERFACES §3)."""

    OPENING = "opening"  # The order is taken, the deposit not yet in the escrow for sure.
    OPEN = "open"  # The deposit is there; the charger has been asked to start.
    CHARGING = "charging"
    STOPPING = "stopping"  # The charge is over, record and refund are on their way.
    CLOSED = "closed"  # Paid and refunded.
    CANCELLED = "cancelled"  # Refunded in full by the host.
    RECLAIMED = "reclaimed"  # Taken back in full by the driver.
    FAILED = "failed"  # Nothing was ever deposited.


ENDED = frozenset(
    {
        SessionState.CLOSED,
        SessionState.CANCELLED,
        SessionState.RECLAIMED,
        SessionState.FAILED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A driver's ERC-2612 permit for exactly what is taken."""

    deadline_s: int
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """One session, as its driver, its host and an auditor see it."""

    session_id: SessionId
    state: SessionState
    reason: str  # Why it is in that state, in words; empty where nothing needs saying.
    driver: Address
    host: Address
    charge_point_id: str
    connector_id: int
    charger_id: ChargerId
    tariff: ChargeTariff
    vat_bps: int
    deposit_micro: int
    stops_at_micro: int  # The deposit's guard stops the charge when it costs about this much.
    interval_s: int  # Between two values of its meter; what is much older is stale.
    energy_wh: int
    power_w: int | None  # As last measured; None: unknown.
    measured_at: datetime | None  # By the charger's meter; None before its first value.
    time_s: int  # Charging so far.
    idle_s: int
    cost_micro: int  # So far, capped at the deposit.
    paid_micro: int | None  # None until the session has ended.
    refunded_micro: int | None
    created_at: datetime
    opened_at: datetime | None
    started_at: datetime | None
    stopped_at: datetime | None
    open_tx: Hash32 | None
    close_tx: Hash32 | None  # Of the transaction that ended it, whichever way.


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorView:
    """One charger: a connector of a charge point."""

    connector_id: int
    charger_id: ChargerId
    availability: Availability
    busy: bool  # A session is open at it.
    power_w: int
    host: Address
    tariff: ChargeTariff  # In force now; an order states exactly this one.
    tariff_until: datetime | None  # When a time-of-day table changes it.
    vat_bps: int
    deposit_micro_min: int
    interval_s: int  # Between two values of its meter.


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePointView:
    """One charge point and its connectors."""

    charge_point_id: str
    place: Mapping[str, str]  # `name`, `address`, `latitude`, `longitude`, as far as known.
    online: bool
    last_contact_at: datetime | None
    connectors: tuple[ConnectorView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerIncome:
    """What one charger took in for its host, of charges that were paid."""

    charge_point_id: str
    connector_id: int
    sessions: int
    energy_wh: int
    paid_micro: int
    credit_micro: int  # Waits at the charger, on the chain, to be paid to its host.


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIncome:
    """What a host's chargers took in."""

    chargers: tuple[ChargerIncome, ...]
    claimable_micro: int  # Could not be pushed to the host, and waits to be claimed.

    @property
    def sessions(self) -> int:
        """Charges that were paid."""
        return sum(charger.sessions for charger in self.chargers)

    @property
    def energy_wh(self) -> int:
        """Of all chargers."""
        return sum(charger.energy_wh for charger in self.chargers)

    @property
    def paid_micro(self) -> int:
        """Of all chargers."""
        return sum(charger.paid_micro for charger in self.chargers)

    @property
    def credit_micro(self) -> int:
        """Of all chargers."""
        return sum(charger.credit_micro for charger in self.chargers)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions are looked for; without anything, all."""

    charge_point_id: str | None = None
    live: bool = False  # Only those that have not ended.
    paid: bool = False  # Only those that were closed.
    created_from_s: int | None = None
    created_until_s: int | None = None  # Not including.


EVERY_SESSION = SessionFilter()


class ChargingDesk(Protocol):
    """Everything that people do with charging. Every method may raise `LedgerError`s."""

    async def charge_points(self) -> Sequence[ChargePointView]: ...

    async def charge_point(self, charge_point_id: str) -> ChargePointView:
        """Raises ChargerUnknown."""
        ...

    async def place(
        self, order: ChargeOrder, signature: bytes, permit: Permit | None
    ) -> tuple[SessionView, bool]:
        """Takes a signed order; the bool says whether the session is new.

        Raises: BadSignature, MalleableSignature, OrderExpired, OrderUsed, WrongEscrow,
            ChargerUnknown, ChargerBusy, ChargerOffline, TariffChanged, DepositTooSmall,
            FundsMissing.
        """
        ...

    async def view(self, session_id: SessionId) -> SessionView:
        """Raises UnknownSession."""
        ...

    async def sessions_of(
        self,
        who: Address | None,
        *,
        limit: int,
        before: str | None,
        where: SessionFilter = EVERY_SESSION,
    ) -> tuple[Sequence[SessionView], str | None]:
        """Sessions that somebody drives or hosts (None: all), newest first, and a cursor."""
        ...

    async def income_of(self, host: Address, where: SessionFilter = EVERY_SESSION) -> HostIncome:
        """What somebody's chargers took in, of the sessions looked for that were paid."""
        ...

    async def stop(self, session_id: SessionId) -> SessionView: ...

    async def top_up(
        self, top_up: TopUp, signature: bytes, permit: Permit | None
    ) -> SessionView: ...

    async def receipt(self, session_id: SessionId) -> Mapping[str, object]:
        """The receipt file's JSON (INTERFACES §5). Raises WrongState before the session ended."""
        ...

    def follow(self, session_id: SessionId) -> AsyncIterator[SessionView]:
        """The session now and whenever it changes, until it has ended."""
        ...
