"""Whole charges, over a real server, with the `ocpp` library as charger."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from ocpp.v16 import call as call16
from ocpp.v201 import call as call201

from charging.ocpp.hearing import Terms
from charging.points import (
    Alive,
    Answer,
    Authorised,
    Availability,
    Booted,
    StatusChanged,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from tests.ocpp_chargers import Asked, library_charger
from tests.ocpp_world import NOW_TEXT, central_system, until

VALUE_16 = {
    "timestamp": "2026-11-03T11:10:00Z",
    "sampled_value": [{"value": "1500", "unit": "Wh"}, {"value": "7.4", "unit": "kW"}],
}


def test_a_charge_in_1_6_from_boot_to_stop() -> None:
    async def scenario() -> None:
        asked = Asked()
        async with central_system() as world, library_charger(world, "ocpp1.6", asked) as charger:
            booted = await charger.call(call16.BootNotification("Model", "Vendor"))
            assert (booted.status, booted.interval, booted.current_time) == (
                "Accepted",
                300,
                NOW_TEXT,
            )
            await until(lambda: any(action == "GetConfiguration" for action, _said in asked.of))
            await charger.call(call16.StatusNotification(1, "NoError", "Preparing"))
            allowed = await charger.call(call16.Authorize("CARD-1"))
            assert allowed.id_tag_info == {"status": "Accepted"}
            stranger = await charger.call(call16.Authorize("card-2"))
            assert stranger.id_tag_info == {"status": "Invalid"}

            started = await charger.call(
                call16.StartTransaction(1, "card-1", 1000, "2026-11-03T11:00:00Z")
            )
            number = started.transaction_id
            await charger.call(call16.MeterValues(1, [VALUE_16], number))
            limited = await world.points.limit("CP-1", 1, str(number), limit_w=4_000)
            assert limited is Answer.ACCEPTED
            assert await world.points.stop("CP-1", str(number)) is Answer.ACCEPTED
            assert asked.last("RemoteStopTransaction") == {"transaction_id": number}
            stopped = await charger.call(
                call16.StopTransaction(3000, "2026-11-03T12:00:00Z", number, "Remote", "card-1")
            )
            assert stopped.id_tag_info == {"status": "Accepted"}
            assert (await charger.call(call16.Heartbeat())).current_time == NOW_TEXT

        kinds = [type(event) for event in world.sink.events]
        assert kinds == [
            Booted,
            StatusChanged,
            Authorised,
            Authorised,
            TransactionStarted,
            TransactionUpdated,
            TransactionEnded,
            Alive,
        ]
        assert world.sink.of(StatusChanged)[0].availability is Availability.PREPARING
        assert world.sink.of(TransactionEnded)[0].transaction_id == str(number)
        assert world.sink.connections == [("CP-1", "ocpp1.6"), ("CP-1", "")]

    asyncio.run(scenario())


def test_a_charge_in_2_0_1_from_boot_to_end() -> None:
    def event(kind: str, number: int, **more: Any) -> call201.TransactionEvent:
        info = {"transaction_id": "tx-1", "remote_start_id": 5} | more.pop("info", {})
        return call201.TransactionEvent(
            kind, f"2026-11-03T11:0{number}:00Z", "RemoteStart", number, info, **more
        )

    async def scenario() -> None:
        asked = Asked()
        async with central_system() as world, library_charger(world, "ocpp2.0.1", asked) as charger:
            station = {"model": "Model", "vendor_name": "Vendor"}
            booted = await charger.call(call201.BootNotification(station, "PowerUp"))
            assert (booted.status, booted.interval) == ("Accepted", 300)
            await until(lambda: any(action == "GetVariables" for action, _said in asked.of))
            started = await world.points.start(
                "CP-1", 2, id_token="card-1", remote_start_id=5, limit_w=11_000
            )
            assert started is Answer.ACCEPTED
            assert asked.last("RequestStartTransaction")["remote_start_id"] == 5

            token = {"id_token": "CARD-1", "type": "Central"}
            said = await charger.call(event("Started", 0, evse={"id": 2}, id_token=token))
            assert said.id_token_info == {"status": "Accepted"}
            value = {"timestamp": "2026-11-03T11:01:00Z", "sampled_value": [{"value": 12.5}]}
            said = await charger.call(event("Updated", 1, meter_value=[value]))
            assert said.total_cost == 1.234567
            assert said.id_token_info is None
            unknown = await world.points.stop("CP-1", "tx-0")
            assert unknown is Answer.ACCEPTED
            await charger.call(
                event("Ended", 2, offline=True, info={"stopped_reason": "PowerLoss"})
            )

        start, update, end = world.sink.of(TransactionStarted)[0], *world.sink.events[-2:]
        assert (start.connector_id, start.remote_start_id, start.sequence) == (2, 5, 0)
        assert update.samples[0].values[0].text == "12.5"
        assert (end.reason, end.offline, end.sequence) == ("PowerLoss", True, 2)
        assert end.at == datetime(2026, 11, 3, 11, 2, tzinfo=UTC)

    asyncio.run(scenario())


def test_after_a_boot_a_1_6_charger_is_set_up_and_its_refusals_are_borne() -> None:
    async def scenario() -> None:
        asked = Asked(rate_unit="Current")
        async with central_system() as world, library_charger(world, "ocpp1.6", asked) as charger:
            await charger.call(call16.BootNotification("Model", "Vendor"))
            await until(lambda: any(action == "GetConfiguration" for action, _said in asked.of))
            both = "Energy.Active.Import.Register,Power.Active.Import"
            settings = [(said["key"], said["value"]) for _action, said in asked.of[:-1]]
            assert settings == [
                ("MeterValueSampleInterval", "10"),
                ("MeterValuesSampledData", both),
                ("MeterValuesSampledData", "Energy.Active.Import.Register"),
                ("StopTxnSampledData", "Energy.Active.Import.Register"),
            ]
            await asyncio.sleep(0.05)  # Its last answer is read after it was given.
            await world.points.limit("CP-1", 1, "7", limit_w=11_000)
            schedule = asked.last("SetChargingProfile")["cs_charging_profiles"]["charging_schedule"]
            assert schedule["charging_rate_unit"] == "A"
            assert schedule["charging_schedule_period"] == [{"start_period": 0, "limit": 15}]

    asyncio.run(scenario())


def test_after_a_boot_a_2_0_1_station_is_set_up() -> None:
    async def scenario() -> None:
        asked = Asked(rate_unit="Current", status={"SetVariables": "UnknownVariable"})
        async with central_system() as world, library_charger(world, "ocpp2.0.1", asked) as charger:
            station = {"model": "Model", "vendor_name": "Vendor"}
            await charger.call(call201.BootNotification(station, "PowerUp"))
            await until(lambda: any(action == "GetVariables" for action, _said in asked.of))
            variables = [said["set_variable_data"][0] for _action, said in asked.of[:-1]]
            assert {data["component"]["name"] for data in variables} == {"SampledDataCtrlr"}
            assert [data["variable"]["name"] for data in variables] == [
                "TxUpdatedInterval",
                "TxUpdatedMeasurands",
                "TxUpdatedMeasurands",
                "TxStartedMeasurands",
                "TxEndedMeasurands",
            ]
            await asyncio.sleep(0.05)
            await world.points.limit("CP-1", 1, "tx-1", limit_w=11_000)
            profile = asked.last("SetChargingProfile")["charging_profile"]
            assert profile["charging_schedule"][0]["charging_rate_unit"] == "A"

    asyncio.run(scenario())


def test_a_charger_that_never_answers_its_settings_is_still_started() -> None:
    async def scenario() -> None:
        terms = Terms(setting_within_s=0.5)
        async with central_system(terms=terms) as world, world.charger() as charger:
            await charger.say([2, "b", "BootNotification", BOOT])
            assert (await charger.hear())[0] == 3
            assert (await charger.hear())[2] == "ChangeConfiguration"
            start = asyncio.create_task(
                world.points.start("CP-1", 1, id_token="t", remote_start_id=1)
            )
            request = await charger.hear()
            assert request[2] == "RemoteStartTransaction"
            await charger.say([3, request[1], {"status": "Accepted"}])
            assert await start is Answer.ACCEPTED

    asyncio.run(scenario())


BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_every_command_reaches_the_charger_and_its_answer_comes_back(protocol: str) -> None:
    async def scenario() -> None:
        asked = Asked(status={"RequestStopTransaction": "Rejected"})
        two = protocol == "ocpp2.0.1"
        async with central_system() as world, library_charger(world, protocol, asked):
            points = world.points
            await until(lambda: points.is_connected("CP-1"))
            started = await points.start("CP-1", 1, id_token="token", remote_start_id=9)
            assert started is Answer.ACCEPTED
            # A 2.0.1 station says that it has no such transaction.
            assert await points.stop("CP-1", "7") is (Answer.UNKNOWN if two else Answer.ACCEPTED)
            assert await points.limit("CP-1", 1, "7", limit_w=4_000) is Answer.ACCEPTED
            assert await points.ask_meter("CP-1", 1) is Answer.ACCEPTED
            assert asked.last("TriggerMessage")["requested_message"] == "MeterValues"
            assert await points.ask_status("CP-1", 1) is Answer.ACCEPTED
            assert asked.last("TriggerMessage")["requested_message"] == "StatusNotification"
            unlocked = await points.unlock("CP-1", 1)
            assert unlocked is (Answer.UNKNOWN if two else Answer.ACCEPTED)
            reset = await points.reset("CP-1", hard=True)
            assert reset is (Answer.ACCEPTED if two else Answer.UNKNOWN)
            assert asked.last("Reset")["type"] == ("Immediate" if two else "Hard")
            closed = await points.set_available("CP-1", 0, available=False)
            assert closed is Answer.ACCEPTED
            assert "Inoperative" in asked.last("ChangeAvailability").values()

    asyncio.run(scenario())


def test_an_offline_charge_in_1_6_is_taken_with_its_own_times() -> None:
    async def scenario() -> None:
        async with (
            central_system() as world,
            library_charger(world, "ocpp1.6", Asked()) as charger,
        ):
            await charger.call(call16.StartTransaction(1, "card-1", 5, "2026-10-01T08:00:00Z"))
            await charger.call(call16.StopTransaction(9, "2026-10-01T09:00:00Z", -1))
        start, stop = world.sink.events
        assert start.at == datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
        assert (stop.at, stop.transaction_id) == (datetime(2026, 10, 1, 9, 0, tzinfo=UTC), "-1")

    asyncio.run(scenario())
