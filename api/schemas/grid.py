"""Models of what a grid operator watches over."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from api.jobs.oversight.audits import AuditProgress
from api.jobs.oversight.audits_store import AuditRecord, AuditState
from api.jobs.oversight.meters import MeterHealth, MeterWatch
from api.jobs.oversight.overview import Alarm, AlarmCode, Overview
from api.schemas.fields import Amount, Hex, Instant, Wire, hex_of, instant_if_any, instant_of


class AlarmOut(Wire):
    """One exception."""

    code: AlarmCode
    count: int
    view: str = Field(description="Of the page `/grid`.", examples=["meters"])
    filter: str = Field(description="Its `state` in that view.", examples=["silent"])
    detail: str
    since: Instant | None

    @classmethod
    def of(cls, alarm: Alarm) -> Self:
        """From an alarm."""
        return cls(
            code=alarm.code,
            count=alarm.count,
            view=alarm.view,
            filter=alarm.filter,
            detail=alarm.detail,
            since=instant_if_any(alarm.since_at),
        )


class OverviewOut(Wire):
    """The community now, exceptions first."""

    now: Instant
    alarms: list[AlarmOut]
    accounts: int = Field(description="Members'.")
    meters: dict[MeterHealth, int]
    charge_points: int
    charge_points_online: int
    connectors: dict[str, int] = Field(
        description="By state; `busy` where a session is open.", examples=[{"available": 3}]
    )
    periods_final: int
    next_period_start: Instant
    revisions: int
    shortfall_nano: Amount = Field(description="Owed and not collected yet.")
    gas_used: int | None = Field(description="Of the last settled run.")
    gas_per_account: int | None
    uncovered_accounts: list[int] = Field(description="In the last settled period.")

    @classmethod
    def of(cls, overview: Overview) -> Self:
        """From an overview."""
        return cls(
            now=instant_of(overview.now_at),
            alarms=[AlarmOut.of(alarm) for alarm in overview.alarms],
            accounts=overview.accounts,
            meters={MeterHealth(name): count for name, count in overview.meters.items()},
            charge_points=overview.charge_points,
            charge_points_online=overview.charge_points_online,
            connectors=dict(overview.connectors),
            periods_final=overview.periods_final,
            next_period_start=instant_of(overview.next_period_start),
            revisions=overview.revisions,
            shortfall_nano=str(overview.shortfall_nano),
            gas_used=overview.gas_used,
            gas_per_account=overview.gas_per_account,
            uncovered_accounts=list(overview.uncovered_accounts),
        )


class MeterWatchOut(Wire):
    """How one meter does."""

    meter_id: Hex
    label: str | None
    account: int
    meter_class: str
    limit_w: int
    valid_from: Instant
    valid_until: Instant | None
    state: MeterHealth
    last_reading_at: Instant | None
    estimated_windows: int = Field(description="Of the last 7 days, between its readings.")
    awaited_windows: int = Field(description="That are over since its last reading.")

    @classmethod
    def of(cls, meter: MeterWatch) -> Self:
        """From a meter."""
        return cls(
            meter_id=hex_of(meter.meter_id),
            label=meter.label,
            account=int(meter.account),
            meter_class=meter.meter_class.value,
            limit_w=meter.limit_w,
            valid_from=instant_of(meter.valid_from),
            valid_until=instant_if_any(meter.valid_until),
            state=meter.health,
            last_reading_at=instant_if_any(meter.last_reading_at),
            estimated_windows=meter.estimated_windows,
            awaited_windows=meter.awaited_windows,
        )


class MeterWatchesOut(Wire):
    """A page of meters."""

    items: list[MeterWatchOut]
    next: str | None


class AuditProgressOut(Wire):
    """How far a running audit has come."""

    phase: str
    done: int
    total: int


class AuditOut(Wire):
    """One audit."""

    id: int
    state: AuditState
    started_at: Instant
    ended_at: Instant | None
    verdict: str | None = Field(description="`ok` or `failed`; null while there is none.")
    reason: str = Field(description="Why it was interrupted: a stable code.")
    progress: AuditProgressOut | None
    report: dict[str, Any] | None = Field(
        description="As `wattledger audit --json` prints it.",
        examples=[{"verdict": "ok", "runs": 7, "statements": 63, "discrepancies": []}],
    )

    @classmethod
    def of(cls, record: AuditRecord, progress: AuditProgress | None) -> Self:
        """From an audit, and the progress of the one that runs."""
        report: Mapping[str, Any] = record.report or {}
        is_running = record.state is AuditState.RUNNING
        return cls(
            id=record.audit_id,
            state=record.state,
            started_at=instant_of(record.started_at),
            ended_at=instant_if_any(record.ended_at),
            verdict=report.get("verdict"),
            reason=record.reason,
            progress=(
                AuditProgressOut(phase=progress.phase, done=progress.done, total=progress.total)
                if is_running and progress is not None
                else None
            ),
            report=None if record.report is None else dict(record.report),
        )


class AuditsOut(Wire):
    """A page of audits, newest first."""

    items: list[AuditOut]
    next: str | None
