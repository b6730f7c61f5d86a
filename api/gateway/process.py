"""The gateway as a process: a thread that reads, one that sends, and an orderly end of both."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from api.driver.http import Service
from api.gateway.key_file import MeterKey
from api.gateway.queue_file import ReadingQueue, State
from api.gateway.reading import Heard, MeterReader
from api.gateway.sending import Sender, Sent
from api.gateway.sources import Source
from metering.telegrams import TelegramFormat

ENDS_WITHIN_S: Final = 3  # A request that is under way for longer is left; it will be a duplicate.


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """What is read, for whom, and where it goes."""

    key: MeterKey
    source: Source
    telegram_format: TelegramFormat
    service: Service
    queue_path: Path
    every_s: int
    once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How it went."""

    heard: Heard
    missed: int
    sent: Sent
    waiting: int
    ended_by_itself: bool  # The source had an end, and all of it was dealt with.

    @property
    def passed(self) -> bool:
        """Whether the service has all that was read; who stops a gateway asks for nothing else."""
        return not self.ended_by_itself or not (self.waiting or self.sent.refused)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "telegrams": self.heard.telegrams,
            "unreadable": dict(sorted(self.heard.unreadable.items())),
            "taken": self.heard.taken,
            "missed": self.missed,
            "accepted": self.sent.accepted,
            "duplicates": self.sent.duplicates,
            "rejected": list(self.sent.refused.values()),
            "waiting": self.waiting,
        }

    def text(self) -> str:
        """In words."""
        return (
            f"telegrams {self.heard.telegrams}, unreadable {self.heard.unreadable.total()}; "
            f"readings taken {self.heard.taken}, accepted {self.sent.accepted}, "
            f"duplicates {self.sent.duplicates}, refused {len(self.sent.refused)}, "
            f"waiting {self.waiting}"
        )


def run_gateway(plan: GatewayPlan) -> Report:
    """Runs until the source ends or somebody stops it.

    Raises:
        LedgerError: what does not pass by itself; what was read until then is kept.
    """
    with ReadingQueue(plan.queue_path) as queue:
        sender = Sender(plan.service, queue, every_s=plan.every_s)
        if plan.key.domain is not None:
            queue.bind(plan.key.domain)
        return _run_once(plan, queue, sender) if plan.once else _run_on(plan, queue, sender)


def _run_once(plan: GatewayPlan, queue: ReadingQueue, sender: Sender) -> Report:
    """One reading, and one try to send what waits: whoever called it hears of a failure at once."""
    if queue.domain() is None:
        sender.meet()
    reader = _reader(plan, queue, sender)
    reader.read_one()
    sender.send_all()
    return _report(reader, queue, sender, ended_by_itself=True)


def _run_on(plan: GatewayPlan, queue: ReadingQueue, sender: Sender) -> Report:
    reader, drained = _reader(plan, queue, sender), threading.Event()
    news: SimpleQueue[_Part | None] = SimpleQueue()  # None: somebody wants it to stop.
    reading = _Part("reading", reader.run, news)
    sending = _Part("sending", lambda: sender.run(until_empty=drained), news)
    with _asked_to_stop(lambda: news.put(None)):
        reading.start()
        sending.start()
        ended = news.get()
        if ended is reading and reading.fault is None:
            drained.set()
            sender.wake()
            ended = news.get()
        reader.stop()
        sender.stop()
        for part in (reading, sending):
            part.join(ENDS_WITHIN_S)
    for part in (reading, sending):
        if part.fault is not None:
            raise part.fault
    return _report(reader, queue, sender, ended_by_itself=ended is sending)


class _Part(threading.Thread):
    """A thread whose failure is somebody's business."""

    def __init__(
        self, name: str, work: Callable[[], None], news: "SimpleQueue[_Part | None]"
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.fault: BaseException | None = None
        self._work = work
        self._news = news

    def run(self) -> None:
        """Says when it has ended, however it did."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 (raised again by whoever waits for it)
            self.fault = error
        finally:
            self._news.put(self)


@contextmanager
def _asked_to_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for an orderly end."""
    asking = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop()) for number in asking]
    try:
        yield
    finally:
        for number, handler in zip(asking, before, strict=True):
            signal.signal(number, handler)


def _reader(plan: GatewayPlan, queue: ReadingQueue, sender: Sender) -> MeterReader:
    return MeterReader(
        plan.source,
        plan.telegram_format,
        key=plan.key,
        queue=queue,
        every_s=plan.every_s,
        wake=sender.wake,
    )


def _report(
    reader: MeterReader, queue: ReadingQueue, sender: Sender, *, ended_by_itself: bool
) -> Report:
    return Report(
        heard=reader.heard,
        missed=reader.sampler.missed,
        sent=sender.sent,
        waiting=queue.counts().get(State.WAITING, 0),
        ended_by_itself=ended_by_itself,
    )
