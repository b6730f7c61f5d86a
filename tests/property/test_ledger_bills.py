"""A window's bill: its parts add up to the amount, and the saving is what neighbours changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bills import member_bill, window_bill
from ledger.statements import member_amount_nano, operator_amount_nano, supplier_amount_nano
from ledger.words import StatementRow, WindowPrice, WindowTotals

RESIDUALS = ("settled", "external")
PRICE = WindowPrice(
    local_per_kwh=180_000,
    local_fee_per_kwh=20_000,
    grid_import_per_kwh=300_000,
    grid_export_per_kwh=80_000,
)


@st.composite
def rows(draw: st.DrawFn) -> StatementRow:
    uncovered = draw(st.booleans())
    import_wh, export_wh = draw(st.integers(0, 10**8)), draw(st.integers(0, 10**8))
    return StatementRow(
        import_wh=import_wh,
        export_wh=export_wh,
        bought_wh=0 if uncovered else draw(st.integers(0, import_wh)),
        sold_wh=draw(st.integers(0, export_wh)),
        estimated=draw(st.booleans()),
        uncovered=uncovered,
    )


@st.composite
def prices(draw: st.DrawFn) -> WindowPrice:
    """Any that a market accepts: neighbours trade between the grid's two prices."""
    export, fee, margin = (draw(st.integers(0, 10**7)) for _ in range(3))
    local = export + draw(st.integers(0, margin))
    return WindowPrice(
        local_per_kwh=local,
        local_fee_per_kwh=fee,
        grid_import_per_kwh=export + margin + fee,
        grid_export_per_kwh=export,
    )


@given(row=rows(), price=prices(), residual=st.sampled_from(RESIDUALS))
def test_the_parts_of_a_bill_are_the_amount_of_the_statement(
    row: StatementRow, price: WindowPrice, residual: str
) -> None:
    bill = member_bill(row, price, residual)
    assert bill.amount_nano == member_amount_nano([row], [price], residual)


@given(row=rows(), price=prices(), residual=st.sampled_from(RESIDUALS))
def test_what_is_saved_is_what_neighbours_traded_and_never_a_loss(
    row: StatementRow, price: WindowPrice, residual: str
) -> None:
    paid = price.local_per_kwh + price.local_fee_per_kwh
    bought_nano = row.bought_wh * (price.grid_import_per_kwh - paid)
    sold_nano = row.sold_wh * (price.local_per_kwh - price.grid_export_per_kwh)
    saved_nano = member_bill(row, price, residual).saved_nano
    assert saved_nano == bought_nano + sold_nano
    assert saved_nano >= 0


@given(row=rows(), price=prices(), residual=st.sampled_from(RESIDUALS))
def test_without_neighbours_a_bill_is_the_grids_alone(
    row: StatementRow, price: WindowPrice, residual: str
) -> None:
    """What the amount of the same row comes to when nothing of it is traded, if it is settled."""
    if residual == "settled":
        alone = StatementRow(
            import_wh=row.import_wh, export_wh=row.export_wh, uncovered=row.uncovered
        )
        expected_nano = member_amount_nano([alone], [price], residual)
    else:
        expected_nano = (
            row.sold_wh * price.grid_export_per_kwh - row.bought_wh * price.grid_import_per_kwh
        )
    assert member_bill(row, price, residual).grid_only_nano == expected_nano


def test_a_bill_worked_by_hand() -> None:
    row = StatementRow(import_wh=900, export_wh=700, bought_wh=500, sold_wh=600)
    bill = member_bill(row, PRICE, "settled")
    assert bill.bought_nano == 500 * 200_000
    assert bill.sold_nano == 600 * 180_000
    assert bill.from_grid_nano == 400 * 300_000
    assert bill.to_grid_nano == 100 * 80_000
    assert bill.amount_nano == -100_000_000 + 108_000_000 - 120_000_000 + 8_000_000
    assert bill.grid_only_nano == 700 * 80_000 - 900 * 300_000
    assert bill.saved_nano == 500 * 100_000 + 600 * 100_000


def test_an_uncovered_homes_import_is_no_saving() -> None:
    row = StatementRow(import_wh=900, export_wh=700, sold_wh=600, uncovered=True)
    bill = member_bill(row, PRICE, "settled")
    assert bill.from_grid_nano == 0
    assert bill.saved_nano == 600 * 100_000
    assert bill.grid_only_nano == 700 * 80_000


def test_where_the_supplier_bills_the_rest_only_what_was_traded_counts() -> None:
    row = StatementRow(import_wh=900, export_wh=700, bought_wh=500, sold_wh=600)
    bill = member_bill(row, PRICE, "external")
    assert (bill.from_grid_nano, bill.to_grid_nano) == (0, 0)
    assert bill.amount_nano == 600 * 180_000 - 500 * 200_000
    assert bill.grid_only_nano == 600 * 80_000 - 500 * 300_000


@pytest.mark.parametrize("residual", RESIDUALS)
def test_supplier_and_grid_operator_go_by_the_totals(residual: str) -> None:
    totals = WindowTotals(
        import_wh=2_000,
        export_wh=1_200,
        traded_wh=900,
        uncovered_import_wh=300,
        eligible_import_wh=1_700,
        eligible_export_wh=1_200,
    )
    none = StatementRow(import_wh=0, export_wh=0)
    supplier = window_bill(0, none, PRICE, totals, residual)
    operator = window_bill(1, none, PRICE, totals, residual)
    member = window_bill(2, none, PRICE, totals, residual)
    assert supplier.amount_nano == supplier_amount_nano([totals], [PRICE], residual)
    assert operator.amount_nano == operator_amount_nano([totals], [PRICE])
    assert (supplier.saved_nano, operator.saved_nano, member.amount_nano) == (0, 0, 0)
