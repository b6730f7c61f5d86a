"""How each meter does: when it was last heard, and what had to be estimated."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from api.jobs.community import Community
from ledger.periods import Schedule
from ledger.units import AccountId, to_unix_s
from metering.meters import MeterClass, MeterTerm
from metering.readings import MeterId
from metering.store import Stretch

LOOK_BACK: Final = timedelta(days=7)
LATE_WINDOWS: Final = 2  # A reading every window: the second one that is missed is noted.


class MeterHealth(StrEnum):
    """How a meter does, worst first."""

    NEVER = "never"  # It is registered and has never been heard.
    SILENT = "silent"  # For longer than a settlement waits.
    LATE = "late"  # Two windows are over without a reading.
    OK = "ok"
    TO_COME = "to_come"  # Its term has not begun.
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterWatch:
    """One meter, as whoever watches over the grid sees it."""

    meter_id: MeterId
    label: str | None
    account: AccountId
    meter_class: MeterClass
    limit_w: int
    valid_from: datetime
    valid_until: datetime | None
    health: MeterHealth
    last_reading_at: datetime | None
    estimated_windows: int  # Of the last 7 days: between readings, with none at their end.
    awaited_windows: int  # That are over since its last reading.
    is_charger: bool  # A charge point's own: read at every charge, and once a period.


def watch_meters(community: Community, now_at: datetime) -> list[MeterWatch]:
    """Every meter, by account and label."""
    schedule, book = community.schedule, community.book()
    labels = {each.meter_id: each.label for each in community.readings.meters()}
    stretches = community.readings.known_stretches()
    from_at = now_at - LOOK_BACK
    counts = community.readings.boundary_counts(schedule.window_s, from_at=from_at, until_at=now_at)
    chargers = {
        f"{section.charge_point_id}/{connector_id}"
        for section in community.config.chargers
        for connector_id in section.connector_ids()
    }
    watched = [
        _watch(
            book.terms_of_meter(meter_id)[-1],
            label=labels.get(meter_id),
            stretch=stretches.get(meter_id),
            counts=counts,
            schedule=schedule,
            now_at=now_at,
            is_charger=labels.get(meter_id) in chargers,
        )
        for meter_id in book.meters()
    ]
    return sorted(watched, key=lambda each: (each.account, each.label or "", each.meter_id))


def _watch(
    term: MeterTerm,
    *,
    label: str | None,
    stretch: Stretch | None,
    counts: Mapping[MeterId, int],
    schedule: Schedule,
    now_at: datetime,
    is_charger: bool,
) -> MeterWatch:
    last_at = None if stretch is None else stretch.last_at
    ends_at = now_at if term.valid_until is None else min(term.valid_until, now_at)
    heard_until_at = term.valid_from if last_at is None else last_at
    estimated = 0
    if stretch is not None:
        first_at = max(stretch.first_at, now_at - LOOK_BACK)
        between = boundaries_between(first_at, min(stretch.last_at, now_at), schedule.window_s)
        estimated = max(0, between - counts.get(term.meter_id, 0))
    awaited_s = to_unix_s(ends_at) - to_unix_s(heard_until_at)
    awaited = max(0, awaited_s // schedule.window_s)
    usual = schedule.period_windows if is_charger else 0
    return MeterWatch(
        meter_id=term.meter_id,
        label=label,
        account=term.account,
        meter_class=term.meter_class,
        limit_w=term.limit_w,
        valid_from=term.valid_from,
        valid_until=term.valid_until,
        health=_health(term, last_at, awaited - usual, schedule, now_at),
        last_reading_at=last_at,
        estimated_windows=estimated,
        awaited_windows=awaited,
        is_charger=is_charger,
    )


def _health(
    term: MeterTerm, last_at: datetime | None, awaited: int, schedule: Schedule, now_at: datetime
) -> MeterHealth:
    if term.valid_from > now_at:
        return MeterHealth.TO_COME
    if term.valid_until is not None and term.valid_until <= now_at:
        return MeterHealth.RETIRED
    if last_at is None:
        return MeterHealth.NEVER if awaited >= LATE_WINDOWS else MeterHealth.OK
    if awaited * schedule.window_s > schedule.grace_s:
        return MeterHealth.SILENT
    return MeterHealth.LATE if awaited >= LATE_WINDOWS else MeterHealth.OK


def boundaries_between(from_at: datetime, until_at: datetime, window_s: int) -> int:
    """Window boundaries in a closed stretch of time; windows are aligned to the epoch."""
    first = -(-to_unix_s(from_at) // window_s)
    return max(0, to_unix_s(until_at) // window_s - first + 1)
