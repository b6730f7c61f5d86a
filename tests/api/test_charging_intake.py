"""Which session a charge point's words are about, where they could be about several or about none.

Sink, store and chain are real; only the charger's words are a script's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from charging.points import Availability, PointEvent, StatusChanged
from tests.charging_world import POINT, REGISTER_WH, ChargingWorld, charging_world

Scenario = Callable[[ChargingWorld], Awaitable[None]]
HALF_HOUR_S = 1_800


def played(tmp_path: Path, scenario: Scenario) -> None:
    """Plays a scenario in a world, and audits what it leaves."""

    async def play() -> None:
        async with charging_world(tmp_path / "street") as world:
            await scenario(world)
            await world.rounds()
            assert await asyncio.to_thread(world.audited) == []

    asyncio.run(play())


async def kept_of(world: ChargingWorld, transaction_id: str) -> list[PointEvent]:
    """All that is kept of a charge."""
    store = world.runtime.desk._store

    def find(connection: Any) -> list[PointEvent]:
        found = store.messages.transaction(connection, POINT, transaction_id)
        assert found is not None
        return store.messages.events_of(connection, found.number)

    return await world.runtime.desk._journal.write(find)


def stops_asked(world: ChargingWorld) -> list[tuple[Any, ...]]:
    """What the charger was asked to stop."""
    return [asked for asked in world.link.asked if asked[0] == "stop"]


# Connectors.


def test_a_state_is_news_also_in_the_words_of_an_earlier_message(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())

        async def says(message_id: str, availability: Availability) -> None:
            world.clock.pass_s(60)
            event = StatusChanged(
                charge_point_id=POINT,
                message_id=message_id,
                received_at=world.clock(),
                connector_id=1,
                availability=availability,
            )
            await world.runtime.sink.take(event)
            places = world.runtime.desk._store.places
            noted = await world.runtime.desk._journal.write(places.availabilities)
            assert noted[POINT, 1][0] is availability

        for _ in range(2):  # After a restart its messages are counted from one again.
            await says("1", Availability.CHARGING)
            await says("2", Availability.SUSPENDED_EV)
        changes = [
            event
            for event in await kept_of(world, transaction_id)
            if isinstance(event, StatusChanged)
        ]
        assert len(changes) == 2
        await world.stops(transaction_id, REGISTER_WH + 100)
        await world.settled(view.session_id)

    played(tmp_path, scenario)
