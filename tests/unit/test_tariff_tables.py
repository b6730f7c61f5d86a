"""Time-of-day tariffs by worked examples: midnights, weekends, days of 23 and 25 hours."""

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest

from charging.errors import BadTariff
from charging.tariff_tables import TariffTable, tariff_table_of
from charging.tariffs import ChargeTariff

DAY_PRICE, NIGHT_PRICE, WEEKEND_PRICE = 390_000, 250_000, 300_000

COMMUNITY = """
[[chargers]]
id = "CP1"

[chargers.tariff]
energy_per_kwh = 390_000
idle_per_hour = 6_000_000

[chargers.tariff_table]
time_zone = "Europe/Berlin"
entries = [
    { start = "22:00", end = "06:00", energy_per_kwh = 250_000, idle_per_hour = 0 },
    { days = ["sat", "Sunday"], start = "06:00", end = "22:00", energy_per_kwh = 300_000 },
]
"""


def community_table() -> TariffTable:
    (charger,) = tomllib.loads(COMMUNITY)["chargers"]
    return tariff_table_of(charger["tariff"], charger["tariff_table"])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def table_of(*entries: dict[str, Any], zone: str = "UTC", **prices: int) -> TariffTable:
    return tariff_table_of({**prices, "table": {"time_zone": zone, "entries": list(entries)}})


@pytest.mark.parametrize(
    ("at", "price", "until"),
    [
        ("2026-03-02T12:00", DAY_PRICE, "2026-03-02T21:00"),
        ("2026-03-02T21:00", NIGHT_PRICE, "2026-03-03T05:00"),
        ("2026-03-03T04:59:59.999", NIGHT_PRICE, "2026-03-03T05:00"),
        ("2026-03-03T05:00", DAY_PRICE, "2026-03-03T21:00"),
        ("2026-03-07T12:00", WEEKEND_PRICE, "2026-03-07T21:00"),
        ("2026-03-08T21:00", NIGHT_PRICE, "2026-03-09T05:00"),  # Sunday night into Monday.
        ("2026-03-09T05:00", DAY_PRICE, "2026-03-09T21:00"),
        ("2026-07-01T12:00", DAY_PRICE, "2026-07-01T20:00"),  # Summer time.
    ],
)
def test_the_wall_clock_says_which_tariff_holds_and_until_when(
    at: str, price: int, until: str
) -> None:
    table = community_table()
    assert table.at(utc(at)).energy_per_kwh == price
    assert table.until(utc(at)) == utc(until)


def test_an_entry_has_the_prices_of_the_default_where_it_states_none() -> None:
    table = community_table()
    assert table.at(utc("2026-03-07T12:00")).idle_per_hour == 6_000_000
    assert table.at(utc("2026-03-07T23:00")).idle_per_hour == 0


def test_a_night_is_an_hour_shorter_when_the_clock_goes_forward() -> None:
    table = community_table()
    assert table.until(utc("2026-03-28T21:00")) == utc("2026-03-29T04:00")


def test_a_night_is_an_hour_longer_when_the_clock_goes_back() -> None:
    table = community_table()
    assert table.until(utc("2026-10-24T20:00")) == utc("2026-10-25T05:00")


def test_an_hour_that_comes_twice_has_its_price_twice() -> None:
    table = table_of(
        {"start": "02:00", "end": "03:00", "energy_per_kwh": 1},
        zone="Europe/Berlin",
        energy_per_kwh=2,
    )
    assert table.until(utc("2026-10-24T23:30")) == utc("2026-10-25T00:00")  # 02:00 of summer.
    assert table.until(utc("2026-10-25T00:00")) == utc("2026-10-25T02:00")  # 03:00 of winter.


def test_a_half_hour_before_the_clock_goes_back_comes_again() -> None:
    table = table_of(
        {"start": "02:30", "end": "04:00", "energy_per_kwh": 1},
        zone="Europe/Berlin",
        energy_per_kwh=2,
    )
    instants = [utc("2026-10-24T23:00")]
    for _ in range(4):
        found = table.until(instants[-1])
        assert found is not None
        instants.append(found)
    assert instants[1:] == [
        utc("2026-10-25T00:30"),  # 02:30 of summer.
        utc("2026-10-25T01:00"),  # 02:00 of winter: the clock went back.
        utc("2026-10-25T01:30"),
        utc("2026-10-25T03:00"),
    ]


def test_an_entry_in_the_hour_that_does_not_come_begins_after_it() -> None:
    table = table_of(
        {"start": "02:30", "end": "04:00", "energy_per_kwh": 1},
        zone="Europe/Berlin",
        energy_per_kwh=2,
    )
    assert table.until(utc("2026-03-29T00:00")) == utc("2026-03-29T01:00")  # 03:00 of summer.
    assert table.at(utc("2026-03-29T01:00")).energy_per_kwh == 1


def test_a_zone_of_half_hours_is_known() -> None:
    table = table_of({"start": "10:00", "energy_per_kwh": 1}, zone="Asia/Kolkata", energy_per_kwh=2)
    assert table.until(utc("2026-03-02T00:00")) == utc("2026-03-02T04:30")


def test_one_tariff_never_changes() -> None:
    assert tariff_table_of({"energy_per_kwh": 5}).until(utc("2026-03-02T00:00")) is None
    same = table_of({"start": "10:00", "energy_per_kwh": 5}, energy_per_kwh=5)
    assert same.until(utc("2026-03-02T00:00")) is None


def test_a_tariff_of_one_day_of_the_week_comes_again_after_a_week() -> None:
    table = table_of({"days": ["monday"], "energy_per_kwh": 1}, energy_per_kwh=2)
    assert table.until(utc("2026-03-03T00:00")) == utc("2026-03-09T00:00")


def test_entries_that_fill_the_week_need_no_default() -> None:
    table = table_of({"start": "06:00", "end": "06:00", "energy_per_kwh": 7})
    assert table.default is None
    assert table.at(utc("2026-03-02T00:00")) == ChargeTariff(energy_per_kwh=7)


def test_the_table_can_be_read_from_json_with_everything_default() -> None:
    assert tariff_table_of({}) == TariffTable(default=ChargeTariff())
    assert tariff_table_of({"table": {"entries": [{}]}}).at(utc("2026-03-02T00:00")).start_fee == 0


@pytest.mark.parametrize(
    ("tariff", "field"),
    [
        ({"energy_per_kWh": 1}, "energy_per_kWh"),
        ({"energy_per_kwh": 0.39}, "energy_per_kwh"),
        ({"energy_per_kwh": True}, "energy_per_kwh"),
        ({"energy_per_kwh": "390000"}, "energy_per_kwh"),
        ({"energy_per_kwh": -1}, "energy_per_kwh"),
        ({"energy_per_kwh": 10**12 + 1}, "energy_per_kwh"),
        ({"table": []}, "table"),
        ({"table": {"zone": "UTC"}}, "table.zone"),
        ({"table": {"time_zone": "Mars/Olympus"}, "start_fee": 1}, "time_zone"),
        ({"table": {"time_zone": "../../etc/passwd"}, "start_fee": 1}, "time_zone"),
        ({"table": {"time_zone": "Europe"}, "start_fee": 1}, "time_zone"),
        ({"table": {"time_zone": ""}, "start_fee": 1}, "time_zone"),
        ({"table": {"time_zone": 1}, "start_fee": 1}, "time_zone"),
        ({"table": {"entries": {}}}, "entries"),
        ({"table": {"entries": [1]}}, "entries.0"),
        ({"table": {"entries": [{}] * 201}}, "entries"),
        ({"table": {"entries": [{"price": 1}]}}, "entries.0.price"),
        ({"table": {"entries": [{"start": "6:00"}]}}, "entries.0.start"),
        ({"table": {"entries": [{"start": "24:00"}]}}, "entries.0.start"),
        ({"table": {"entries": [{"end": "24:01"}]}}, "entries.0.end"),
        ({"table": {"entries": [{"end": 22}]}}, "entries.0.end"),
        ({"table": {"entries": [{"days": []}]}}, "entries.0.days"),
        ({"table": {"entries": [{"days": ["mo"]}]}}, "entries.0.days"),
        ({"table": {"entries": [{"days": ["mon", "MONDAY"]}]}}, "entries.0.days"),
        ({"table": {"entries": [{"days": "monday"}]}}, "entries.0.days"),
        ({"table": {"entries": [{"energy_per_kwh": -1}]}}, "entries.0.energy_per_kwh"),
        ({"table": {"entries": [{"start": "06:00"}]}}, "entries"),
        ({"table": {"entries": [{}, {"start": "06:00"}]}}, "entries.1"),
        (
            {"table": {"entries": [{"start": "22:00", "end": "06:00"}, {"start": "05:59"}]}},
            "entries.1",
        ),
    ],
)
def test_a_tariff_that_is_none_is_refused_by_the_name_of_its_field(
    tariff: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadTariff) as refused:
        tariff_table_of(tariff)
    assert refused.value.field == field


def test_a_table_is_given_in_one_place() -> None:
    with pytest.raises(BadTariff):
        tariff_table_of({"table": {}}, {})


def test_an_overlap_around_sunday_night_is_seen() -> None:
    night = {"days": ["sunday"], "start": "22:00", "end": "06:00"}
    with pytest.raises(BadTariff, match="MONDAY 05:00"):
        table_of(night, {"days": ["monday"], "start": "05:00", "end": "07:00"}, start_fee=1)
