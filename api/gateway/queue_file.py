"""The queue: signed readings in one SQLite file, until the service has them.

A reading is on the disk before it is sent, and stays there with what became of it. One process has
the file at a time; killed anywhere, the next one goes on.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from api.errors import StorageFailed
from api.files import PRIVATE
from api.gateway.errors import OtherCommunity
from api.gateway.key_file import ReadingDomain
from ledger.units import Address, from_unix_s, to_unix_s
from metering.readings import MeterId, Reading, SignedReading

FORMAT: Final = "1"
KEPT_S: Final = 90 * 86_400  # So long what is done can be looked up.
AGAIN_S_MAX: Final = 6 * 3_600  # Between two tries of a reading that was refused.
GIVE_UP_S: Final = 30 * 86_400  # After so long it is refused for good.
UNKNOWN: Final = "unknown_meter"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS reading (
    meter_id BLOB NOT NULL, taken_s INTEGER NOT NULL,
    import_wh INTEGER NOT NULL, export_wh INTEGER NOT NULL, signature BLOB NOT NULL,
    state TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL,
    stored_s INTEGER NOT NULL, tries INTEGER NOT NULL, again_s INTEGER NOT NULL,
    PRIMARY KEY (taken_s, meter_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON reading (taken_s) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class State(StrEnum):
    """Where a reading is."""

    WAITING = "waiting"  # To be sent, or to be tried again.
    DONE = "done"  # The service has it.
    REFUSED = "refused"  # For good: `code` says why.


class ReadingQueue:
    """Its methods may be called from any thread; when one returns, what it wrote is durable."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            StorageFailed: no such directory, no queue, or another process has it.
        """
        self._path = path
        self._guard = threading.Lock()
        with self._failures_named():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))
            self._connection = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare()
        except StorageFailed:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        with self._failures_named():
            # The lock is taken with the first write, and kept.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        if self._remember("format", FORMAT) != FORMAT:
            raise StorageFailed(path=str(self._path), reason="is another version's queue")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._connection.close()

    # What it is for.

    def domain(self) -> ReadingDomain | None:
        """What its readings are signed for, once one is known."""
        known = self._fact("domain")
        if known is None:
            return None
        chain_id, _, registry = known.partition(" ")
        return ReadingDomain(chain_id=int(chain_id), registry=Address(bytes.fromhex(registry)))

    def bind(self, domain: ReadingDomain) -> None:
        """From now on it is for this community; raises OtherCommunity if it is another's."""
        said = f"{domain.chain_id} {domain.registry.hex()}"
        if self._remember("domain", said) != said:
            rule = "the queue's readings are signed for another community: name another --queue"
            raise OtherCommunity(rule=rule)

    def _remember(self, name: str, value: str) -> str | None:
        """What is known by a name; this, if nothing was."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO fact VALUES (?, ?)", (name, value))
        return self._fact(name)

    def _fact(self, name: str) -> str | None:
        with self._guard, self._failures_named():
            row = self._connection.execute("SELECT value FROM fact WHERE name = ?", (name,))
            found = row.fetchone()
        return None if found is None else str(found[0])

    # Readings.

    def add(self, signed: SignedReading, *, now_s: int) -> bool:
        """Keeps a reading; False if there is one of this meter and instant."""
        reading = signed.reading
        row = (
            *(reading.meter_id, to_unix_s(reading.taken_at)),
            *(reading.import_wh, reading.export_wh, signed.signature, now_s),
        )
        with self._writing() as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, 'waiting', '', '', ?, 0, 0)",
                row,
            )
            return added.rowcount == 1

    def next_batch(self, now_s: int, count_max: int) -> list[SignedReading]:
        """What may be sent now, oldest first."""
        with self._guard, self._failures_named():
            rows = self._connection.execute(
                "SELECT meter_id, taken_s, import_wh, export_wh, signature FROM reading"
                " WHERE state = 'waiting' AND (again_s <= ? OR again_s > ?)"
                " ORDER BY taken_s, meter_id LIMIT ?",
                # Later than ever: the clock was set back since.
                (now_s, now_s + AGAIN_S_MAX, count_max),
            ).fetchall()
        return [_signed(*row) for row in rows]

    def done(self, readings: Iterable[SignedReading]) -> None:
        """The service has them; what waits because it did not know their meter is tried at once."""
        keys = [_key(each) for each in readings]
        with self._writing() as connection:
            connection.executemany(
                "UPDATE reading SET state = 'done', code = '', detail = ''"
                " WHERE taken_s = ? AND meter_id = ?",
                keys,
            )
            connection.executemany(
                "UPDATE reading SET again_s = 0"
                " WHERE state = 'waiting' AND code = ? AND meter_id = ?",
                [(UNKNOWN, meter_id) for meter_id in {meter_id for _, meter_id in keys}],
            )

    def refused(self, signed: SignedReading, code: str, detail: str) -> None:
        """The service will never have it; it is kept with the reason."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE reading SET state = 'refused', code = ?, detail = ?"
                " WHERE taken_s = ? AND meter_id = ?",
                (code, detail, *_key(signed)),
            )

    def put_off(self, signed: SignedReading, code: str, detail: str, *, now_s: int) -> None:
        """It is tried again for a month, after pauses that double from a minute to six hours."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE reading SET code = ?, detail = ?, tries = min(tries + 1, 20),"
                " again_s = ? + min(?, 60 << min(tries, 20)),"
                " state = iif(stored_s < ?, 'refused', state) WHERE taken_s = ? AND meter_id = ?",
                (code, detail, now_s, AGAIN_S_MAX, now_s - GIVE_UP_S, *_key(signed)),
            )

    def counts(self) -> dict[State, int]:
        """How many there are in each state."""
        with self._guard, self._failures_named():
            rows = self._connection.execute("SELECT state, count(*) FROM reading GROUP BY state")
            return {State(state): count for state, count in rows}

    def forget_done(self, now_s: int) -> None:
        """Removes what was done long ago, so that the file does not grow for ever."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM reading WHERE state = 'done' AND stored_s < ?", (now_s - KEPT_S,)
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._guard, self._failures_named():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # What a full disk ends, it ends by itself.
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StorageFailed(path=str(self._path), reason=reason) from error
        except sqlite3.OperationalError as error:
            is_locked = "locked" in str(error)
            reason = "another gateway has this queue" if is_locked else str(error)
            raise StorageFailed(path=str(self._path), reason=reason) from error
        except sqlite3.DatabaseError as error:
            raise StorageFailed(path=str(self._path), reason="is no queue") from error


def _key(signed: SignedReading) -> tuple[int, bytes]:
    return to_unix_s(signed.reading.taken_at), signed.reading.meter_id


def _signed(
    meter_id: bytes, taken_s: int, import_wh: int, export_wh: int, signature: bytes
) -> SignedReading:
    reading = Reading(
        meter_id=MeterId(meter_id),
        taken_at=from_unix_s(taken_s),
        import_wh=import_wh,
        export_wh=export_wh,
    )
    return SignedReading(reading=reading, signature=signature)
