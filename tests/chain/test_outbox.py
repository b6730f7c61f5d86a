"""The outbox over the embedded chain: what it promises to callers, fault by fault."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.chain.errors import ChainUnavailable, WrongChain
from ledger.outbox import Outbox, Outcome
from ledger.outbox_states import (
    IntentFailed,
    IntentUnsettled,
    Policy,
    State,
    UnknownIntent,
    WrongGenesis,
)
from ledger.outbox_store import OutboxStore
from tests.chain.outbox_world import GENESIS_AT, OTHER_WALLET, WALLET, World
from tests.chain.tally import GAS, Fault, Killed, tally


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path)
    yield opened
    opened.close()


def counted(world: World) -> dict[int, int]:
    return dict(tally(world.chain, world.contract))


def test_an_intent_is_carried_out_once_however_often_it_is_asked_for(world: World) -> None:
    intent = world.intent(1)
    first = world.outbox.execute(intent)
    assert world.outbox.execute(intent) == first
    assert counted(world) == {1: 1}


def test_intents_are_carried_out_in_the_order_in_which_they_were_put(world: World) -> None:
    for number in (3, 1, 2):
        world.outbox.put(world.intent(number))
    assert world.outbox.drain() is Outcome.IDLE
    blocks = {n: world.entry(n).inclusion.block_number for n in (1, 2, 3)}  # type: ignore[union-attr]
    assert sorted(blocks, key=blocks.__getitem__) == [3, 1, 2]


def test_the_gas_is_estimated_where_it_is_not_given(world: World) -> None:
    entry = world.outbox.execute(world.intent(1, gas=None))
    assert entry.inclusion is not None
    assert entry.inclusion.gas_used <= entry.attempts[0].gas < GAS


def test_a_block_has_the_time_that_an_intent_asks_for(world: World) -> None:
    at = GENESIS_AT + timedelta(days=3)
    entry = world.outbox.execute(world.intent(1, not_before_at=at))
    assert entry.inclusion is not None
    block = world.chain.block(entry.inclusion.block_number)
    assert block is not None
    assert block.timestamp_s == int(at.timestamp())


def test_a_revert_is_final_and_its_reason_is_kept(world: World) -> None:
    with pytest.raises(IntentFailed) as failed:
        world.outbox.execute(world.intent(0))
    assert failed.value.reason_code == "Halted"
    entry = world.entry(0)
    assert entry.inclusion is not None
    assert not entry.inclusion.succeeded
    assert world.outbox.drain() is Outcome.IDLE


def test_a_reverted_intent_may_be_tried_again_under_its_key(world: World) -> None:
    with pytest.raises(IntentFailed):
        world.outbox.execute(world.intent(0))
    world.outbox.retry(world.intent(5, key="tally:0"))
    entry = world.outbox.wait("tally:0")
    assert (entry.state, len(entry.attempts)) == (State.CONFIRMED, 2)
    assert counted(world) == {5: 1}


def test_out_of_gas_is_told_apart_from_a_refusal(world: World) -> None:
    with pytest.raises(IntentFailed) as failed:
        world.outbox.execute(world.intent(1, gas=25_000))
    assert "gas of 25000" in failed.value.reason


def test_what_would_revert_is_not_sent_when_its_gas_is_estimated(world: World) -> None:
    nonce = world.chain.nonce(WALLET.address)
    with pytest.raises(IntentFailed):
        world.outbox.execute(world.intent(0, gas=None))
    assert world.chain.nonce(WALLET.address) == nonce


def test_what_the_chain_will_never_take_gives_its_nonce_back(world: World) -> None:
    world.outbox.put(world.intent(1, gas=2**39))
    world.outbox.put(world.intent(2))
    assert world.outbox.drain() is Outcome.IDLE
    assert world.state(1) is State.REVERTED
    assert world.entry(1).error_code == "transaction_refused:gas_out_of_range"
    assert (world.state(2), counted(world)) == (State.CONFIRMED, {2: 1})


@pytest.mark.parametrize("fault", [Fault.KILL_BEFORE, Fault.KILL_AFTER])
def test_dying_at_any_question_to_the_chain_is_a_retry(world: World, fault: Fault) -> None:
    for number in range(1, 30):
        world.outbox.put(world.intent(number))
        world.faults[:] = [Fault.NONE] * number + [fault]
        try:
            world.outbox.drain()
        except Killed:
            world.die()
        world.faults.clear()
        world.outbox.wait(f"tally:{number}")
    assert counted(world) == dict.fromkeys(range(1, 30), 1)


def test_a_transaction_is_stored_before_it_is_sent(world: World) -> None:
    world.outbox.put(world.intent(1))
    world.outbox.step()
    signed = world.entry(1)
    assert signed.state is State.SIGNED
    assert world.chain.receipt(signed.live[-1].tx_hash) is None
    world.die()
    done = world.outbox.wait("tally:1")
    assert done.tx_hash == signed.tx_hash
    assert len(done.attempts) == 1


def test_a_chain_that_is_down_is_reported_and_tried_again_later(world: World) -> None:
    world.outbox.put(world.intent(1))
    world.faults[:] = [Fault.DOWN_BEFORE] * 2
    assert world.outbox.drain() is Outcome.CHAIN_DOWN
    assert isinstance(world.outbox.problem, ChainUnavailable)
    asked = world.flaky.calls.total()
    assert world.outbox.drain() is Outcome.CHAIN_DOWN
    assert world.flaky.calls.total() == asked  # It is left in peace meanwhile.
    world.pass_time(1)
    assert world.outbox.drain() is Outcome.CHAIN_DOWN
    world.pass_time(1)
    assert world.outbox.drain() is Outcome.CHAIN_DOWN  # Twice as long the second time.
    world.pass_time(1)
    assert world.outbox.drain() is Outcome.IDLE
    assert world.outbox.problem is None
    assert counted(world) == {1: 1}


def test_waiting_ends_when_patience_does_and_the_intent_stays(world: World) -> None:
    world.flaky.swallow = True
    with pytest.raises(IntentUnsettled):
        world.outbox.execute(world.intent(1), patience_s=3)
    world.faults[:] = [Fault.DOWN_BEFORE] * 99
    with pytest.raises(ChainUnavailable):
        world.outbox.wait("tally:1", patience_s=3)
    world.faults.clear()
    world.flaky.swallow = False
    assert world.outbox.wait("tally:1").state is State.CONFIRMED
    assert counted(world) == {1: 1}


def test_a_transaction_that_got_lost_is_sent_again_with_the_same_bytes(world: World) -> None:
    world.flaky.swallow = True
    world.outbox.put(world.intent(1))
    assert world.outbox.drain() is Outcome.WAITING
    lost = world.entry(1).tx_hash
    world.flaky.swallow = False
    assert world.outbox.drain() is Outcome.WAITING  # Not at once: it may only be slow.
    world.pass_time(30)
    assert world.outbox.drain() is Outcome.IDLE
    assert world.entry(1).tx_hash == lost


def test_whichever_attempt_is_mined_counts(tmp_path: Path) -> None:
    world = World(tmp_path, policy=Policy(bump_after_s=60))
    world.flaky.swallow = True
    world.outbox.put(world.intent(1))
    world.outbox.drain()
    world.pass_time(60)
    world.outbox.drain()
    first, second = world.entry(1).live
    assert second.nonce == first.nonce
    assert second.fees.max_fee_wei > first.fees.max_fee_wei
    world.chain.send_raw(world.store.raw(world.entry(1), first.tx_hash))
    assert world.outbox.drain() is Outcome.IDLE
    entry = world.entry(1)
    assert (entry.state, entry.tx_hash) == (State.CONFIRMED, first.tx_hash)
    assert counted(world) == {1: 1}
    world.close()


def test_a_nonce_that_somebody_else_used_is_replaced_after_the_confirmations(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, policy=Policy(confirmations=0))
    world.policy = Policy(confirmations=2)
    world.die()
    world.flaky.swallow = True
    world.outbox.put(world.intent(1))
    world.outbox.drain()
    world.flaky.swallow = False
    nonce = world.entry(1).live[-1].nonce
    foreign = WALLET.sign_transaction(
        chain_id=world.chain.chain_id,
        nonce=nonce,
        to=world.contract,
        data=world.intent(77).data,
        gas=GAS,
        fees=world.chain.fees(),
    )
    world.chain.send_raw(foreign.raw)
    world.outbox.drain()
    assert world.entry(1).live[-1].nonce == nonce
    world.chain.mine()
    world.outbox.drain()
    assert world.entry(1).live[-1].nonce == nonce
    world.chain.mine()
    world.outbox.drain()
    assert world.entry(1).live[-1].nonce == nonce + 1
    world.chain.mine()
    world.chain.mine()
    assert world.outbox.drain() is Outcome.IDLE
    assert counted(world) == {1: 1, 77: 1}
    world.close()


def test_an_intent_of_a_sender_without_a_key_here_waits(world: World) -> None:
    world.outbox.put(world.intent(1, sender=OTHER_WALLET))
    blind = Outbox(world.chain, [WALLET], world.store, now=lambda: world.now_at)
    assert blind.drain() is Outcome.IDLE
    assert world.state(1) is State.PENDING
    assert world.outbox.drain() is Outcome.IDLE
    assert world.state(1) is State.CONFIRMED


def test_nothing_is_signed_for_a_chain_of_another_id(world: World) -> None:
    store = OutboxStore(world.engine, chain_id=1)
    outbox = Outbox(world.chain, [WALLET], store, now=lambda: world.now_at)
    store.put(world.intent(1))
    with pytest.raises(WrongChain):
        outbox.drain()
    assert outbox.status("tally:1").attempts == ()


def test_nothing_is_signed_for_another_chain_of_the_same_id(world: World) -> None:
    world.outbox.put(world.intent(1))
    world.chain.close()
    world.engine.dispose()
    shutil.rmtree(world.directory / "chain", ignore_errors=True)
    for path in world.directory.iterdir():
        if not path.name.startswith("ledger.sqlite"):
            path.unlink()
    world.open(genesis_at=GENESIS_AT + timedelta(seconds=1))
    with pytest.raises(WrongGenesis):
        world.outbox.drain()
    assert world.entry(1).attempts == ()


def test_an_unknown_key_is_named(world: World) -> None:
    with pytest.raises(UnknownIntent) as unknown:
        world.outbox.status("nobody")
    assert unknown.value.key == "nobody"
