"""Any week of tariffs: the wall clock decides, and OCPI brings it back unchanged."""

from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from charging.errors import BadTariff
from charging.ocpi_tariffs import OcpiTariff, export_tariff, import_tariff
from charging.tariff_tables import Day, TariffEntry, TariffTable
from charging.tariffs import ChargeTariff
from ledger.units import from_unix_s

ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
prices = st.sampled_from((0, 100, 250_000, 390_000, 6_000_000))
tariffs = st.builds(
    ChargeTariff,
    energy_per_kwh=prices,
    start_fee=prices,
    time_per_hour=prices,
    idle_per_hour=prices,
)
minutes = st.sampled_from((0, 1, 120, 150, 360, 720, 1_320, 1_439))
entries = st.builds(
    TariffEntry,
    days=st.lists(st.sampled_from(Day), min_size=1, unique=True).map(lambda d: tuple(sorted(d))),
    start_minute=minutes,
    end_minute=minutes.map(lambda minute: minute or 1_440),
    tariff=tariffs,
)
instants = st.one_of(
    st.sampled_from(  # Around changes of the clock.
        [
            datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 4, 4, 14, 50, tzinfo=UTC),
            datetime(2026, 10, 3, 15, 20, tzinfo=UTC),
        ]
    ),
    st.integers(1_767_225_600, 1_830_000_000).map(from_unix_s),
)


@st.composite
def tables(draw: st.DrawFn) -> TariffTable:
    """A table; entries that claim a minute twice are left out."""
    zone, default = draw(st.sampled_from(ZONES)), draw(tariffs)
    kept: tuple[TariffEntry, ...] = ()
    for entry in draw(st.lists(entries, max_size=5)):
        try:
            TariffTable(default=default, entries=(*kept, entry), time_zone=zone)
        except BadTariff:
            continue
        kept = (*kept, entry)
    return TariffTable(default=default, entries=kept, time_zone=zone)


@given(table=tables(), at=instants)
def test_the_entry_of_the_local_minute_holds_or_the_default(
    table: TariffTable, at: datetime
) -> None:
    local = at.astimezone(table._zone)
    minute = local.weekday() * 1_440 + local.hour * 60 + local.minute
    held = [
        entry.tariff
        for entry in table.entries
        for start, end in entry.spans()
        if start <= minute < end
    ]
    assert [table.at(at)] == (held or [table.default])


@given(table=tables(), at=instants)
def test_until_is_the_first_instant_of_another_tariff(table: TariffTable, at: datetime) -> None:
    until = table.until(at)
    tariff = table.at(at)
    last = until if until is not None else at + timedelta(days=9)
    step = (last - at) / 200
    assert all(table.at(at + n * step) == tariff for n in range(200))
    if until is not None:
        assert until > at
        assert until.second == until.microsecond == 0
        assert table.at(until) != tariff
        assert table.at(until - timedelta(microseconds=1)) == tariff


@given(table=tables(), at=instants)
def test_the_normal_form_is_the_same_table_and_its_own(table: TariffTable, at: datetime) -> None:
    normal = table.normal()
    assert normal.at(at) == table.at(at)
    assert normal.until(at) == table.until(at)
    assert normal.normal() == normal


@given(table=tables(), vat_bps=st.sampled_from((0, 2_500, 10_000)))
def test_export_then_import_gives_the_same_table(table: TariffTable, vat_bps: int) -> None:
    tariff = OcpiTariff(
        country_code="DE",
        party_id="WLX",
        tariff_id="1",
        currency="EUR",
        table=table,
        vat_bps=vat_bps,
        last_updated=datetime(2026, 1, 1, tzinfo=UTC),
    )
    try:
        text = export_tariff(tariff)
    except BadTariff:
        assume(False)
    again = import_tariff(text, time_zone=table.time_zone)
    assert again.table == table.normal()
    assert again.vat_bps in {vat_bps, 0}  # A free tariff states none.
