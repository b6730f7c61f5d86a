"""The deposit guard: a charge stops before its deposit is exceeded, even if no value comes in time.

Until the next meter value is here and the charger has obeyed, a car can take the charger's full
power: for that long a *reserve* is kept. All of it is integers in parts of a micro-token: energy,
time and idling are priced in units of 1/3,600,000 micro-token, as the cost is before its one
division (INTERFACES §4), so that the guard and the bill never differ by a rounding.
"""

from dataclasses import dataclass
from typing import Final

from charging.measured import Measured, whole_seconds
from charging.tariffs import MS_PER_HOUR, ChargeTariff
from ledger.errors import OutOfRange

REACTION_S: Final = 30  # From our deciding to stop until the charger has stopped.
LIMIT_INTERVALS: Final = 6  # A limited charge lasts so long at least, and is limited further.
SMALLEST_CHARGE_WH: Final = 1_000  # What the smallest deposit is to be good for, reserve apart.
LIMIT_W_MIN: Final = 1_380  # 6 A at 230 V: below it a car does not charge (IEC 61851-1).
POWER_W_MAX: Final = 10**7
INTERVAL_S_MAX: Final = 86_400
_SECONDS: Final = 3_600
_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the guard says of a charge now."""

    stop: bool  # Now: until the next value the deposit might not do.
    lasts_s: int | None  # Until the guard stops it at the present power; None: for ever.
    limit_w: int  # Power for the charging profile, so that the next interval cannot need a stop.
    limit_wh: int | None  # Energy that the deposit still pays, reserve apart; None: any.
    limit_s: int | None  # Seconds at full power after which the deposit is gone; None: never.


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a charge of this tariff, at this charger, needs in reserve.

    Raises:
        OutOfRange: a power, interval or reaction that no charger has.
    """

    tariff: ChargeTariff
    power_w: int  # The most that the charger gives.
    interval_s: int  # Between two of its meter values.
    reaction_s: int = REACTION_S

    def __post_init__(self) -> None:
        _check("power_w", self.power_w, 1, POWER_W_MAX)
        _check("interval_s", self.interval_s, 1, INTERVAL_S_MAX)
        _check("reaction_s", self.reaction_s, 0, INTERVAL_S_MAX)

    @property
    def reserve_micro(self) -> int:
        """What may still be spent after the decision to stop, rounded up."""
        return -(-self._ahead(self.power_w, 1) // MS_PER_HOUR)

    @property
    def deposit_micro_min(self) -> int:
        """The smallest deposit that makes sense: 1 kWh at full power, and the reserve."""
        return self.deposit_micro_for(SMALLEST_CHARGE_WH)

    def deposit_micro_for(self, energy_wh: int) -> int:
        """The smallest deposit for so much at full power, and the reserve."""
        seconds = -(-energy_wh * _SECONDS // self.power_w)
        needed = seconds * self.full_rate + self._ahead(self.power_w, 1)
        return max(1, self.tariff.start_fee + -(-needed // MS_PER_HOUR))

    def energy_wh_of(self, deposit_micro: int) -> int | None:
        """What a deposit buys at full power until the guard stops; None: any."""
        verdict = self.check(energy_wh=0, time_s=0, idle_s=0, deposit_micro=deposit_micro)
        return None if verdict.lasts_s is None else verdict.lasts_s * self.power_w // _SECONDS

    @property
    def full_rate(self) -> int:
        """What a second at full power costs, in 1/3,600,000 micro-token."""
        return self._rate(self.power_w)

    def check(
        self,
        *,
        energy_wh: int,
        time_s: int,
        idle_s: int,
        deposit_micro: int,
        age_s: int = 0,
        drawn_w: int | None = None,
        limited_w: int | None = None,
    ) -> Verdict:
        """Judges a charge.

        Args:
            energy_wh: by the last meter value.
            time_s: charging, until now.
            idle_s: idling, until now.
            age_s: since that meter value; what was taken since is unknown.
            drawn_w: power as last measured; None: the most possible is assumed.
            limited_w: power to which the charger said that it keeps; None: its own.
        """
        most_w = min(self.power_w, self.power_w if limited_w is None else limited_w)
        left = self._left(energy_wh, time_s, idle_s, deposit_micro)
        unseen = age_s * most_w * self.tariff.energy_per_kwh
        spare = left - unseen - self._ahead(most_w, 1)
        rate = self._rate(most_w if drawn_w is None else min(drawn_w, most_w))
        full_rate = self._rate(self.power_w)
        per_wh = self.tariff.energy_per_kwh * _SECONDS
        return Verdict(
            stop=spare < 0,
            lasts_s=max(spare, 0) // rate if rate else None,
            limit_w=self._limit_w(left - unseen),
            limit_wh=max(spare, 0) // per_wh if per_wh else None,
            limit_s=max(left - unseen, 0) // full_rate if full_rate else None,
        )

    def check_measured(
        self, measured: Measured, deposit_micro: int, *, limited_w: int | None = None
    ) -> Verdict:
        """Judges a charge by `EnergyTrack.live`, whose times count until now."""
        idle_s = measured.idle_s_under(self.tariff)
        seen_at = measured.measured_at or measured.started_at
        return self.check(
            energy_wh=measured.energy_wh,
            time_s=measured.duration_s - idle_s,
            idle_s=idle_s,
            deposit_micro=deposit_micro,
            age_s=max(0, whole_seconds(measured.stopped_at - seen_at)),
            drawn_w=measured.power_w,
            limited_w=limited_w,
        )

    def _left(self, energy_wh: int, time_s: int, idle_s: int, deposit_micro: int) -> int:
        """What may be added to the cost before it is more than the deposit."""
        tariff = self.tariff
        by_time = time_s * tariff.time_per_hour + idle_s * tariff.idle_per_hour
        spent = energy_wh * tariff.energy_per_kwh * _SECONDS + by_time * _MS
        return (deposit_micro - tariff.start_fee + 1) * MS_PER_HOUR - 1 - spent

    def _rate(self, power_w: int) -> int:
        """What a second costs at most: charging at this power, or idling."""
        tariff = self.tariff
        by_time = max(tariff.time_per_hour, tariff.idle_per_hour)
        return power_w * tariff.energy_per_kwh + by_time * _MS

    def _ahead(self, power_w: int, intervals: int) -> int:
        """What the time until the charger has stopped costs, and the Wh that a register hides."""
        seconds = intervals * self.interval_s + self.reaction_s
        return seconds * self._rate(power_w) + self.tariff.energy_per_kwh * _SECONDS

    def _limit_w(self, left: int) -> int:
        """The largest power at which the deposit lasts for some intervals more; 0: none."""
        seconds = LIMIT_INTERVALS * self.interval_s + self.reaction_s
        per_w = seconds * self.tariff.energy_per_kwh
        if not per_w:
            return self.power_w
        limit_w = min(self.power_w, (left - self._ahead(0, LIMIT_INTERVALS)) // per_w)
        return limit_w if limit_w >= min(LIMIT_W_MIN, self.power_w) else 0


def _check(field: str, value: int, value_min: int, value_max: int) -> None:
    if not value_min <= value <= value_max:
        raise OutOfRange(field=field, value=value, value_min=value_min, value_max=value_max)
