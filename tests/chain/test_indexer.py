"""The indexer over the embedded chain: what it stores, what it asks, and what survives."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from ledger.chain.embedded import CHAIN_ID, EmbeddedChain
from ledger.chain.errors import ChainUnavailable
from ledger.chain.wallet import Wallet
from ledger.index_store import IndexStore
from ledger.indexer import FINALIZED_TOPIC, PROPOSED_TOPIC, Indexer
from ledger.keccak import keccak256
from ledger.store import open_engine
from ledger.units import Address
from tests.chain.tally import GAS, TALLY_CODE, Fault, FlakyChain, Killed, word

WALLET = Wallet(b"\x01" * 32)
GENESIS_AT = datetime(2016, 6, 1, tzinfo=UTC)
NEEDED = int.from_bytes(FINALIZED_TOPIC)  # The tally logs the word as the topic.


@dataclass
class Desk:
    chain: EmbeddedChain
    store: IndexStore
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flaky = FlakyChain(self.chain, faults=self._faults())

    def _faults(self) -> Iterator[Fault]:
        while True:
            yield self.faults.pop(0) if self.faults else Fault.NONE

    def send(self, to: Address | None, data: bytes) -> Address | None:
        signed = WALLET.sign_transaction(
            chain_id=CHAIN_ID,
            nonce=self.chain.nonce(WALLET.address),
            to=to,
            data=data,
            gas=GAS,
            fees=self.chain.fees(),
        )
        receipt = self.chain.receipt(self.chain.send_raw(signed.raw))
        assert receipt is not None
        return receipt.contract_address

    def deploy(self) -> Address:
        address = self.send(None, TALLY_CODE)
        assert address is not None
        return address

    def indexer(
        self, *addresses: Address, chunk_blocks: int = 3, confirmations: int = 0
    ) -> Indexer:
        return Indexer(
            self.flaky,
            self.store,
            addresses,
            chunk_blocks=chunk_blocks,
            confirmations=confirmations,
        )

    def indexed(self, address: Address) -> list[int]:
        return [int.from_bytes(entry.log.topics[0]) for entry in self.store.entries(address)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    engine = open_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
    SQLModel.metadata.create_all(engine)
    with EmbeddedChain.open(tmp_path, genesis_at=GENESIS_AT) as chain:
        yield Desk(chain, IndexStore(engine, chain_id=CHAIN_ID))
    engine.dispose()


def test_events_are_stored_as_the_chain_tells_them(desk: Desk) -> None:
    contract = desk.deploy()
    for number in (3, 1, 2, 5, 4):
        desk.send(contract, word(number))
    tip = desk.indexer(contract).catch_up()
    assert tip == desk.chain.head()
    entries = desk.store.entries(contract)
    assert [entry.log for entry in entries] == desk.chain.logs(
        [contract], from_block=0, to_block=tip.number
    )
    for entry in entries:
        block = desk.chain.block(entry.log.block_number)
        assert block is not None
        assert entry.timestamp_s == block.timestamp_s


def test_the_input_is_kept_of_those_transactions_that_need_it(desk: Desk) -> None:
    contract = desk.deploy()
    desk.send(contract, word(1) + b"dropped")
    desk.send(contract, word(NEEDED) + b"kept")
    desk.indexer(contract).catch_up()
    assert [entry.tx_input for entry in desk.store.entries(contract)] == [
        None,
        word(NEEDED) + b"kept",
    ]


def test_the_topics_are_those_of_the_interface() -> None:
    interface = Path(__file__).parents[2] / "contracts/interfaces/IEnergyMarket.sol"
    text = " ".join(interface.read_text(encoding="utf-8").split())
    for name, topic in (("Proposed", PROPOSED_TOPIC), ("Finalized", FINALIZED_TOPIC)):
        arguments = text.split(f"event {name}(")[1].split(")")[0]
        types = ",".join(argument.split()[0] for argument in arguments.split(","))
        assert topic == keccak256(f"{name}({types})".encode())


def test_a_catch_up_with_nothing_new_costs_one_question(desk: Desk) -> None:
    contract = desk.deploy()
    indexer = desk.indexer(contract)
    tip = indexer.catch_up()
    desk.flaky.calls.clear()
    assert indexer.catch_up() == tip
    assert desk.flaky.calls == {"head": 1}


def test_only_what_is_deep_enough_is_indexed(desk: Desk) -> None:
    contract = desk.deploy()
    indexer = desk.indexer(contract, confirmations=2)
    assert indexer.catch_up() is None
    for number in range(1, 5):
        desk.send(contract, word(number))
    tip = indexer.catch_up()
    assert tip is not None
    assert tip.number == desk.chain.head().number - 2
    assert desk.indexed(contract) == [1, 2]
    desk.chain.mine()
    indexer.catch_up()
    assert desk.indexed(contract) == [1, 2, 3]


def test_another_indexer_goes_on_where_the_first_one_stopped(desk: Desk) -> None:
    contract = desk.deploy()
    desk.send(contract, word(1))
    desk.indexer(contract).catch_up()
    desk.send(contract, word(2))
    desk.flaky.calls.clear()
    desk.indexer(contract, chunk_blocks=100).catch_up()
    assert desk.flaky.calls["logs"] == 1
    assert desk.indexed(contract) == [1, 2]


def test_a_contract_that_is_added_later_is_read_from_its_beginning(desk: Desk) -> None:
    first, second = desk.deploy(), desk.deploy()
    for number in range(1, 9):
        desk.send(first if number % 2 else second, word(number))
    desk.indexer(first).catch_up()
    desk.indexer(first, second).catch_up()
    desk.send(second, word(10))
    desk.indexer(first, second).catch_up()
    assert desk.indexed(first) == [1, 3, 5, 7]
    assert desk.indexed(second) == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("fault", [Fault.DOWN_AFTER, Fault.KILL_BEFORE])
def test_whenever_it_is_interrupted_nothing_is_missing_or_twice(desk: Desk, fault: Fault) -> None:
    contract = desk.deploy()
    for number in range(1, 12):
        desk.send(contract, word(NEEDED if number % 3 == 0 else number))
    expected = desk.chain.logs([contract], from_block=0, to_block=desk.chain.head().number)
    for calls in range(60):
        desk.faults[:] = [Fault.NONE] * (calls % 17) + [fault]
        try:
            desk.indexer(contract, chunk_blocks=2).catch_up()
        except (ChainUnavailable, Killed):
            continue
    desk.faults.clear()
    desk.indexer(contract).catch_up()
    assert [entry.log for entry in desk.store.entries(contract)] == expected


def test_two_indexers_over_one_store_do_not_disturb_each_other(desk: Desk) -> None:
    contract = desk.deploy()
    one, other = desk.indexer(contract), desk.indexer(contract)
    for number in range(1, 9):
        desk.send(contract, word(number))
        (one if number % 2 else other).catch_up()
    assert one.catch_up() == other.catch_up()
    assert desk.indexed(contract) == list(range(1, 9))
