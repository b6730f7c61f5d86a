"""Chargers that send nonsense, too much, twice or never; the others do not notice."""

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from charging.ocpp.hearing import Terms
from charging.points import (
    Answer,
    Booted,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from tests.ocpp_messages import V16, V201
from tests.ocpp_world import MemorySink, central_system, until

HASTY = Terms(answer_within_s=0.3)
START, STOP = V16["StartTransaction"], V16["StopTransaction"]


@pytest.mark.parametrize(
    "garbage",
    ["garbage", "", "{}", "[]", "[2]", '[2,7,"Heartbeat",{}]', "[" * 60_000, "\x00", "[3]", '"x"'],
)
def test_garbage_is_ignored_and_the_connection_stays(garbage: str) -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger() as charger:
            await charger.say(garbage)
            await charger.socket.send(b"\xff\xfe")
            assert (await charger.call("Heartbeat", {}, "after"))[:2] == [3, "after"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("protocol", "frame", "code"),
    [
        ("ocpp1.6", '[2,"m"]', "ProtocolError"),
        ("ocpp2.0.1", '[2,"m"]', "RpcFrameworkError"),
        ("ocpp1.6", '[2,"m","Heartbeat",[]]', "FormationViolation"),
        ("ocpp2.0.1", '[2,"m","Heartbeat",[]]', "FormatViolation"),
        ("ocpp1.6", '[9,"m","Heartbeat",{}]', "ProtocolError"),
        ("ocpp2.0.1", '[9,"m","Heartbeat",{}]', "MessageTypeNotSupported"),
        ("ocpp1.6", '[2,"m","Sing",{}]', "NotImplemented"),
        ("ocpp2.0.1", '[2,"m","Sing",{}]', "NotImplemented"),
        ("ocpp1.6", '[2,"m","Reset",{}]', "NotSupported"),
        ("ocpp1.6", '[2,"m","Authorize",{}]', "OccurenceConstraintViolation"),
        ("ocpp2.0.1", '[2,"m","Authorize",{}]', "OccurrenceConstraintViolation"),
        ("ocpp1.6", '[2,"m","Authorize",{"idTag":7}]', "TypeConstraintViolation"),
    ],
)
def test_a_broken_request_is_answered_with_the_versions_own_error(
    protocol: str, frame: str, code: str
) -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger(protocols=(protocol,)) as charger:
            await charger.say(frame)
            error = await charger.hear()
            assert error[:3] == [4, "m", code]
            assert error[3]
            assert error[4] == {}
            assert (await charger.call("Heartbeat", {}))[0] == 3
            assert len(world.sink.events) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("by_transport", [True, False])
def test_a_message_that_is_too_long_ends_the_connection(by_transport: bool) -> None:
    async def scenario() -> None:
        options = {} if by_transport else {"ws_max_size": 2**20}
        async with central_system(options=options) as world, world.charger() as charger:
            await charger.say([2, "m", "DataTransfer", {"vendorId": "x", "data": "x" * 70_000}])
            with pytest.raises(ConnectionClosed) as closed:
                await charger.hear()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
            async with world.charger() as again:
                assert (await again.call("Heartbeat", {}))[0] == 3

    asyncio.run(scenario())


def test_the_same_message_again_has_its_effect_once_and_the_same_answer() -> None:
    async def scenario() -> None:
        async with central_system() as world:
            async with world.charger() as charger:
                first = await charger.call("StartTransaction", START, "again")
                assert await charger.call("StartTransaction", START, "again") == first
                # The same id on another action is another message.
                assert (await charger.call("Heartbeat", {}, "again"))[2].keys() == {"currentTime"}
            async with world.charger() as charger:
                assert await charger.call("StartTransaction", START, "again") == first
            assert len(world.sink.of(TransactionStarted)) == 1

    asyncio.run(scenario())


def test_a_message_id_that_is_used_for_another_text_goes_to_the_sink() -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger() as charger:
            taken: list[Any] = []
            take = world.sink.take

            async def watched(event: Any) -> Any:
                taken.append(event)
                return await take(event)

            world.sink.take = watched  # type: ignore[method-assign]
            await charger.call("StopTransaction", STOP, "m")
            await charger.call("StopTransaction", STOP | {"meterStop": 9001}, "m")
            await charger.call("StopTransaction", STOP | {"meterStop": 9001}, "m")
            assert [event.meter_stop_text for event in taken] == ["9000", "9001"]

    asyncio.run(scenario())


def test_a_stop_is_answered_with_a_result_whatever_it_is_about() -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger() as charger:
            for number, changes in enumerate(
                (
                    {"transactionId": 424242},
                    {"transactionId": -1},
                    {"idTag": "stranger"},
                    {"timestamp": "yesterday"},
                    {"meterStop": 12.75},
                    {"transactionData": [{"timestamp": 0}]},
                    {},
                    {},
                )
            ):
                answer = await charger.call("StopTransaction", STOP | changes, f"s-{number}")
                assert answer[0] == 3, answer
            stops = world.sink.of(TransactionEnded)
            assert len(stops) == 8
            assert stops[4].meter_stop_text == "12.75"

    asyncio.run(scenario())


def test_an_end_in_2_0_1_is_answered_with_a_result_whatever_it_says() -> None:
    async def scenario() -> None:
        async with (
            central_system() as world,
            world.charger(protocols=("ocpp2.0.1",)) as charger,
        ):
            end = V201["TransactionEvent"] | {"eventType": "Ended", "triggerReason": "Boredom"}
            assert (await charger.call("TransactionEvent", end, "e"))[0] == 3
            assert (await charger.call("TransactionEvent", end, "e"))[0] == 3
            assert len(world.sink.of(TransactionEnded)) == 1

    asyncio.run(scenario())


def test_what_the_sink_cannot_keep_is_not_acknowledged_and_is_taken_when_it_can() -> None:
    async def scenario() -> None:
        sink = MemorySink(is_full=True)
        async with central_system(sink=sink) as world, world.charger() as charger:
            refused = await charger.call("StopTransaction", STOP, "s")
            assert refused[:3] == [4, "s", "InternalError"]
            assert "No space" not in json.dumps(refused)
            world.sink.is_full = False
            assert (await charger.call("StopTransaction", STOP, "s"))[0] == 3
            assert len(world.sink.of(TransactionEnded)) == 1

    asyncio.run(scenario())


def test_nothing_is_answered_before_the_sink_has_it() -> None:
    async def scenario() -> None:
        sink = MemorySink(gate=asyncio.Event())
        async with central_system(sink=sink) as world, world.charger() as charger:
            await charger.say([2, "s", "StopTransaction", STOP])
            with pytest.raises(TimeoutError):
                await charger.hear(within_s=0.2)
            assert sink.gate is not None
            sink.gate.set()
            assert (await charger.hear())[:2] == [3, "s"]
            assert world.points.is_connected("CP-1")

    asyncio.run(scenario())


def test_a_command_is_answered_while_a_request_waits_for_the_sink() -> None:
    async def scenario() -> None:
        sink = MemorySink(gate=asyncio.Event())
        async with central_system(sink=sink) as world, world.charger() as charger:
            await charger.say([2, "s", "StopTransaction", STOP])
            unlock = asyncio.create_task(world.points.unlock("CP-1", 1))
            request = await charger.hear()
            await charger.say([3, request[1], {"status": "Unlocked"}])
            assert await unlock is Answer.ACCEPTED
            assert sink.events == []
            assert sink.gate is not None
            sink.gate.set()
            assert (await charger.hear())[:2] == [3, "s"]

    asyncio.run(scenario())


def test_a_command_without_an_answer_in_time_says_so_and_a_late_answer_is_ignored() -> None:
    async def scenario() -> None:
        async with central_system(terms=HASTY) as world, world.charger() as charger:
            await charger.call("Heartbeat", {})
            assert await world.points.stop("CP-1", "7") is Answer.NO_ANSWER
            late = await charger.hear()
            assert late[2:] == ["RemoteStopTransaction", {"transactionId": 7}]
            await charger.say([3, late[1], {"status": "Accepted"}])
            await charger.say([3, "nobody asked", {}])
            await charger.say([4, "nobody asked", "GenericError", "", {}])
            unlock = asyncio.create_task(world.points.unlock("CP-1", 1))
            request = await charger.hear()
            await charger.say([4, request[1], "NotImplemented", "", {}])
            assert await unlock is Answer.UNKNOWN

    asyncio.run(scenario())


def test_one_command_at_a_time_is_under_way() -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger() as charger:
            await charger.call("Heartbeat", {})
            asked = [asyncio.create_task(world.points.unlock("CP-1", n)) for n in (1, 2, 3)]
            for number in (1, 2, 3):
                request = await charger.hear()
                assert request[3] == {"connectorId": number}
                with pytest.raises(TimeoutError):
                    await charger.hear(within_s=0.1)
                await charger.say([3, request[1], {"status": "Unlocked"}])
            assert await asyncio.gather(*asked) == [Answer.ACCEPTED] * 3

    asyncio.run(scenario())


def test_a_charger_that_leaves_under_a_command_gave_no_answer_and_then_is_offline() -> None:
    async def scenario() -> None:
        async with central_system() as world:
            assert await world.points.unlock("CP-1", 1) is Answer.OFFLINE
            async with world.charger() as charger:
                await charger.call("Heartbeat", {})
                asked = [asyncio.create_task(world.points.unlock("CP-1", n)) for n in (1, 2)]
                await charger.hear()
            # The first was sent, so whether it acts is unknown; the second never was.
            assert await asyncio.gather(*asked) == [Answer.NO_ANSWER, Answer.OFFLINE]
            await until(lambda: not world.points.is_connected("CP-1"))
            assert await world.points.stop("CP-1", "7") is Answer.OFFLINE

    asyncio.run(scenario())


def test_a_command_that_a_version_cannot_state_is_unknown_and_not_sent() -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger() as charger:
            await charger.call("Heartbeat", {})
            assert await world.points.stop("CP-1", "tx-1") is Answer.UNKNOWN
            with pytest.raises(TimeoutError):
                await charger.hear(within_s=0.1)

    asyncio.run(scenario())


@pytest.mark.parametrize("frame", ['[2,"m","Heartbeat",{}]', "garbage", '[3,"m",{}]', '[2,"m"]'])
def test_a_charger_that_floods_is_read_slowly_and_no_other_one_notices(frame: str) -> None:
    async def scenario() -> None:
        terms = Terms(frames_per_s=20.0, frames_burst=20)
        async with (
            central_system(terms=terms, options={"timeout_graceful_shutdown": 1}) as world,
            world.charger("CP-1", close_timeout=0.1) as flooding,
            world.charger("CP-2") as calm,
        ):
            flood = asyncio.create_task(send_many(flooding, frame))
            begun_s = asyncio.get_running_loop().time()
            for number in range(20):
                assert (await calm.call("Heartbeat", {}, str(number)))[1] == str(number)
                await asyncio.sleep(0.02)
            took_s = asyncio.get_running_loop().time() - begun_s
            assert took_s < 5
            heard = [event for event in world.sink.events if event.charge_point_id == "CP-1"]
            assert len(heard) < 20 + 20 * (took_s + 1)
            flood.cancel()

    asyncio.run(scenario())


async def send_many(charger: Any, frame: str) -> None:
    while True:
        await charger.say(frame)
        await asyncio.sleep(0)


def test_a_charger_that_waits_for_each_answer_is_never_held_up() -> None:
    async def scenario() -> None:
        terms = Terms(frames_per_s=0.001, frames_burst=20)
        async with central_system(terms=terms) as world, world.charger() as charger:
            for number in range(500):
                assert (await charger.call("Heartbeat", {}, str(number)))[1] == str(number)
            assert len(world.sink.events) == 500

    asyncio.run(scenario())


def test_a_charger_that_does_not_wait_for_answers_loses_nothing() -> None:
    async def scenario() -> None:
        terms = Terms(calls_waiting_max=4)
        async with central_system(terms=terms) as world, world.charger() as charger:
            for number in range(100):
                await charger.say([2, f"v-{number}", "MeterValues", V16["MeterValues"]])
            answers = [(await charger.hear())[1] for _number in range(100)]
            assert answers == [f"v-{number}" for number in range(100)]
            assert len(world.sink.of(TransactionUpdated)) == 100

    asyncio.run(scenario())


def test_a_sink_that_fails_to_note_a_connection_does_not_end_it() -> None:
    async def scenario() -> None:
        class Forgetful(MemorySink):
            async def connected(self, charge_point_id: str, protocol: str) -> None:
                raise OSError(5, "Input/output error")

        async with central_system(sink=Forgetful()) as world, world.charger() as charger:
            assert (await charger.call("BootNotification", V16["BootNotification"]))[0] == 3
            assert len(world.sink.of(Booted)) == 1

    asyncio.run(scenario())


def test_a_sink_may_ask_the_charger_as_soon_as_it_is_connected() -> None:
    async def scenario() -> None:
        answers: list[Answer] = []

        class Curious(MemorySink):
            async def connected(self, charge_point_id: str, protocol: str) -> None:
                answers.append(await world.points.ask_status(charge_point_id, 1))

        async with central_system(sink=Curious()) as world, world.charger() as charger:
            request = await charger.hear()
            assert request[2] == "TriggerMessage"
            assert (await charger.call("Heartbeat", {}))[0] == 3
            await charger.say([3, request[1], {"status": "Accepted"}])
            await until(lambda: answers == [Answer.ACCEPTED])

    asyncio.run(scenario())


def test_a_charger_that_boots_again_and_again_is_set_up_for_its_last_boot() -> None:
    async def scenario() -> None:
        async with central_system() as world, world.charger() as charger:
            for number in range(5):
                await charger.say([2, f"b-{number}", "BootNotification", V16["BootNotification"]])
            booted, asked = 0, 0
            while booted < 5 or asked < 1:
                frame = await charger.hear()
                booted, asked = booted + (frame[0] == 3), asked + (frame[0] == 2)
            assert len(world.sink.of(Booted)) == 5

    asyncio.run(scenario())
