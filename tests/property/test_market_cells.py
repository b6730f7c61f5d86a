"""What strangers may see: sums of at least five accounts of which none has over half."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.jobs.market.cells import cells_of_runs, cells_so_far, is_open
from ledger.words import StatementRow, pack

ENERGIES = st.one_of(st.integers(0, 3), st.integers(0, 10**8))


def may_show(energies_wh: list[int]) -> bool:
    """The rule as a person would check it."""
    behind = [energy_wh for energy_wh in energies_wh if energy_wh > 0]
    return len(behind) >= 5 and all(each <= sum(behind) - each for each in behind)


def shown(energies_wh: list[int]) -> bool:
    return bool(is_open(np.array([[each] for each in energies_wh], dtype=np.uint64))[0])


@given(energies_wh=st.lists(ENERGIES, min_size=1, max_size=12))
@example(energies_wh=[4, 1, 1, 1, 1])  # Exactly half.
@example(energies_wh=[5, 1, 1, 1, 1])  # Over half by one.
@example(energies_wh=[1, 1, 1, 1])
@example(energies_wh=[1, 1, 1, 1, 0])
@example(energies_wh=[10**8] * 5)
def test_a_sum_is_shown_by_the_rule_and_by_nothing_else(energies_wh: list[int]) -> None:
    assert shown(energies_wh) == may_show(energies_wh)


@pytest.mark.parametrize(
    ("energies_wh", "is_shown"),
    [
        ([100, 100, 100, 100], False),
        ([100, 100, 100, 100, 100], True),
        ([100, 100, 100, 100, 0], False),
        ([400, 100, 100, 100, 100], True),
        ([401, 100, 100, 100, 100], False),
        ([0, 0, 0, 0, 0, 0], False),
    ],
)
def test_four_or_five_accounts_and_half_or_more(energies_wh: list[int], is_shown: bool) -> None:
    assert shown(energies_wh) == is_shown


@given(energies_wh=st.lists(ENERGIES, min_size=5, max_size=12))
def test_nobody_who_is_behind_a_shown_sum_knows_another_ones_share_to_within_a_half(
    energies_wh: list[int],
) -> None:
    """Whoever takes the own share away is left with several: none of them is all of it."""
    if not shown(energies_wh):
        return
    for own, own_wh in enumerate(energies_wh):
        others = [each for place, each in enumerate(energies_wh) if place != own and each > 0]
        assert len(others) >= 4 or own_wh == 0
        assert max(others) < sum(energies_wh) - own_wh


ROWS = st.builds(
    StatementRow,
    import_wh=ENERGIES,
    export_wh=ENERGIES,
    bought_wh=ENERGIES,
    sold_wh=ENERGIES,
    estimated=st.booleans(),
    uncovered=st.booleans(),
)


@st.composite
def periods(draw: st.DrawFn) -> list[list[StatementRow]]:
    """Rows of some accounts, in some windows."""
    windows = draw(st.integers(1, 4))
    own = st.lists(ROWS, min_size=windows, max_size=windows)
    return draw(st.lists(own, min_size=1, max_size=8))


def packed(rows: list[list[StatementRow]]) -> list[bytes]:
    return [pack(each.word for each in own) for own in rows]


def column(rows: list[list[StatementRow]], window: int, name: str) -> list[int]:
    return [getattr(own[window], name) for own in rows]


@given(rows=periods())
def test_cells_are_those_of_the_rows_that_were_hashed(rows: list[list[StatementRow]]) -> None:
    for window, cells in enumerate(cells_of_runs([packed(rows)], len(rows[0]))):
        assert cells.imported == may_show(column(rows, window, "import_wh"))
        assert cells.exported == may_show(column(rows, window, "export_wh"))
        assert cells.traded == (
            may_show(column(rows, window, "bought_wh"))
            and may_show(column(rows, window, "sold_wh"))
        )
        assert cells.estimated == sum(column(rows, window, "estimated"))


@given(rows=periods())
def test_what_nobody_settled_is_shown_only_without_an_estimate(
    rows: list[list[StatementRow]],
) -> None:
    settled = cells_of_runs([packed(rows)], len(rows[0]))
    for before, cells in zip(settled, cells_so_far(packed(rows), len(rows[0])), strict=True):
        assert cells.estimated == before.estimated
        for name in ("imported", "exported", "traded"):
            assert getattr(cells, name) == (getattr(before, name) and not cells.estimated)


@given(rows=periods(), data=st.data())
def test_a_revision_shows_nothing_that_tells_of_whom_it_changed(
    rows: list[list[StatementRow]], data: st.DataObject
) -> None:
    """Some accounts' rows are changed; one more has come; then some once more."""
    runs = [rows]
    for _ in range(2):
        changed = [
            data.draw(st.lists(ROWS, min_size=len(own), max_size=len(own)))
            if data.draw(st.booleans())
            else own
            for own in runs[-1]
        ]
        runs.append([*changed, runs[-1][0]])
    shown = [
        cells_of_runs([packed(each) for each in runs[: n + 1]], len(rows[0])) for n in range(3)
    ]
    parts = {
        "imported": ["import_wh"],
        "exported": ["export_wh"],
        "traded": ["bought_wh", "sold_wh"],
    }
    for window in range(len(rows[0])):
        for name, fields in parts.items():
            for later in range(3):
                if not getattr(shown[later][window], name):
                    continue
                for field in fields:
                    new = column(runs[later], window, field)
                    assert may_show(new)
                    for earlier in range(later):
                        if getattr(shown[earlier][window], name):
                            old = column(runs[earlier], window, field)
                            old += [0] * (len(new) - len(old))
                            changes = [abs(a - b) for a, b in zip(new, old, strict=True)]
                            assert not any(changes) or may_show(changes)


def test_a_correction_of_one_home_takes_the_sum_back_and_one_of_all_does_not() -> None:
    before = [[StatementRow(import_wh=100 + number, export_wh=0)] for number in range(6)]
    one = [[StatementRow(import_wh=150, export_wh=0)], *before[1:]]
    every = [[StatementRow(import_wh=own[0].import_wh + 10, export_wh=0)] for own in before]
    (first,) = cells_of_runs([packed(before)], 1)
    (of_one,) = cells_of_runs([packed(before), packed(one)], 1)
    (of_all,) = cells_of_runs([packed(before), packed(every)], 1)
    (same,) = cells_of_runs([packed(before), packed(before)], 1)
    assert (first.imported, of_one.imported, of_all.imported, same.imported) == (
        True,
        False,
        True,
        True,
    )
