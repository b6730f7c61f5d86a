"""One thread that writes: what arrives together is committed together.

Many callers wait for one `fsync`: a charger is answered only when its message is on the disk, and
two thousand of them cost a few commits a second. Everything that changes a session happens in this
thread, one after the other.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

T = TypeVar("T")
BATCH_MAX = 256


class Transactions(Protocol):
    """A database that a batch is written to."""

    def run(self, work: Callable[[Any], T]) -> T:
        """Does the work in one transaction; raises what it raises, and then nothing happened."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    work: Callable[[Any], Any]
    future: "Future[Any]"


class Journal:
    """Commits work in batches; the work of one caller that fails does not undo the others'."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._entries.put(None)
        self._thread.join()
        self._is_closed = True
        self._cancel_rest()

    def submit(self, work: Callable[[Any], T]) -> "Future[T]":
        """Asks for work to be done; it is on the disk when the future has its result.

        The work may run twice, if another's failure undid its first run: it changes nothing but
        through the transaction that it is given. Once the journal is closed, nothing is done any
        more and the future is cancelled.
        """
        future: Future[T] = Future()
        self._entries.put(_Entry(work, future))
        if self._is_closed:
            self._cancel_rest()
        return future

    async def write(self, work: Callable[[Any], T]) -> T:
        """The same, for a coroutine."""
        return await asyncio.wrap_future(self.submit(work))

    def _run(self) -> None:
        while (entry := self._entries.get()) is not None:
            batch, is_last = self._collect(entry)
            self._commit(batch)
            if is_last:
                return

    def _collect(self, first: _Entry) -> tuple[list[_Entry], bool]:
        batch = [first]
        while len(batch) < BATCH_MAX:
            try:
                entry = self._entries.get_nowait()
            except queue.Empty:
                return batch, False
            if entry is None:
                return batch, True
            batch.append(entry)
        return batch, False

    def _cancel_rest(self) -> None:
        """Nobody will do what was asked for too late."""
        with suppress(queue.Empty):
            while True:
                entry = self._entries.get_nowait()
                if entry is not None:
                    entry.future.cancel()

    def _commit(self, batch: list[_Entry]) -> None:
        live = [entry for entry in batch if entry.future.set_running_or_notify_cancel()]
        try:
            results = self._transactions.run(lambda open_: [entry.work(open_) for entry in live])
        except Exception as error:  # noqa: BLE001 (each caller is told, alone)
            if len(live) == 1:
                live[0].future.set_exception(error)
                return
            for entry in live:
                self._commit_alone(entry)
            return
        for entry, result in zip(live, results, strict=True):
            entry.future.set_result(result)

    def _commit_alone(self, entry: _Entry) -> None:
        try:
            result = self._transactions.run(entry.work)
        except Exception as error:  # noqa: BLE001 (its caller is told)
            entry.future.set_exception(error)
        else:
            entry.future.set_result(result)
