"""The whole community at a glance: what is wrong first, then how much there is of what."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from api.jobs.community import Community
from api.jobs.oversight.accounts import AccountWatch, watch_accounts
from api.jobs.oversight.meters import MeterHealth, MeterWatch, watch_meters
from api.jobs.oversight.runs import SettledRun, settled_runs
from api.jobs.oversight.waiting import Waiting, waiting_in
from charging.desk import ChargePointView, ChargingDesk
from charging.points import Availability
from ledger.history import MarketHistory
from ledger.units import FIRST_MEMBER, from_unix_s

OVERDUE_S: Final = 3_600  # After a period must have been settled.


class AlarmCode(StrEnum):
    """What somebody should look at, worst first."""

    SERVICE_PROBLEM = "service_problem"
    PERIOD_OVERDUE = "period_overdue"
    PROPOSAL_LOST = "proposal_lost"  # Cancelled or lapsed, and not made again.
    ACCOUNTS_UNCOVERED = "accounts_uncovered"
    METERS_SILENT = "meters_silent"
    METERS_NEVER = "meters_never"
    METERS_LATE = "meters_late"
    CHARGERS_FAULTED = "chargers_faulted"
    CHARGERS_OFFLINE = "chargers_offline"
    METERS_ESTIMATED = "meters_estimated"
    JOINERS_WAITING = "joiners_waiting"
    PAIRINGS_WAITING = "pairings_waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One exception: how many of what, and the view that shows them."""

    code: AlarmCode
    count: int
    view: str  # Of the page `/grid`: a table's name.
    filter: str = ""  # Its `state` there.
    detail: str = ""  # As the service words it, where there is more to say.
    since_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A community now."""

    now_at: datetime
    alarms: tuple[Alarm, ...]
    accounts: int  # Members'.
    meters: Mapping[str, int]  # By health.
    charge_points: int
    charge_points_online: int
    connectors: Mapping[str, int]  # By availability; `busy` where a session is open.
    periods_final: int
    next_period_start: datetime
    revisions: int
    shortfall_nano: int  # Not collected yet, over all accounts.
    gas_used: int | None  # Of the last settled run.
    gas_per_account: int | None
    uncovered_accounts: tuple[int, ...] = field(default=())  # In the last settled period.


class OversightDesk:
    """Looks at everything; its synchronous methods wait for the database: call them in a thread."""

    def __init__(
        self, community: Community, desk: ChargingDesk, problems: Callable[[], Sequence[str]]
    ) -> None:
        self._community = community
        self._desk = desk
        self._problems = problems

    def meters(self) -> list[MeterWatch]:
        """Every meter, by account and label."""
        return watch_meters(self._community, self._community.clock.now())

    def runs(self) -> list[SettledRun]:
        """Every run of every period."""
        return settled_runs(self._community)

    def accounts(self, uncovered: Collection[int]) -> list[AccountWatch]:
        """Every account, given those that were uncovered last."""
        return watch_accounts(self._community, uncovered)

    async def charge_points(self) -> Sequence[ChargePointView]:
        """Every charge point."""
        return await self._desk.charge_points()

    def overview(self, points: Sequence[ChargePointView]) -> Overview:
        """A community now, given its charge points."""
        community, meters = self._community, self.meters()
        history = community.refresh()
        now_at = community.clock.now()
        uncovered = self._uncovered(history)
        last = history.final_order[-1] if history.final_order else None
        gas = self._gas_used(*last) if last else None
        enrolled = history.account_count
        return Overview(
            now_at=now_at,
            alarms=(
                *(
                    Alarm(code=AlarmCode.SERVICE_PROBLEM, count=1, view="service", detail=problem)
                    for problem in self._problems()
                ),
                *self._of_periods(history, now_at),
                *_of_accounts(uncovered),
                *_of_meters(meters),
                *_of_points(points),
                *_of_requests(waiting_in(community)),
            ),
            accounts=max(0, enrolled - FIRST_MEMBER),
            meters=dict(Counter(each.health.value for each in meters)),
            charge_points=len(points),
            charge_points_online=sum(point.online for point in points),
            connectors=_connector_counts(points),
            periods_final=sum(run == 0 for _, run in history.final_order),
            next_period_start=from_unix_s(self._next_period_s(history)),
            revisions=sum(run > 0 for _, run in history.final_order),
            shortfall_nano=sum(
                sum(history.runs[key].shortfalls_nano.values()) for key in _last_runs(history)
            ),
            gas_used=gas,
            gas_per_account=None if gas is None or not enrolled else gas // enrolled,
            uncovered_accounts=uncovered,
        )

    def _next_period_s(self, history: MarketHistory) -> int:
        schedule = self._community.schedule
        settled = sum(run == 0 for _, run in history.final_order)
        return schedule.first_period_start_s + settled * schedule.period_s

    def _gas_used(self, period_start_s: int, run: int) -> int | None:
        stored = self._community.settlements.run(period_start_s, run)
        return None if stored is None else stored.gas_used

    def _uncovered(self, history: MarketHistory) -> tuple[int, ...]:
        firsts = [start_s for start_s, run in history.final_order if run == 0]
        if not firsts:
            return ()
        start_s = firsts[-1]
        run = len(history.final_runs(start_s)) - 1
        return tuple(
            int(each.account)
            for each in self._community.settlements.statements(start_s, run)
            if any(row.uncovered for row in each.result.rows)
        )

    def _of_periods(self, history: MarketHistory, now_at: datetime) -> list[Alarm]:
        schedule, alarms = self._community.schedule, []
        next_s = self._next_period_s(history)
        due_at = from_unix_s(schedule.due_at(next_s, None))
        late_s = int((now_at - due_at).total_seconds())
        is_proposed = history.pending is not None and history.pending[0] == next_s
        if late_s > OVERDUE_S and not is_proposed:
            alarms.append(
                Alarm(
                    code=AlarmCode.PERIOD_OVERDUE,
                    count=1 + (late_s - OVERDUE_S) // schedule.period_s,
                    view="settlements",
                    filter="due",
                    since_at=due_at,
                )
            )
        lost = [
            key for key, run in list(history.runs.items()) if run.state in {"cancelled", "lapsed"}
        ]
        if lost:
            alarms.append(
                Alarm(
                    code=AlarmCode.PROPOSAL_LOST,
                    count=len(lost),
                    view="settlements",
                    since_at=from_unix_s(min(history.runs[key].proposed_at_s for key in lost)),
                )
            )
        return alarms


def _last_runs(history: MarketHistory) -> list[tuple[int, int]]:
    last: dict[int, int] = {}
    for period_start_s, run in list(history.final_order):
        last[period_start_s] = max(run, last.get(period_start_s, 0))
    return sorted(last.items())


def _of_accounts(uncovered: Sequence[int]) -> list[Alarm]:
    if not uncovered:
        return []
    return [Alarm(code=AlarmCode.ACCOUNTS_UNCOVERED, count=len(uncovered), view="accounts")]


def _of_meters(meters: Sequence[MeterWatch]) -> list[Alarm]:
    alarms = []
    for code, health in (
        (AlarmCode.METERS_SILENT, MeterHealth.SILENT),
        (AlarmCode.METERS_NEVER, MeterHealth.NEVER),
        (AlarmCode.METERS_LATE, MeterHealth.LATE),
    ):
        found = [each for each in meters if each.health is health]
        if found:
            heard = [each.last_reading_at or each.valid_from for each in found]
            alarms.append(
                Alarm(
                    code=code,
                    count=len(found),
                    view="meters",
                    filter=health.value,
                    since_at=min(heard),
                )
            )
    # A charge point's meter is read at every charge and once a period: it has gaps by design.
    estimated = sum(each.estimated_windows > 0 and not each.is_charger for each in meters)
    if estimated:
        alarms.append(
            Alarm(
                code=AlarmCode.METERS_ESTIMATED, count=estimated, view="meters", filter="estimated"
            )
        )
    return alarms


def _of_points(points: Sequence[ChargePointView]) -> list[Alarm]:
    faulted = sum(
        any(connector.availability is Availability.FAULTED for connector in point.connectors)
        for point in points
    )
    offline = [point for point in points if not point.online]
    alarms = []
    if faulted:
        alarms.append(
            Alarm(code=AlarmCode.CHARGERS_FAULTED, count=faulted, view="chargers", filter="faulted")
        )
    if offline:
        alarms.append(
            Alarm(
                code=AlarmCode.CHARGERS_OFFLINE,
                count=len(offline),
                view="chargers",
                filter="offline",
            )
        )
    return alarms


def _of_requests(waiting: Waiting) -> list[Alarm]:
    return [
        Alarm(code=code, count=count, view="people")
        for code, count in (
            (AlarmCode.JOINERS_WAITING, waiting.to_join),
            (AlarmCode.PAIRINGS_WAITING, waiting.to_pair),
        )
        if count
    ]


def _connector_counts(points: Sequence[ChargePointView]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for point in points:
        for connector in point.connectors:
            counts["busy" if connector.busy else connector.availability.value] += 1
    return dict(counts)
