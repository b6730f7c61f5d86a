"""The two lane libraries against plain Python integers."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web3.contract import Contract

from tests.chain.evm_world import Reverted, World, reverts
from tests.chain.market_world import delta_words, deltas_root

BALANCE_MAX = 2**51 - 1
EXAMPLES = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

lanes = st.one_of(
    st.sampled_from([0, 1, -1, 2**51 - 1, 2**51, -(2**51), 2**62, -(2**62), 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
)
balances = st.one_of(st.sampled_from([0, 1, BALANCE_MAX]), st.integers(0, BALANCE_MAX))
caps = st.one_of(
    st.sampled_from([0, 1, 2**50, BALANCE_MAX, 2**51, 2**64 - 1, 2**256 - 1]),
    st.integers(0, 2**51),
)


@pytest.fixture(scope="module")
def harness(evm: World) -> Iterator[Contract]:
    with evm.undone():
        yield evm.deploy("LaneBalancesHarness")


def refused(
    held: list[int], deltas: list[int], member_cap: int, supplier_cap: int
) -> tuple[str, int] | None:
    """What is wrong with a run, by plain integers: the error and its first fact."""
    for account, (old, delta) in enumerate(zip(held, deltas, strict=True)):
        cap = min(supplier_cap if account < 2 else member_cap, BALANCE_MAX)
        if old + delta > BALANCE_MAX:
            return "EnergyMarket_BalanceTooLarge", account
        if old + delta < 0:
            return "EnergyMarket_Overdrawn", account
        if delta < -cap:
            return "EnergyMarket_AboveDebitCap", account
    if sum(deltas) != 0:
        return "EnergyMarket_Unbalanced", sum(deltas)
    return None


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[int], list[int], int, int]:
    """Balances and deltas of some words, mostly such that all or all but one account is right."""
    count = 4 * draw(st.integers(1, 9))
    held = draw(st.lists(balances, min_size=count, max_size=count))
    deltas = [draw(st.integers(-old, BALANCE_MAX - old)) for old in held]
    if draw(st.booleans()):
        deltas = [delta // (2**40) for delta in deltas]
    # Balance the sum over the accounts that have room for it, then maybe spoil one.
    for account, old in enumerate(held):
        deltas[account] = max(-old, min(BALANCE_MAX - old, deltas[account] - sum(deltas)))
    if draw(st.booleans()):
        spoiled = draw(st.integers(0, count - 1))
        change = draw(lanes)
        deltas[spoiled] = max(-(2**63), min(2**63 - 1, deltas[spoiled] + change))
        if draw(st.booleans()):  # Hide it in the neighbour's lane.
            other = spoiled ^ 1
            deltas[other] = max(-(2**63), min(2**63 - 1, deltas[other] - change))
    return held, deltas, draw(caps), draw(caps)


@EXAMPLES
@given(case=runs())
def test_a_run_does_exactly_what_integers_say_or_names_the_same_culprit(
    evm: World, harness: Contract, case: tuple[list[int], list[int], int, int]
) -> None:
    held, deltas, member_cap, supplier_cap = case
    with evm.undone():
        evm.send(harness, "set", delta_words(held), sender=evm.rich)
        arguments = (delta_words(deltas), member_cap, supplier_cap)
        expected = refused(held, deltas, member_cap, supplier_cap)
        if expected is None:
            evm.send(harness, "applyRun", *arguments, sender=evm.rich)
            after = [evm.call(harness, "get", account) for account in range(len(held))]
            assert after == [old + delta for old, delta in zip(held, deltas, strict=True)]
            return
        with pytest.raises(Reverted) as caught:
            evm.send(harness, "applyRun", *arguments, sender=evm.rich)
        assert (caught.value.name, caught.value.facts[0]) == expected


@EXAMPLES
@given(deltas=st.lists(lanes, min_size=4, max_size=4))
def test_every_lane_of_a_word_is_read_back_exactly(
    evm: World, harness: Contract, deltas: list[int]
) -> None:
    (word,) = delta_words(deltas)
    assert [evm.call(harness, "lane", word, k) for k in range(4)] == deltas


@EXAMPLES
@given(word=st.integers(0, 2**256 - 1))
def test_every_word_has_one_reading(evm: World, harness: Contract, word: int) -> None:
    read = [evm.call(harness, "lane", word, k) for k in range(4)]
    assert all(-(2**63) <= lane < 2**63 for lane in read)
    assert delta_words(read) == [word]


@EXAMPLES
@given(deltas=st.lists(lanes, min_size=1, max_size=12), extra=st.integers(0, 3), value=lanes)
def test_unused_lanes_are_told_from_borrowed_ones(
    evm: World, harness: Contract, deltas: list[int], extra: int, value: int
) -> None:
    padded = [*deltas, *[0] * (-len(deltas) % 4)]
    spoiled = list(padded)
    position = len(deltas) + extra
    if position < len(padded):
        spoiled[position] = value
    good = spoiled == padded
    words = delta_words(spoiled)
    if good:
        evm.call(harness, "requireShape", words, len(deltas))
    else:
        with pytest.raises(Reverted, match="EnergyMarket_UnusedLanes"):
            evm.call(harness, "requireShape", words, len(deltas))


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 17, 24, 25, 40, 57, 250])
def test_the_root_is_the_merkle_root_of_padded_chunks(
    evm: World, harness: Contract, count: int
) -> None:
    words = [(i + 1) ** 31 % 2**256 for i in range(count)]
    assert evm.call(harness, "root", words) == deltas_root(words)


def test_the_root_of_a_full_community_is_read_in_one_call(evm: World, harness: Contract) -> None:
    words = [i * 2**190 + 1 for i in range(2_048)]
    assert evm.call(harness, "root", words) == deltas_root(words)


@EXAMPLES
@given(
    held=st.lists(balances, min_size=8, max_size=8),
    account=st.integers(0, 7),
    amount=st.integers(0, BALANCE_MAX),
)
def test_a_credit_or_debit_touches_one_account(
    evm: World, harness: Contract, held: list[int], account: int, amount: int
) -> None:
    with evm.undone():
        evm.send(harness, "set", delta_words(held), sender=evm.rich)
        after = list(held)
        if held[account] + amount <= BALANCE_MAX:
            evm.send(harness, "credit", account, amount, sender=evm.rich)
            after[account] += amount
        elif amount <= held[account]:
            evm.send(harness, "debit", account, amount, sender=evm.rich)
            after[account] -= amount
        assert [evm.call(harness, "get", a) for a in range(8)] == after


def test_a_single_word_is_a_whole_run(evm: World, harness: Contract) -> None:
    with evm.undone():
        evm.send(harness, "set", delta_words([5, 5, 5, 5]), sender=evm.rich)
        evm.send(harness, "applyRun", delta_words([-2, -3, 4, 1]), 0, 3, sender=evm.rich)
        assert [evm.call(harness, "get", a) for a in range(4)] == [3, 2, 9, 6]
        with reverts("EnergyMarket_AboveDebitCap", 2, 1, 0):
            evm.send(harness, "applyRun", delta_words([0, 1, -1, 0]), 0, 3, sender=evm.rich)
