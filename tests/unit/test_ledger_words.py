"""The words that statements and settlements are hashed from (INTERFACES §5)."""

import pytest

from ledger.keccak import keccak256
from ledger.units import ACCOUNTS_MAX, ENERGY_WH_MAX, PRICE_PER_KWH_MAX, Hash32
from ledger.words import (
    StatementRow,
    WindowPrice,
    WindowTotals,
    balances_of_words,
    delta_words,
    deltas_of_words,
    deltas_root,
    pack,
    prices_hash,
    rows_hash,
    totals_hash,
    unpack,
    windows_hash,
)

SALT = Hash32(bytes(range(32)))
ROW = StatementRow(
    import_wh=1, export_wh=2, bought_wh=3, sold_wh=4, estimated=True, uncovered=False
)
PRICE = WindowPrice(
    local_per_kwh=5, local_fee_per_kwh=6, grid_import_per_kwh=7, grid_export_per_kwh=8
)
TOTALS = WindowTotals(
    import_wh=1,
    export_wh=2,
    traded_wh=3,
    uncovered_import_wh=4,
    eligible_import_wh=5,
    eligible_export_wh=6,
)


def test_a_row_word_spells_flags_import_export_bought_and_sold() -> None:
    assert f"{ROW.word:064x}" == (
        "01" + "00000000000001" + "0000000000000002" + "0000000000000003" + "0000000000000004"
    )


@pytest.mark.parametrize(
    ("estimated", "uncovered", "flags"),
    [(False, False, 0), (True, False, 1), (False, True, 2), (True, True, 3)],
)
def test_flag_bit_0_is_estimated_and_bit_1_uncovered(
    estimated: bool, uncovered: bool, flags: int
) -> None:
    row = StatementRow(import_wh=0, export_wh=0, estimated=estimated, uncovered=uncovered)
    assert row.word == flags << 248
    assert StatementRow.of_word(row.word) == row


def test_a_price_word_spells_local_fee_grid_import_and_grid_export() -> None:
    assert f"{PRICE.word:032x}" == "00000005" + "00000006" + "00000007" + "00000008"


def test_totals_are_two_words() -> None:
    first, second = TOTALS.words
    assert f"{first:064x}" == "0" * 32 + "0000000000000001" + "0000000000000002"
    assert f"{second:064x}" == (
        "0000000000000003" + "0000000000000004" + "0000000000000005" + "0000000000000006"
    )


def test_no_field_of_a_row_reaches_its_neighbour_at_its_maximum() -> None:
    top = ENERGY_WH_MAX
    row = StatementRow(
        import_wh=top, export_wh=top, bought_wh=top, sold_wh=top, estimated=True, uncovered=True
    )
    assert StatementRow.of_word(row.word) == row
    assert row.word < 2**256


def test_no_price_reaches_its_neighbour_at_its_maximum() -> None:
    top = PRICE_PER_KWH_MAX
    price = WindowPrice(
        local_per_kwh=top, local_fee_per_kwh=top, grid_import_per_kwh=top, grid_export_per_kwh=top
    )
    assert WindowPrice.of_word(price.word) == price
    assert price.word < 2**128


def test_totals_of_all_accounts_at_the_maximum_keep_to_their_lanes() -> None:
    top = ACCOUNTS_MAX * ENERGY_WH_MAX
    totals = WindowTotals(
        import_wh=top,
        export_wh=top,
        traded_wh=top,
        uncovered_import_wh=top,
        eligible_import_wh=top,
        eligible_export_wh=top,
    )
    assert top < 2**64
    assert WindowTotals.of_words(*totals.words) == totals


def test_hashes_are_keccak_over_the_words_in_order() -> None:
    row, price = ROW.word.to_bytes(32), PRICE.word.to_bytes(32)
    totals = b"".join(word.to_bytes(32) for word in TOTALS.words)
    assert rows_hash([ROW, ROW]) == keccak256(row + row)
    assert prices_hash([PRICE, PRICE]) == keccak256(price + price)
    assert totals_hash([TOTALS, TOTALS], SALT) == keccak256(totals + totals + SALT)
    assert windows_hash(Hash32(row), Hash32(price)) == keccak256(row + price)


def test_a_negative_delta_borrows_from_the_lane_above() -> None:
    assert delta_words([-1, 0, 0, 0]) == [2**256 - 1]
    assert delta_words([0, -1, 1, 0]) == [2**128 - 2**64]
    assert delta_words([1, 0, 0, -1]) == [1 + 2**256 - 2**192]


def test_a_new_balance_word_is_one_addition() -> None:
    balances = sum(balance << (64 * lane) for lane, balance in enumerate([10, 20, 30, 40]))
    moved = (balances + delta_words([-10, 5, -30, 35])[0]) % 2**256
    assert balances_of_words([moved], 4) == [0, 25, 0, 75]


def test_the_last_word_of_deltas_is_filled_with_zeros() -> None:
    assert delta_words([7, 0, 0, 0, 9]) == [7, 9]
    assert deltas_of_words([7, 9], 5) == [7, 0, 0, 0, 9]


def test_words_come_back_from_calldata() -> None:
    words = [0, 1, 2**256 - 1]
    assert unpack(pack(words)) == words


def test_deltas_root_of_a_single_chunk_is_the_hash_of_eight_words() -> None:
    assert deltas_root([7, 9]) == keccak256(pack([7, 9, 0, 0, 0, 0, 0, 0]))


def test_deltas_root_moves_an_odd_chunk_up_unchanged() -> None:
    words = list(range(1, 18))  # Three chunks: 8, 8 and 1 word.
    first, second = keccak256(pack(words[:8])), keccak256(pack(words[8:16]))
    last = keccak256(pack([17, 0, 0, 0, 0, 0, 0, 0]))
    assert deltas_root(words) == keccak256(keccak256(first + second) + last)
