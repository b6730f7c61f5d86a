"""What is billed for what a charger said: each case is named after what happened in the field."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from charging.measured import Measured, NoteKind, Source, energy_wh_max
from charging.points import MeterSample, TransactionEnded, TransactionEvent, TransactionUpdated
from charging.registers import EnergyTrack
from ledger.errors import OutOfRange
from tests.charge_events import OPENED_AT, POWER_W, Telling, at, kinds, value


def registers(measured: Measured) -> tuple[int, int]:
    return measured.start_wh, measured.stop_wh


def test_a_plain_charge_is_the_difference_of_its_registers() -> None:
    told = Telling().start(10, "910000").says(70, "910050").stop(130, "910083")
    measured = told.settle()
    assert registers(measured) == (910_000, 910_083)
    assert (measured.started_at, measured.stopped_at) == (at(10), at(130))
    assert measured.ended
    assert measured.notes == ()
    assert measured.start is not None
    assert (measured.start.source, measured.start.text) == (Source.METER_START, "910000")
    assert measured.stop is not None
    assert measured.stop.source is Source.METER_STOP


def test_begin_zero_and_then_the_lifetime_register_bills_0_083_kwh_and_not_910() -> None:
    told = Telling().start(10).says(10, value("0", context="Transaction.Begin"))
    told.says(11, value("910.000", unit="kWh")).says(40, value("910.040", unit="kWh"))
    told.stop(70).says(70, value("910.083", unit="kWh", context="Transaction.End"))
    measured = told.settle()
    assert registers(measured) == (910_000, 910_083)
    assert NoteKind.LEFT_OUT in kinds(measured)


def test_meter_start_zero_and_a_lifetime_meter_stop_bill_what_the_samples_prove() -> None:
    told = Telling().start(10, "0").says(20, "910000").says(50, "910060").stop(70, "910083")
    assert registers(told.settle(last_wh=909_000)) == (910_000, 910_083)


def test_a_meter_start_and_stop_that_stand_at_zero_do_not_hide_a_moving_register() -> None:
    told = Telling().start(10, "0").says(20, "910000").says(50, "910060").stop(70, "0")
    assert registers(told.settle()) == (910_000, 910_060)


def test_wh_and_kwh_are_mixed_in_one_session() -> None:
    told = Telling().start(10, "5000")
    told.says(70, value("5.1", unit="kWh")).says(130, value("5200", unit="Wh"))
    assert registers(told.stop(190, "5300").settle()) == (5_000, 5_300)


def test_one_sample_states_the_same_register_in_wh_and_in_kwh() -> None:
    told = Telling().start(10, "5000")
    told.says(70, value("5.1004", unit="kWh"), value("5100", unit="Wh"))
    assert told.settle().energy_wh == 100


def test_a_multiplier_scales_the_value() -> None:
    told = Telling().start(10).says(10, value("50", multiplier=2))
    told.says(130, value("5.2", unit="kWh", multiplier=0)).says(190, value("53000", multiplier=-1))
    assert registers(told.stop(190).settle()) == (5_000, 5_300)


def test_float_noise_in_kwh_is_no_energy() -> None:
    told = Telling().start(10).says(10, value("12.299999999999999", unit="kWh"))
    told.says(70, value("12.4000000000002", unit="kWh")).stop(70)
    assert registers(told.settle()) == (12_300, 12_400)


def test_a_fraction_of_a_wh_is_rounded_down_at_both_ends() -> None:
    told = Telling().start(10, "1000.9").stop(70, "1100.1")
    assert registers(told.settle()) == (1_000, 1_100)


def test_three_phases_are_added_where_no_total_is_given() -> None:
    told = Telling().start(10)
    told.says(10, *(value("1000", phase=phase) for phase in ("L1", "L2", "L3")))
    told.says(70, *(value("1050", phase=phase) for phase in ("L1-N", "L2-N", "L3-N")))
    assert registers(told.stop(70).settle()) == (3_000, 3_150)


def test_a_total_and_its_phases_are_never_added() -> None:
    phases = [value("1000", phase=phase) for phase in ("L1", "L2", "L3")]
    told = Telling().start(10).says(10, value("3000"), *phases)
    told.says(70, value("3100"), *(replace(each, text="1100") for each in phases))
    assert registers(told.stop(70).settle()) == (3_000, 3_100)


def test_values_between_two_phases_are_not_looked_at() -> None:
    told = Telling().start(10, "3000")
    told.says(70, value("9999", phase="L1-L2"), value("3100"), value("5", phase="N"))
    assert told.settle().energy_wh == 100


def test_the_one_phase_of_a_one_phase_charger_is_its_register() -> None:
    told = Telling().start(10, "0").says(70, value("90", phase="L1")).stop(130, "180")
    assert told.settle(last_wh=77).energy_wh == 180


@pytest.mark.parametrize(
    "context",
    [
        "Sample.Clock",
        "Trigger",
        "Other",
        "Interruption.Begin",
        "Interruption.End",
        "Sample.Periodic",
        "",
    ],
)
def test_a_register_counts_in_every_context(context: str) -> None:
    told = Telling().start(10, "5000").says(70, value("5100", context=context))
    assert told.settle().energy_wh == 100


@pytest.mark.parametrize(
    "measurand",
    [
        "Energy.Active.Export.Register",
        "Energy.Active.Net",
        "Energy.Reactive.Import.Register",
        "Energy.Active.Import.Interval",
        "SoC",
        "Power.Active.Export",
        "Current.Import",
    ],
)
def test_what_is_no_imported_register_bills_nothing(measurand: str) -> None:
    told = Telling().start(10, "5000").says(70, value("5900", measurand=measurand))
    assert told.stop(130, "5000").settle().energy_wh == 0


def test_power_is_shown_and_never_billed() -> None:
    told = Telling().start(10, "5000")
    told.says(70, value("11.04", measurand="Power.Active.Import", unit="kW"))
    track = told.track()
    assert track.live(at(80)).power_w == 11_040
    assert track.live(at(80)).energy_wh == 0


def test_power_of_three_phases_is_added() -> None:
    told = Telling().start(10, "5000")
    power = [value("3680", measurand="Power.Active.Import", phase=p) for p in ("L1", "L2", "L3")]
    assert told.says(70, *power).track().live(at(80)).power_w == 11_040


def test_intervals_are_added_where_there_is_no_register() -> None:
    told = Telling().start(10)
    for s in (70, 130, 190):
        told.says(s, value("100", measurand="Energy.Active.Import.Interval"))
    told.says(130, value("100", measurand="Energy.Active.Import.Interval"))  # Sent twice.
    measured = told.stop(190).settle(last_wh=4_000)
    assert registers(measured) == (4_000, 4_300)
    assert NoteKind.INTERVALS in kinds(measured)


def test_intervals_are_not_added_to_a_register() -> None:
    told = Telling().start(10, "5000")
    told.says(70, value("5100"), value("100", measurand="Energy.Active.Import.Interval"))
    assert told.stop(130, "5200").settle().energy_wh == 200


def test_the_outlet_counts_and_not_the_inlet() -> None:
    told = Telling().start(10)
    for s, outlet, inlet in ((10, "5000", "90000"), (70, "5100", "90120"), (130, "5200", "90240")):
        told.says(s, value(inlet, location="Inlet"), value(outlet))
        told.says(s, value("12", location="EV"), value("7", location="Body"))
    measured = told.stop(130).settle()
    assert registers(measured) == (5_000, 5_200)
    assert NoteKind.NOT_OUTLET not in kinds(measured)


def test_a_charger_that_measures_at_its_inlet_alone_is_billed_by_that() -> None:
    told = Telling().start(10)
    told.says(10, value("5000", location="Inlet")).says(70, value("5100", location="Inlet"))
    measured = told.stop(70).settle()
    assert measured.energy_wh == 100
    assert NoteKind.NOT_OUTLET in kinds(measured)


def test_what_the_car_measured_itself_bills_nothing() -> None:
    told = Telling().start(10).says(10, value("0", location="EV"))
    assert told.says(70, value("900", location="EV")).stop(70).settle().energy_wh == 0


def test_registers_of_the_session_are_counted_on_from_the_last_record() -> None:
    told = Telling().start(10, "0").says(70, "200").stop(130, "300")
    measured = told.settle(last_wh=910_000)
    assert registers(measured) == (910_000, 910_300)
    assert NoteKind.SHIFTED in kinds(measured)


def test_a_lifetime_register_above_the_last_record_is_left_as_it_is() -> None:
    told = Telling().start(10, "910500").stop(130, "910800")
    assert registers(told.settle(last_wh=910_000)) == (910_500, 910_800)


def test_registers_of_the_session_among_lifetime_ones_are_not_added_to_them() -> None:
    told = Telling().start(10, "910000").says(70, "100").says(130, "200").stop(190, "910300")
    assert registers(told.settle()) == (910_000, 910_300)


def test_meter_stop_below_meter_start_bills_nothing_without_another_proof() -> None:
    measured = Telling().start(10, "910000").stop(130, "83").settle()
    assert measured.energy_wh == 0
    assert NoteKind.NO_VALUES in kinds(measured)


def test_meter_stop_below_meter_start_bills_what_the_samples_prove() -> None:
    told = Telling().start(10, "910000").says(70, "910080").stop(130, "83")
    assert registers(told.settle()) == (910_000, 910_080)


def test_a_meter_that_begins_anew_in_mid_session_bills_both_runs() -> None:
    told = Telling().start(10, "910000").says(70, "910300")
    told.says(130, "0").says(190, "250").stop(190, "250")
    measured = told.settle()
    assert registers(measured) == (910_000, 910_550)
    assert NoteKind.METER_RESET in kinds(measured)


def test_energy_that_no_meter_recorded_around_a_reset_is_not_billed() -> None:
    told = Telling().start(10, "910000").says(70, "910300").says(190, "200").stop(250, "400")
    assert told.settle().energy_wh == 300 + 200


def test_a_register_that_only_seems_to_begin_anew_is_not_billed_twice() -> None:
    told = Telling().start(10, "0").says(70, "200").says(130, "100").stop(190, "300")
    timeless = []
    for event in told.events:
        assert isinstance(event, TransactionEvent)
        samples = tuple(replace(sample, taken_at=None) for sample in event.samples)
        timeless.append(replace(event, at=None, samples=samples))
    assert Telling(events=list(timeless)).settle().energy_wh == 300


def test_the_same_stop_sent_twice_is_one_stop() -> None:
    told = Telling().start(10, "910000").stop(130, "910083")
    twice = Telling(events=[*told.events, told.events[-1], told.events[-1]])
    assert twice.settle() == told.settle()


def test_a_second_stop_with_more_energy_much_later_changes_nothing() -> None:
    told = Telling().start(10, "910000").says(70, "910050").stop(130, "910083")
    assert told.stop(3_000, "915000").settle().energy_wh == 83


def test_late_values_that_were_taken_before_the_stop_still_count() -> None:
    told = Telling().start(10, "910000").stop(130)
    told.says(120, "910300", received_s=4_000)
    assert told.settle().energy_wh == 300


def test_values_taken_after_the_stop_are_another_charge() -> None:
    told = Telling().start(10, "910000").stop(130, "910300").says(600, "912000")
    measured = told.settle()
    assert measured.energy_wh == 300
    assert NoteKind.OUTSIDE in kinds(measured)


def test_values_taken_before_the_start_are_another_charge() -> None:
    told = Telling().says(5, "909900").start(60, "910000").stop(130, "910300")
    assert registers(told.settle()) == (910_000, 910_300)


def test_values_out_of_order_bill_the_same() -> None:
    told = Telling().start(10, "910000").says(70, "910100").says(130, "910200").stop(190, "910300")
    for events in (told.events[::-1], told.events[2:] + told.events[:2]):
        assert Telling(events=events).settle() == told.settle()


def test_a_batch_without_an_energy_value_says_nothing() -> None:
    told = Telling().start(10, "910000").says(70).says(80, value("62", measurand="SoC"))
    assert told.stop(130, "910083").settle().energy_wh == 83


def test_a_jump_that_the_charger_cannot_give_is_left_out() -> None:
    told = Telling().start(10, "910000").says(70, "990000").says(130, "910100")
    measured = told.stop(190, "910200").settle()
    assert registers(measured) == (910_000, 910_200)
    assert NoteKind.LEFT_OUT in kinds(measured)


def test_a_stop_that_the_charger_cannot_have_reached_is_left_out() -> None:
    told = Telling().start(10, "910000").says(70, "910100").stop(130, "990000")
    assert registers(told.settle()) == (910_000, 910_100)


def test_a_car_that_takes_a_little_more_than_the_rating_pays_for_the_rating() -> None:
    told = Telling().start(0, "0")
    for minute in range(1, 61):
        told.says(60 * minute, str(23_000 * minute // 60))
    measured = told.stop(3_600, "23000").settle()
    assert measured.energy_wh == energy_wh_max(POWER_W, 3_600) == 22_100
    assert NoteKind.POWER_CAPPED in kinds(measured)


@pytest.mark.parametrize("off_s", [-3_600, 3_600, 7_200, -1_772_000_000, 40_000_000])
def test_a_clock_that_is_off_changes_neither_energy_nor_duration(off_s: int) -> None:
    told = Telling(clock_off_s=off_s).start(10, "910000")
    for s in range(70, 910, 60):
        told.says(s, str(910_000 + s))
    measured = told.stop(910, "910900").settle()
    assert registers(measured) == (910_000, 910_900)
    assert measured.duration_s == 900
    assert abs((measured.started_at - at(10)).total_seconds()) <= 60
    assert NoteKind.CLOCK in kinds(measured)


def test_a_clock_at_1970_that_is_set_in_mid_session_costs_no_energy() -> None:
    told = Telling(clock_off_s=-1_772_000_000).start(10, "910000").says(70, "910100")
    told.clock_off_s = 0
    told.says(130, "910200").says(190, "910300")
    measured = told.stop(250, "910400").settle()
    assert registers(measured) == (910_000, 910_400)
    assert (measured.started_at, measured.stopped_at) == (at(11), at(250))


def test_one_absurd_time_among_good_ones_moves_nothing_else() -> None:
    told = Telling().start(10, "910000").says(70, "910100", at=None)
    odd = told.events[-1]
    assert isinstance(odd, TransactionUpdated)
    absurd = MeterSample(taken_at=datetime(2099, 1, 1, tzinfo=UTC), values=(value("910150"),))
    told.events.append(replace(odd, message_id="odd", received_at=at(100), samples=(absurd,)))
    measured = told.says(130, "910200").stop(190, "910300").settle()
    assert measured.energy_wh == 300
    assert (measured.started_at, measured.stopped_at) == (at(10), at(190))


def test_messages_that_were_queued_for_an_hour_keep_their_times() -> None:
    told = Telling(delay_s=3_600).start(10, "910000").says(70, "910100").stop(130, "910200")
    measured = told.settle(now_s=9_000)
    assert (measured.started_at, measured.stopped_at) == (at(10), at(130))
    assert NoteKind.CLOCK not in kinds(measured)


def test_values_without_any_time_are_taken_as_of_their_receipt() -> None:
    told = Telling().start(10, "910000")
    update = told.says(70, "910100").events[-1]
    assert isinstance(update, TransactionUpdated)
    timeless = replace(update.samples[0], taken_at=None)
    told.events[-1] = replace(update, at=None, samples=(timeless,))
    track = told.track()
    assert track.live(at(80)).measured_at == at(71)
    assert track.live(at(80)).energy_wh == 100


def test_a_car_that_was_plugged_in_long_before_the_opening_starts_with_it() -> None:
    told = Telling(delay_s=0).start(-900).says(-900, "5000").says(-300, "5000")
    measured = told.says(60, "5100").stop(120, "5200").settle()
    assert registers(measured) == (5_000, 5_200)
    assert measured.started_at == OPENED_AT


def test_energy_from_before_the_opening_is_not_billed() -> None:
    told = Telling(delay_s=0).start(-900, "5000").says(-300, "7000").says(-60, "8000")
    assert registers(told.says(60, "8100").stop(120, "8200").settle()) == (8_000, 8_200)


def test_a_charge_whose_end_was_never_told_ends_at_its_last_value() -> None:
    measured = Telling().start(10, "910000").says(70, "910100").says(130, "910200").settle()
    assert not measured.ended
    assert registers(measured) == (910_000, 910_200)
    assert measured.stopped_at == at(130)


def test_a_live_charge_counts_its_time_until_now() -> None:
    live = Telling().start(10, "910000").says(70, "910100").track().live(at(100))
    assert live.stopped_at == at(100)
    assert live.measured_at == at(70)


def test_a_charge_of_which_nothing_is_known_is_nothing() -> None:
    measured = Telling().settle(last_wh=5_000)
    assert registers(measured) == (5_000, 5_000)
    assert measured.duration_s == 0
    assert kinds(measured) == {NoteKind.NO_VALUES}
    assert (measured.start, measured.values) == (None, ())


def test_a_charge_ends_at_most_a_day_after_its_opening() -> None:
    told = Telling().start(10, "0").says(86_000, "5000").stop(100_000, "6000")
    measured = told.settle(now_s=200_000)
    assert measured.stopped_at == at(86_400)


def test_a_register_never_passes_what_the_escrow_knows() -> None:
    most_wh = 10**12
    told = Telling().start(10, "0").says(70, "200").stop(130, "300")
    assert registers(told.settle(last_wh=most_wh - 100)) == (most_wh - 100, most_wh)


BAD_TEXTS = [
    "NaN",
    "nan",
    "-1",
    "-0.5",
    "",
    "  ",
    "0x1F",
    "1e400",
    "1e9999999999",
    "Infinity",
    "12,5",
    "1_000",
    "٣",
    "9" * 40,
    "1" * 5_000,
    "1e15",
    "kWh",
]


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_a_value_that_cannot_be_read_is_noted_and_loses_nothing_else(text: str) -> None:
    told = Telling().start(10, "910000").says(70, text, value("11", measurand="SoC"))
    measured = told.says(100, "910050").stop(130, "910083").settle()
    assert registers(measured) == (910_000, 910_083)
    assert kinds(measured) == {NoteKind.BAD_VALUE}
    assert all(len(note.detail) < 200 for note in measured.notes)


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_a_meter_start_that_cannot_be_read_starts_at_the_first_sample(text: str) -> None:
    told = Telling().start(10, text).says(70, "910000").stop(130, "910083")
    assert registers(told.settle()) == (910_000, 910_083)


@pytest.mark.parametrize("unit", ["MWh", "varh", "Celsius", "J"])
def test_an_energy_in_another_unit_is_noted(unit: str) -> None:
    told = Telling().start(10, "910000").says(70, value("910010", unit=unit))
    assert kinds(told.stop(130, "910083").settle()) == {NoteKind.BAD_VALUE}


@pytest.mark.parametrize("multiplier", [16, -16, 10**9])
def test_an_absurd_multiplier_is_noted(multiplier: int) -> None:
    told = Telling().start(10, "910000").says(70, value("1", multiplier=multiplier))
    assert kinds(told.stop(130, "910083").settle()) == {NoteKind.BAD_VALUE}


def test_a_charger_that_sends_nonsense_all_day_does_not_fill_the_receipt() -> None:
    told = Telling().start(10, "0")
    for s in range(70, 1_070):
        told.says(s, f"bad{s}")
    forward = told.settle()
    assert len(forward.notes) <= 60
    assert Telling(events=told.events[::-1]).settle() == forward


def test_signed_data_is_kept_apart_each_once_and_in_order() -> None:
    late = value("OCMF|b", signed=True, context="Transaction.End")
    early = value("OCMF|a", signed=True, context="Transaction.Begin")
    told = Telling().start(10, "0").says(130, late).says(20, early).says(130, late)
    track = told.track()
    assert track.signed_values() == (early, late)
    assert track.settle(at(200)).notes[0].kind is NoteKind.NO_VALUES


def test_a_transactions_data_may_all_come_with_its_stop() -> None:
    told = Telling().start(10, "910000")
    begin = told.sample(10, value("910000", context="Transaction.Begin"))
    end = told.sample(130, value("910.083", unit="kWh", context="Transaction.End"))
    told.stop(130, "910083")
    stop = told.events[-1]
    assert isinstance(stop, TransactionEnded)
    told.events[-1] = replace(stop, samples=(begin, told.sample(70, "910040"), end))
    assert registers(told.settle()) == (910_000, 910_083)


@pytest.mark.parametrize(
    "wrong", [{"last_wh": -1}, {"last_wh": 10**12 + 1}, {"power_w": 0}, {"power_w": 10**7 + 1}]
)
def test_a_track_of_impossible_bounds_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OutOfRange):
        EnergyTrack(**{"last_wh": 0, "power_w": 1, **wrong}, opened_at=OPENED_AT)
