"""The real registers that the demo settles, read and turned into flows."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ledger.units import FIRST_MEMBER, AccountId
from metering.flows import flows_of
from metering.readings import MeterId, Reading
from metering.registers_csv import RegistersFile, read_registers
from metering.series import Series, WindowGrid
from tests.meter_worlds import meter, term

REGISTERS = Path(__file__).parents[2] / "api/data/konstanz_registers_60min_2016-06_2016-10.csv"
FIRST_AT = datetime(2016, 6, 1, tzinfo=UTC)
HOURS = 3_672
# Import and export in Wh: the last line of each home less its first.
TOTALS_WH = {
    "DE_KN_residential1": (2_026_671, 0),
    "DE_KN_residential2": (1_024_690, 0),
    "DE_KN_residential3": (1_357_097, 1_779_356),
    "DE_KN_residential4": (656_645, 5_172_368),
    "DE_KN_residential5": (918_302, 0),
    "DE_KN_residential6": (400_900, 1_244_900),
}


@pytest.fixture(scope="module")
def file() -> RegistersFile:
    with REGISTERS.open("rb") as source:
        return read_registers(source)


@pytest.fixture(scope="module")
def series(file: RegistersFile) -> dict[str, Series]:
    ids = {label: meter(number) for number, label in enumerate(file.labels, 1)}
    readings, _, _ = file.readings(ids.get)
    by_meter: dict[MeterId, list[Reading]] = {}
    for each in readings:
        by_meter.setdefault(each.meter_id, []).append(each)
    return {label: Series.of(ids[label], by_meter[ids[label]]) for label in file.labels}


def test_every_row_of_the_six_homes_is_a_reading(file: RegistersFile) -> None:
    assert file.labels == tuple(TOTALS_WH)
    assert (sum(1 for _ in file.rows()), file.estimated, file.problems) == (6 * HOURS, 0, ())


@pytest.mark.parametrize("window_s", [3_600, 900, 86_400, 5_000])
def test_flows_of_each_home_add_up_to_its_registers(
    series: dict[str, Series], window_s: int
) -> None:
    grid = WindowGrid(
        start_at=FIRST_AT - timedelta(days=1),
        window_s=window_s,
        count=(HOURS + 48) * 3_600 // window_s + 1,
    )
    for account, (label, each) in enumerate(series.items(), FIRST_MEMBER):
        terms = [term(each.meter_id, account=account)]
        flows = flows_of(AccountId(account), terms, {each.meter_id: each}, grid)
        totals_wh = (sum(f.import_wh for f in flows), sum(f.export_wh for f in flows))
        assert totals_wh == TOTALS_WH[label]


def test_the_local_day_of_the_change_from_summer_time_has_25_measured_hours(
    series: dict[str, Series],
) -> None:
    begin_at = datetime(2016, 10, 30, tzinfo=timezone(timedelta(hours=2))).astimezone(UTC)
    end_at = datetime(2016, 10, 31, tzinfo=timezone(timedelta(hours=1))).astimezone(UTC)
    count = (end_at - begin_at) // timedelta(hours=1)
    assert count == 25
    each = series["DE_KN_residential3"]
    grid = WindowGrid(start_at=begin_at, window_s=3_600, count=count)
    flows = flows_of(FIRST_MEMBER, [term(each.meter_id)], {each.meter_id: each}, grid)
    assert not any(flow.estimated for flow in flows)
