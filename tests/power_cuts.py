"""The power fails after so many durable changes: from then on nothing reaches the disk.

What is in memory afterwards is worth nothing, as if the process were gone; whoever waited for the
last change does not hear that it was made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from ledger.chain.storage import ChainFile


class PowerCut(Exception):
    """Nothing works any more."""


class Power:
    """Counts durable changes, of database and chain alike."""

    def __init__(self, writes: int | None) -> None:
        self._left = writes
        self._changes: dict[int, int] = {}
        self.changes = 0

    @property
    def is_cut(self) -> bool:
        """Whether it has failed."""
        return self._left is not None and self._left <= 0

    def require(self) -> None:
        """Refuses everything without power."""
        if self.is_cut:
            raise PowerCut

    def commit(self, connection: Any) -> bool:
        """Whether a commit changed anything."""
        changes, key = connection.total_changes, id(connection)
        before = self._changes.get(key, 0)
        self._changes[key] = changes
        return bool(changes != before)

    def changed(self) -> None:
        """One change is durable; the power may fail right now."""
        self.changes += 1
        if self._left is not None:
            self._left -= 1
            self.require()


@contextmanager
def power(writes: int | None = None) -> Iterator[Power]:
    """Power that lasts for so many durable changes; None: for ever."""
    supply = Power(writes)
    do_commit: Any = DefaultDialect.do_commit
    flush = ChainFile.flush

    def commit_and_count(dialect: DefaultDialect, connection: Any) -> None:
        supply.require()
        do_commit(dialect, connection)
        if supply.commit(connection.dbapi_connection):
            supply.changed()

    def flush_and_count(file: ChainFile, meta: dict[str, int] | None = None) -> None:
        changed = bool(file.pending) or meta is not None
        if changed:
            supply.require()
        flush(file, meta)
        if changed:
            supply.changed()

    with pytest.MonkeyPatch.context() as vendors:
        vendors.setattr(DefaultDialect, "do_commit", commit_and_count)
        vendors.setattr(ChainFile, "flush", flush_and_count)
        yield supply
