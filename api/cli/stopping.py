"""A service that is asked to stop has stopped soon, whatever hangs: a node, a disk, a client."""

import logging
import os
import threading
from types import TracebackType
from typing import Final, Self

STOPPED_WITHIN_S: Final = 8.0
log = logging.getLogger(__name__)


class Deadline:
    """Ends the process if its orderly end takes too long.

    Nothing is lost by it: what was promised to anybody is on the disk, and what is owed to the
    chain is in the outbox.
    """

    def __init__(self, seconds: float = STOPPED_WITHIN_S) -> None:
        self._timer = threading.Timer(seconds, _cut_off)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lets go, unless threads are left that the interpreter would wait for."""
        ours = {threading.main_thread(), threading.current_thread()}
        if all(thread.daemon or thread in ours for thread in threading.enumerate()):
            self._timer.cancel()

    def arm(self) -> None:
        """From now on time is counted."""
        self._timer.start()


def _cut_off() -> None:
    log.warning("stopping: something still waits, and is cut off")
    logging.shutdown()
    os._exit(0)
