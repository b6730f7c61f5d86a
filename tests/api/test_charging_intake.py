"""Which session a charge point's words are about, where they could be about several or about none.

Sink, store and chain are real; only the charger's words are a script's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from charging.desk import SessionState, SessionView
from charging.orders import charger_id_of
from charging.points import Authorised, Availability, PointEvent, Reply, StatusChanged
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


# Charges whose id was another's.


async def starts_201(world: ChargingWorld, view: SessionView, name: str, **changes: Any) -> Reply:
    """As an OCPP 2.0.1 station says it: under an id of its own."""
    number = (await world.session(view)).number
    said: dict[str, Any] = {"transaction_id": name, "remote_start_id": number}
    said["meter_start_text"] = None
    return await world.starts(view, **(said | changes))


def test_a_station_that_counts_its_charges_anew_charges_again_under_an_old_id(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        register_wh = REGISTER_WH
        for seed in (7, 8, 9):
            view = await world.opened(await world.driver(seed))
            begun = {**world._said(), "samples": (world.sample(register_wh),)}
            assert (await starts_201(world, view, "1", **begun)).accepted
            world.clock.pass_s(HALF_HOUR_S)
            assert (await starts_201(world, view, "1", **begun)).accepted  # It did not hear us.
            register_wh += 100 * seed
            ends = {"samples": (world.sample(register_wh),), "meter_stop_text": None}
            await world.stops("1", register_wh, **ends)
            view = await world.until(view.session_id, SessionState.CLOSED)
            assert view.energy_wh == 100 * seed
            world.clock.pass_s(60)
        assert stops_asked(world) == []

    played(tmp_path, scenario)


def test_a_start_told_again_after_its_id_was_used_anew_is_still_the_old_charges(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        first = await world.opened(await world.driver(7))
        old = {**world._said(), "samples": (world.sample(REGISTER_WH),)}
        await starts_201(world, first, "1", **old)
        world.clock.pass_s(60)
        await world.stops("1", REGISTER_WH + 50)
        await world.until(first.session_id, SessionState.CLOSED)
        reply = await starts_201(world, first, "1", **old)
        assert not reply.accepted  # It is settled.
        second = await world.opened(await world.driver(8))
        await starts_201(world, second, "1")
        reply = await starts_201(world, first, "1", **old)
        assert not reply.accepted
        assert reply.transaction_id.startswith("1#")
        assert len(await kept_of(world, "1")) == 1
        world.clock.pass_s(60)
        await world.stops("1", REGISTER_WH + 50)
        await world.until(second.session_id, SessionState.CLOSED)

    played(tmp_path, scenario)


def test_an_id_used_anew_ends_the_charge_whose_end_was_never_told(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        first = await world.opened(await world.driver(7))
        second = await world.opened(await world.driver(8), charger_id=charger_id_of(POINT, 2))
        await starts_201(world, first, "1", samples=(world.sample(REGISTER_WH),))
        world.clock.pass_s(60)
        await world.measures("1", REGISTER_WH + 100)
        again = {"connector_id": 2, "samples": (world.sample(5_000),)}
        assert (await starts_201(world, second, "1", **again)).accepted
        world.clock.pass_s(61)
        await world.rounds()
        assert (await world.until(first.session_id, SessionState.CLOSED)).energy_wh == 100
        await world.stops("1", 5_070)
        assert (await world.until(second.session_id, SessionState.CLOSED)).energy_wh == 70

    played(tmp_path, scenario)


def test_under_an_old_id_the_cable_may_come_first_and_then_the_driver(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        first = await world.opened(await world.driver(7))
        await starts_201(world, first, "1", samples=(world.sample(REGISTER_WH),))
        world.clock.pass_s(60)
        await world.stops("1", REGISTER_WH + 50)
        await world.until(first.session_id, SessionState.CLOSED)
        second = await world.opened(await world.driver(8))
        number = (await world.session(second)).number
        plugged = {"id_token": "", "remote_start_id": None}
        await starts_201(world, second, "1", **plugged)
        world.clock.pass_s(5)
        reply = await world.measures("1", REGISTER_WH + 50, remote_start_id=number)
        assert reply.accepted
        world.clock.pass_s(60)
        await world.stops("1", REGISTER_WH + 120)
        assert (await world.until(second.session_id, SessionState.CLOSED)).energy_wh == 70

    played(tmp_path, scenario)


# Stops that do not say of what.


def test_a_stop_that_could_be_any_charges_ends_none(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        first, one = await world.begun(await world.driver(7))
        second = await world.opened(await world.driver(8), charger_id=charger_id_of(POINT, 2))
        two = (await world.starts(second, 0, connector_id=2)).transaction_id
        world.clock.pass_s(HALF_HOUR_S)
        said = world._said()
        for _ in range(2):
            assert (await world.stops("-1", 3_000, **said)).transaction_id == ""
        await world.rounds()
        for view in (first, second):
            session = await world.session(view)
            assert (session.state, session.ended_s) == (SessionState.CHARGING, None)
        await world.stops(one, REGISTER_WH + 2_000)
        await world.until(first.session_id, SessionState.CLOSED)
        world.clock.pass_s(60)
        await world.stops("-1", 3_000)  # Now it can only be the other.
        view = await world.until(second.session_id, SessionState.CLOSED)
        assert view.energy_wh == 3_000
        assert len(await kept_of(world, two)) == 2

    played(tmp_path, scenario)


def test_a_charge_whose_values_go_on_after_its_stop_is_asked_to_stop_and_bills_nothing_more(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        last = world.sample(REGISTER_WH + 2_000)
        await world.stops(transaction_id, REGISTER_WH + 2_000)
        await world.until(view.session_id, SessionState.CLOSED)
        await world.measures(transaction_id, REGISTER_WH + 2_000, samples=(last,))
        await world.rounds()
        assert stops_asked(world) == []  # It only told late what it had measured.
        world.clock.pass_s(60)
        await world.measures(transaction_id, REGISTER_WH + 2_100)
        await world.rounds()
        assert stops_asked(world) == [("stop", POINT, transaction_id)]
        view = await world.until(view.session_id, SessionState.CLOSED)
        assert view.energy_wh == 2_000

    played(tmp_path, scenario)


# Charges that nobody may begin.


async def may_charge(world: ChargingWorld, id_token: str) -> bool:
    """What the charger is told of a token."""
    said = {name: value for name, value in world._said().items() if name != "at"}
    return (await world.runtime.sink.take(Authorised(**said, id_token=id_token))).accepted


def test_no_charge_begins_before_its_deposit_is_there(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        world.chain.takes_nothing = True
        view = await world.place(driver)
        assert not await may_charge(world, (await world.session(view)).id_token)
        early = await world.starts(view)
        assert not early.accepted
        world.clock.pass_s(5)
        assert not (await world.measures(early.transaction_id, REGISTER_WH + 10)).accepted
        assert stops_asked(world) == [("stop", POINT, early.transaction_id)]
        assert (await world.session(view)).transaction_no is None
        world.chain.takes_nothing = False
        world.runtime.escrow_side.drain()
        view = await world.until(view.session_id, SessionState.OPEN)
        # What was refused stays refused; with the deposit there another charge may begin.
        assert not (await world.measures(early.transaction_id, REGISTER_WH + 20)).accepted
        assert await may_charge(world, (await world.session(view)).id_token)
        world.clock.pass_s(5)
        reply = await world.starts(view, REGISTER_WH + 30)
        assert reply.accepted
        world.clock.pass_s(HALF_HOUR_S)
        await world.stops(reply.transaction_id, REGISTER_WH + 1_030)
        assert (await world.until(view.session_id, SessionState.CLOSED)).energy_wh == 1_000

    played(tmp_path, scenario)


@pytest.mark.parametrize("is_201", [False, True])
def test_a_start_at_another_connector_is_nobodys(tmp_path: Path, is_201: bool) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        elsewhere = {"connector_id": 2}
        wrong = await (
            starts_201(world, view, "tx2", **elsewhere)
            if is_201
            else world.starts(view, 0, **elsewhere)
        )
        assert not wrong.accepted
        assert not (await world.measures(wrong.transaction_id, 50, connector_id=None)).accepted
        assert stops_asked(world) == [("stop", POINT, wrong.transaction_id)]
        assert len(await kept_of(world, wrong.transaction_id)) == 2
        right = await world.starts(view)
        assert right.accepted
        world.clock.pass_s(60)
        await world.stops(right.transaction_id, REGISTER_WH + 100)
        assert (await world.until(view.session_id, SessionState.CLOSED)).energy_wh == 100

    played(tmp_path, scenario)
