"""The market live: what closes and moves on is told once, in order, and after a break goes on."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anyio
import fastapi.routing
import pytest

from api.guard import HttpLimits
from api.jobs.community import Community
from ledger.chain.embedded import EmbeddedChain
from ledger.units import from_unix_s, to_rfc3339
from tests.api.books_world import settle_until, street
from tests.api.community_worlds import DAY_S, HOUR_S, START_S
from tests.api.http_world import World, world_of

PATIENCE_S = 60
Event = tuple[str, str, dict[str, Any]]  # Id, name, data.


@pytest.fixture
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with street(tmp_path_factory) as community:
        yield community


@pytest.fixture
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


def at(hour: int) -> str:
    return to_rfc3339(from_unix_s(START_S + hour * HOUR_S))


def pass_to(community: Community, hour: int) -> None:
    chain = community.chain
    assert isinstance(chain, EmbeddedChain)
    chain.set_next_timestamp(from_unix_s(START_S + hour * HOUR_S))
    chain.mine()


class Listener:
    """One request for the stream, in the app's own loop; hangs up after so many events."""

    def __init__(self, world: World, last_id: str | None = None) -> None:
        self._app = world.app
        self._last_id = last_id
        self.text = ""
        self.status = 0
        self._heard = asyncio.Event()
        self._hung_up = asyncio.Event()
        portal = world.client.portal
        assert portal is not None
        self._portal = portal
        self._future = portal.start_task_soon(self._listen)

    def events(self, count: int, *, comments: int = 0) -> list[Event]:
        """The first events, once there are so many; then it hangs up."""
        self._portal.call(self._wait, count, comments)
        self._portal.call(self._hung_up.set)
        self._future.result(PATIENCE_S)
        return self.heard()[:count]

    def peek(self, count: int) -> list[Event]:
        """The first events, once there are so many; it goes on listening."""
        self._portal.call(self._wait, count, 0)
        return self.heard()[:count]

    def ended(self) -> list[Event]:
        """All events of a stream that the service ended."""
        self._future.result(PATIENCE_S)
        return self.heard()

    def heard(self) -> list[Event]:
        found = []
        for block in self.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" in fields:
                found.append((fields["id"], fields["event"], json.loads(fields["data"])))
        return found

    async def _wait(self, count: int, comments: int) -> None:
        with anyio.fail_after(PATIENCE_S):
            while len(self.heard()) < count or self.text.count("\n:") < comments:
                self._heard.clear()
                await self._heard.wait()

    async def _listen(self) -> None:
        headers = [] if self._last_id is None else [(b"last-event-id", self._last_id.encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/v1/events",
            "raw_path": b"/v1/events",
            "query_string": b"",
            "headers": [(b"host", b"testserver"), *headers],
            "client": ("testclient", 1),
            "server": ("testserver", 80),
        }
        requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            request = next(requests, None)
            if request is None:
                await self._hung_up.wait()
                return {"type": "http.disconnect"}
            return request

        async def send(message: Any) -> None:
            self.status = message.get("status", self.status)
            self.text += message.get("body", b"").decode()
            self._heard.set()

        await self._app(scope, receive, send)


def test_who_comes_new_is_told_the_latest_window_and_period_and_then_what_happens(
    world: World, community: Community
) -> None:
    listener = Listener(world)
    first = Listener(world).events(2)
    assert [(name, data) for _, name, data in first] == [
        ("window", {"start": at(67), "end": at(68), "period_start": at(48)}),
        ("period", {"start": at(48), "end": at(72), "state": "open", "run": None}),
    ]
    pass_to(community, 74)
    heard = listener.events(2 + 6 + 1)
    assert [data["start"] for _, name, data in heard if name == "window"] == [
        at(hour) for hour in range(67, 74)
    ]
    assert [data for _, name, data in heard if name == "period"] == [
        {"start": at(48), "end": at(72), "state": "open", "run": None},
        {"start": at(72), "end": at(96), "state": "open", "run": None},
    ]


def test_a_period_is_followed_from_open_to_final(world: World, community: Community) -> None:
    listener = Listener(world)
    Listener(world).events(2)
    pass_to(community, 72 + 73)  # Its grace is over: the last meter is silent.
    states = []
    for _ in range(PATIENCE_S):
        states = [
            (data["state"], data["run"])
            for _, name, data in listener.heard()
            if name == "period" and data["start"] == at(48)
        ]
        if states[-1:] == [("due", None)]:
            settle_until(community, START_S + 8 * DAY_S)
        if states[-1:] == [("final", 0)]:
            break
        world.run(anyio.sleep(1))
    assert [states[0], states[-1]] == [("open", None), ("final", 0)]
    assert ("due", None) in states
    listener.events(1)


def test_who_was_cut_off_goes_on_after_the_last_event_that_was_heard(
    world: World, community: Community
) -> None:
    Listener(world).events(2)
    listener = Listener(world)
    pass_to(community, 72)
    heard = listener.events(2 + 4)
    ids = [event_id for event_id, _, _ in heard]
    assert len(set(ids)) == len(ids)
    again = Listener(world, ids[2]).events(3)
    assert again == heard[3:6]


@pytest.mark.parametrize("last_id", ["", "nonsense", "00000000-1", "-1", "٣-٣", "x" * 64])
def test_an_id_that_is_not_known_is_that_of_a_new_listener(world: World, last_id: str) -> None:
    expected = Listener(world).events(2)
    listener = Listener(world, last_id)
    assert listener.events(2) == expected
    assert listener.status == 200


def test_an_id_that_is_too_long_is_refused(world: World) -> None:
    response = world.client.get("/v1/events", headers={"Last-Event-ID": "x" * 65})
    assert response.status_code == 422


def test_a_quiet_stream_is_kept_open_by_comments(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.1)
    assert len(Listener(world).events(2, comments=2)) == 2


def test_streams_end_when_the_service_takes_its_leave(world: World) -> None:
    listener = Listener(world)
    Listener(world).events(2)

    async def leave() -> None:
        world.app.state.service.news.leave()

    world.run(leave())
    assert len(listener.ended()) == 2


def test_nobody_holds_more_streams_than_their_share(community: Community) -> None:
    with world_of(community, HttpLimits(host_streams_max=1)) as world:
        open_one = Listener(world)
        assert len(open_one.peek(2)) == 2
        refused = world.client.get("/v1/events")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        open_one.events(2)
        assert len(Listener(world).events(2)) == 2
