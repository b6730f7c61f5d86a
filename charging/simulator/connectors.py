"""A connector's state: its cable, its meter, the power that flows, the transaction on it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from charging.points import Availability

S_PER_HOUR: Final = 3_600
SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a connector's meter shows at one instant."""

    at: datetime
    register_wh: int  # Lifetime register.
    power_w: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStart:
    """A start that was accepted and waits for its cable."""

    id_token: str
    remote_start_id: int | None
    expires_at: datetime


@dataclass(slots=True, kw_only=True, eq=False)
class Transaction:
    """One charge, as the charge point knows it."""

    local_id: str  # Ours; OCPP 2.0.1 sends it.
    connector_id: int
    id_token: str
    remote_start_id: int | None
    started_at: datetime
    start_wh: int
    central_id: int | None = None  # OCPP 1.6: the central system's, once the start is answered.
    samples: int = 0  # Meter values that were taken while it ran.
    sequence: int = 0  # OCPP 2.0.1: number of the next event.
    last: Reading | None = None
    stopped_at: datetime | None = None
    stop_wh: int | None = None
    reason: str = ""

    @property
    def energy_wh(self) -> int:
        """What was charged, as far as the register tells; 0 if it was set back."""
        last_wh = self.stop_wh
        if last_wh is None:
            last_wh = self.start_wh if self.last is None else self.last.register_wh
        return max(0, last_wh - self.start_wh)


@dataclass(slots=True, kw_only=True, eq=False)
class Connector:
    """Energy is counted in Ws, so that any power over any whole second is exact."""

    connector_id: int
    register_ws: int
    power_w_max: int
    measured_at: datetime
    plugged: bool = False
    available: bool = True
    state: Availability = Availability.AVAILABLE
    limit_w: int | None = None  # By charging profile.
    power_w: int = 0  # Flows now.
    driven: bool = False  # Power flows by itself; else a script says what was charged.
    wanted_ws: int | None = None  # What the car still takes; None: without end.
    awaited: RemoteStart | None = None
    transaction: Transaction | None = None
    past: list[Transaction] = field(default_factory=list)

    @property
    def register_wh(self) -> int:
        """Whole Wh of the register."""
        return self.register_ws // S_PER_HOUR

    @property
    def limited_w(self) -> int:
        """The most that may flow."""
        return self.power_w_max if self.limit_w is None else min(self.power_w_max, self.limit_w)

    @property
    def full(self) -> bool:
        """Whether the car takes no more."""
        return self.wanted_ws == 0

    def advance(self, at: datetime) -> None:
        """Counts what has flowed by itself until `at`, in whole seconds; a full car ends it."""
        if not self.driven:
            return
        seconds = max(0, (at - self.measured_at) // SECOND)
        gained_ws = self.power_w * seconds
        if self.wanted_ws is not None:
            gained_ws = min(gained_ws, self.wanted_ws)
            self.wanted_ws -= gained_ws
        self.register_ws += gained_ws
        self.measured_at += seconds * SECOND
        self.flow()

    def count(self, gained_ws: int, at: datetime) -> None:
        """Counts what a script says was charged since the last measurement."""
        passed = at - self.measured_at
        self.power_w = gained_ws * SECOND // passed if passed else 0
        self.register_ws += gained_ws
        self.measured_at = at

    def flow(self) -> None:
        """Sets the power to what charger, profile and car allow now."""
        if self.driven:
            flows = self.transaction is not None and not self.full
            self.power_w = self.limited_w if flows else 0

    def full_at(self) -> datetime | None:
        """When the car will be full at this power; None: not in sight."""
        if self.wanted_ws is None or not self.power_w:
            return None
        return self.measured_at + -(-self.wanted_ws // self.power_w) * SECOND

    def show(self, at: datetime) -> Reading:
        """What the meter shows; `advance` first, where power flows by itself."""
        return Reading(at=at, register_wh=self.register_wh, power_w=self.power_w)
