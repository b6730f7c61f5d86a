"""The neighbourhood's page: both sides of its picture are equal, and it tells of nobody."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api.jobs.market.views import Cell, PeriodState, WindowView
from api.pages.neighbourhood import Balance, shown_of
from ledger.words import WindowPrice

HOUR_S = 3_600
START_S = 1_464_732_000
PRICE = WindowPrice(
    local_per_kwh=180_000,
    local_fee_per_kwh=20_000,
    grid_import_per_kwh=300_000,
    grid_export_per_kwh=80_000,
)
ENERGIES = st.integers(0, 10**8)


def window(
    place: int,
    *,
    taken_wh: int = 900,
    given_wh: int = 600,
    traded_wh: int = 500,
    is_open: tuple[bool, bool, bool] = (True, True, True),
    state: PeriodState = PeriodState.FINAL,
    is_complete: bool = True,
) -> WindowView:
    """A window; `is_open` of what is taken, given, traded."""
    return WindowView(
        start_s=START_S + place * HOUR_S,
        period_start_s=START_S,
        run=0 if state is PeriodState.FINAL else None,
        state=state,
        price=PRICE,
        imported=Cell(energy_wh=taken_wh, is_open=is_open[0]),
        exported=Cell(energy_wh=given_wh, is_open=is_open[1]),
        traded=Cell(energy_wh=traded_wh, is_open=is_open[2]),
        estimated=0,
        is_complete=is_complete,
    )


@st.composite
def windows(draw: st.DrawFn) -> list[WindowView]:
    found = []
    for place in range(draw(st.integers(0, 25))):
        taken_wh, given_wh = draw(ENERGIES), draw(ENERGIES)
        found.append(
            window(
                place,
                taken_wh=taken_wh,
                given_wh=given_wh,
                traded_wh=draw(st.integers(0, min(taken_wh, given_wh))),
                is_open=draw(st.tuples(st.booleans(), st.booleans(), st.booleans())),
                state=draw(st.sampled_from(PeriodState)),
                is_complete=draw(st.booleans()),
            )
        )
    return found


@given(found=windows(), sees_all=st.booleans())
def test_sources_and_sinks_are_equal_and_nothing_is_negative(
    found: list[WindowView], sees_all: bool
) -> None:
    shown = shown_of(found, window_s=HOUR_S, sees_all=sees_all)
    total = shown.total
    assert total.given_wh + total.from_grid_wh == total.taken_wh + total.to_grid_wh
    assert min(total.from_grid_wh, total.to_grid_wh, total.traded_wh) >= 0
    for field in ("given_wh", "taken_wh", "traded_wh", "moved_wh"):
        parts = getattr(shown.settled, field) + getattr(shown.provisional, field)
        assert parts == getattr(total, field)
    flows = shown.for_scripts()["flows"]
    assert isinstance(flows, list)
    assert sum(flow["settled"] + flow["provisional"] for flow in flows) == total.moved_wh


@given(found=windows())
def test_a_stranger_is_told_no_figure_that_is_not_open(found: list[WindowView]) -> None:
    shown = shown_of(found, window_s=HOUR_S, sees_all=False)
    for line, view in zip(shown.lines, found, strict=False):
        for seen_wh, cell in (
            (line.taken_wh, view.imported),
            (line.given_wh, view.exported),
            (line.traded_wh, view.traded),
        ):
            assert seen_wh == (cell.energy_wh if cell.is_open else None)
        assert line.is_hidden is not (
            view.imported.is_open and view.exported.is_open and view.traded.is_open
        )
    assert shown.hidden + shown.whole == len(shown.lines)


@given(found=windows())
def test_a_member_sees_every_window_that_anything_is_known_of(found: list[WindowView]) -> None:
    shown = shown_of(found, window_s=HOUR_S, sees_all=True)
    assert shown.hidden == 0
    left_out = found[len(shown.lines) :]
    assert not [each for each in left_out if each.is_complete or each.imported.energy_wh]


def test_a_sum_over_hidden_windows_is_no_zero() -> None:
    closed = (False, False, False)
    shown = shown_of([window(0, is_open=closed)], window_s=HOUR_S, sees_all=False)
    assert (shown.given_wh, shown.taken_wh, shown.traded_wh) == (None, None, None)
    partly = shown_of(
        [window(0, is_open=closed), window(1, taken_wh=0)], window_s=HOUR_S, sees_all=False
    )
    assert partly.taken_wh == 0


def test_windows_that_no_meter_has_spoken_of_are_not_drawn_as_zero() -> None:
    silent = window(2, taken_wh=0, given_wh=0, traded_wh=0, is_complete=False)
    dark = window(1, taken_wh=0, given_wh=0, traded_wh=0)
    shown = shown_of([window(0), dark, silent], window_s=HOUR_S, sees_all=True)
    assert [line.taken_wh for line in shown.lines] == [900, 0]
    assert shown.latest is not None
    assert shown.latest.end_at == datetime.fromtimestamp(START_S + 2 * HOUR_S, UTC)


def test_what_is_not_settled_is_told_apart() -> None:
    waiting = window(1, state=PeriodState.PROPOSED)
    shown = shown_of([window(0), waiting], window_s=HOUR_S, sees_all=True)
    assert shown.settled == shown.provisional
    assert shown.has_provisional
    assert not shown_of([window(0)], window_s=HOUR_S, sees_all=True).has_provisional


def test_the_windows_of_most_are_the_first_ones_of_equals() -> None:
    found = [window(0), window(1, given_wh=700), window(2, given_wh=700), window(3, taken_wh=901)]
    shown = shown_of(found, window_s=HOUR_S, sees_all=True)
    assert shown.most_given is shown.lines[1]
    assert shown.most_taken is shown.lines[3]
    dark = shown_of([window(0, given_wh=0, traded_wh=0)], window_s=HOUR_S, sees_all=True)
    assert dark.most_given is None


def test_shares_of_nothing_are_nothing() -> None:
    assert (Balance().covered_bps, Balance().stayed_bps) == (0, 0)
    third = Balance(given_wh=300, taken_wh=100, traded_wh=100)
    assert (third.covered_bps, third.stayed_bps) == (10_000, 3_333)
