"""The page of the neighbourhood now, put together from the market's desks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Self

from api.jobs.market.views import PeriodState, PeriodView
from api.pages.charge.places import Charger
from api.pages.home.stretches import Stretch, View, clamped
from api.pages.neighbourhood import Shown, is_known, shown_of
from api.pages.words import Words
from api.service import Service
from ledger.units import from_unix_s, to_rfc3339, to_unix_s

PERIODS_SHOWN: Final = 6
PERIODS_LOOKED_AT: Final = 30
PERIODS_MAX: Final = 400
LOOKED_BACK: Final = timedelta(days=7)
SHOWN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A period on its way to money, and its last run."""

    start_at: datetime
    path: str  # Of its data.
    state: PeriodState
    run: int | None
    run_at: datetime | None  # When it became final, else when it was proposed.
    transaction: str | None

    @classmethod
    def of(cls, period: PeriodView) -> Self:
        """A period as the page shows it."""
        run = period.runs[-1] if period.runs else None
        transaction = (run.final_tx or run.proposal_tx) if run else None
        start_at = from_unix_s(period.start_s)
        return cls(
            start_at=start_at,
            path=f"/v1/periods/{to_rfc3339(start_at)}",
            state=period.state,
            run=run.run if run else None,
            run_at=(run.final_at or run.proposed_at) if run else None,
            transaction="0x" + transaction.hex() if transaction else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargersNow:
    """Whether one can charge here."""

    all: int
    free: int
    energy_per_kwh: int  # The lowest, of those that are free if there are any.

    @classmethod
    def of(cls, chargers: Iterable[Charger]) -> Self:
        """Counts connectors."""
        everything = list(chargers)
        free = [each for each in everything if each.is_usable]
        prices = [each.connector.tariff.energy_per_kwh for each in free or everything]
        return cls(all=len(everything), free=len(free), energy_per_kwh=min(prices, default=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class NowPage:
    """Everything that the page shows."""

    shown: Shown
    day: date | None  # One that was asked for stays; else the last 24 hours go on with time.
    sees_all: bool
    before: date | None  # The days beside it, where there are any.
    after: date | None
    settlements: tuple[Settlement, ...]  # The latest first.
    alarms: tuple[str, ...]  # What holds things up.

    @property
    def answer(self) -> str:
        """Which sentence answers what people came for."""
        if not self.shown.lines:
            return "nothing"
        if not self.shown.whole:
            return "hidden"
        return "sun" if self.shown.total.given_wh else "dark"


def now_page(service: Service, words: Words, *, asked_for: date | None, sees_all: bool) -> NowPage:
    """The page of a day, else of the 24 hours before the last window that is known. It waits."""
    now_at, schedule = service.community.clock.now(), service.community.schedule
    from_at, until_at = _last_hours(service, now_at)
    day = words.local(from_at).date() if asked_for is None else clamped(asked_for)
    stretch = Stretch.around(View.DAY, day, words.zone)
    if asked_for is not None:
        from_at, until_at = stretch.start_at, stretch.end_at
    windows = service.windows.windows(to_unix_s(from_at), to_unix_s(until_at))
    begins_at = from_unix_s(schedule.first_period_start_s)
    before = day if asked_for is None else stretch.before.first_day
    return NowPage(
        shown=shown_of(windows, window_s=schedule.window_s, sees_all=sees_all),
        day=None if asked_for is None else day,
        sees_all=sees_all,
        before=before if stretch.start_at > begins_at or asked_for is None else None,
        after=stretch.after.first_day if asked_for and stretch.end_at <= now_at else None,
        settlements=_settlements(service),
        alarms=tuple(service.problems()),
    )


def _last_hours(service: Service, now_at: datetime) -> tuple[datetime, datetime]:
    """Up to the last window that most meters have been heard of, else that any has."""
    window_s = service.community.schedule.window_s
    accounts = service.community.ask(lambda told: len(told.book.accounts()))
    windows = service.windows.windows(to_unix_s(now_at - LOOKED_BACK), to_unix_s(now_at) + 1)
    known = [window for window in windows if is_known(window)]
    heard = [window for window in known if 2 * window.estimated <= accounts] or known
    until_at = from_unix_s(heard[-1].start_s + window_s) if heard else _last_run_at(service, now_at)
    return until_at - SHOWN, until_at


def _last_run_at(service: Service, now_at: datetime) -> datetime:
    """The end of the last period that has a run: meters may have been silent for long."""
    ends_s = [period.end_s for period in service.periods.periods(PERIODS_MAX) if period.runs]
    return from_unix_s(ends_s[0]) if ends_s else now_at


def _settlements(service: Service) -> tuple[Settlement, ...]:
    """The last ones: what runs or awaits its readings is none yet."""
    periods = service.periods.periods(PERIODS_LOOKED_AT)
    begun = [period for period in periods if period.state is not PeriodState.OPEN]
    return tuple(map(Settlement.of, begun[:PERIODS_SHOWN]))
