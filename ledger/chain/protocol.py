"""What the service needs of a chain: one interface, two kinds behind it (DESIGN §4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.units import Address, Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block's header, as far as anybody here reads it."""

    number: int
    block_hash: Hash32
    parent_hash: Hash32
    timestamp_s: int  # Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One event as the chain keeps it."""

    address: Address
    topics: tuple[Hash32, ...]
    data: bytes
    block_number: int
    block_hash: Hash32
    tx_hash: Hash32
    tx_index: int
    log_index: int  # Within the block.


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction that the chain knows; `block_number` is None while it is not mined."""

    tx_hash: Hash32
    sender: Address
    to: Address | None
    nonce: int
    data: bytes
    block_number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a mined transaction."""

    tx_hash: Hash32
    block_number: int
    block_hash: Hash32
    succeeded: bool
    gas_used: int
    contract_address: Address | None
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """EIP-1559 fees in wei per gas."""

    max_fee_wei: int
    priority_fee_wei: int


class Chain(Protocol):
    """An EVM chain. Every method may raise `ChainUnavailable`."""

    @property
    def chain_id(self) -> int: ...

    def head(self) -> Block: ...

    def block(self, number: int) -> Block | None: ...

    def call(
        self, to: Address, data: bytes, *, sender: Address | None = None, block: int | None = None
    ) -> bytes:
        """Runs a read-only call; raises `ContractReverted` with the decoded error."""
        ...

    def send_raw(self, raw: bytes) -> Hash32:
        """Hands a signed transaction over; the same one twice is not an error."""
        ...

    def transaction(self, tx_hash: Hash32) -> Transaction | None: ...

    def receipt(self, tx_hash: Hash32) -> Receipt | None: ...

    def logs(self, addresses: Sequence[Address], *, from_block: int, to_block: int) -> list[Log]:
        """All events of these contracts in a closed range of blocks, in chain order."""
        ...

    def nonce(self, address: Address) -> int:
        """Number of mined transactions of an address."""
        ...

    def code(self, address: Address) -> bytes: ...

    def fees(self) -> Fees: ...

    def estimate_gas(self, *, sender: Address, to: Address | None, data: bytes) -> int: ...
