"""A chain inside this process, kept in the data directory: the default, for trials.

Its one operator can rewrite it, so it proves nothing to anybody else; it loses nothing that it
acknowledged, whatever kills the process.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ledger.chain.errors import (
    DataDirectoryMissing,
    Refusal,
    TransactionRefused,
    UnknownBlock,
)
from ledger.chain.protocol import Block, Fees, Log, Receipt, Transaction
from ledger.chain.revert import Halt, reverted
from ledger.chain.storage import (
    FORMAT_VERSION,
    ChainFile,
    open_to_read,
    open_to_write,
    require_meta,
)
from ledger.units import Address, Hash32, to_unix_s

if TYPE_CHECKING:
    from eth.abc import BlockHeaderAPI

    from ledger.chain.evm import PersistentBackend

CHAIN_ID = 1337
_VERSION = "format_version"
_CHAIN_ID = "chain_id"
_HASHING = ("ETH_HASH_BACKEND", "pysha3")  # Seven times faster than py-evm's default.


class EmbeddedChain:
    """An EVM chain in this process; every transaction is mined at once, in its own block."""

    def __init__(
        self, file: ChainFile, backend: "PersistentBackend", clock: Callable[[], datetime] | None
    ) -> None:
        self._file = file
        self._backend = backend
        self._clock = clock
        self._next_s = 0

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        chain_id: int = CHAIN_ID,
        genesis_at: datetime | None = None,
        read_only: bool = False,
        clock: Callable[[], datetime] | None = None,
    ) -> Self:
        """Opens the chain of a data directory; `genesis_at` makes one where there is none.

        Opened for reading, it works beside the process that writes, shows the chain as it was at
        that moment, and moves on with `refresh`. A `clock` gives new blocks their time; without
        one, time stands still but for `set_next_timestamp` and a second a block.

        Raises:
            DataDirectoryInUse: another process writes to it.
            DataDirectoryMissing: there is no chain, and `genesis_at` was not given.
            DataDirectoryMismatch: another version made it, or it has another chain id.
            ChainUnavailable: the disk refuses.
        """
        file = open_to_read(directory) if read_only else open_to_write(directory)
        try:
            backend = _attach(file, chain_id=chain_id, genesis_at=genesis_at)
        except BaseException:
            file.close()
            raise
        return cls(file, backend, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the data directory back. Nothing is lost without it."""
        with self._file.guard:
            self._file.close()

    # Time.

    def set_next_timestamp(self, at: datetime) -> None:
        """Gives the next block this time, or its parent's plus a second if that is later."""
        with self._file.guard:
            self._next_s = to_unix_s(at)

    def follow_clock(self, clock: Callable[[], datetime]) -> None:
        """Gives new blocks this clock's time from now on, and never one before their parent's."""
        with self._file.guard:
            self._clock = clock

    def ahead_s(self) -> int:
        """Seconds by which the last block is ahead of the clock that gives blocks their time."""
        with self._file.guard:
            if self._clock is None:
                return 0
            return max(0, int(self._backend.head.timestamp) - to_unix_s(self._clock()))

    def mine(self) -> Block:
        """Mines an empty block."""
        with self._file.guard:
            self._require_writable()
            self._backend.mine_empty(self._pending_s())
            return self.head()

    def refresh(self) -> Block:
        """Looks at what another process has mined since."""
        with self._file.guard:
            self._backend.refresh()
            return self.head()

    def _pending_s(self) -> int:
        clock_s = to_unix_s(self._clock()) if self._clock else 0
        return max(self._backend.head.timestamp + 1, self._next_s, clock_s)

    def corrupt_nodes(self) -> list[bytes]:
        """Keys of what lies in the file under a hash that is not its own: somebody changed it."""
        with self._file.guard:
            return list(self._file.corrupt_nodes())

    @contextmanager
    def underneath(self) -> Iterator["PersistentBackend"]:
        """What lies below, for those who show all of it; nothing moves until they are done."""
        with self._file.guard:
            yield self._backend

    def next_header(self) -> "BlockHeaderAPI":
        """Header of the block that would be mined now."""
        with self._file.guard:
            return self._backend.next_header(self._pending_s())

    # The chain's interface.

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return self._backend.chain_id

    def head(self) -> Block:
        """The last block."""
        return _block(self._backend.head)

    def block(self, number: int) -> Block | None:
        """A block by number."""
        with self._file.guard:
            header = self._backend.header_at(number)
            return _block(header) if header else None

    def call(
        self, to: Address, data: bytes, *, sender: Address | None = None, block: int | None = None
    ) -> bytes:
        """Runs a read-only call: in the next block, or as a past block left the state.

        Raises:
            ContractReverted: with the contract's reason.
            UnknownBlock: there is no such block.
        """
        with self._file.guard:
            header = self._header(block)
            outcome = self._backend.execute(sender=sender, to=to, data=data, header=header)
        if outcome.computation.is_error:
            raise reverted(outcome.output, _halt(outcome.computation.error))
        return outcome.output

    def estimate_gas(self, *, sender: Address, to: Address | None, data: bytes) -> int:
        """Gas that surely suffices now; what is not used is not spent."""
        with self._file.guard:
            header = self._header(None)
            outcome = self._backend.execute(sender=sender, to=to, data=data, header=header)
        if outcome.computation.is_error:
            raise reverted(outcome.output, _halt(outcome.computation.error))
        return outcome.gas_with_margin

    def send_raw(self, raw: bytes) -> Hash32:
        """Mines a signed transaction; when it returns, the block is on the disk.

        Raises:
            TransactionRefused: it cannot be mined.
            ChainUnavailable: the disk refuses; nothing happened.
        """
        with self._file.guard:
            self._require_writable()
            transaction = self._backend.decode(raw)
            tx_hash = Hash32(bytes(transaction.hash))
            if self._backend.place_of(tx_hash) is None:
                self._backend.require_minable(transaction)
                self._backend.mine(transaction, self._pending_s())
            return tx_hash

    def transaction(self, tx_hash: Hash32) -> Transaction | None:
        """A mined transaction."""
        with self._file.guard:
            place = self._backend.place_of(tx_hash)
            if place is None:
                return None
            header, index = place
            found = self._backend.transactions_of(header)[index]
            return Transaction(
                tx_hash=tx_hash,
                sender=Address(bytes(found.sender)),
                to=Address(bytes(found.to)) or None,
                nonce=found.nonce,
                data=bytes(found.data),
                block_number=header.block_number,
            )

    def receipt(self, tx_hash: Hash32) -> Receipt | None:
        """What became of a mined transaction."""
        with self._file.guard:
            place = self._backend.place_of(tx_hash)
            return self._receipt(tx_hash, *place) if place else None

    def _receipt(self, tx_hash: Hash32, header: Any, index: int) -> Receipt:
        backend = self._backend
        receipts = backend.receipts_of(header)
        gas_before = receipts[index - 1].gas_used if index else 0
        first_log = sum(len(receipt.logs) for receipt in receipts[:index])
        created = backend.created_by(backend.transactions_of(header)[index])
        return Receipt(
            tx_hash=tx_hash,
            block_number=header.block_number,
            block_hash=Hash32(bytes(header.hash)),
            succeeded=receipts[index].state_root == b"\x01",
            gas_used=receipts[index].gas_used - gas_before,
            contract_address=created,
            logs=tuple(
                _log(log, header, tx_hash, index, first_log + offset)
                for offset, log in enumerate(receipts[index].logs)
            ),
        )

    def logs(self, addresses: Sequence[Address], *, from_block: int, to_block: int) -> list[Log]:
        """All events of these contracts in a closed range of blocks, in chain order."""
        wanted = frozenset(addresses)
        with self._file.guard:
            last = min(to_block, self._backend.head.block_number)
            numbers = range(max(from_block, 0), last + 1)
            return [log for number in numbers for log in self.block_logs(number, wanted)]

    def block_logs(self, number: int, addresses: frozenset[Address] | None) -> list[Log]:
        """The events of one block; None asks for those of all contracts.

        Raises:
            UnknownBlock: there is no such block.
        """
        with self._file.guard:
            header = self._header(number)
            found = list(self._backend.logs_of(header, addresses))
            transactions = self._backend.transactions_of(header) if found else ()
            return [
                _log(log, header, Hash32(bytes(transactions[tx_index].hash)), tx_index, log_index)
                for tx_index, log_index, log in found
            ]

    def nonce(self, address: Address) -> int:
        """Number of mined transactions of an address."""
        with self._file.guard:
            nonce: int = self._backend.state_of(self._backend.head).get_nonce(address)
            return nonce

    def code(self, address: Address) -> bytes:
        """A contract's code; empty where there is none."""
        with self._file.guard:
            return bytes(self._backend.state_of(self._backend.head).get_code(address))

    def fees(self) -> Fees:
        """Gas is free here."""
        return Fees(max_fee_wei=0, priority_fee_wei=0)

    def _header(self, number: int | None) -> "BlockHeaderAPI":
        if number is None:
            return self._backend.next_header(self._pending_s())
        header = self._backend.header_at(number)
        if header is None:
            raise UnknownBlock(block_number=number)
        return header

    def _require_writable(self) -> None:
        if self._file.read_only:
            raise TransactionRefused(reason=Refusal.READ_ONLY)


def _attach(file: ChainFile, *, chain_id: int, genesis_at: datetime | None) -> "PersistentBackend":
    expected = {_VERSION: FORMAT_VERSION, _CHAIN_ID: chain_id}
    is_new = not file.meta()
    if not is_new:
        require_meta(file, expected)
    elif genesis_at is None or file.read_only:
        raise DataDirectoryMissing(directory=str(file.directory))
    os.environ.setdefault(*_HASHING)
    from ledger.chain.evm import PersistentBackend  # noqa: PLC0415 (slow to import)

    genesis_s = to_unix_s(genesis_at) if genesis_at else 0
    backend = PersistentBackend(file, chain_id=chain_id, genesis_s=genesis_s)
    if is_new:
        file.flush(expected)
    return backend


def _block(header: Any) -> Block:
    return Block(
        number=header.block_number,
        block_hash=Hash32(bytes(header.hash)),
        parent_hash=Hash32(bytes(header.parent_hash)),
        timestamp_s=header.timestamp,
    )


def _log(log: Any, header: Any, tx_hash: Hash32, tx_index: int, log_index: int) -> Log:
    return Log(
        address=Address(bytes(log.address)),
        topics=tuple(Hash32(topic.to_bytes(32)) for topic in log.topics),
        data=bytes(log.data),
        block_number=header.block_number,
        block_hash=Hash32(bytes(header.hash)),
        tx_hash=tx_hash,
        tx_index=tx_index,
        log_index=log_index,
    )


def _halt(error: Exception) -> Halt | None:
    match type(error).__name__:
        case "Revert":
            return None
        case "OutOfGas":
            return Halt.OUT_OF_GAS
    return Halt.INVALID
