"""The outbox over a real node: transactions that hang, get lost, or are dropped by a reorg."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from ledger.outbox import Outbox, Outcome
from ledger.outbox_states import Entry, Intent, Policy, State
from ledger.outbox_store import OutboxStore
from ledger.store import open_engine
from ledger.units import Address
from tests.chain.anvil import CHAIN_ID, RICH
from tests.chain.node import Node, running_node
from tests.chain.tally import GAS, tally, word

PATIENCE_S = 60


@dataclass
class Desk:
    """An outbox, its node, and a clock."""

    node: Node
    store: OutboxStore
    contract: Address
    now_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Starts anew with nothing but the database."""
        self.outbox = Outbox(
            self.node.chain,
            [RICH],
            self.store,
            now=lambda: self.now_at,
            policy=Policy(confirmations=1, bump_after_s=PATIENCE_S),
        )

    def put(self, *numbers: int) -> None:
        for number in numbers:
            intent = Intent(
                key=str(number),
                sender=RICH.address,
                to=self.contract,
                data=word(number),
                gas=GAS,
                created_at=self.now_at,
            )
            self.outbox.put(intent)
        self.outbox.drain()

    def entry(self, number: int) -> Entry:
        return self.outbox.status(str(number))

    def settle(self, blocks: int = 2) -> Outcome:
        self.node.mine(blocks)
        return self.outbox.drain()

    def counted(self) -> dict[int, int]:
        return dict(tally(self.node.chain, self.contract))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with running_node() as node:
        engine = open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
        SQLModel.metadata.create_all(engine)
        contract = node.deploy()
        node.mine_by_hand()
        yield Desk(node=node, store=OutboxStore(engine, chain_id=CHAIN_ID), contract=contract)
        engine.dispose()


def test_several_in_flight_take_nonces_without_a_gap(desk: Desk) -> None:
    desk.put(1, 2, 3)
    assert [desk.entry(n).state for n in (1, 2, 3)] == [State.SIGNED] * 3
    assert [desk.entry(n).live[-1].nonce for n in (1, 2, 3)] == [1, 2, 3]
    assert desk.settle() is Outcome.IDLE
    assert desk.counted() == {1: 1, 2: 1, 3: 1}


def test_no_more_than_the_limit_is_in_flight(desk: Desk) -> None:
    desk.put(*range(1, 21))
    states = [desk.entry(n).state for n in range(1, 21)]
    assert states.count(State.SIGNED) == Policy().in_flight_max
    desk.settle()
    assert desk.settle() is Outcome.IDLE
    assert desk.counted() == dict.fromkeys(range(1, 21), 1)


def test_mined_is_not_confirmed_until_it_is_deep_enough(desk: Desk) -> None:
    desk.put(1)
    desk.settle(1)
    assert desk.entry(1).state is State.MINED
    desk.settle(1)
    assert desk.entry(1).state is State.CONFIRMED


def test_a_restart_in_flight_sends_nothing_new(desk: Desk) -> None:
    desk.put(1, 2)
    before = [desk.entry(n) for n in (1, 2)]
    desk.open()
    assert desk.outbox.drain() is Outcome.WAITING
    assert [desk.entry(n) for n in (1, 2)] == before
    assert desk.settle() is Outcome.IDLE
    assert desk.counted() == {1: 1, 2: 1}


def test_a_transaction_that_hangs_is_paid_better_and_executed_once(desk: Desk) -> None:
    desk.put(1, 2)
    desk.now_at += timedelta(seconds=PATIENCE_S)
    assert desk.outbox.drain() is Outcome.WAITING
    first, second = desk.entry(1).live
    assert 8 * second.fees.max_fee_wei >= 9 * first.fees.max_fee_wei
    assert len(desk.entry(2).live) == 1  # It hangs on the other one only.
    assert desk.settle() is Outcome.IDLE
    assert desk.entry(1).tx_hash == second.tx_hash
    assert desk.counted() == {1: 1, 2: 1}


def test_a_transaction_that_the_node_forgot_is_sent_again(desk: Desk) -> None:
    desk.put(1)
    sent = desk.entry(1).live[-1]
    desk.node.forget(sent.tx_hash)
    assert desk.node.chain.transaction(sent.tx_hash) is None
    desk.now_at += timedelta(seconds=PATIENCE_S // 2)
    assert desk.outbox.drain() is Outcome.WAITING
    assert desk.settle() is Outcome.IDLE
    assert desk.entry(1).tx_hash == sent.tx_hash
    assert desk.counted() == {1: 1}


def test_what_a_reorg_drops_is_sent_again(desk: Desk) -> None:
    desk.put(1)
    desk.settle(1)
    mined = desk.entry(1)
    desk.node.reorg(1)
    assert desk.counted() == {}
    desk.outbox.drain()
    assert desk.entry(1).state is State.SIGNED
    assert desk.settle() is Outcome.IDLE
    assert desk.entry(1).tx_hash == mined.tx_hash
    assert desk.counted() == {1: 1}


def test_a_reorg_deeper_than_the_confirmations_is_followed_too(desk: Desk) -> None:
    snapshot = desk.node.snapshot()
    desk.put(1, 2)
    assert desk.settle(3) is Outcome.IDLE
    desk.node.revert(snapshot)
    desk.node.mine(9)
    assert desk.counted() == {}
    desk.put(3)
    assert desk.settle() is Outcome.IDLE
    assert desk.counted() == {1: 1, 2: 1, 3: 1}
    assert [desk.entry(n).live[-1].nonce for n in (1, 2, 3)] == [1, 2, 3]


def test_a_nonce_used_by_somebody_else_costs_a_new_one_and_no_second_payment(desk: Desk) -> None:
    desk.put(1, 2)
    for number in (1, 2):
        desk.node.forget(desk.entry(number).live[-1].tx_hash)
    desk.node.send(desk.contract, word(99))
    desk.settle(1)
    desk.settle(1)
    desk.now_at += timedelta(seconds=PATIENCE_S // 2)
    for _ in range(3):
        desk.settle()
    assert desk.outbox.drain() is Outcome.IDLE
    assert desk.counted() == {1: 1, 2: 1, 99: 1}
    assert desk.entry(2).live[-1].nonce == 2  # Its own was still free.
    assert desk.entry(1).live[-1].nonce == 3
