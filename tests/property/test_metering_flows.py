"""What holds of flows for any readings and any windows."""

from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.units import AccountId, from_unix_s
from metering.flows import flows_of
from metering.readings import Reading
from metering.series import Series, WindowGrid
from tests.meter_worlds import HOME, NOON, meter, reading, term

SPAN_S = 7_200
steps = st.sampled_from([0, 0, 1, 2, 7, 900, 10**9]) | st.integers(0, 5_000)


@st.composite
def rising_readings(draw: st.DrawFn) -> list[Reading]:
    """Readings of one meter at distinct instants, registers rising, biased to ties and ones."""
    instants_s = sorted(draw(st.sets(st.integers(0, SPAN_S), min_size=1, max_size=12)))
    import_wh, export_wh = draw(st.sampled_from([0, 1, 10**11])), 0
    rows = []
    for second in instants_s:
        import_wh += draw(steps)
        export_wh += draw(steps)
        rows.append(reading(NOON + timedelta(seconds=second), import_wh, export_wh))
    return rows


@st.composite
def grids_around(draw: st.DrawFn) -> WindowGrid:
    """Windows that cover all readings, of any length and alignment."""
    window_s = draw(st.sampled_from([1_000, 900, 3_600]) | st.integers(101, 20_000))
    start_at = NOON - timedelta(seconds=draw(st.integers(0, window_s)))
    return WindowGrid(start_at=start_at, window_s=window_s, count=SPAN_S // window_s + 2)


def register_at(rows: list[Reading], at_s: int) -> tuple[int, int]:
    """The rule of DESIGN §2, written down as it is said, in plain integers."""
    known = [(int(row.taken_at.timestamp()), row) for row in rows]
    before = [(taken_s, row) for taken_s, row in known if taken_s <= at_s]
    after = [(taken_s, row) for taken_s, row in known if taken_s > at_s]
    if not before:
        return after[0][1].import_wh, after[0][1].export_wh
    (t0, r0), (t1, r1) = before[-1], (after or before[-1:])[0]
    if at_s == t0 or not after:
        return r0.import_wh, r0.export_wh
    return (
        r0.import_wh + (r1.import_wh - r0.import_wh) * (at_s - t0) // (t1 - t0),
        r0.export_wh + (r1.export_wh - r0.export_wh) * (at_s - t0) // (t1 - t0),
    )


@given(rows=rising_readings(), grid=grids_around())
def test_flows_follow_the_rule_window_by_window(rows: list[Reading], grid: WindowGrid) -> None:
    flows = flows_of(HOME, [term()], {meter(1): Series.of(meter(1), rows)}, grid)
    read_s = {int(row.taken_at.timestamp()) for row in rows}
    for flow in flows:
        start_s = int(flow.start_at.timestamp())
        before, after = register_at(rows, start_s), register_at(rows, start_s + grid.window_s)
        assert (flow.import_wh, flow.export_wh) == (after[0] - before[0], after[1] - before[1])
        assert flow.estimated == (not {start_s, start_s + grid.window_s} <= read_s)


@given(rows=rising_readings(), grid=grids_around())
def test_flows_add_up_to_last_less_first_and_none_is_negative(
    rows: list[Reading], grid: WindowGrid
) -> None:
    flows = flows_of(HOME, [term()], {meter(1): Series.of(meter(1), rows)}, grid)
    assert sum(flow.import_wh for flow in flows) == rows[-1].import_wh - rows[0].import_wh
    assert sum(flow.export_wh for flow in flows) == rows[-1].export_wh - rows[0].export_wh
    assert all(flow.import_wh >= 0 and flow.export_wh >= 0 for flow in flows)


@given(rows=rising_readings(), grid=grids_around(), cut_s=st.integers(-10, SPAN_S + 10))
def test_a_move_between_two_accounts_loses_and_invents_nothing(
    rows: list[Reading], grid: WindowGrid, cut_s: int
) -> None:
    moved_at = NOON + timedelta(seconds=cut_s)
    series = {meter(1): Series.of(meter(1), rows)}
    terms = [term(account=2, valid_until=moved_at), term(account=3, valid_from=moved_at)]
    whole = flows_of(HOME, [term()], series, grid)
    first, second = (flows_of(AccountId(account), terms, series, grid) for account in (2, 3))
    for one, two, both in zip(first, second, whole, strict=True):
        assert one.import_wh + two.import_wh == both.import_wh
        assert one.export_wh + two.export_wh == both.export_wh


@given(rows=rising_readings(), grid=grids_around(), order=st.randoms(use_true_random=False))
def test_the_order_in_which_distinct_instants_arrive_makes_no_difference(
    rows: list[Reading], grid: WindowGrid, order: Random
) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    flows, again = (
        flows_of(HOME, [term()], {meter(1): Series.of(meter(1), each)}, grid)
        for each in (rows, shuffled)
    )
    assert flows == again


@settings(max_examples=20)
@given(rows=rising_readings(), count=st.integers(1, 4))
def test_finer_windows_add_up_to_coarser_ones(rows: list[Reading], count: int) -> None:
    series = {meter(1): Series.of(meter(1), rows)}
    coarse = WindowGrid(start_at=NOON, window_s=3_600, count=3)
    fine = WindowGrid(start_at=NOON, window_s=3_600 // count, count=3 * count)
    sums = [0, 0, 0]
    for index, flow in enumerate(flows_of(HOME, [term()], series, fine)):
        sums[index // count] += flow.import_wh
    assert sums == [flow.import_wh for flow in flows_of(HOME, [term()], series, coarse)]


def test_a_series_reads_back_what_it_was_made_of() -> None:
    rows = [reading(from_unix_s(second), second) for second in (0, 60, 3_600)]
    assert Series.of(meter(1), reversed(rows)).readings() == rows
