"""The market live: server-sent events for everybody."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.deps import ANYONE, ServiceDep
from api.errors import BadInput
from api.jobs.market.news import PERIOD
from api.openapi import failures, merged
from api.routers.json_route import JsonRoute
from api.schemas.events import PeriodMovedOut, WindowClosedOut
from api.session_events import LastSeen

EXAMPLE: Final = (
    "event: window\n"
    'data: {"start": "2016-06-01T11:00:00Z", "end": "2016-06-01T12:00:00Z", '
    '"period_start": "2016-06-01T00:00:00Z"}\n'
    "id: 5e1f22c0-17\n\n"
    "event: period\n"
    'data: {"start": "2016-06-01T00:00:00Z", "end": "2016-06-02T00:00:00Z", '
    '"state": "final", "run": 0}\n'
    "id: 5e1f22c0-18\n\n"
)
router = APIRouter(tags=["market"], route_class=JsonRoute)


@router.get(
    "/events",
    dependencies=[Depends(ANYONE)],
    response_class=EventSourceResponse,
    responses=merged(
        {
            200: {
                "description": "Events `window` and `period`, without end; comments in between.",
                "content": {"text/event-stream": {"example": EXAMPLE}},
            }
        },
        failures(BadInput),
    ),
)
async def get_events(
    service: ServiceDep, last_event_id: LastSeen = None
) -> AsyncIterator[ServerSentEvent]:
    """Tell when windows close and periods move on.

    `Last-Event-ID` goes on after that event. Without it, or if it is too long ago, the latest event
    of each kind comes first.
    """
    async for event_id, event in service.news.follow(last_event_id):
        model = PeriodMovedOut if event.name == PERIOD else WindowClosedOut
        said = model.of(event).model_dump_json()
        yield ServerSentEvent(raw_data=said, event=event.name, id=event_id)
