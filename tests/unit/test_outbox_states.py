"""What is to be done next for a transaction that is owed: every case, and what never happens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.protocol import Fees, Receipt
from ledger.errors import OutOfRange
from ledger.outbox_states import (
    Abandon,
    Action,
    Attempt,
    Bump,
    Entry,
    Include,
    Inclusion,
    Intent,
    NoteTaken,
    Policy,
    Reopen,
    Send,
    Sighting,
    Sign,
    State,
    Wait,
    bumped,
    decide,
)
from ledger.units import Address, Hash32

NOW_AT = datetime(2016, 6, 1, tzinfo=UTC)
SENDER = Address(b"\x05" * 20)
DEEP = Policy(confirmations=2)
IMPATIENT = Policy(confirmations=2, bump_after_s=60)


def attempt(nonce: int = 7, *, number: int = 1, max_fee_wei: int = 800) -> Attempt:
    return Attempt(
        tx_hash=Hash32(number.to_bytes(32)),
        nonce=nonce,
        gas=21_000,
        fees=Fees(max_fee_wei=max_fee_wei, priority_fee_wei=80),
        signed_at=NOW_AT,
        abandoned=False,
    )


def entry(state: State, *attempts: Attempt, **changes: object) -> Entry:
    made = Entry(
        entry_id=1,
        version=0,
        key="settle:1",
        sender=SENDER,
        state=state,
        not_before_at=None,
        attempts=attempts,
        inclusion=None,
        taken_block=None,
        error_code=None,
        error_detail=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def receipt(*, block: int = 10, succeeded: bool = True, fork: int = 0) -> Receipt:
    return Receipt(
        tx_hash=attempt().tx_hash,
        block_number=block,
        block_hash=Hash32((block + 1000 * fork).to_bytes(32)),
        succeeded=succeeded,
        gas_used=21_000,
        contract_address=None,
        logs=(),
    )


def inclusion(**facts: int) -> Inclusion:
    seen = receipt(**facts)  # type: ignore[arg-type]
    return Inclusion(
        tx_hash=seen.tx_hash,
        block_number=seen.block_number,
        block_hash=seen.block_hash,
        succeeded=seen.succeeded,
        gas_used=seen.gas_used,
        contract_address=None,
    )


def sighting(
    *, head: int = 10, nonce: int = 7, seen: Receipt | None = None, known: bool = False
) -> Sighting:
    return Sighting(head_number=head, nonce=nonce, receipt=seen, known=known)


def decided(
    of: Entry, what: Sighting, policy: Policy = DEEP, *, after_s: int = 0, moves_time: bool = False
) -> Action:
    now_at = NOW_AT + timedelta(seconds=after_s)
    return decide(of, what, policy, now_at=now_at, moves_time=moves_time)


def test_a_pending_intent_is_signed() -> None:
    assert decided(entry(State.PENDING), sighting()) == Sign()


def test_an_intent_is_not_signed_before_its_time() -> None:
    later = entry(State.PENDING, not_before_at=NOW_AT + timedelta(seconds=1))
    assert decided(later, sighting()) == Wait()
    assert decided(later, sighting(), after_s=1) == Sign()


def test_a_chain_whose_clock_can_be_moved_is_not_waited_for() -> None:
    later = entry(State.PENDING, not_before_at=NOW_AT + timedelta(days=1))
    assert decided(later, sighting(), moves_time=True) == Sign()


def test_a_stored_transaction_that_the_node_does_not_know_is_sent() -> None:
    assert decided(entry(State.SIGNED, attempt()), sighting()) == Send(tx_hash=attempt().tx_hash)


def test_a_transaction_that_the_node_holds_is_waited_for() -> None:
    assert decided(entry(State.SIGNED, attempt()), sighting(known=True)) == Wait()


def test_the_best_paid_attempt_is_the_one_that_is_sent() -> None:
    both = entry(State.SIGNED, attempt(), attempt(number=2, max_fee_wei=900))
    assert decided(both, sighting()) == Send(tx_hash=attempt(number=2).tx_hash)


@pytest.mark.parametrize(
    ("head", "succeeded", "state"),
    [
        (10, True, State.MINED),
        (11, True, State.MINED),
        (12, True, State.CONFIRMED),
        (11, False, State.MINED),
        (12, False, State.REVERTED),
        (9, True, State.MINED),  # The head was read before the receipt.
    ],
)
def test_an_outcome_is_final_when_it_is_deep_enough(
    head: int, succeeded: bool, state: State
) -> None:
    what = sighting(head=head, nonce=8, seen=receipt(succeeded=succeeded))
    expected = Include(inclusion=inclusion(succeeded=succeeded), state=state)
    assert decided(entry(State.SIGNED, attempt()), what) == expected


def test_a_mined_one_that_did_not_move_is_left_alone() -> None:
    mined = entry(State.MINED, attempt(), inclusion=inclusion())
    assert decided(mined, sighting(head=11, nonce=8, seen=receipt())) == Wait()


def test_a_mined_one_that_moved_to_another_block_is_noted_again() -> None:
    mined = entry(State.MINED, attempt(), inclusion=inclusion())
    what = sighting(head=11, nonce=8, seen=receipt(fork=1))
    assert decided(mined, what) == Include(inclusion=inclusion(fork=1), state=State.MINED)


@pytest.mark.parametrize("state", [State.MINED, State.CONFIRMED, State.REVERTED])
def test_what_a_reorg_dropped_is_under_way_again(state: State) -> None:
    assert decided(entry(state, attempt(), inclusion=inclusion()), sighting()) == Reopen()


def test_a_refused_intent_stays_refused() -> None:
    assert decided(entry(State.REVERTED), sighting()) == Wait()


def test_a_spent_nonce_is_noted_first_and_believed_only_some_blocks_later() -> None:
    signed = entry(State.SIGNED, attempt())
    assert decided(signed, sighting(nonce=8)) == NoteTaken(block=10)
    noted = replace(signed, taken_block=10)
    assert decided(noted, sighting(head=11, nonce=8)) == Wait()
    assert decided(noted, sighting(head=12, nonce=8)) == Abandon()


def test_a_nonce_that_is_free_again_is_used_after_all() -> None:
    noted = entry(State.SIGNED, attempt(), taken_block=10)
    assert decided(noted, sighting(head=12, nonce=7)) == NoteTaken(block=None)


def test_nothing_is_given_up_that_the_node_still_holds() -> None:
    noted = entry(State.SIGNED, attempt(), taken_block=1)
    assert decided(noted, sighting(head=99, nonce=8, known=True)) != Abandon()


def test_the_fee_of_a_stuck_transaction_is_raised() -> None:
    signed = entry(State.SIGNED, attempt())
    assert decided(signed, sighting(known=True), IMPATIENT, after_s=59) == Wait()
    assert decided(signed, sighting(known=True), IMPATIENT, after_s=60) == Bump(attempt=attempt())


def test_the_fee_is_not_raised_while_an_earlier_nonce_is_what_is_stuck() -> None:
    signed = entry(State.SIGNED, attempt())
    assert decided(signed, sighting(nonce=6, known=True), IMPATIENT, after_s=60) == Wait()


def test_the_fee_is_not_raised_above_the_ceiling() -> None:
    signed = entry(State.SIGNED, attempt(max_fee_wei=800))
    what = sighting(known=True)
    low, enough = replace(IMPATIENT, fee_max_wei=899), replace(IMPATIENT, fee_max_wei=900)
    assert decided(signed, what, low, after_s=60) == Wait()
    assert decided(signed, what, enough, after_s=60) == Bump(attempt=attempt())


fees_wei = st.one_of(st.integers(0, 20), st.integers(0, 10**12))


@given(old_wei=fees_wei, old_tip_wei=fees_wei, new_wei=fees_wei, new_tip_wei=fees_wei)
def test_a_raised_fee_is_an_eighth_higher_in_both_parts(
    old_wei: int, old_tip_wei: int, new_wei: int, new_tip_wei: int
) -> None:
    old = Fees(max_fee_wei=max(old_wei, old_tip_wei), priority_fee_wei=min(old_wei, old_tip_wei))
    raised = bumped(
        old, Fees(max_fee_wei=new_wei, priority_fee_wei=new_tip_wei), fee_max_wei=10**13
    )
    assert 8 * raised.max_fee_wei >= 9 * old.max_fee_wei
    assert 8 * raised.priority_fee_wei >= 9 * old.priority_fee_wei
    assert raised.max_fee_wei > old.max_fee_wei
    assert raised.priority_fee_wei > old.priority_fee_wei
    assert raised.priority_fee_wei <= raised.max_fee_wei


@given(
    state=st.sampled_from(State),
    what=st.builds(
        sighting,
        head=st.integers(0, 20),
        nonce=st.integers(5, 9),
        seen=st.one_of(st.none(), st.builds(receipt, block=st.integers(0, 20))),
        known=st.booleans(),
    ),
    taken_block=st.one_of(st.none(), st.integers(0, 20)),
    confirmations=st.integers(0, 3),
    after_s=st.sampled_from([0, 59, 60, 61]),
)
def test_a_new_nonce_is_chosen_only_when_no_attempt_can_be_mined(
    state: State, what: Sighting, taken_block: int | None, confirmations: int, after_s: int
) -> None:
    policy = Policy(confirmations=confirmations, bump_after_s=60)
    attempts = () if state is State.PENDING else (attempt(),)
    action = decided(
        entry(state, *attempts, taken_block=taken_block), what, policy, after_s=after_s
    )
    if action == Sign():
        assert state is State.PENDING
        assert what.receipt is None
    if action == Abandon():
        assert what.receipt is None
        assert not what.known
        assert what.nonce > attempt().nonce
        assert taken_block is not None
        assert what.head_number >= taken_block + confirmations
    if isinstance(action, Bump):
        assert what.nonce == attempt().nonce
        assert what.receipt is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("key", ""), ("key", "k" * 201), ("sender", b"\x05" * 19), ("to", b""), ("gas", 0)],
)
def test_an_intent_that_cannot_be_carried_out_does_not_exist(field: str, value: object) -> None:
    facts: dict[str, object] = {
        "key": "settle:1",
        "sender": SENDER,
        "to": SENDER,
        "data": b"",
        "created_at": NOW_AT,
        field: value,
    }
    with pytest.raises(OutOfRange) as refused:
        Intent(**facts)  # type: ignore[arg-type]
    assert refused.value.field == field
