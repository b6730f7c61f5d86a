"""When a car stands without charging, and whose fault it is."""

import pytest

from charging.idling import Standing, StandingChange, Stood, stood
from charging.points import Availability, Flow
from charging.tariffs import ChargeTariff
from tests.charge_events import Telling, at


def test_a_charger_that_says_nothing_is_charging() -> None:
    measured = Telling().start(0, "0").stop(600, "100").settle()
    assert (measured.idle_s, measured.waiting_s) == (0, 0)


def test_a_car_that_takes_nothing_is_idle() -> None:
    told = Telling().start(0, "0").is_now(0, Availability.CHARGING)
    told.is_now(300, Availability.SUSPENDED_EV).stop(600, "100")
    assert told.settle().idle_s == 300


def test_a_charger_that_gives_nothing_is_not_the_drivers_fault() -> None:
    told = Telling().start(0, "0").is_now(0, Availability.CHARGING)
    told.is_now(300, Availability.SUSPENDED_EVSE).is_now(400, Availability.CHARGING)
    measured = told.stop(600, "100").settle()
    assert (measured.idle_s, measured.waiting_s) == (0, 100)


def test_plugged_in_before_charging_is_waiting_and_after_it_idle() -> None:
    told = Telling().start(0, "0").flows(0, Flow.CONNECTED).flows(60, Flow.CHARGING)
    measured = told.flows(300, Flow.CONNECTED).stop(400, "100").settle()
    assert (measured.idle_s, measured.waiting_s) == (100, 60)


def test_what_was_said_late_counts_from_when_it_was() -> None:
    told = Telling(delay_s=2_000).start(0, "0").flows(0, Flow.CHARGING)
    told.flows(300, Flow.SUSPENDED_EV).stop(600, "100")
    assert told.settle().idle_s == 300


def test_a_live_charge_idles_until_now() -> None:
    track = Telling().start(0, "0").flows(5, Flow.SUSPENDED_EV).track()
    assert track.live(at(65)).idle_s == 60


def test_a_car_that_left_is_not_billed_for_standing() -> None:
    told = Telling().start(0, "0").flows(0, Flow.CHARGING).flows(100, Flow.IDLE)
    measured = told.stop(400, "100").settle()
    assert (measured.idle_s, measured.waiting_s) == (0, 300)


@pytest.mark.parametrize(
    "availability", [Availability.OCCUPIED, Availability.RESERVED], ids=lambda each: each.value
)
def test_a_state_that_says_nothing_of_the_flow_changes_nothing(availability: Availability) -> None:
    told = Telling().start(0, "0").flows(10, Flow.SUSPENDED_EV).is_now(20, availability)
    assert told.stop(110, "100").settle().idle_s == 100


@pytest.mark.parametrize("availability", [Availability.FAULTED, Availability.UNAVAILABLE])
def test_a_fault_is_the_chargers(availability: Availability) -> None:
    told = Telling().start(0, "0").is_now(0, Availability.CHARGING).is_now(50, availability)
    assert told.stop(110, "100").settle().waiting_s == 60


def test_waiting_is_counted_as_what_is_cheaper() -> None:
    told = Telling().start(0, "0").flows(0, Flow.CHARGING).flows(100, Flow.SUSPENDED_EVSE)
    measured = told.flows(200, Flow.SUSPENDED_EV).stop(300, "100").settle()
    assert measured.idle_s_under(ChargeTariff(time_per_hour=2, idle_per_hour=1)) == 200
    assert measured.idle_s_under(ChargeTariff(time_per_hour=1, idle_per_hour=2)) == 100


def test_changes_outside_of_the_charge_count_at_its_ends() -> None:
    changes = [
        StandingChange(at=at(-100), standing=Standing.IDLE),
        StandingChange(at=at(50), standing=Standing.CHARGING),
        StandingChange(at=at(900), standing=Standing.IDLE),
    ]
    assert stood(changes, at(0), at(100)) == Stood(idle_s=50, waiting_s=0)


def test_of_two_things_said_for_one_instant_charging_counts() -> None:
    changes = [
        StandingChange(at=at(0), standing=Standing.CHARGING),
        StandingChange(at=at(0), standing=Standing.IDLE),
    ]
    assert stood(changes, at(0), at(100)) == Stood()
