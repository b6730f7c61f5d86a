"""Tells whoever follows a session that it has changed."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from charging.orders import SessionId
from charging.sessions import ChargeSession


class Bulletin:
    """News of sessions, for coroutines of one event loop; may be told from any thread."""

    def __init__(self) -> None:
        self._readers: dict[SessionId, set[asyncio.Event]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Names the loop in which everybody waits."""
        self._loop = loop

    def tell(self, session: ChargeSession) -> None:
        """Something about this session is new."""
        if self._loop is not None and session.session_id in self._readers:
            self._loop.call_soon_threadsafe(self._wake, session.session_id)

    def _wake(self, session_id: SessionId) -> None:
        for event in self._readers.get(session_id, ()):
            event.set()

    @asynccontextmanager
    async def subscribe(self, session_id: SessionId) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever there is news."""
        event = asyncio.Event()
        self._readers[session_id].add(event)
        try:
            yield event
        finally:
            readers = self._readers[session_id]
            readers.discard(event)
            if not readers:
                del self._readers[session_id]
