"""Follows the events of our contracts, some blocks behind the head, and back again after a reorg.

Each chunk of blocks is one transaction of the database, and is stored only if the chain held the
same last block before and after its events were read: so what is stored is of one chain.
"""

from collections.abc import Iterable

from ledger.chain.errors import ChainUnavailable
from ledger.chain.protocol import Block, Chain, Log
from ledger.index_store import Chunk, IndexStore
from ledger.keccak import keccak256
from ledger.units import Address, Hash32

CHUNK_BLOCKS = 2_000
RESTARTS_MAX = 5  # Of one `catch_up`, on a chain that changes while it is being read.

PROPOSED_TOPIC = keccak256(b"Proposed(uint64,uint32,uint64,bytes32,bytes32,bytes32)")
FINALIZED_TOPIC = keccak256(b"Finalized(uint64,uint32)")
# What these events announce is in the transaction's calldata alone.
CALLDATA_TOPICS = frozenset({PROPOSED_TOPIC, FINALIZED_TOPIC})


class Indexer:
    """Keeps a store level with the chain for some contracts."""

    def __init__(
        self,
        chain: Chain,
        store: IndexStore,
        addresses: Iterable[Address],
        *,
        start_block: int = 0,
        confirmations: int = 0,
        chunk_blocks: int = CHUNK_BLOCKS,
        calldata_topics: frozenset[Hash32] = CALLDATA_TOPICS,
    ) -> None:
        """`start_block` is where contracts begin that are not followed yet: their deployment."""
        self._chain = chain
        self._store = store
        self._addresses = frozenset(addresses)
        self._start_block = start_block
        self._confirmations = confirmations
        self._chunk_blocks = chunk_blocks
        self._calldata_topics = calldata_topics
        self.head_seen: Block | None = None  # The chain's, when it was last asked.
        self._following = False
        self._seen: tuple[Hash32, Block | None] | None = None  # Head, and what it came to.

    def catch_up(self) -> Block | None:
        """Indexes all that is deep enough; returns the last indexed block, None if there is none.

        With nothing new it asks the chain for its head and no more.

        Raises:
            ChainUnavailable: it does not answer, or it changes faster than it can be read. What is
                stored stays whole; call again.
        """
        head = self.head_seen = self._chain.head()
        if self._seen is not None and self._seen[0] == head.block_hash:
            return self._seen[1]
        if not self._following:
            self._store.follow(self._addresses, self._start_block)
            self._following = True
        for _ in range(RESTARTS_MAX):
            self._return_to_the_chain(head)
            if self._index_to(head.number - self._confirmations):
                tip = self._store.head()
                self._seen = (head.block_hash, tip)
                return tip
            head = self._chain.head()
        raise ChainUnavailable(rule="the chain changes while it is being read")

    def _return_to_the_chain(self, head: Block) -> None:
        """Drops what a reorg dropped, down to the last kept block that is still on the chain."""
        tip = self._store.head()
        if tip is None or self._is_on_chain(tip, head):
            return
        on_chain = (block for block in self._store.blocks_down() if self._is_on_chain(block, head))
        self._store.roll_back(next(on_chain, None))

    def _is_on_chain(self, block: Block, head: Block) -> bool:
        found = head if block.number == head.number else self._chain.block(block.number)
        return found is not None and found.block_hash == block.block_hash

    def _index_to(self, last: int) -> bool:
        while True:
            cursors = self._store.cursors()
            start = min(cursors[address] for address in self._addresses) if self._addresses else 0
            if not self._addresses or start > last:
                return True
            # Contracts that were added later catch up by themselves, then all go on together.
            behind = frozenset(a for a in self._addresses if cursors[a] == start)
            ahead = [cursors[a] - 1 for a in self._addresses - behind]
            end = min([last, start + self._chunk_blocks - 1, *ahead])
            chunk = self._read(behind, start, end)
            if chunk is None:
                return False
            self._store.append(chunk)

    def _read(self, addresses: frozenset[Address], start: int, end: int) -> Chunk | None:
        """A range of blocks; None if the chain changed meanwhile."""
        tip = self._chain.block(end)
        stored = self._store.head()
        if tip is None or (stored is not None and not self._is_on_chain(stored, tip)):
            return None
        logs = self._chain.logs(sorted(addresses), from_block=start, to_block=end)
        blocks = self._blocks_of(logs, tip)
        calldata = self._calldata_of(logs)
        if blocks is None or calldata is None or self._chain.block(end) != tip:
            return None
        return Chunk(
            addresses=addresses,
            from_block=start,
            tip=tip,
            blocks=blocks,
            logs=logs,
            calldata=calldata,
        )

    def _blocks_of(self, logs: list[Log], tip: Block) -> list[Block] | None:
        blocks: list[Block] = []
        for number, block_hash in sorted({(log.block_number, log.block_hash) for log in logs}):
            block = tip if number == tip.number else self._chain.block(number)
            if block is None or block.block_hash != block_hash:
                return None
            blocks.append(block)
        return blocks

    def _calldata_of(self, logs: list[Log]) -> list[tuple[Hash32, int, bytes]] | None:
        wanted = {
            log.tx_hash: log.block_number
            for log in logs
            if log.topics and log.topics[0] in self._calldata_topics
        }
        found: list[tuple[Hash32, int, bytes]] = []
        for tx_hash, block_number in wanted.items():
            transaction = self._chain.transaction(tx_hash)
            if transaction is None or transaction.block_number != block_number:
                return None
            found.append((tx_hash, block_number, transaction.data))
        return found
