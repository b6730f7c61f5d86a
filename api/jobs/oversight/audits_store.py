"""Audits that were asked for, and what they found, in the database."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Engine, RowMapping, Text, insert, select, update
from sqlmodel import Field, SQLModel

from ledger.units import Address, from_unix_s, to_unix_s


class AuditState(StrEnum):
    """How far an audit has come."""

    RUNNING = "running"
    ENDED = "ended"  # Its verdict stands in its report.
    INTERRUPTED = "interrupted"  # It says nothing about the community.


class _AuditTable(SQLModel, table=True):
    __tablename__ = "audit"

    audit_id: int | None = Field(default=None, primary_key=True)
    asked_by: bytes
    state: str
    started_s: int = Field(sa_type=BigInteger)
    ended_s: int | None = Field(default=None, sa_type=BigInteger)
    report_json: str | None = Field(default=None, sa_type=Text)
    reason: str = ""


_AUDIT: Final = SQLModel.metadata.tables["audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One audit; times are the machine's."""

    audit_id: int
    asked_by: Address
    state: AuditState
    started_at: datetime
    ended_at: datetime | None
    report: Mapping[str, Any] | None  # As `wattledger audit --json` prints it.
    reason: str  # Why it was interrupted: a stable code.


Also = Callable[[Connection, AuditRecord], None]


def nothing(_connection: Connection, _record: AuditRecord) -> None:
    """Nothing else is done in the transaction."""


class AuditStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, asked_by: Address, *, now_at: datetime, also: Also = nothing) -> AuditRecord:
        """Notes an audit that starts now; the one that runs already, if there is one.

        Args:
            also: is done in the same transaction.
        """
        with self._engine.begin() as connection:
            running = select(_AUDIT).where(_AUDIT.c.state == AuditState.RUNNING.value)
            row = connection.execute(running.with_for_update()).mappings().first()
            if row is None:
                values = {
                    "asked_by": asked_by,
                    "state": AuditState.RUNNING.value,
                    "started_s": to_unix_s(now_at),
                    "reason": "",
                }
                added = insert(_AUDIT).values(**values).returning(*_AUDIT.c)
                row = connection.execute(added).mappings().one()
            record = _record(row)
            also(connection, record)
            return record

    def end(self, audit_id: int, report: Mapping[str, Any], *, now_at: datetime) -> None:
        """Keeps what an audit found."""
        self._set(
            audit_id,
            state=AuditState.ENDED.value,
            ended_s=to_unix_s(now_at),
            report_json=json.dumps(report),
        )

    def interrupt(self, audit_id: int, reason: str, *, now_at: datetime) -> None:
        """Notes that an audit came to no end."""
        self._set(
            audit_id,
            state=AuditState.INTERRUPTED.value,
            ended_s=to_unix_s(now_at),
            reason=reason,
        )

    def interrupt_all(self, reason: str, *, now_at: datetime) -> None:
        """Notes it of those that a service that ended had begun."""
        with self._engine.begin() as connection:
            connection.execute(
                update(_AUDIT)
                .where(_AUDIT.c.state == AuditState.RUNNING.value)
                .values(
                    state=AuditState.INTERRUPTED.value, ended_s=to_unix_s(now_at), reason=reason
                )
            )

    def find(self, audit_id: int) -> AuditRecord | None:
        """One audit."""
        query = select(_AUDIT).where(_AUDIT.c.audit_id == audit_id)
        with self._engine.begin() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _record(row)

    def latest(self, *, limit: int, before: int | None) -> list[AuditRecord]:
        """The last audits, newest first, of those with an id below `before`."""
        query = select(_AUDIT).order_by(_AUDIT.c.audit_id.desc()).limit(limit)
        if before is not None:
            query = query.where(_AUDIT.c.audit_id < before)
        with self._engine.begin() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def _set(self, audit_id: int, **values: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_AUDIT).where(_AUDIT.c.audit_id == audit_id).values(**values))


def _record(row: RowMapping) -> AuditRecord:
    ended_s, report_json = row["ended_s"], row["report_json"]
    return AuditRecord(
        audit_id=row["audit_id"],
        asked_by=Address(bytes(row["asked_by"])),
        state=AuditState(row["state"]),
        started_at=from_unix_s(row["started_s"]),
        ended_at=None if ended_s is None else from_unix_s(ended_s),
        report=None if report_json is None else json.loads(report_json),
        reason=row["reason"],
    )
