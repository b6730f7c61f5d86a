"""The index's tables on both engines."""

# ruff: noqa: F811 (pytest's fixtures are arguments of the same name)

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine
from sqlmodel import SQLModel

from ledger.chain.protocol import Block, Log
from ledger.index_store import Chunk, IndexStore
from ledger.units import Address, Hash32
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)

MARKET = Address(b"\x0a" * 20)
REGISTRY = Address(b"\x0b" * 20)
BIG = 2**40  # Block numbers and times beyond 32 bits.


@pytest.fixture
def store(engine: Engine) -> IndexStore:
    SQLModel.metadata.create_all(engine)
    return IndexStore(engine, chain_id=1337)


def block(number: int) -> Block:
    return Block(
        number=number,
        block_hash=Hash32(number.to_bytes(32)),
        parent_hash=Hash32((number - 1).to_bytes(32)),
        timestamp_s=BIG + number,
    )


def log(number: int, index: int, address: Address = MARKET, *, topics: int = 2) -> Log:
    return Log(
        address=address,
        topics=tuple(Hash32(bytes([topic]) * 32) for topic in range(topics)),
        data=b"\x00\xff",
        block_number=number,
        block_hash=block(number).block_hash,
        tx_hash=Hash32((number * 10).to_bytes(32)),
        tx_index=0,
        log_index=index,
    )


def chunk(
    logs: Sequence[Log], *, start: int, end: int, address: Address = MARKET, calldata: bool = False
) -> Chunk:
    numbers = sorted({one.block_number for one in logs})
    return Chunk(
        addresses=frozenset({address}),
        from_block=start,
        tip=block(end),
        blocks=[block(number) for number in numbers],
        logs=logs,
        calldata=[
            (Hash32((number * 10).to_bytes(32)), number, b"\x01\x02")
            for number in numbers
            if calldata
        ],
    )


def test_events_come_back_in_chain_order_and_to_the_byte(store: IndexStore) -> None:
    store.follow([MARKET], 0)
    logs = [log(BIG, 1, topics=0), log(BIG, 0, topics=4), log(3, 7)]
    assert store.append(chunk(logs, start=0, end=BIG))
    entries = store.entries(MARKET)
    assert [entry.log for entry in entries] == [logs[2], logs[1], logs[0]]
    assert [entry.timestamp_s for entry in entries] == [BIG + 3, 2 * BIG, 2 * BIG]
    assert [entry.log for entry in store.entries(MARKET, from_block=4)] == [logs[1], logs[0]]
    assert store.head() == block(BIG)
    assert store.cursors() == {MARKET: BIG + 1}


def test_calldata_comes_with_every_event_of_its_transaction(store: IndexStore) -> None:
    store.follow([MARKET], 0)
    store.append(chunk([log(3, 0), log(3, 1)], start=0, end=3, calldata=True))
    store.append(chunk([log(5, 0)], start=4, end=5))
    assert [e.tx_input for e in store.entries(MARKET)] == [b"\x01\x02", b"\x01\x02", None]


def test_a_chunk_that_does_not_join_on_is_not_stored(store: IndexStore) -> None:
    store.follow([MARKET], 0)
    assert store.append(chunk([log(3, 0)], start=0, end=3))
    assert not store.append(chunk([log(3, 0)], start=0, end=3))
    assert not store.append(chunk([log(9, 0)], start=5, end=9))
    assert len(store.entries(MARKET)) == 1


def test_a_contract_that_is_added_later_shares_blocks_and_calldata(store: IndexStore) -> None:
    store.follow([MARKET], 0)
    store.append(chunk([log(3, 0)], start=0, end=8, calldata=True))
    store.follow([MARKET, REGISTRY], 2)
    assert store.cursors() == {MARKET: 9, REGISTRY: 2}
    added = chunk([log(3, 1, REGISTRY)], start=2, end=6, address=REGISTRY, calldata=True)
    assert store.append(added)
    assert store.entries(REGISTRY)[0].tx_input == b"\x01\x02"
    assert store.head() == block(8)


def test_rolling_back_forgets_what_came_after(store: IndexStore) -> None:
    store.follow([MARKET], 2)
    store.append(chunk([log(n, 0) for n in (3, 5, 7)], start=2, end=8, calldata=True))
    store.roll_back(block(5))
    assert [entry.log.block_number for entry in store.entries(MARKET)] == [3, 5]
    assert store.head() == block(5)
    assert store.cursors() == {MARKET: 6}
    assert store.append(chunk([log(7, 0)], start=6, end=7, calldata=True))
    store.roll_back(None)
    assert (store.entries(MARKET), store.head(), store.cursors()) == ([], None, {MARKET: 2})


def test_kept_blocks_are_read_from_the_top_down(store: IndexStore) -> None:
    store.follow([MARKET], 0)
    store.append(chunk([log(n, 0) for n in range(1, 151)], start=0, end=150))
    assert [kept.number for kept in store.blocks_down()] == list(range(150, 0, -1))
