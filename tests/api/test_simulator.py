"""The simulated charge point, over real WebSockets, at a central system on the `ocpp` library."""

import asyncio
import base64
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest
from ocpp import exceptions as refusals
from ocpp.v16 import call as call16
from ocpp.v201 import call as call201
from pyocmf.core.ocmf import OCMF

from charging.simulator.clock import RunningClock, ScriptClock
from charging.simulator.drive import drive
from charging.simulator.errors import BadScript, CentralUnreachable, PointRefused
from charging.simulator.ocmf import OcmfSigner
from charging.simulator.point import ChargePoint
from charging.simulator.script import ScriptedSession, play
from tests.api.central_system import PASSWORD, Point16, central_system, remote_start
from tests.api.simulated import HOUR, MINUTE, POWER_W, REGISTER_WH, T0, VERSIONS, Scene, scene

both = pytest.mark.parametrize("version", VERSIONS)


def run(work: Awaitable[None]) -> None:
    """A scenario may not take half a minute."""

    async def limited() -> None:
        async with asyncio.timeout(30):
            await work

    asyncio.run(limited())


@both
def test_a_whole_charge_is_told_in_order_with_its_stated_times(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            charge = await s.whole_charge()
            assert s.order() == "SuuuuE"
            assert [told.at for told in s.registers()] == [
                "2016-06-01T10:15:00Z",
                "2016-06-01T10:30:00Z",
                "2016-06-01T10:45:00Z",
                "2016-06-01T11:00:00Z",
            ]
            assert [told.value for told in s.registers()] == [
                "911800",
                "913600",
                "915400",
                "917200",
            ]
            assert {told.unit for told in s.registers()} == {"Wh"}
            assert (s.stop_register(), s.reason()) == ("917200", "EVDisconnected")
            assert s.stops()[0]["timestamp"] == "2016-06-01T11:30:00Z"
            assert (charge.energy_wh, charge.start_wh) == (POWER_W, REGISTER_WH)
            assert s.states()[-1] == "Available"

    run(scenario())


def test_the_start_of_1_6_states_register_token_and_time() -> None:
    async def scenario() -> None:
        async with scene("1.6") as s:
            await s.whole_charge()
            assert s.starts() == [
                {
                    "connector_id": 1,
                    "id_tag": "driver-1",
                    "meter_start": 910_000,
                    "timestamp": "2016-06-01T10:00:00Z",
                }
            ]
            assert {update["transaction_id"] for update in s.updates()} == {1}
            assert s.stops()[0]["transaction_id"] == 1

    run(scenario())


def test_the_events_of_2_0_1_are_numbered_and_name_the_remote_start() -> None:
    async def scenario() -> None:
        async with scene("2.0.1") as s:
            charge = await s.whole_charge()
            events = s.central.of("TransactionEvent")
            assert [event["seq_no"] for event in events] == list(range(len(events)))
            assert events[0]["transaction_info"]["remote_start_id"] == 42
            assert events[0]["id_token"] == {"id_token": "driver-1", "type": "Central"}
            ids = {event["transaction_info"]["transaction_id"] for event in events}
            assert ids == {charge.local_id}
            assert not any(event["offline"] for event in events)

    run(scenario())


@both
def test_a_scripted_session_plays_a_real_stay(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            stay = ScriptedSession(plugin_at=T0 + MINUTE, plugout_at=T0 + 3 * HOUR, energy_wh=7_320)
            playing = asyncio.create_task(play(s.point, stay, also_at=[T0 + 5 * MINUTE]))
            await s.central.until("StatusNotification", 2)
            await s.ask(remote_start(version, "driver-1"))
            charge = await playing
            assert charge.energy_wh == 7_320
            assert charge.started_at == T0 + MINUTE
            assert charge.stopped_at == T0 + 3 * HOUR
            assert s.registers()[0].at == "2016-06-01T10:05:00Z"
            assert s.registers()[-1].at == "2016-06-01T11:02:00Z"  # Full after 61 minutes.
            if version == "1.6":
                assert "SuspendedEV" in s.states()
            else:
                assert s.updates()[-1]["transaction_info"]["charging_state"] == "SuspendedEV"

    run(scenario())


@both
def test_a_scripted_session_that_nobody_starts_ends_without_a_charge(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            stay = ScriptedSession(plugin_at=T0, plugout_at=T0 + HOUR, energy_wh=1)
            with pytest.raises(TimeoutError):
                await play(s.point, stay, start_within_s=0.05)
            assert s.order() == ""
            assert s.states()[-1] == "Available"

    run(scenario())


@both
def test_a_stop_from_afar_ends_the_charge(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            charge = await s.start()
            await s.point.charge(until=T0 + 30 * MINUTE, energy_wh=3_600)
            assert (await s.stop(charge)).status == "Accepted"
            await s.point.ended(within_s=5)
            assert (s.reason(), s.stop_register()) == ("Remote", "913600")
            assert (await s.stop(charge)).status == "Rejected"
            with pytest.raises(BadScript, match="a charge must have started"):
                await s.point.charge(until=T0 + HOUR, energy_wh=1)

    run(scenario())


@both
def test_a_start_waits_for_its_cable_and_not_for_ever(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            assert (await s.ask(remote_start(version, "late"))).status == "Accepted"
            await s.clock.reach(T0 + 2 * MINUTE)
            await s.point.plug_in()
            await s.point.told()
            assert s.starts() == []
            assert (await s.ask(remote_start(version, "in-time"))).status == "Accepted"
            assert (await s.point.started(within_s=5)).id_token == "in-time"
            assert (await s.ask(remote_start(version, "second"))).status == "Rejected"

    run(scenario())


def limit(version: str, limit_w: float) -> Any:
    schedule = {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_w}],
    }
    profile: dict[str, Any] = {"stackLevel": 0, "chargingProfilePurpose": "TxProfile"}
    profile |= {"chargingProfileKind": "Absolute"}
    if version == "1.6":
        profile |= {"chargingProfileId": 1, "chargingSchedule": schedule}
        return call16.SetChargingProfile(connector_id=1, cs_charging_profiles=profile)
    profile |= {"id": 1, "chargingSchedule": [{"id": 1, **schedule}]}
    return call201.SetChargingProfile(evse_id=1, charging_profile=profile)


@both
def test_a_power_limit_is_obeyed(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            await s.start()
            assert await s.point.charge(until=T0 + 30 * MINUTE, energy_wh=3_600) == 3_600
            assert (await s.ask(limit(version, 3600.0))).status == "Accepted"
            assert await s.point.charge(until=T0 + 60 * MINUTE, energy_wh=3_600) == 1_800
            await s.point.unplug()
            assert s.stop_register() == "915400"

    run(scenario())


@both
@pytest.mark.parametrize("message", ["Heartbeat", "BootNotification", "StatusNotification"])
def test_what_is_asked_for_is_sent(version: str, message: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            before = len(s.central.of(message))
            kind = call16 if version == "1.6" else call201
            answer = await s.ask(kind.TriggerMessage(requested_message=message))
            assert answer.status == "Accepted"
            await s.central.until(message, before + 1)

    run(scenario())


@both
def test_meter_values_are_sent_when_asked_for_in_a_charge_and_outside(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            if version == "1.6":
                ask: Any = call16.TriggerMessage(requested_message="MeterValues", connector_id=1)
            else:
                ask = call201.TriggerMessage(requested_message="MeterValues", evse={"id": 1})
            await s.ask(ask)
            await s.central.until("MeterValues")
            assert "transaction_id" not in s.central.of("MeterValues")[0]
            await s.start()
            await s.ask(ask)
            await s.point.told()
            await s.central.until("MeterValues" if version == "1.6" else "TransactionEvent", 2)
            assert s.registers(s.updates()[-1])[0].context == "Trigger"

    run(scenario())


@both
def test_a_meter_that_is_asked_between_two_values_of_a_script_tells_the_last_one(
    version: str,
) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            await s.start()
            await s.point.charge(until=T0 + HOUR, energy_wh=POWER_W)
            clock = s.point.clock
            assert isinstance(clock, ScriptClock)
            await clock.reach(T0 + HOUR + 5 * MINUTE)
            if version == "1.6":
                ask: Any = call16.TriggerMessage(requested_message="MeterValues", connector_id=1)
            else:
                ask = call201.TriggerMessage(requested_message="MeterValues", evse={"id": 1})
            told = len(s.updates())
            await s.ask(ask)
            await s.point.told()
            *_, before, asked = s.registers()
            assert len(s.updates()) == told + 1
            assert asked.context == "Trigger"
            assert (asked.at, asked.value) == (before.at, before.value)

    run(scenario())


def test_settings_of_1_6_are_read_and_changed() -> None:
    async def scenario() -> None:
        async with scene("1.6") as s:
            key = "MeterValueSampleInterval"
            changed = await s.ask(call16.ChangeConfiguration(key=key, value="15"))
            assert changed.status == "Accepted"
            assert s.point.interval_s == 15
            answer = await s.ask(call16.GetConfiguration(key=[key, "Nonsense"]))
            assert answer.configuration_key == [{"key": key, "readonly": False, "value": "15"}]
            assert answer.unknown_key == ["Nonsense"]
            everything = await s.ask(call16.GetConfiguration())
            assert {"key": "NumberOfConnectors", "readonly": True, "value": "1"} in (
                everything.configuration_key
            )
            for wrong, status in (("x", "Rejected"), ("99999999", "Rejected")):
                answer = await s.ask(call16.ChangeConfiguration(key=key, value=wrong))
                assert answer.status == status
            answer = await s.ask(call16.ChangeConfiguration(key="Nonsense", value="1"))
            assert answer.status == "NotSupported"

    run(scenario())


def test_variables_of_2_0_1_are_read_changed_and_reported() -> None:
    async def scenario() -> None:
        async with scene("2.0.1") as s:
            where = {
                "component": {"name": "SampledDataCtrlr"},
                "variable": {"name": "TxUpdatedInterval"},
            }
            unknown = {"component": {"name": "Nonsense"}, "variable": {"name": "Nonsense"}}
            data = [where | {"attributeValue": "15"}, unknown | {"attributeValue": "1"}]
            answer = await s.ask(call201.SetVariables(set_variable_data=data))
            statuses = [each["attribute_status"] for each in answer.set_variable_result]
            assert statuses == ["Accepted", "UnknownVariable"]
            assert s.point.interval_s == 15
            answer = await s.ask(call201.GetVariables(get_variable_data=[where, unknown]))
            assert answer.get_variable_result[0]["attribute_value"] == "15"
            report = call201.GetBaseReport(request_id=7, report_base="FullInventory")
            assert (await s.ask(report)).status == "Accepted"
            await s.central.until("NotifyReport")
            assert s.central.of("NotifyReport")[0]["request_id"] == 7

    run(scenario())


def test_unlocking_ends_a_charge_of_1_6_and_not_one_of_2_0_1() -> None:
    async def scenario() -> None:
        async with scene("1.6") as s:
            await s.start()
            assert (await s.ask(call16.UnlockConnector(connector_id=1))).status == "Unlocked"
            await s.point.ended(within_s=5)
            assert s.reason() == "UnlockCommand"
        async with scene("2.0.1") as s:
            await s.start()
            answer = await s.ask(call201.UnlockConnector(evse_id=1, connector_id=1))
            assert answer.status == "OngoingAuthorizedTransaction"

    run(scenario())


@both
def test_a_reset_ends_charges_and_boots_again(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            await s.start()
            kind = "Hard" if version == "1.6" else "Immediate"
            calls = call16 if version == "1.6" else call201
            assert (await s.ask(calls.Reset(type=kind))).status == "Accepted"
            await s.central.until("BootNotification", 2)
            await s.point.told()
            assert s.reason() == ("HardReset" if version == "1.6" else "ImmediateReset")
            assert s.point.connections == 2

    run(scenario())


def test_a_reset_on_idle_waits_for_the_charge() -> None:
    async def scenario() -> None:
        async with scene("2.0.1") as s:
            await s.start()
            assert (await s.ask(call201.Reset(type="OnIdle"))).status == "Scheduled"
            await s.point.charge(until=T0 + HOUR, energy_wh=7_200)
            assert s.point.connections == 1
            await s.point.unplug()
            await s.central.until("BootNotification", 2)
            assert s.reason() == "EVDisconnected"

    run(scenario())


@both
def test_an_unavailable_connector_refuses_starts_until_it_is_available(version: str) -> None:
    def change(operative: bool) -> Any:
        kind = "Operative" if operative else "Inoperative"
        if version == "1.6":
            return call16.ChangeAvailability(connector_id=1, type=kind)
        return call201.ChangeAvailability(operational_status=kind, evse={"id": 1})

    async def scenario() -> None:
        async with scene(version) as s:
            assert (await s.ask(change(operative=False))).status == "Accepted"
            await s.central.until("StatusNotification", 2)
            assert s.states()[-1] == "Unavailable"
            assert (await s.ask(remote_start(version, "x"))).status == "Rejected"
            assert (await s.ask(change(operative=True))).status == "Accepted"
            await s.start()
            assert (await s.ask(change(operative=False))).status == "Scheduled"
            await s.point.unplug()
            assert s.states()[-1] == "Unavailable"

    run(scenario())


@both
def test_a_card_starts_and_stops_a_charge(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            s.central.refused_tokens.add("stranger")
            await s.point.plug_in()
            assert not await s.point.present("stranger")
            assert await s.point.present("card-1")
            assert not await s.point.present("card-2", at=T0 + MINUTE)
            assert await s.point.present("CARD-1", at=T0 + 2 * MINUTE)
            assert (s.order(), s.reason()) == ("SE", "Local")

    run(scenario())


@both
def test_a_token_that_is_refused_at_the_start_stops_it(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            s.central.refused_tokens.add("stranger")
            await s.point.plug_in()
            await s.ask(remote_start(version, "stranger"))
            await s.central.until(
                *(("StopTransaction",) if version == "1.6" else ("TransactionEvent", 2))
            )
            assert s.reason() == "DeAuthorized"

    run(scenario())


@both
def test_signed_values_come_with_the_stop(version: str) -> None:
    async def scenario() -> None:
        signer = OcmfSigner.made("secp256k1")
        async with scene(version, signer=signer) as s:
            await s.whole_charge()
            stop = s.stops()[0]
            if version == "1.6":
                values = stop["transaction_data"][0]["sampled_value"]
                text = next(v["value"] for v in values if v.get("format") == "SignedData")
            else:
                signed = stop["meter_value"][0]["sampled_value"][0]["signed_meter_value"]
                text = base64.b64decode(signed["signed_meter_data"]).decode()
                assert signed["encoding_method"] == "OCMF"
            record = OCMF.from_string(text, strict=True)
            assert record.verify_signature(signer.public_key_hex)
            assert [str(r.RV) for r in record.payload.RD] == ["910.000", "917.200"]
            assert (record.payload.ID, record.payload.CI) == ("driver-1", "CP1")

    run(scenario())


@both
def test_a_boot_that_is_not_accepted_is_repeated(version: str) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            central.boot_status = ["Pending"]
            async with ChargePoint(
                central.url, "CP1", PASSWORD, protocol=version, clock=ScriptClock(T0)
            ) as point:
                assert point.online
                assert len(central.of("BootNotification")) == 2

    run(scenario())


@both
def test_it_beats_as_often_as_it_was_told(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            for hours in range(1, 4):
                await s.clock.reach(T0 + hours * HOUR)
                await s.central.until("Heartbeat", hours)

    run(scenario())


@both
def test_what_happened_offline_is_told_later_with_its_own_times(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            await s.start()
            await s.point.go_offline()
            await s.point.charge(until=T0 + HOUR, energy_wh=7_200)
            await s.point.unplug(at=T0 + 2 * HOUR)
            assert s.order() == "S"
            await s.point.go_online(at=T0 + 9 * HOUR)
            assert s.order() == "SuuuuE"
            assert s.registers()[0].at == "2016-06-01T10:15:00Z"
            assert s.stops()[0]["timestamp"] == "2016-06-01T12:00:00Z"
            assert len(s.central.of("BootNotification")) == 1
            if version == "2.0.1":
                assert all(event["offline"] for event in s.updates() + s.stops())

    run(scenario())


def test_a_start_made_offline_gets_its_id_before_the_rest_is_told() -> None:
    async def scenario() -> None:
        async with scene("1.6") as s:
            await s.point.plug_in()
            assert await s.point.present("card-1")
            await s.point.go_offline()
            await s.point.charge(until=T0 + HOUR, energy_wh=7_200)
            await s.point.unplug()
            await s.point.go_online()
            assert {each["transaction_id"] for each in s.updates() + s.stops()} == {1}

    run(scenario())


@both
def test_a_stop_that_is_answered_with_an_error_is_sent_again_and_not_for_ever(
    version: str,
) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            s.central.refused_stops = 2
            await s.whole_charge()
            assert s.order() == "SuuuuEEE"
            ids = [
                h.message_id
                for h in s.central.heard
                if "meter_stop" in h.payload or h.payload.get("event_type") == "Ended"
            ]
            assert len(set(ids)) == 1
        async with scene(version) as s:
            s.central.refused_stops = 99
            await s.whole_charge()
            assert s.order() == "SuuuuEEE"

    run(scenario())


@both
def test_a_cable_pulled_out_of_the_central_system_is_survived(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            await s.start()
            connection = (await s.central.point("CP1"))._connection
            connection.transport.abort()
            await s.point.charge(until=T0 + HOUR, energy_wh=7_200)
            await s.point.unplug()
            assert s.order() == "SuuuuE"
            assert s.point.connections == 2

    run(scenario())


@both
def test_frames_that_are_no_ocpp_do_not_end_it(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            connection = (await s.central.point("CP1"))._connection
            for frame in (
                "",
                "{}",
                "[]",
                "[2]",
                "nonsense",
                '[3, "x", {}]',
                '[4, "x", "y"]',
                b"\0",
            ):
                await connection.send(frame)
            await connection.send('[2, "a", "Reset", []]')
            await connection.send('[2, "b", "../../call", {}]')
            await s.whole_charge()
            assert s.order() == "SuuuuE"

    run(scenario())


@both
def test_an_unknown_action_and_a_malformed_one_are_answered_as_such(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            calls = call16 if version == "1.6" else call201
            with pytest.raises(refusals.NotImplementedError):
                await s.ask(calls.GetLocalListVersion())
            point = await s.central.point("CP1")
            with pytest.raises((refusals.FormatViolationError, refusals.FormationViolationError)):
                await point.call(
                    calls.Reset(type="Softly"), suppress=False, skip_schema_validation=True
                )

    run(scenario())


@both
def test_a_wrong_password_is_one_clear_error(version: str) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            with pytest.raises(PointRefused, match="status=401") as refusal:
                async with ChargePoint(central.url, "CP1", "wrong", protocol=version):
                    pass
            assert refusal.value.code == "not_authenticated"
            assert not central.heard

    run(scenario())


def test_a_central_system_of_another_version_is_one_clear_error() -> None:
    async def scenario() -> None:
        async with central_system(subprotocols={"ocpp1.6": Point16}) as central:
            with pytest.raises(PointRefused, match=r"it does not speak ocpp2\.0\.1"):
                async with ChargePoint(central.url, "CP1", PASSWORD, protocol="2.0.1"):
                    pass

    run(scenario())


def test_nobody_there_is_one_clear_error() -> None:
    async def scenario() -> None:
        async with central_system() as central:
            url = central.url
        with pytest.raises(CentralUnreachable, match="nobody listens there"):
            async with ChargePoint(url, "CP1", PASSWORD):
                pass

    run(scenario())


@both
def test_a_script_may_not_ask_for_more_than_the_power_allows(version: str) -> None:
    async def scenario() -> None:
        async with scene(version) as s:
            await s.start()
            with pytest.raises(BadScript, match="from 0 to 7200 in 3600 s"):
                await s.point.charge(until=T0 + HOUR, energy_wh=7_201)
            with pytest.raises(BadScript, match="until"):
                await s.point.charge(until=T0, energy_wh=0)
            with pytest.raises(BadScript, match="from 1 to 1"):
                await s.point.plug_in(2)
            with pytest.raises(BadScript, match="not before"):
                await s.point.unplug(at=T0 - HOUR)

    run(scenario())


@both
def test_connectors_charge_side_by_side(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, connectors=3) as s:
            point = await s.central.point("CP1")
            for place in (1, 2, 3):
                await s.point.plug_in(place)
                await point.call(remote_start(version, f"driver-{place}", connector_id=place))
                await s.point.started(place, within_s=5)
            stays = (s.point.charge(p, until=T0 + HOUR, energy_wh=1_000 * p) for p in (1, 2, 3))
            assert await asyncio.gather(*stays) == [1_000, 2_000, 3_000]
            for place in (1, 2, 3):
                await s.point.unplug(place)
            assert sorted(charge.energy_wh for charge in s.point.transactions) == [
                1_000,
                2_000,
                3_000,
            ]

    run(scenario())


@both
def test_a_car_charges_by_itself_until_it_is_full_and_is_stopped_from_afar(version: str) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            clock = RunningClock(speed=20_000, start_at=T0)
            point = ChargePoint(
                central.url, "CP1", PASSWORD, protocol=version, clock=clock, power_w=POWER_W
            )
            async with point:
                s = Scene(version, central, point, ScriptClock(T0))
                driving = asyncio.create_task(drive(point, 1, battery_wh=5_000))
                await central.until("StatusNotification", 2)
                await s.ask(remote_start(version, "driver-1"))
                charge = await point.started(within_s=5)
                await point.wait_until(lambda: charge.energy_wh == 5_000, None)
                assert charge.last is not None
                assert charge.last.at - charge.started_at == timedelta(seconds=2_500)
                await s.stop(charge)
                await point.ended(within_s=5)
                await point.told()
                assert s.reason() == "Remote"
                driving.cancel()

    run(scenario())


@both
def test_a_limit_of_zero_lets_nothing_flow(version: str) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            clock = RunningClock(speed=20_000, start_at=T0)
            point = ChargePoint(central.url, "CP1", PASSWORD, protocol=version, clock=clock)
            async with point:
                s = Scene(version, central, point, ScriptClock(T0))
                driving = asyncio.create_task(drive(point, 1, battery_wh=5_000_000))
                await central.until("StatusNotification", 2)
                await s.ask(remote_start(version, "driver-1"))
                charge = await point.started(within_s=5)
                await s.ask(limit(version, 0.0))
                at_wh = point.connector().register_wh
                await clock.sleep_until(clock.now_at() + HOUR)
                assert point.connector().register_wh == at_wh
                await s.ask(limit(version, 5000.0))
                await point.wait_until(lambda: charge.energy_wh > at_wh, None)
                driving.cancel()

    run(scenario())


@both
def test_a_hundred_charge_points_charge_in_one_loop(version: str) -> None:
    async def scenario() -> None:
        async with central_system() as central:

            async def one(number: int) -> int:
                name = f"CP{number}"
                clock = ScriptClock(T0)
                point = ChargePoint(
                    central.url, name, PASSWORD, protocol=version, clock=clock, ping_s=None
                )
                async with point:
                    await point.plug_in()
                    served = await central.point(name)
                    await served.call(remote_start(version, "driver-1"))
                    await point.started(within_s=20)
                    energy_wh = await point.charge(until=T0 + HOUR, energy_wh=number)
                    await point.unplug()
                    return energy_wh

            assert await asyncio.gather(*(one(number) for number in range(100))) == list(range(100))

    run(scenario())
