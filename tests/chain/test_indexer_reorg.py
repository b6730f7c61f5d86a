"""The indexer over a real node that changes its mind."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from ledger.chain.protocol import Log
from ledger.index_store import IndexStore
from ledger.indexer import Indexer
from ledger.store import open_engine
from ledger.units import Address
from tests.chain.anvil import CHAIN_ID
from tests.chain.node import Node, running_node
from tests.chain.tally import FlakyChain


@dataclass
class Desk:
    node: Node
    store: IndexStore
    contract: Address
    indexer: Indexer

    def on_chain(self) -> list[Log]:
        head = self.node.chain.head()
        return self.node.chain.logs([self.contract], from_block=0, to_block=head.number)

    def indexed(self) -> list[Log]:
        return [entry.log for entry in self.store.entries(self.contract)]

    def catch_up(self) -> None:
        assert self.indexer.catch_up() == self.node.chain.head()
        assert self.indexed() == self.on_chain()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with running_node() as node:
        engine = open_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
        SQLModel.metadata.create_all(engine)
        contract = node.deploy()
        store = IndexStore(engine, chain_id=CHAIN_ID)
        yield Desk(node, store, contract, Indexer(node.chain, store, [contract], chunk_blocks=4))
        engine.dispose()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_what_a_reorg_drops_is_forgotten(desk: Desk, depth: int) -> None:
    for number in range(1, 7):
        desk.node.count(desk.contract, number)
    desk.catch_up()
    desk.node.reorg(depth)
    desk.catch_up()
    assert len(desk.indexed()) == 6 - depth
    desk.node.count(desk.contract, 9)
    desk.catch_up()


def test_a_shorter_chain_is_followed_too(desk: Desk) -> None:
    desk.node.count(desk.contract, 1)
    desk.catch_up()
    snapshot = desk.node.snapshot()
    for number in range(2, 6):
        desk.node.count(desk.contract, number)
    desk.catch_up()
    desk.node.revert(snapshot)
    desk.catch_up()
    assert len(desk.indexed()) == 1


def test_a_reorg_between_two_runs_of_the_service_is_seen(desk: Desk) -> None:
    for number in range(1, 4):
        desk.node.count(desk.contract, number)
    desk.catch_up()
    desk.node.reorg(2)
    desk.node.count(desk.contract, 8)
    desk.indexer = Indexer(desk.node.chain, desk.store, [desk.contract])
    desk.catch_up()


def test_a_reorg_above_the_confirmations_is_never_indexed(desk: Desk) -> None:
    desk.indexer = Indexer(desk.node.chain, desk.store, [desk.contract], confirmations=3)
    for number in range(1, 6):
        desk.node.count(desk.contract, number)
    desk.indexer.catch_up()
    before = desk.indexed()
    desk.node.reorg(3)
    desk.indexer.catch_up()
    assert len(before) == 2
    assert desk.indexed() == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reorg_in_the_middle_of_reading_does_not_mix_two_chains(desk: Desk, when: str) -> None:
    for number in range(1, 7):
        desk.node.count(desk.contract, number)

    class Reorging(FlakyChain):
        """Drops three blocks right before or after the events are read."""

        def logs(self, *args: object, **kwargs: object) -> list[Log]:
            is_first = not self.calls["logs"]
            if is_first and when == "before":
                desk.node.reorg(3)
            found: list[Log] = super().logs(*args, **kwargs)  # type: ignore[arg-type]
            if is_first and when == "after":
                desk.node.reorg(3)
            return found

    chain = Reorging(desk.node.chain)
    desk.indexer = Indexer(chain, desk.store, [desk.contract], chunk_blocks=100)
    desk.catch_up()
    assert len(desk.indexed()) == 3
    assert chain.calls["logs"] == 2
