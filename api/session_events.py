"""A session as server-sent events: the JSON of `GET` each time that it changes, until it has ended.

An event's id stands for what it says, so that somebody who reconnects is told only what is new.
"""

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header
from fastapi.sse import ServerSentEvent
from starlette.exceptions import HTTPException

from api.deps import SESSION_READER
from api.problems import problem_of
from api.schemas.sessions import SessionOut
from charging.desk import ENDED, ChargingDesk, SessionView
from charging.orders import SessionId
from ledger.errors import LedgerError

EVENT = "session"
FAILURE = "problem"
NOTHING_MORE = 204  # Tells an EventSource not to come back (HTML, section 9.2.3).

LastSeen = Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)]


def event_of(view: SessionView) -> ServerSentEvent:
    """What a listener is told."""
    session = SessionOut.of(view)
    said = session.model_dump_json()
    return ServerSentEvent(
        raw_data=said, event=EVENT, id=hashlib.sha256(said.encode()).hexdigest()[:16]
    )


async def unheard_session(
    view: Annotated[SessionView, Depends(SESSION_READER)], last_event_id: LastSeen = None
) -> SessionView:
    """The session to follow; whoever heard of its end already is sent away."""
    if view.state in ENDED and event_of(view).id == last_event_id:
        raise HTTPException(NOTHING_MORE)
    return view


async def events_of(
    desk: ChargingDesk, session_id: SessionId, last_seen: str | None
) -> AsyncIterator[ServerSentEvent]:
    """The session's events after the last one that was seen."""
    try:
        async for view in desk.follow(session_id):
            event = event_of(view)
            if event.id != last_seen:
                yield event
            last_seen = event.id
    except LedgerError as error:
        # The answer has begun: what goes wrong now can only be told in it.
        yield ServerSentEvent(data=problem_of(error), event=FAILURE)
