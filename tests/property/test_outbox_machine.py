"""Whatever gets lost and whenever we die, each intent is executed exactly once."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.chain import evm  # noqa: F401 (sets the recursion limit: before hypothesis looks)
from ledger.chain.protocol import Fees
from ledger.chain.wallet import Wallet
from ledger.outbox import Outcome
from ledger.outbox_states import State
from tests.chain.outbox_world import OTHER_WALLET, WALLET, World
from tests.chain.tally import GAS, Fault, Killed, tally, word

FREE = Fees(max_fee_wei=0, priority_fee_wei=0)
FOREIGN = 10**6  # Words that somebody else with our key sends.
SENDERS = [WALLET, OTHER_WALLET]


class OutboxMachine(RuleBasedStateMachine):
    """Puts, steps, faults and deaths in any order, over a real chain and a real database."""

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.world = World(self.directory)
        self.asked: set[int] = set()
        self.foreign = 0

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.faults.clear()
        for _ in range(5):
            self.world.pass_time(100)
            outcome = self.world.outbox.drain()
            if outcome is Outcome.IDLE:
                break
        assert outcome is Outcome.IDLE
        counts = tally(self.world.chain, self.world.contract)
        assert {number: counts[number] for number in self.asked} == dict.fromkeys(self.asked, 1)
        assert sum(counts.values()) == len(self.asked) + self.foreign
        assert all(self.world.state(number) is State.CONFIRMED for number in self.asked)
        self.world.close()
        shutil.rmtree(self.directory)

    @rule(senders=st.lists(st.sampled_from(SENDERS), min_size=1, max_size=3), again=st.booleans())
    def put(self, senders: list[Wallet], again: bool) -> None:
        for sender in senders:
            number = len(self.asked) + 1
            intent = self.world.intent(number, sender=sender)
            self.world.outbox.put(intent)
            if again:
                self.world.outbox.put(intent)
            self.asked.add(number)

    @rule(
        faults=st.lists(
            st.one_of(st.just(Fault.NONE), st.just(Fault.NONE), st.sampled_from(Fault)),
            max_size=8,
        )
    )
    def step_with_faults(self, faults: list[Fault]) -> None:
        self.world.faults[:] = faults
        try:
            self.world.outbox.step()
        except Killed:
            self.world.die()
        self.world.faults.clear()

    @rule(steps=st.integers(1, 4))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.world.outbox.step()

    @rule(commits=st.integers(0, 6))
    def die_at_a_commit(self, commits: int) -> None:
        self.world.commits_left = commits
        try:
            self.world.outbox.step()
        except Killed:
            self.world.die()
        self.world.commits_left = None

    @rule()
    def die(self) -> None:
        self.world.die()

    @rule(seconds=st.sampled_from([1, 30, 100]))
    def pass_time(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: self.foreign < 3)
    @rule(sender=st.sampled_from(SENDERS))
    def somebody_else_uses_the_key(self, sender: Wallet) -> None:
        self.foreign += 1
        chain = self.world.chain
        signed = sender.sign_transaction(
            chain_id=chain.chain_id,
            nonce=chain.nonce(sender.address),
            to=self.world.contract,
            data=word(FOREIGN + self.foreign),
            gas=GAS,
            fees=FREE,
        )
        chain.send_raw(signed.raw)

    @invariant()
    def nothing_is_executed_twice(self) -> None:
        if hasattr(self, "world"):
            counts = tally(self.world.chain, self.world.contract)
            assert all(count == 1 for count in counts.values())
            assert set(counts) <= self.asked | set(range(FOREIGN, FOREIGN + 10))

    @invariant()
    def what_is_confirmed_was_executed(self) -> None:
        if hasattr(self, "world"):
            counts = tally(self.world.chain, self.world.contract)
            for number in self.asked:
                if self.world.state(number) is State.CONFIRMED:
                    assert counts[number] == 1


def test_each_intent_is_executed_exactly_once_whatever_happens() -> None:
    run_state_machine_as_test(
        OutboxMachine,
        settings=settings(
            max_examples=15,
            phases=[Phase.reuse, Phase.generate],  # Shrinking takes minutes.
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
