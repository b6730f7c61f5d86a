"""Time that goes on while a community is served, where it stood with the data before.

How far it has come is noted ahead: a service that is killed goes on from the note, so that time
never runs backwards past anything that was heard, at most by a moment forwards.
"""

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Final, Self

from sqlalchemy.exc import DBAPIError

from api.clock import RunningClock
from api.errors import BadInput
from api.jobs.community import Community
from api.jobs.opening import TIME_NOTED
from api.loops import Loop, LoopState
from ledger.chain.embedded import EmbeddedChain
from ledger.units import to_unix_s

NOTED_EVERY_S: Final = 3.0  # Real seconds.
NOTED_AHEAD_S: Final = 10
STOP_WITHIN_S: Final = 2
log = logging.getLogger(__name__)


class RunningTime:
    """Lets time run while it is open, where it followed data, and notes how far it comes."""

    def __init__(self, community: Community, *, speed: int = 1) -> None:
        """From now on time goes on by itself, for people and blocks alike.

        Raises:
            BadInput: no clock has this speed, or this one cannot be sped up.
        """
        self._community = community
        self._loop = Loop("clock")
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        chain = community.chain
        if community.config.chain.clock == "data" and isinstance(chain, EmbeddedChain):
            community.clock = RunningClock(community.clock.now(), speed=speed)
            chain.follow_clock(community.clock.now)
            self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        elif speed != 1:
            raise BadInput(field="--speed", rule="only time that follows data can be sped up")

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            self._note(ahead_s=NOTED_AHEAD_S)  # Before anything is heard at this time.
            self._thread.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._thread is None:
            return
        self._ending.set()
        await asyncio.to_thread(self._thread.join, STOP_WITHIN_S)
        try:
            self._note(ahead_s=0)
        except DBAPIError:
            log.warning("clock: how far it has come could not be noted")

    def states(self) -> list[LoopState]:
        """How its loop is, where there is one."""
        return [] if self._thread is None else [self._loop.state()]

    def _run(self) -> None:
        while not self._ending.wait(NOTED_EVERY_S):
            try:
                self._note(ahead_s=NOTED_AHEAD_S)
            except DBAPIError as error:
                if self._loop.problem is None:
                    log.warning("clock: %s", error)
                self._loop.passed("storage_failed")
            else:
                self._loop.passed()

    def _note(self, *, ahead_s: int) -> None:
        clock = self._community.clock
        noted_at = clock.now() + timedelta(seconds=ahead_s * clock.speed)
        with self._community.engine.begin() as connection:
            self._community.settlements.set_facts(
                connection, [(TIME_NOTED, str(to_unix_s(noted_at)))]
            )
