"""Events of our contracts as the chain told them, with what is needed to undo them.

Nothing here is a result of ours: all of it can be deleted and read from the chain again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Index,
    RowMapping,
    Table,
    case,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from ledger.chain.protocol import Block, Log
from ledger.units import Address, Hash32

HASH_BYTES = 32
BLOCKS_READ = 64
KEYS_ASKED = 500


class _HeadTable(SQLModel, table=True):
    __tablename__ = "index_head"

    chain_id: int = Field(primary_key=True, sa_type=BigInteger)
    number: int = Field(sa_type=BigInteger)
    block_hash: bytes
    parent_hash: bytes
    timestamp_s: int = Field(sa_type=BigInteger)


class _ContractTable(SQLModel, table=True):
    __tablename__ = "index_contract"

    address: bytes = Field(primary_key=True)
    start_block: int = Field(sa_type=BigInteger)
    next_block: int = Field(sa_type=BigInteger)  # All before it is indexed.


class _BlockTable(SQLModel, table=True):
    __tablename__ = "index_block"

    number: int = Field(primary_key=True, sa_type=BigInteger)
    block_hash: bytes
    parent_hash: bytes
    timestamp_s: int = Field(sa_type=BigInteger)


class _LogTable(SQLModel, table=True):
    __tablename__ = "index_log"
    __table_args__ = (Index("index_log_address", "address", "block_number"),)

    block_number: int = Field(primary_key=True, sa_type=BigInteger)
    log_index: int = Field(primary_key=True)
    address: bytes
    tx_hash: bytes
    tx_index: int
    topics: bytes  # 32 bytes each, one after the other.
    data: bytes


class _CalldataTable(SQLModel, table=True):
    __tablename__ = "index_calldata"

    tx_hash: bytes = Field(primary_key=True)
    block_number: int = Field(sa_type=BigInteger, index=True)
    data: bytes


_HEAD = SQLModel.metadata.tables["index_head"]
_CONTRACT = SQLModel.metadata.tables["index_contract"]
_BLOCK = SQLModel.metadata.tables["index_block"]
_LOG = SQLModel.metadata.tables["index_log"]
_CALLDATA = SQLModel.metadata.tables["index_calldata"]
_FOLLOW = {
    "sqlite": sqlite.insert(_CONTRACT).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(_CONTRACT).on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedLog:
    """An event, when it happened, and what was sent to make it happen where that is kept."""

    log: Log
    timestamp_s: int
    tx_input: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """All events of some contracts in a closed range of blocks, read from one chain."""

    addresses: frozenset[Address]
    from_block: int
    tip: Block  # The last block of the range.
    blocks: Sequence[Block]  # Those that hold the events.
    logs: Sequence[Log]
    calldata: Sequence[tuple[Hash32, int, bytes]]  # Transaction, its block, its input.


class IndexStore:
    """The index of one chain."""

    def __init__(self, engine: Engine, *, chain_id: int) -> None:
        self.engine = engine
        self.chain_id = chain_id

    # Reading.

    def head(self) -> Block | None:
        """The last block up to which anything is indexed."""
        query = select(_HEAD).where(_HEAD.c.chain_id == self.chain_id)
        with self.engine.begin() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _block(row)

    def cursors(self) -> dict[Address, int]:
        """For each contract the first block that is not indexed yet."""
        with self.engine.begin() as connection:
            rows = connection.execute(select(_CONTRACT)).all()
        return {Address(row.address): row.next_block for row in rows}

    def entries(self, address: Address, from_block: int = 0) -> list[IndexedLog]:
        """A contract's events from a block on, in chain order."""
        query = (
            select(
                _LOG,
                _BLOCK.c.block_hash,
                _BLOCK.c.timestamp_s,
                _CALLDATA.c.data.label("tx_input"),
            )
            .join(_BLOCK, _BLOCK.c.number == _LOG.c.block_number)
            .join(_CALLDATA, _CALLDATA.c.tx_hash == _LOG.c.tx_hash, isouter=True)
            .where(_LOG.c.address == address, _LOG.c.block_number >= from_block)
            .order_by(_LOG.c.block_number, _LOG.c.log_index)
        )
        with self.engine.begin() as connection:
            return [_indexed_log(row) for row in connection.execute(query).mappings()]

    def blocks_down(self) -> Iterator[Block]:
        """The kept blocks, from the last one down; read as they are asked for."""
        below: ColumnElement[bool] = _BLOCK.c.number >= 0
        while True:
            query = select(_BLOCK).where(below).order_by(_BLOCK.c.number.desc()).limit(BLOCKS_READ)
            with self.engine.begin() as connection:
                blocks = [_block(row) for row in connection.execute(query).mappings()]
            yield from blocks
            if len(blocks) < BLOCKS_READ:
                return
            below = _BLOCK.c.number < blocks[-1].number

    # Changing.

    def follow(self, addresses: Iterable[Address], start_block: int) -> None:
        """Begins to follow contracts that are not followed yet."""
        with self.engine.begin() as connection:
            known = set(connection.execute(select(_CONTRACT.c.address)).scalars())
            rows = [
                {"address": address, "start_block": start_block, "next_block": start_block}
                for address in sorted(set(addresses) - known)
            ]
            if rows:  # Several may begin at once.
                connection.execute(_FOLLOW[connection.dialect.name], rows)

    def append(self, chunk: Chunk) -> bool:
        """Adds a chunk in one transaction; False if another process was first."""
        last = chunk.tip.number
        ours = _CONTRACT.c.address.in_(sorted(chunk.addresses))
        with self.engine.begin() as connection:
            found = select(_CONTRACT.c.next_block).where(ours).with_for_update()
            if set(connection.execute(found).scalars()) != {chunk.from_block}:
                return False
            connection.execute(update(_CONTRACT).where(ours).values(next_block=last + 1))
            # A block or a transaction may be there already, for another contract's sake.
            self._insert_new(connection, _BLOCK.c.number, map(_block_values, chunk.blocks))
            self._insert_new(connection, _CALLDATA.c.tx_hash, map(_calldata_values, chunk.calldata))
            _insert(connection, _LOG, [_log_values(log) for log in chunk.logs])
            self._raise_head(connection, chunk.tip)
        return True

    def roll_back(self, ancestor: Block | None) -> None:
        """Forgets all that came after a block; all there is if no block is common."""
        number = -1 if ancestor is None else ancestor.number
        after = case((_CONTRACT.c.start_block > number, _CONTRACT.c.start_block), else_=number + 1)
        with self.engine.begin() as connection:
            for column in (_LOG.c.block_number, _CALLDATA.c.block_number, _BLOCK.c.number):
                connection.execute(delete(column.table).where(column > number))
            connection.execute(
                update(_CONTRACT).where(_CONTRACT.c.next_block > number).values(next_block=after)
            )
            connection.execute(delete(_HEAD).where(_HEAD.c.chain_id == self.chain_id))
            if ancestor is not None:
                self._raise_head(connection, ancestor)

    def _insert_new(
        self, connection: Connection, key: Column[Any], rows: Iterable[dict[str, Any]]
    ) -> None:
        by_key = {row[key.name]: row for row in rows}
        keys = sorted(by_key)
        for first in range(0, len(keys), KEYS_ASKED):
            known = select(key).where(key.in_(keys[first : first + KEYS_ASKED]))
            for value in connection.execute(known).scalars().all():
                del by_key[value]
        _insert(connection, key.table, list(by_key.values()))

    def _raise_head(self, connection: Connection, tip: Block) -> None:
        query = select(_HEAD.c.number).where(_HEAD.c.chain_id == self.chain_id)
        number = connection.execute(query).scalar()
        if number is None:
            row = _block_values(tip) | {"chain_id": self.chain_id}
            connection.execute(insert(_HEAD).values(row))
        elif number < tip.number:
            this = _HEAD.c.chain_id == self.chain_id
            connection.execute(update(_HEAD).where(this).values(_block_values(tip)))


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _block_values(block: Block) -> dict[str, Any]:
    return {
        "number": block.number,
        "block_hash": block.block_hash,
        "parent_hash": block.parent_hash,
        "timestamp_s": block.timestamp_s,
    }


def _calldata_values(calldata: tuple[Hash32, int, bytes]) -> dict[str, Any]:
    tx_hash, block_number, data = calldata
    return {"tx_hash": tx_hash, "block_number": block_number, "data": data}


def _log_values(log: Log) -> dict[str, Any]:
    return {
        "block_number": log.block_number,
        "log_index": log.log_index,
        "address": log.address,
        "tx_hash": log.tx_hash,
        "tx_index": log.tx_index,
        "topics": b"".join(log.topics),
        "data": log.data,
    }


def _block(row: RowMapping) -> Block:
    return Block(
        number=row["number"],
        block_hash=Hash32(row["block_hash"]),
        parent_hash=Hash32(row["parent_hash"]),
        timestamp_s=row["timestamp_s"],
    )


def _indexed_log(row: RowMapping) -> IndexedLog:
    topics = row["topics"]
    return IndexedLog(
        log=Log(
            address=Address(row["address"]),
            topics=tuple(
                Hash32(topics[start : start + HASH_BYTES])
                for start in range(0, len(topics), HASH_BYTES)
            ),
            data=row["data"],
            block_number=row["block_number"],
            block_hash=Hash32(row["block_hash"]),
            tx_hash=Hash32(row["tx_hash"]),
            tx_index=row["tx_index"],
            log_index=row["log_index"],
        ),
        timestamp_s=row["timestamp_s"],
        tx_input=row["tx_input"],
    )
