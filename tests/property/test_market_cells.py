"""What strangers may see: sums of at least five accounts of which none has over half."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.jobs.market.cells import cells_of, is_open
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


@given(
    data=st.data(),
    accounts=st.integers(1, 8),
    windows=st.integers(1, 4),
)
def test_cells_are_those_of_the_rows_that_were_hashed(
    data: st.DataObject, accounts: int, windows: int
) -> None:
    row = st.builds(
        StatementRow,
        import_wh=ENERGIES,
        export_wh=ENERGIES,
        bought_wh=ENERGIES,
        sold_wh=ENERGIES,
        estimated=st.booleans(),
        uncovered=st.booleans(),
    )
    rows = data.draw(
        st.lists(
            st.lists(row, min_size=windows, max_size=windows), min_size=accounts, max_size=accounts
        )
    )
    found = cells_of([pack(each.word for each in own) for own in rows], windows)
    for window, cells in enumerate(found):
        column = [own[window] for own in rows]
        assert cells.imported == may_show([each.import_wh for each in column])
        assert cells.exported == may_show([each.export_wh for each in column])
        assert cells.traded == (
            may_show([each.bought_wh for each in column])
            and may_show([each.sold_wh for each in column])
        )
        assert cells.estimated == sum(each.estimated for each in column)
