"""Cars that come and go: the stays of a real garage, told again for ever, moved by whole weeks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from api.jobs.demo_charging import STAY_S_MAX, charging_file
from api.jobs.replay.profile import WEEK_S
from charging.sessions_csv import RecordedSession, read_sessions
from ledger.units import to_unix_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One car at a charge point."""

    user: str
    charge_point_id: str
    energy_wh: int
    plugin_s: int
    plugout_s: int


class Stays:
    """A record of stays that repeats."""

    def __init__(self, recorded: Sequence[RecordedSession]) -> None:
        """In order of their beginning, at least one."""
        self._recorded = [(to_unix_s(each.plugin_at), each) for each in recorded]
        self._first_s = self._recorded[0][0]
        self.span_s = (self._recorded[-1][0] - self._first_s) // WEEK_S * WEEK_S + WEEK_S

    def after(self, instant_s: int) -> Iterator[Stay]:
        """Every stay that begins after an instant, without end."""
        number = (instant_s - self._first_s) // self.span_s
        while True:
            for recorded_s, each in self._recorded:
                plugin_s = recorded_s + number * self.span_s
                if plugin_s > instant_s:
                    stay_s = to_unix_s(each.plugout_at) - recorded_s
                    yield Stay(
                        user=each.user,
                        charge_point_id=each.charger,
                        energy_wh=each.energy_wh,
                        plugin_s=plugin_s,
                        plugout_s=plugin_s + min(stay_s, STAY_S_MAX),
                    )
            number += 1


def shipped_stays() -> Stays:
    """The stays that are shipped with the package."""
    with charging_file().open("rb") as source:
        recorded, _ = read_sessions(source)
    return Stays(recorded)
