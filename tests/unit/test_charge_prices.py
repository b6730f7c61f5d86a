"""What a charge costs, as pages say it: the order of its parts, an example, what a deposit buys."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.catalogue import LANGUAGES
from api.pages.charge.places import charger_at, chargers_of, matching
from api.pages.charge.prices import (
    PRESETS_WH,
    deposits_of,
    example_of,
    guard_of,
    headline,
    least_deposit_micro,
    price_lines,
)
from api.pages.charge.reasons import reason_words
from api.pages.words import Words
from charging.desk import ChargePointView, ConnectorView
from charging.orders import charger_id_of
from charging.points import Availability
from charging.tariffs import ChargeTariff, cost_micro_down
from ledger.units import Address

FULL = ChargeTariff(
    energy_per_kwh=390_000, start_fee=350_000, time_per_hour=2_400_000, idle_per_hour=5_000_000
)


def words(tag: str = "en") -> Words:
    return Words(language=LANGUAGES[tag], zone=ZoneInfo("Europe/Berlin"), currency="EUR")


def connector(tariff: ChargeTariff, **changes: object) -> ConnectorView:
    made = ConnectorView(
        connector_id=1,
        charger_id=charger_id_of("CP1", 1),
        availability=Availability.AVAILABLE,
        busy=False,
        power_w=11_000,
        host=Address(b"\x01" * 20),
        tariff=tariff,
        tariff_until=None,
        vat_bps=1_900,
        deposit_micro_min=1_000_000,
        interval_s=10,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def point(name: str, *connectors: ConnectorView, online: bool = True) -> ChargePointView:
    return ChargePointView(
        charge_point_id=name,
        place={"name": "Harbour", "address": "Quai 3"},
        online=online,
        last_contact_at=None,
        connectors=connectors or (connector(FULL),),
    )


def test_the_parts_of_a_price_come_in_the_order_of_the_law() -> None:
    said = [(line.value, line.name, line.exact) for line in price_lines(FULL, words())]
    assert said == [
        ("€0.39", "per kWh", ""),
        ("€0.04", "per minute of charging", "€2.40 an hour"),
        ("€0.35", "per start", ""),
        ("about €0.083334", "per minute plugged in without charging", "€5.00 an hour"),
    ]


def test_what_is_free_is_left_out_and_a_free_charger_says_so() -> None:
    only_start = ChargeTariff(start_fee=1)
    assert [line.name for line in price_lines(only_start, words())] == ["per start"]
    (line,) = price_lines(ChargeTariff(), words())
    assert (line.value, line.name) == ("€0.00", "per kWh")
    assert headline(connector(ChargeTariff()), words()) == ("charge.answer.free", {})


@pytest.mark.parametrize(
    ("tariff", "said"),
    [
        (ChargeTariff(energy_per_kwh=390_000), "€0.39 per kWh: 30 kWh cost about €11.70"),
        # 2 h 43 min 38 s at 11 kW, of 2.40 an hour: 6.545333 more.
        (FULL, "€0.39 per kWh: 30 kWh cost about €18.60"),
        (ChargeTariff(time_per_hour=2_400_000), "30 kWh cost about €6.55 here"),
    ],
)
def test_a_page_opens_with_the_price_and_an_example(tariff: ChargeTariff, said: str) -> None:
    key, facts = headline(connector(tariff), words())
    assert words()(key, **facts) == said


tariffs = st.builds(
    ChargeTariff,
    energy_per_kwh=st.integers(0, 2_000_000),
    start_fee=st.integers(0, 5_000_000),
    time_per_hour=st.integers(0, 20_000_000),
    idle_per_hour=st.integers(0, 20_000_000),
)


@given(tariff=tariffs, power_w=st.integers(1_380, 400_000))
def test_deposits_on_offer_are_round_enough_and_good_for_what_they_say(
    tariff: ChargeTariff, power_w: int
) -> None:
    offered = connector(tariff, power_w=power_w)
    deposits, guard = deposits_of(offered), guard_of(offered)
    assert sum(deposit.is_liked for deposit in deposits) == 1
    assert [each.amount_micro for each in deposits] == sorted({d.amount_micro for d in deposits})
    for deposit in deposits:
        assert deposit.amount_micro >= least_deposit_micro(offered)
        assert str(deposit.amount_micro).strip("0") in {"1", "2", "5"}
        if deposit.buys_wh is None:
            assert not guard.full_rate
            continue
        time_s = deposit.buys_wh * 3_600 // power_w
        cost_micro = cost_micro_down(tariff, energy_wh=deposit.buys_wh, time_s=time_s, idle_s=0)
        assert cost_micro <= deposit.amount_micro
    largest = deposits[-1]
    # A second at full power is the guard's measure: a Wh may be missing.
    assert largest.buys_wh is None or largest.buys_wh >= PRESETS_WH[-1] - power_w // 3_600 - 1


def test_the_example_is_what_the_contract_would_take() -> None:
    example = example_of(connector(FULL))
    assert (example.time_s, example.cost_micro) == (9_818, 18_595_333)


def test_a_charger_that_is_offline_or_in_use_cannot_be_used() -> None:
    states = {
        Availability.AVAILABLE: ("free", True),
        Availability.PREPARING: ("plugged", True),
        Availability.OCCUPIED: ("plugged", True),
        Availability.FINISHING: ("finishing", False),
        Availability.CHARGING: ("busy", False),
        Availability.SUSPENDED_EV: ("busy", False),
        Availability.SUSPENDED_EVSE: ("busy", False),
        Availability.RESERVED: ("reserved", False),
        Availability.UNAVAILABLE: ("unavailable", False),
        Availability.FAULTED: ("faulted", False),
    }
    assert states.keys() == set(Availability)
    for availability, (state, is_usable) in states.items():
        (charger,) = chargers_of([point("CP1", connector(FULL, availability=availability))])
        assert (charger.state, charger.is_usable) == (state, is_usable)
    (busy,) = chargers_of([point("CP1", connector(FULL, busy=True))])
    (offline,) = chargers_of([point("CP1", online=False)])
    assert (busy.state, offline.state) == ("busy", "offline")
    assert not busy.is_usable
    assert not offline.is_usable


def test_chargers_are_found_by_every_word_and_usable_ones_come_first() -> None:
    points = [point("A-1", online=False), point("B-2"), point("C-3")]
    chargers = list(chargers_of(points))
    assert [each.name for each in matching(chargers, "")] == ["B-2", "C-3", "A-1"]
    assert [each.name for each in matching(chargers, " QUAI c-3 ")] == ["C-3"]
    assert matching(chargers, "elsewhere") == []


def test_a_connector_is_the_one_asked_for_else_one_that_can_be_used() -> None:
    two = point(
        "CP1",
        connector(FULL, busy=True),
        connector(FULL, connector_id=2, charger_id=charger_id_of("CP1", 2)),
    )
    assert charger_at(two, None).name == "CP1/2"
    assert charger_at(two, 1).name == "CP1/1"
    assert charger_at(two, 1).path == "/charge/CP1?connector=1"
    with pytest.raises(Exception, match="no such connector"):
        charger_at(two, 3)


def test_a_reason_is_said_in_the_readers_language_where_there_are_words() -> None:
    assert reason_words("no charge began within 600 s", words("fr")) == (
        "aucune recharge n’a commencé en dix minutes"
    )
    assert reason_words("EVDisconnected", words()) == "the car was unplugged"
    assert reason_words("record refused: x", words("fr")) == "record refused: x"
