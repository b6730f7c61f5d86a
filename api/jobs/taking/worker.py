"""A process that takes readings in: `python -m api.jobs.taking.worker`, for the service only.

It is told everything over its standard input, answers on its standard output, and ends with
whoever started it. Nothing is answered that is not kept for good.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from typing import BinaryIO, Final

from api.clock import SystemClock
from api.jobs.taking.answers import Outcome
from api.jobs.taking.groups import Queue, Waiting, serve_groups
from api.jobs.taking.taker import Moment, Taker
from api.jobs.taking.wire import (
    HEAD,
    Kind,
    answer_frame,
    book_of,
    frame,
    request_of,
    setup_of,
)
from api.logs import default_format, write_logs
from ledger.keccak import domain_separator
from ledger.store import open_engine
from ledger.units import Address, from_unix_s
from metering.meters import MeterBook
from metering.store import ReadingStore

THREADS: Final = 2  # While one waits for the database, the other checks signatures.
READ_BUFFER_BYTES: Final = 2**20
log = logging.getLogger(__name__)


class Worker:
    """Takes readings in until its input ends."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._sending = Lock()
        self._book: MeterBook | None = None
        self._queue: Queue = SimpleQueue()

    def run(self) -> None:
        """Returns when all that was asked is answered."""
        frames = self._frames()
        first = next(frames, None)
        if first is None:  # Whoever started it is gone already.
            return
        setup = setup_of(first[2])
        engine = open_engine(setup.database_url)
        self._taker = Taker(
            ReadingStore(engine),
            domain_separator(setup.chain_id, Address(setup.registry)),
            meter_readings_per_minute=setup.meter_readings_per_minute,
        )
        threads = [
            Thread(target=serve_groups, args=(self._queue, self._take)) for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for kind, number, payload in frames:
            self._hear(kind, number, payload)
        self._queue.put(None)
        for thread in threads:
            thread.join()
        engine.dispose()

    def _frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Until the input ends, if only in the middle of one."""
        while len(head := self._source.read(HEAD.size)) == HEAD.size:
            kind, number, length = HEAD.unpack(head)
            payload = self._source.read(length)
            if len(payload) < length:
                return
            yield kind, number, payload

    def _hear(self, kind: int, number: int, payload: bytes) -> None:
        if kind == Kind.BOOK:
            is_first, self._book = self._book is None, book_of(payload)
            if is_first:
                self._say(frame(Kind.READY, 0))
        elif kind == Kind.TAKE:
            accepted_at_s, body = request_of(payload)
            self._queue.put(
                Waiting(
                    body=body,
                    accepted_at_s=accepted_at_s,
                    answer=lambda outcome: self._say(answer_frame(number, outcome)),
                )
            )

    def _say(self, words: bytes) -> None:
        try:
            with self._sending:
                self._sink.write(words)
                self._sink.flush()
        except BrokenPipeError:
            os._exit(1)  # Nobody is there any more to be answered.

    def _take(self, group: Sequence[Waiting]) -> Sequence[Outcome]:
        moment = Moment(
            book=self._book or MeterBook([]),
            now_at=SystemClock().now(),
            accepted_at=from_unix_s(max(each.accepted_at_s for each in group)),
        )
        return self._taker.take([each.body for each in group], moment)


def main() -> None:
    """The process. Signals to the whole group are for the service, which ends this in order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    write_logs(default_format())
    with (
        open(sys.stdin.fileno(), "rb", READ_BUFFER_BYTES, closefd=False) as source,
        open(sys.stdout.fileno(), "wb", closefd=False) as sink,
    ):
        Worker(source, sink).run()


if __name__ == "__main__":
    main()
