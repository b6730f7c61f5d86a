"""What goes wrong with chargers in the field, each at the level of the service.

Sink, store and chain are real; only the charger's words are a script's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from charging.desk import SessionState, SessionView
from charging.orders import charger_id_of
from charging.points import (
    Answer,
    Authorised,
    Availability,
    Booted,
    Flow,
    MeterSample,
    Reply,
    SampledValue,
    StatusChanged,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from charging.sessions import STOP_AGAIN_S
from charging.tariffs import ChargeTariff, cost_micro_down
from tests.charging_world import (
    DEPOSIT,
    POINT,
    REGISTER_WH,
    TARIFF,
    WALLET_MICRO,
    ChargingWorld,
    charging_document,
    charging_world,
)
from tests.ocmf_meter import OcmfMeter

Scenario = Callable[[ChargingWorld], Awaitable[None]]
HALF_HOUR_S = 1_800


def played(
    tmp_path: Path,
    scenario: Scenario,
    document: dict[str, Any] | None = None,
    *,
    found: tuple[str, ...] = (),
) -> None:
    """Plays a scenario in a world, and audits what it leaves.

    Args:
        found: what an audit then finds wrong, each a part of one finding.
    """

    async def play() -> None:
        async with charging_world(tmp_path / "street", document) as world:
            await scenario(world)
            world.chain.is_down = world.chain.takes_nothing = False
            await world.rounds()
            findings = await asyncio.to_thread(world.audited)
            assert len(findings) == len(found), findings
            for finding, part in zip(findings, found, strict=True):
                assert part in finding

    asyncio.run(play())


def cost_of(energy_wh: int) -> int:
    """By energy and start alone, as the charger's tariff is."""
    return cost_micro_down(ChargeTariff(**TARIFF), energy_wh=energy_wh, time_s=0, idle_s=0)


async def closed_with(world: ChargingWorld, view: SessionView, energy_wh: int) -> SessionView:
    """The session closes with this energy, and the money adds up."""
    view = await world.until(view.session_id, SessionState.CLOSED)
    assert view.energy_wh == energy_wh
    assert view.paid_micro == cost_of(energy_wh)
    assert view.refunded_micro == view.deposit_micro - view.paid_micro
    assert world.held_micro(view.driver) == WALLET_MICRO - view.paid_micro
    held_micro, owed_micro = world.escrow_micro()
    assert held_micro == owed_micro == view.paid_micro
    return view


async def refunded(world: ChargingWorld, view: SessionView) -> SessionView:
    """The session is cancelled, and everything is back."""
    view = await world.until(view.session_id, SessionState.CANCELLED)
    assert (view.paid_micro, view.refunded_micro) == (0, view.deposit_micro)
    assert world.held_micro(view.driver) == WALLET_MICRO
    assert world.escrow_micro() == (0, 0)
    return view


def starts_asked(world: ChargingWorld) -> int:
    """How often the charger was asked to start."""
    return sum(asked[0] == "start" for asked in world.link.asked)


def sample_of(world: ChargingWorld, text: str, unit: str = "Wh", **changes: Any) -> MeterSample:
    return MeterSample(
        taken_at=world.clock(), values=(SampledValue(text=text, unit=unit, **changes),)
    )


async def says_available(world: ChargingWorld, availability: Availability) -> None:
    event = StatusChanged(
        **world._said(),
        connector_id=1,
        availability=availability,
    )
    await world.runtime.sink.take(event)


# What chargers say.


def test_a_start_at_zero_and_then_the_lifetime_register_bills_only_what_was_charged(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        reply = await world.starts(view, 0)
        await world.measures(reply.transaction_id, REGISTER_WH)
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(reply.transaction_id, REGISTER_WH + 83)
        await world.stops(reply.transaction_id, REGISTER_WH + 83)
        await closed_with(world, view, 83)

    played(tmp_path, scenario)


def test_a_stop_below_the_start_bills_what_the_values_before_it_prove(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 4_000)
        world.clock.pass_s(60)
        await world.stops(transaction_id, 4_000)  # The session's energy for the register.
        await closed_with(world, view, 4_000)

    played(tmp_path, scenario)


def test_the_same_stop_twice_and_for_ever_is_one_stop(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        said = world._said()
        for number in range(5):  # Under one message id and under others.
            said["message_id"] = f"stop-{number // 2}"
            await world.stops(transaction_id, REGISTER_WH + 2_000, **said)
        await closed_with(world, view, 2_000)
        for number in range(5):
            said["message_id"] = f"again-{number}"
            reply = await world.stops(transaction_id, REGISTER_WH + 2_000, **said)
            assert reply.transaction_id == transaction_id
        await world.rounds()
        await closed_with(world, view, 2_000)

    played(tmp_path, scenario)


def test_a_start_that_is_told_again_under_another_message_id_is_the_same_charge(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        said = world._said()
        first = await world.starts(view, **said)
        world.clock.pass_s(10)
        again = await world.starts(view, **{**said, "message_id": "other"})
        assert again.accepted
        assert again.transaction_id == first.transaction_id
        world.clock.pass_s(HALF_HOUR_S)
        await world.stops(again.transaction_id, REGISTER_WH + 2_000)
        await closed_with(world, view, 2_000)
        assert [asked for asked in world.link.asked if asked[0] == "stop"] == []

    played(tmp_path, scenario)


def test_a_transaction_id_of_minus_one_after_an_offline_start_finds_its_charge(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, _ = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures("-1", REGISTER_WH + 2_000)
        world.clock.pass_s(HALF_HOUR_S)
        await world.stops("-1", REGISTER_WH + 4_500)
        await closed_with(world, view, 4_500)

    played(tmp_path, scenario)


def test_a_stop_that_comes_before_its_start_waits_for_it(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        token = (await world.session(view)).id_token
        began = world._said()
        world.clock.pass_s(540)  # After 600 s without a charge it would be given back.
        await world.stops("-1", REGISTER_WH + 1_500, id_token=token)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is not SessionState.CLOSED
        await world.starts(view, **began)
        await closed_with(world, view, 1_500)

    played(tmp_path, scenario)


def test_a_stop_whose_start_never_comes_is_settled_after_a_minute(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        token = (await world.session(view)).id_token
        await world.stops("-1", REGISTER_WH + 3_000, id_token=token)
        world.clock.pass_s(59)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state in (
            SessionState.OPEN,
            SessionState.CHARGING,
        )
        world.clock.pass_s(2)
        await world.rounds()
        await closed_with(world, view, 0)  # One value proves nothing.
        starts = starts_asked(world)
        world.clock.pass_s(120)
        await world.rounds()
        assert starts_asked(world) == starts  # Nobody asks it to start again.

    played(tmp_path, scenario)


def test_a_batch_without_an_energy_value_neither_bills_nor_hurts(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        for _ in range(3):
            world.clock.pass_s(600)
            power = sample_of(world, "7200.0", "W", measurand="Power.Active.Import")
            await world.measures(transaction_id, 0, samples=(power,))
        live = await world.runtime.desk.view(view.session_id)
        assert (live.energy_wh, live.power_w) == (0, 7_200)
        await world.stops(transaction_id, REGISTER_WH + 3_600)
        await closed_with(world, view, 3_600)

    played(tmp_path, scenario)


def test_values_that_come_after_the_stop_change_nothing(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.stops(transaction_id, REGISTER_WH + 2_000)
        world.clock.pass_s(30)
        await world.measures(transaction_id, REGISTER_WH + 2_500)
        await closed_with(world, view, 2_000)
        await world.measures(transaction_id, REGISTER_WH + 2_600)
        await world.rounds()
        await closed_with(world, view, 2_000)

    played(tmp_path, scenario)


def test_float_noise_and_mixed_units_bill_the_wh_that_flowed(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        for text, unit in (
            ("911.0000000000002", "kWh"),
            ("912000", "Wh"),
            ("912.9999999999998", "kWh"),
        ):
            world.clock.pass_s(600)
            await world.measures(transaction_id, 0, samples=(sample_of(world, text, unit),))
        world.clock.pass_s(60)
        await world.stops(transaction_id, REGISTER_WH + 3_000)
        await closed_with(world, view, 3_000)

    played(tmp_path, scenario)


@pytest.mark.parametrize("case", [str.lower, str.upper, lambda token: f" {token.title()} "])
def test_a_token_is_the_same_in_upper_and_lower_case(
    tmp_path: Path, case: Callable[[str], str]
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        token = case((await world.session(view)).id_token)
        asked = Authorised(
            charge_point_id=POINT, message_id="a", received_at=world.clock(), id_token=token
        )
        assert (await world.runtime.sink.take(asked)).accepted
        reply = await world.starts(view, id_token=token)
        assert reply.accepted
        world.clock.pass_s(HALF_HOUR_S)
        await world.stops(reply.transaction_id, REGISTER_WH + 1_000, id_token=token)
        await closed_with(world, view, 1_000)

    played(tmp_path, scenario)


@pytest.mark.parametrize(
    "off", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=-16_950)], ids=str
)
def test_a_clock_that_is_off_moves_neither_energy_nor_times(tmp_path: Path, off: timedelta) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        began_at = world.clock()
        reply = await world.starts(view, at=began_at + off)
        for step in (1, 2, 3):
            world.clock.pass_s(600)
            value = sample_of(world, str(REGISTER_WH + step * 1_000))
            shifted = MeterSample(taken_at=world.clock() + off, values=value.values)
            await world.measures(
                reply.transaction_id, 0, samples=(shifted,), at=world.clock() + off
            )
        await world.stops(reply.transaction_id, REGISTER_WH + 3_000, at=world.clock() + off)
        view = await closed_with(world, view, 3_000)
        assert (view.started_at, view.stopped_at) == (began_at, world.clock())

    played(tmp_path, scenario)


def test_a_power_loss_that_the_charger_tells_of_closes_with_what_was_charged(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        world.clock.pass_s(HALF_HOUR_S)
        boot = {key: value for key, value in world._said().items() if key != "at"}
        await world.runtime.sink.take(Booted(**boot, vendor="V", model="M"))
        await world.stops(transaction_id, REGISTER_WH + 3_000, reason="PowerLoss")
        view = await closed_with(world, view, 3_000)
        assert view.reason == "PowerLoss"

    played(tmp_path, scenario)


def test_a_power_loss_that_is_forgotten_is_settled_when_the_connector_is_free_again(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        await says_available(world, Availability.AVAILABLE)
        world.clock.pass_s(119)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.CHARGING
        world.clock.pass_s(2)
        await world.rounds()
        await closed_with(world, view, 3_000)

    played(tmp_path, scenario)


def test_a_connector_that_was_free_before_the_charge_does_not_end_it(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        await says_available(world, Availability.AVAILABLE)
        world.clock.pass_s(3_600)
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)  # It never said that somebody came.
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.CHARGING
        world.clock.pass_s(60)
        await world.stops(transaction_id, REGISTER_WH + 3_100)
        await closed_with(world, view, 3_100)

    played(tmp_path, scenario)


def test_a_charger_that_forgot_a_charge_and_begins_another_ends_the_first(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        world.clock.pass_s(60)
        second = await world.starts(view, REGISTER_WH + 3_000)
        assert not second.accepted
        assert second.transaction_id != transaction_id
        world.clock.pass_s(61)
        await world.rounds()
        view = await closed_with(world, view, 3_000)
        await world.asked_to_stop(second.transaction_id)

    played(tmp_path, scenario)


# Chargers that do not do what they are asked.


def test_a_remote_start_that_is_accepted_and_never_starts_is_refunded_after_ten_minutes(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        await world.rounds()
        opened = view.opened_at
        assert opened is not None
        world.clock.now_at = opened + timedelta(seconds=599)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.OPEN
        world.clock.pass_s(1)
        await world.rounds()
        view = await refunded(world, view)
        assert "600 s" in view.reason

    played(tmp_path, scenario)


def test_a_remote_start_that_is_rejected_is_refunded_at_once(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        world.link.answer = Answer.REJECTED
        view = await world.place(await world.driver())
        view = await refunded(world, view)
        assert "refused" in view.reason

    played(tmp_path, scenario)


def test_a_rejection_after_an_accepted_start_is_no_reason_to_cancel(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view = await world.opened(await world.driver())
        await world.rounds()
        began = world._said()
        world.link.answer = Answer.REJECTED  # It charges already, and could not tell yet.
        world.clock.pass_s(61)
        await world.rounds(4)
        assert len([asked for asked in world.link.asked if asked[0] == "start"]) == 2
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.OPEN
        reply = await world.starts(view, **began)
        world.clock.pass_s(600)
        await world.stops(reply.transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)

    played(tmp_path, scenario)


def test_a_charger_that_vanishes_is_settled_with_what_was_measured_after_a_day(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        last_at, opened = world.clock(), view.opened_at
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        world.link.online = False
        assert opened is not None
        world.clock.now_at = opened + timedelta(hours=23, minutes=57)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.CHARGING
        world.clock.now_at = opened + timedelta(hours=24)
        await world.rounds()
        view = await closed_with(world, view, 3_000)
        assert view.stopped_at == last_at

    played(tmp_path, scenario)


def test_a_driver_who_vanishes_leaves_a_car_that_is_stopped_after_a_day(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        for _ in range(24):  # The car is full and stays.
            world.clock.pass_s(3_600 - 5)
            idle = Flow.SUSPENDED_EV
            await world.measures(transaction_id, REGISTER_WH + 3_000, flow=idle)
            await world.rounds(1)
        await world.asked_to_stop(transaction_id)
        await closed_with(world, view, 3_000)

    played(tmp_path, scenario)


def test_an_offline_charger_that_replays_hours_later_is_paid_for_all_of_it(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.link.online = False
        said: list[tuple[dict[str, Any], MeterSample]] = []
        for step in range(1, 9):
            world.clock.pass_s(900)
            said.append((world._said(), world.sample(REGISTER_WH + step * 2_000)))
            await world.rounds(1)
        stop = world._said()
        world.clock.pass_s(3 * 3_600)  # The guard has long asked it to stop.
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.CHARGING
        world.link.online = True
        await world.runtime.sink.connected(POINT, "ocpp1.6")
        await world.rounds()
        for told, sample in said:
            late = {**told, "received_at": world.clock()}
            await world.measures(transaction_id, 0, samples=(sample,), **late)
        late = {**stop, "received_at": world.clock()}
        await world.stops(transaction_id, REGISTER_WH + 16_000, **late)
        view = await closed_with(world, view, 16_000)
        assert view.time_s == 8 * 900

    played(tmp_path, scenario)


def test_a_stop_from_the_page_while_the_charger_is_offline_is_settled_after_five_minutes(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        world.link.online = False
        await world.runtime.desk.stop(view.session_id)
        world.clock.pass_s(299)
        await world.rounds()
        assert (await world.runtime.desk.view(view.session_id)).state is SessionState.CHARGING
        world.clock.pass_s(1)
        await world.rounds()
        await closed_with(world, view, 3_000)

    played(tmp_path, scenario)


def test_a_charger_that_comes_back_in_time_to_be_stopped_is_heard_first(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.link.online = False
        await world.runtime.desk.stop(view.session_id)
        world.clock.pass_s(290)
        world.link.online = True
        await world.runtime.sink.connected(POINT, "ocpp1.6")
        world.clock.pass_s(30)  # It has much to tell.
        await world.rounds()
        await world.stops(transaction_id, REGISTER_WH + 900, reason="Remote")
        await closed_with(world, view, 900)

    played(tmp_path, scenario)


def test_a_charger_that_was_away_is_asked_to_stop_as_soon_as_it_is_there(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.link.online = False
        await world.runtime.desk.stop(view.session_id)
        await world.asked_to_stop(transaction_id)  # In vain.
        world.link.online = True
        world.link.asked.clear()
        await world.runtime.sink.connected(POINT, "ocpp1.6")
        async with asyncio.timeout(STOP_AGAIN_S / 2):
            await world.asked_to_stop(transaction_id)

    played(tmp_path, scenario)


def test_a_charge_that_goes_on_after_it_was_settled_is_stopped_whenever_it_is_heard_of(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 3_000)
        world.link.online = False
        await world.runtime.desk.stop(view.session_id)
        world.clock.pass_s(301)
        await world.rounds()
        await closed_with(world, view, 3_000)
        world.link.online = True
        world.link.asked.clear()
        world.clock.pass_s(3_600)
        await world.measures(transaction_id, REGISTER_WH + 9_000)
        await asyncio.sleep(0)
        await world.asked_to_stop(transaction_id)
        assert world.link.asked == [("stop", POINT, transaction_id)]
        await closed_with(world, view, 3_000)

    played(tmp_path, scenario)


# Charges that nobody pays for.


def test_a_charge_that_nobody_ordered_is_not_authorised_and_stopped_and_kept(
    tmp_path: Path,
) -> None:
    async def scenario(world: ChargingWorld) -> None:
        card = Authorised(
            charge_point_id=POINT, message_id="a", received_at=world.clock(), id_token="CARD"
        )
        assert not (await world.runtime.sink.take(card)).accepted
        started = TransactionStarted(
            **world._said(),
            transaction_id="",
            connector_id=1,
            id_token="CARD",
            meter_start_text=str(REGISTER_WH),
        )
        reply = await world.runtime.sink.take(started)
        assert not reply.accepted
        await asyncio.sleep(0)
        await world.asked_to_stop(reply.transaction_id)
        assert world.link.asked == [("stop", POINT, reply.transaction_id)]
        world.clock.pass_s(60)
        await world.measures(reply.transaction_id, REGISTER_WH + 50)
        await world.stops(reply.transaction_id, REGISTER_WH + 60)
        number = int(reply.transaction_id)
        store = world.runtime._store
        kept = store.run(lambda open_: store.messages.events_of(open_, number))
        assert [type(event).__name__ for event in kept] == [
            "TransactionStarted",
            "TransactionUpdated",
            "TransactionEnded",
        ]
        # The next driver is not hindered.
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)

    played(tmp_path, scenario)


def test_a_second_charge_under_the_same_token_is_nobodys(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        view, transaction_id = await world.begun(await world.driver())
        world.clock.pass_s(60)
        second = await world.starts(view, 5_000, connector_id=2)
        assert not second.accepted
        await world.measures(second.transaction_id, 9_000, connector_id=2)
        await world.asked_to_stop(second.transaction_id)
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)

    played(tmp_path, scenario)


def test_a_charge_of_another_service_does_not_take_the_number_of_ours(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        for foreign in ("2", "3", "4"):  # Ids that ours would have next.
            event = TransactionUpdated(
                **world._said(),
                transaction_id=foreign,
                connector_id=2,
                samples=(world.sample(REGISTER_WH),),
            )
            await world.runtime.sink.take(event)
            world.clock.pass_s(10)
        view, transaction_id = await world.begun(await world.driver())
        assert transaction_id not in ("2", "3", "4")
        world.clock.pass_s(600)
        await world.stops(transaction_id, REGISTER_WH + 1_000)
        await closed_with(world, view, 1_000)

    played(tmp_path, scenario)


# The deposit.


def test_a_charge_is_stopped_before_its_deposit_is_used_up(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        deposit = 3_000_000
        view, transaction_id = await world.begun(await world.driver(), deposit_micro=deposit)
        energy_wh = 0
        while not [asked for asked in world.link.asked if asked[0] == "stop"]:
            world.clock.pass_s(60)
            energy_wh += 183  # 11 kW.
            reply = await world.measures(transaction_id, REGISTER_WH + energy_wh)
            assert reply.cost_micro is not None
            assert reply.cost_micro < deposit
            await world.rounds(1)
            await asyncio.sleep(0)
            assert energy_wh < 7_000
        assert deposit - cost_of(energy_wh) < 350_000  # Not much earlier than it had to.
        world.clock.pass_s(30)
        await world.stops(transaction_id, REGISTER_WH + energy_wh + 91, reason="Remote")
        view = await closed_with(world, view, energy_wh + 91)
        assert view.reason == "the deposit is nearly used up"

    played(tmp_path, scenario)


def test_a_charger_that_does_not_stop_takes_never_more_than_the_deposit(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        deposit = 3_000_000
        view, transaction_id = await world.begun(await world.driver(), deposit_micro=deposit)
        world.link.answer = Answer.REJECTED
        for step in range(1, 61):
            world.clock.pass_s(60)
            await world.measures(transaction_id, REGISTER_WH + step * 183)
        await world.rounds()
        world.clock.pass_s(301)
        await world.rounds()
        view = await world.until(view.session_id, SessionState.CLOSED)
        assert (view.paid_micro, view.refunded_micro) == (deposit, 0)
        assert cost_of(view.energy_wh) > deposit

    played(tmp_path, scenario)


def test_a_top_up_in_time_keeps_the_charge_going(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        driver = await world.driver()
        view, transaction_id = await world.begun(driver, deposit_micro=3_000_000)
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 5_400)
        await world.top_up(driver, view.session_id, 5_000_000)
        await world.rounds()
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures(transaction_id, REGISTER_WH + 10_800)
        await world.rounds()
        assert not [asked for asked in world.link.asked if asked[0] == "stop"]
        await world.stops(transaction_id, REGISTER_WH + 10_800)
        view = await closed_with(world, view, 10_800)
        assert view.deposit_micro == 8_000_000

    played(tmp_path, scenario)


def test_a_signed_record_of_an_earlier_charge_bills_no_second_one(
    tmp_path: Path,
) -> None:
    meter = OcmfMeter()

    def signed(world: ChargingWorld, rv_begin: str, rv_end: str) -> str:
        return meter.both(rv_begin, rv_end, (world.clock() - timedelta(hours=1), world.clock()))

    async def charge(world: ChargingWorld, text_of: Callable[[], str], seed: int) -> SessionView:
        view, transaction_id = await world.begun(await world.driver(seed))
        world.clock.pass_s(3_600)
        told = SampledValue(text=text_of(), signed=True, context="Transaction.End")
        event = TransactionEnded(
            **world._said(),
            transaction_id=transaction_id,
            connector_id=1,
            samples=(MeterSample(taken_at=world.clock(), values=(told,)),),
        )
        await world.runtime.sink.take(event)
        view = await world.until(view.session_id, SessionState.CLOSED)
        world.clock.pass_s(60)
        return view

    async def scenario(world: ChargingWorld) -> None:
        unknown = signed(world, "902.000", "910.000")  # Of a charge that was no session.
        records: list[str] = []

        def of_first() -> str:
            records.append(signed(world, "910.000", "914.000"))
            return records[0]

        first = await charge(world, of_first, 7)
        assert (first.energy_wh, first.paid_micro) == (4_000, cost_of(4_000))
        second = await charge(world, lambda: records[0].encode().hex(), 8)  # In another dress.
        assert (second.energy_wh, second.paid_micro) == (0, cost_of(0))
        receipt = await world.runtime.desk.receipt(second.session_id)
        evidence = receipt["evidence"]
        assert isinstance(evidence, dict)
        assert (evidence["kind"], evidence["verified"]) == ("none", False)
        assert [note for note in evidence["notes"] if note.startswith("signed_replayed")]
        third = await charge(world, lambda: signed(world, "914.000", "915.500"), 9)
        assert third.energy_wh == 1_500
        fourth = await charge(world, lambda: unknown, 10)
        assert fourth.energy_wh == 0
        evidence = (await world.runtime.desk.receipt(fourth.session_id))["evidence"]
        assert isinstance(evidence, dict)
        assert (evidence["kind"], evidence["verified"]) == ("none", False)
        assert [note for note in evidence["notes"] if note.startswith("signed_outside")]

    section = {
        "id": POINT,
        "host": 2,
        "connectors": 2,
        "power_w": 11_000,
        "register_wh": REGISTER_WH,
        "tariff": TARIFF,
        "public_key": meter.public_key(),
    }
    played(tmp_path, scenario, charging_document(chargers=[section]))


def test_a_register_value_that_no_reading_can_have_holds_up_no_other(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        for off in (timedelta(days=-20_000), timedelta(0)):
            sample = world.sample(REGISTER_WH)
            shifted = MeterSample(taken_at=world.clock() + off, values=sample.values)
            event = TransactionUpdated(
                **{**world._said(), "at": world.clock() + off},
                transaction_id="",
                connector_id=2,
                samples=(shifted,),
            )
            reply = await world.runtime.sink.take(event)
            assert reply == Reply()
        await world.rounds()
        assert world.runtime.problems() == []
        community = world.community
        meters = {meter.label: meter.meter_id for meter in community.readings.meters()}
        kept = community.readings.versions(
            [meters[f"{POINT}/2"]],
            from_at=world.clock() - timedelta(days=1),
            until_at=world.clock() + timedelta(days=1),
        )
        assert [each.signed.reading.import_wh for each in kept] == [REGISTER_WH]

    played(tmp_path, scenario)


def test_two_chargers_of_one_point_charge_beside_each_other(tmp_path: Path) -> None:
    async def scenario(world: ChargingWorld) -> None:
        first, one = await world.begun(await world.driver(7))
        second = await world.place(await world.driver(8), charger_id=charger_id_of(POINT, 2))
        second = await world.until(second.session_id, SessionState.OPEN)
        two = (await world.starts(second, connector_id=2)).transaction_id
        world.clock.pass_s(HALF_HOUR_S)
        await world.measures("-1", REGISTER_WH + 1_000, connector_id=1)
        await world.measures("-1", REGISTER_WH + 2_000, connector_id=2)
        await world.stops(two, REGISTER_WH + 2_000)
        await world.stops(one, REGISTER_WH + 1_000)
        for view, energy_wh in ((first, 1_000), (second, 2_000)):
            closed = await world.until(view.session_id, SessionState.CLOSED)
            assert (closed.energy_wh, closed.paid_micro) == (energy_wh, cost_of(energy_wh))
        held_micro, owed_micro = world.escrow_micro()
        assert held_micro == owed_micro == cost_of(1_000) + cost_of(2_000)
        assert owed_micro < DEPOSIT

    played(tmp_path, scenario)
