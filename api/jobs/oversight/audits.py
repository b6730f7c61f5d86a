"""Audits on demand: each in a process of its own, so that nobody else waits for it."""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Self

from api.errors import NotFound
from api.jobs.audit_directory import audit_directory
from api.jobs.community import Community, open_community
from api.jobs.oversight.audits_store import Also, AuditRecord, AuditStore, nothing
from ledger.errors import LedgerError
from ledger.units import Address

NICENESS: Final = 10  # Whoever charges a car goes first.
POLL_S: Final = 0.2
RESTARTED: Final = "service_restarted"
DIED: Final = "audit_died"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditProgress:
    """How far a running audit has come."""

    phase: str
    done: int
    total: int


class AuditDesk:
    """Starts audits, and says what became of them. One runs at a time."""

    def __init__(self, community: Community, now: Callable[[], datetime]) -> None:
        self._path = community.directory.path
        self._store = AuditStore(community.engine)
        self._now = now
        self._guard = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._progress: AuditProgress | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._store.interrupt_all, RESTARTED, now_at=self._now())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._ending.set()
        thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def start(self, asked_by: Address, also: Also = nothing) -> AuditRecord:
        """Begins an audit; gives the one that is under way, if there is one.

        Args:
            also: is done in the transaction that notes it.
        """
        with self._guard:
            record = self._store.begin(asked_by, now_at=self._now(), also=also)
            if self._thread is None or not self._thread.is_alive():
                self._progress = None
                self._thread = threading.Thread(
                    target=self._watch, args=(record.audit_id,), name="audit", daemon=True
                )
                self._thread.start()
            return record

    def require(self, audit_id: int) -> AuditRecord:
        """One audit; raises NotFound."""
        record = self._store.find(audit_id)
        if record is None:
            raise NotFound(rule=f"there is no audit {audit_id}")
        return record

    def latest(self, *, limit: int, before: int | None = None) -> list[AuditRecord]:
        """The last audits, newest first."""
        return self._store.latest(limit=limit, before=before)

    def progress(self) -> AuditProgress | None:
        """Of the one that runs, if it said any."""
        return self._progress

    # The thread.

    def _watch(self, audit_id: int) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=audit_in_child, args=(self._path, theirs), daemon=True)
        process.start()
        theirs.close()
        outcome = self._outcome_of(ours)
        if outcome is None:
            process.kill()
        process.join()
        if isinstance(outcome, str):
            self._store.interrupt(audit_id, outcome, now_at=self._now())
        elif outcome is None:
            reason = RESTARTED if self._ending.is_set() else DIED
            self._store.interrupt(audit_id, reason, now_at=self._now())
        else:
            self._store.end(audit_id, outcome, now_at=self._now())
        self._progress = None

    def _outcome_of(self, pipe: Connection) -> Mapping[str, Any] | str | None:
        """A report, or why there is none; None if the process died or the service ends."""
        while not self._ending.is_set():
            try:
                if not pipe.poll(POLL_S):
                    continue
                message = pipe.recv()
            except EOFError:
                return None
            if not isinstance(message, AuditProgress):
                outcome: Mapping[str, Any] | str = message
                return outcome
            self._progress = message
        return None


def audit_in_child(path: Path, pipe: Connection) -> None:
    """What the process does: progress, then the report's JSON or the code of a failure."""
    os.nice(NICENESS)

    def tell(phase: str, done: int, total: int) -> None:
        pipe.send(AuditProgress(phase=phase, done=done, total=total))

    try:
        with open_community(path, read_only=True) as community:
            report = audit_directory(community, community.chain, progress=tell)
    except LedgerError as error:
        pipe.send(error.code)
    else:
        pipe.send(report.to_json())
