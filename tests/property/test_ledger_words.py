"""Words against plain integers, and roots against slow implementations of other people or kinds."""

from collections.abc import Sequence

import murky_tree
from eth_abi.abi import encode
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.keccak import keccak256
from ledger.merkle import StandardTree, root_of_proof
from ledger.units import Hash32
from ledger.words import (
    StatementRow,
    WindowPrice,
    WindowTotals,
    commitment,
    delta_words,
    deltas_of_words,
    deltas_root,
    statement_leaf,
)

INT64 = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**51, -(2**51)]) | st.integers(
    -(2**63), 2**63 - 1
)
UINT32 = st.sampled_from([0, 1, 2, 2**32 - 1]) | st.integers(0, 2**32 - 1)
UINT64 = st.sampled_from([0, 1, 2**64 - 1]) | st.integers(0, 2**64 - 1)
BYTES32 = st.binary(min_size=32, max_size=32)
LEAF_TYPES = ["uint32", "uint64", "uint32", "bytes32", "int64", "bytes32"]
LEAVES = st.tuples(UINT32, UINT64, UINT32, BYTES32, INT64, BYTES32)


def leaf_of(values: tuple[int, int, int, bytes, int, bytes]) -> Hash32:
    account, period_start_s, run, rows, amount_nano, salt = values
    return statement_leaf(
        account=account,
        period_start_s=period_start_s,
        run=run,
        rows=Hash32(rows),
        amount_nano=amount_nano,
        salt=Hash32(salt),
    )


@given(st.lists(INT64, max_size=21))
@example([-(2**63)] * 4)
@example([-1, -1, -1, -1])
@example([2**63 - 1, -(2**63), 2**63 - 1, -(2**63)])
def test_deltas_come_back_from_their_words(deltas_nano: list[int]) -> None:
    words = delta_words(deltas_nano)
    assert len(words) == -(-len(deltas_nano) // 4)
    assert deltas_of_words(words, len(deltas_nano)) == deltas_nano


@given(st.lists(INT64, min_size=1, max_size=4))
def test_a_delta_word_is_the_plain_sum_of_shifted_deltas(deltas_nano: list[int]) -> None:
    plain = sum(delta * 2 ** (64 * lane) for lane, delta in enumerate(deltas_nano))
    assert delta_words(deltas_nano) == [plain % 2**256]


@given(st.lists(st.tuples(*[st.integers(-(2**51), 2**51)] * 4), min_size=1, max_size=200))
def test_the_sum_of_words_decodes_to_the_sums_of_the_lanes(
    quads: list[tuple[int, int, int, int]],
) -> None:
    """What the contract does once at the end: 2^12 words at most, lanes of ±2^51."""
    total = sum(delta_words(quad)[0] for quad in quads) % 2**256
    assert deltas_of_words([total], 4) == [sum(lane) for lane in zip(*quads, strict=True)]


@given(st.tuples(*[st.integers(0, 2**51 - 1)] * 4), st.data())
def test_one_addition_moves_four_balances(balances: tuple[int, ...], data: st.DataObject) -> None:
    deltas = [data.draw(st.integers(-balance, 2**51 - 1 - balance)) for balance in balances]
    moved = (delta_words(balances)[0] + delta_words(deltas)[0]) % 2**256
    expected = [balance + delta for balance, delta in zip(balances, deltas, strict=True)]
    assert deltas_of_words([moved], 4) == expected


def slow_root(leaves: Sequence[bytes]) -> bytes:
    """The deltas' tree from the top: the left subtree is the largest full one."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    return keccak256(slow_root(leaves[:left]) + slow_root(leaves[left:]))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=150))
def test_deltas_root_equals_a_slow_recursion_over_padded_chunks(words: list[int]) -> None:
    padded = words + [0] * (-len(words) % 8)
    chunks = [
        keccak256(b"".join(word.to_bytes(32) for word in padded[place : place + 8]))
        for place in range(0, len(padded), 8)
    ]
    assert deltas_root(words) == slow_root(chunks)


@given(LEAVES)
def test_the_leaf_is_the_double_hash_of_the_abi_encoding(
    values: tuple[int, int, int, bytes, int, bytes],
) -> None:
    assert leaf_of(values) == keccak256(keccak256(encode(LEAF_TYPES, values)))


@given(BYTES32, BYTES32, BYTES32, UINT32, UINT64)
def test_the_commitment_is_the_hash_of_the_abi_encoding(
    statements_root: bytes, windows: bytes, root: bytes, run: int, cutoff_at_s: int
) -> None:
    types = ["bytes32", "bytes32", "bytes32", "uint32", "uint64"]
    encoded = encode(types, (statements_root, windows, root, run, cutoff_at_s))
    assert keccak256(encoded) == commitment(
        statements_root=Hash32(statements_root),
        windows=Hash32(windows),
        deltas_root=Hash32(root),
        run=run,
        cutoff_at_s=cutoff_at_s,
    )


@settings(max_examples=50)
@given(st.lists(LEAVES, min_size=1, max_size=40))
def test_root_and_proofs_equal_those_of_murky_tree(
    values: list[tuple[int, int, int, bytes, int, bytes]],
) -> None:
    theirs = murky_tree.StandardMerkleTree.of(values, LEAF_TYPES)
    ours = StandardTree([leaf_of(value) for value in values])
    assert "0x" + ours.root.hex() == theirs.root
    for place, value in enumerate(values):
        proof = ours.proof(place)
        assert root_of_proof(leaf_of(value), proof) == ours.root
        if values.count(value) == 1:  # Of equal leaves, each library shows another one's proof.
            assert ["0x" + sibling.hex() for sibling in proof] == theirs.get_proof(value)


@settings(max_examples=50)
@given(st.lists(BYTES32, min_size=2, max_size=20, unique=True), st.data())
def test_a_proof_of_one_leaf_does_not_fit_another(leaves: list[bytes], data: st.DataObject) -> None:
    tree = StandardTree([Hash32(leaf) for leaf in leaves])
    mine, other = data.draw(
        st.lists(st.integers(0, len(leaves) - 1), min_size=2, max_size=2, unique=True)
    )
    assert root_of_proof(Hash32(leaves[mine]), tree.proof(mine)) == tree.root
    if tree.proof(mine) != tree.proof(other):
        assert root_of_proof(Hash32(leaves[other]), tree.proof(mine)) != tree.root


ENERGY_WH = st.sampled_from([0, 1, 10**8]) | st.integers(0, 10**8)
PRICE_PER_KWH = st.sampled_from([0, 1, 10**8]) | st.integers(0, 10**8)


@given(st.tuples(*[ENERGY_WH] * 4), st.booleans(), st.booleans())
def test_rows_come_back_from_their_words(
    energies_wh: tuple[int, int, int, int], estimated: bool, uncovered: bool
) -> None:
    import_wh, export_wh, bought_wh, sold_wh = energies_wh
    row = StatementRow(
        import_wh=import_wh,
        export_wh=export_wh,
        bought_wh=bought_wh,
        sold_wh=sold_wh,
        estimated=estimated,
        uncovered=uncovered,
    )
    assert StatementRow.of_word(row.word) == row


@given(st.tuples(*[PRICE_PER_KWH] * 4))
def test_prices_come_back_from_their_words(prices: tuple[int, int, int, int]) -> None:
    local, fee, grid_import, grid_export = prices
    price = WindowPrice(
        local_per_kwh=local,
        local_fee_per_kwh=fee,
        grid_import_per_kwh=grid_import,
        grid_export_per_kwh=grid_export,
    )
    assert WindowPrice.of_word(price.word) == price


@given(st.tuples(*[UINT64] * 6))
def test_totals_come_back_from_their_words(sums_wh: tuple[int, ...]) -> None:
    names = [
        "import_wh",
        "export_wh",
        "traded_wh",
        "uncovered_import_wh",
        "eligible_import_wh",
        "eligible_export_wh",
    ]
    totals = WindowTotals(**dict(zip(names, sums_wh, strict=True)))
    assert WindowTotals.of_words(*totals.words) == totals
