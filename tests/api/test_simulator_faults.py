"""Each fault of a simulated charge point reaches the central system as it is described."""

import asyncio
from collections import Counter
from decimal import Decimal

import pytest
from pyocmf.core.ocmf import OCMF

from charging.simulator.faults import Fault
from charging.simulator.ocmf import OcmfSigner
from charging.simulator.station import OFFLINE_FOR
from tests.api.central_system import remote_start
from tests.api.simulated import HOUR, MINUTE, POWER_W, T0, VERSIONS, Scene, scene
from tests.api.test_simulator import limit, run

both = pytest.mark.parametrize("version", VERSIONS)


@both
def test_offline_replay_tells_all_three_hours_after_the_end(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.OFFLINE_REPLAY]) as s:
            await s.whole_charge()
            assert s.order() == "S"
            await s.clock.reach(T0 + 90 * MINUTE + OFFLINE_FOR)
            await s.point.wait_until(lambda: s.point.online, None)
            await s.point.told()
            assert s.order() == "SuuuuE"
            assert s.stops()[0]["timestamp"] == "2016-06-01T11:30:00Z"

    run(scenario())


@both
def test_a_stop_comes_before_its_start(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.STOP_BEFORE_START]) as s:
            await s.whole_charge()
            assert s.order() == "ESuuuu"
            if version == "1.6":
                assert s.stops()[0]["transaction_id"] == -1

    run(scenario())


@both
@pytest.mark.parametrize(("fault", "ids"), [(Fault.DUPLICATES, 6), (Fault.DUPLICATES_NEW_ID, 12)])
def test_every_message_comes_twice(version: str, fault: Fault, ids: int) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[fault]) as s:
            await s.whole_charge()
            assert s.order() == "SSuuuuuuuuEE"
            of_charge = {"StartTransaction", "MeterValues", "StopTransaction", "TransactionEvent"}
            counts = Counter(h.message_id for h in s.central.heard if h.action in of_charge)
            assert len(counts) == ids

    run(scenario())


@both
def test_an_endless_stop_goes_on_until_an_answer_is_heard(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.ENDLESS_STOP]) as s:
            s.central.refused_stops = 5
            await s.whole_charge()
            assert s.order() == "Suuuu" + "E" * 8  # Five refused, two unheard, one heard.

    run(scenario())


def test_minus_one_is_repeated() -> None:
    async def scenario() -> None:
        async with scene("1.6", faults=[Fault.TRANSACTION_MINUS_ONE]) as s:
            await s.whole_charge()
            assert {each["transaction_id"] for each in s.updates() + s.stops()} == {-1}

    run(scenario())


@both
def test_batches_have_no_energy_and_the_stop_has(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.NO_ENERGY]) as s:
            await s.whole_charge()
            assert len(s.updates()) == 4
            assert s.registers() == []
            assert s.stop_register() == "917200"

    run(scenario())


@both
def test_late_values_come_after_the_stop(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.LATE_VALUES]) as s:
            await s.whole_charge()
            await s.point.told()
            assert s.order() == "SuuuuEuu"
            late = s.registers(*s.updates()[-2:])
            assert [told.at for told in late] == ["2016-06-01T11:29:30Z", "2016-06-01T11:30:30Z"]

    run(scenario())


@both
def test_float_noise_is_a_wh_or_less_beside_the_register(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.FLOAT_NOISE]) as s:
            await s.whole_charge()
            assert {told.unit for told in s.registers()} == {"kWh"}
            for told, wh in zip(s.registers(), (911_800, 913_600, 915_400, 917_200), strict=True):
                off = abs(Decimal(told.value) * 1_000 - wh)
                assert 0 < off < Decimal("0.001")

    run(scenario())


@both
def test_units_are_mixed_within_one_charge(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.MIXED_UNITS]) as s:
            await s.whole_charge()
            shown = {(told.unit, Decimal(told.value)) for told in s.registers()}
            assert shown == {
                ("kWh", Decimal("911.8")),
                ("Wh", Decimal(913_600)),
                ("kWh", Decimal("915.4")),
                ("Wh", Decimal(917_200)),
            }

    run(scenario())


@both
def test_a_charge_begins_at_zero_and_goes_on_with_the_lifetime_register(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.BEGIN_ZERO]) as s:
            await s.whole_charge()
            if version == "1.6":
                assert s.starts()[0]["meter_start"] == 0
                first = s.registers()[0]
            else:
                first = s.registers(s.starts()[0])[0]
            assert (first.context, first.value) == ("Transaction.Begin", "0")
            assert s.registers()[-1].value == s.stop_register() == "917200"

    run(scenario())


@both
def test_a_stop_states_the_sessions_energy_below_its_start(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.STOP_BELOW_START]) as s:
            await s.whole_charge()
            assert s.stop_register() == str(POWER_W)

    run(scenario())


@both
def test_a_register_restarts_in_mid_charge(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.METER_RESET]) as s:
            await s.whole_charge()
            assert [t.value for t in s.registers()] == ["911800", "913600", "1800", "3600"]
            assert s.stop_register() == "3600"

    run(scenario())


@both
@pytest.mark.parametrize(
    ("fault", "first", "last"),
    [
        (Fault.CLOCK_HOUR_OFF, "2016-06-01T11:15:00Z", "2016-06-01T12:30:00Z"),
        (Fault.CLOCK_1970, "1970-01-01T00:15:00Z", "1970-01-01T01:30:00Z"),
    ],
)
def test_a_clock_is_wrong_in_every_message(
    version: str, fault: Fault, first: str, last: str
) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[fault]) as s:
            await s.whole_charge()
            assert s.registers()[0].at == first
            assert s.stops()[0]["timestamp"] == last

    run(scenario())


async def half_a_charge(s: Scene) -> None:
    await s.start()
    await s.point.charge(until=T0 + HOUR, energy_wh=POWER_W)


@both
def test_power_is_lost_and_the_charge_stopped_after_the_boot(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.POWER_LOSS]) as s:
            await half_a_charge(s)
            await s.point.wait_until(lambda: s.point.online, None)
            await s.point.told()
            assert s.order() == "SuuE"
            assert (s.reason(), s.stop_register()) == ("PowerLoss", "913600")
            actions = [heard.action for heard in s.central.heard]
            stopped = actions.index("StopTransaction") if version == "1.6" else len(actions)
            assert actions[1:stopped].count("BootNotification") == 1

    run(scenario())


@both
def test_power_is_lost_and_the_charge_forgotten(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.POWER_LOSS_SILENT]) as s:
            await half_a_charge(s)
            await s.point.unplug()
            await s.central.until("BootNotification", 2)
            await s.point.told()
            assert s.stops() == []
            assert s.states()[-1] == "Available"

    run(scenario())


@both
def test_it_vanishes_in_mid_charge(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.VANISHES]) as s:
            await s.whole_charge()
            await asyncio.sleep(0.05)
            assert set(s.order()) == {"S", "u"}
            assert not s.point.online

    run(scenario())


@both
def test_a_remote_start_is_accepted_and_nothing_happens(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.NEVER_STARTS]) as s:
            await s.point.plug_in()
            assert (await s.ask(remote_start(version, "x"))).status == "Accepted"
            with pytest.raises(TimeoutError):
                await s.point.started(within_s=0.05)
            assert s.order() == ""

    run(scenario())


@both
def test_remote_starts_and_stops_are_refused(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.REFUSES_START]) as s:
            await s.point.plug_in()
            assert (await s.ask(remote_start(version, "x"))).status == "Rejected"
        async with scene(version, faults=[Fault.REFUSES_STOP]) as s:
            charge = await s.start()
            assert (await s.stop(charge)).status == "Rejected"
            assert s.stops() == []

    run(scenario())


@both
def test_a_limit_is_accepted_and_ignored(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.IGNORES_LIMIT]) as s:
            await s.start()
            assert (await s.ask(limit(version, 1.0))).status == "Accepted"
            assert await s.point.charge(until=T0 + HOUR, energy_wh=POWER_W) == POWER_W

    run(scenario())


@both
def test_a_storm_of_connections_loses_nothing(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.RECONNECT_STORM]) as s:
            await s.whole_charge()
            assert s.point.connections > 10
            assert s.order().replace("uu", "u").count("S") == 1
            assert s.order()[-1] == "E"
            assert s.stop_register() == "917200"

    run(scenario())


@both
def test_frames_that_are_no_ocpp_come_between_those_that_are(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.MALFORMED_FRAMES]) as s:
            await s.whole_charge()
            assert s.stops()

    run(scenario())


@both
def test_a_token_comes_back_in_capitals(version: str) -> None:
    async def scenario() -> None:
        async with scene(version, faults=[Fault.UPPER_CASE_TOKEN]) as s:
            assert (await s.start("driver-1")).id_token == "DRIVER-1"

    run(scenario())


def test_a_forged_record_does_not_verify() -> None:
    async def scenario() -> None:
        signer = OcmfSigner.made()
        async with scene("1.6", faults=[Fault.FORGED_OCMF], signer=signer) as s:
            await s.whole_charge()
            values = s.stops()[0]["transaction_data"][0]["sampled_value"]
            text = next(v["value"] for v in values if v.get("format") == "SignedData")
            assert not OCMF.from_string(text).verify_signature(signer.public_key_hex)

    run(scenario())
