"""py-evm underneath the embedded chain: executes, mines and remembers, one block a transaction.

Slow to import, so `embedded.py` imports it when a chain is opened. Gas costs nothing here: the base
fee is always zero, so that nobody needs ether in a trial.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from eth._utils.address import generate_contract_address
from eth.abc import (
    BlockHeaderAPI,
    ComputationAPI,
    DatabaseAPI,
    LogAPI,
    ReceiptAPI,
    SignedTransactionAPI,
)
from eth.chains.base import MiningChain
from eth.constants import BLANK_ROOT_HASH, CREATE_CONTRACT_ADDRESS, GAS_TX
from eth.db.atomic import AtomicDB
from eth.exceptions import (
    CanonicalHeadNotFound,
    HeaderNotFound,
    TransactionNotFound,
    UnrecognizedTransactionType,
)
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.constants import STANDARD_TOKEN_COST, TOTAL_COST_FLOOR_PER_TOKEN
from eth.vm.forks.prague.headers import create_prague_header_from_parent
from eth.vm.spoof import SpoofTransaction
from eth_bloom.bloom import BloomFilter
from eth_keys.exceptions import BadSignature
from eth_tester.backends.pyevm.main import PyEVMBackend
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from ledger.chain.errors import Refusal, TransactionRefused
from ledger.chain.storage import ChainFile
from ledger.units import Address

GAS_LIMIT = 30_000_000
MARGIN = 120  # Per cent of the gas that execution used.
_NOBODY = bytes(20)
_KINDS = (0, 1, 2)  # Legacy, access list, EIP-1559. Blobs and delegations have no use here.


class FreeGasVM(PragueVM):
    """Prague's rules with a base fee that stays zero however full the blocks are."""

    @staticmethod
    def create_header_from_parent(  # type: ignore[override]
        parent_header: BlockHeaderAPI | None = None, **header_params: Any
    ) -> BlockHeaderAPI:
        header_params.pop("base_fee_per_gas", None)
        header: BlockHeaderAPI = create_prague_header_from_parent(parent_header, **header_params)
        return header.copy(base_fee_per_gas=0)

    @classmethod
    def validate_gas(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """Replaces the rule that derives the base fee from the parent block."""
        if (header.gas_limit, header.base_fee_per_gas) != (parent_header.gas_limit, 0):
            raise ValidationError("gas limit and base fee never change on this chain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an execution that is not mined gave."""

    computation: ComputationAPI
    gas_intrinsic: int
    gas_floor: int  # What the calldata costs at least (EIP-7623).

    @property
    def output(self) -> bytes:
        """Return data, or revert data."""
        return bytes(self.computation.output)

    @property
    def gas_with_margin(self) -> int:
        """Gas for a transaction that does the same, refunds and the 63/64 rule left aside."""
        return self.gas_by(MARGIN)

    def gas_by(self, margin: int) -> int:
        """The same, by a margin of so many per cent of what execution used."""
        gas_used = self.gas_intrinsic + self.computation.get_gas_used() * margin // 100
        return min(max(gas_used, self.gas_floor), GAS_LIMIT)


class PersistentBackend(PyEVMBackend):  # type: ignore[misc]
    """eth-tester's backend over a file: attaches to the stored chain when there is one."""

    def __init__(self, file: ChainFile, *, chain_id: int, genesis_s: int) -> None:
        self.file = file
        self.chain_id = chain_id
        self.genesis_s = genesis_s
        self._view: tuple[BlockHeaderAPI, Any] | None = None
        super().__init__()

    def reset_to_genesis(self, *_args: object, **_kwargs: object) -> None:
        """Opens the stored chain, or makes its first block."""
        chain_class: Any = type(
            "EmbeddedMiningChain",
            (MiningChain,),
            {"chain_id": self.chain_id, "vm_configuration": ((0, FreeGasVM),)},
        )
        database = AtomicDB(cast("DatabaseAPI", self.file))
        self.account_keys = ()
        self._view = None
        try:
            self.chain = chain_class(database)
        except CanonicalHeadNotFound:
            self.chain = chain_class.from_genesis(database, self._genesis(), {})
        self.head: BlockHeaderAPI = self.chain.get_canonical_head()

    def refresh(self) -> None:
        """Moves on to the head that the file holds now."""
        self.head = self.chain.get_canonical_head()
        self._view = None

    def _genesis(self) -> dict[str, object]:
        return {
            "coinbase": _NOBODY,
            "difficulty": 0,
            "extra_data": b"",
            "gas_limit": GAS_LIMIT,
            "timestamp": self.genesis_s,
            "receipt_root": BLANK_ROOT_HASH,
            "transaction_root": BLANK_ROOT_HASH,
        }

    # Writing.

    def decode(self, raw: bytes) -> SignedTransactionAPI:
        """A transaction that may be mined, or a refusal that says what is wrong with it."""
        try:
            transaction = FreeGasVM.get_transaction_builder().decode(raw)
            transaction.validate()
            _ = transaction.sender
        except (RLPException, ValidationError, UnrecognizedTransactionType) as error:
            raise _refused(Refusal.BAD_TRANSACTION, str(error)) from error
        except BadSignature as error:
            raise _refused(Refusal.BAD_TRANSACTION, "the signature is no key's") from error
        except (IndexError, TypeError) as error:
            raise _refused(Refusal.BAD_TRANSACTION, "it cannot be decoded") from error
        return transaction

    def require_minable(self, transaction: SignedTransactionAPI) -> None:
        """Refuses what cannot be in the next block.

        Raises:
            TransactionRefused: with the reason.
        """
        kind = getattr(transaction, "type_id", None) or 0
        if kind not in _KINDS or transaction.chain_id is None:
            raise _refused(Refusal.BAD_TRANSACTION, "its kind is not supported")
        if transaction.chain_id != self.chain_id:
            raise _refused(Refusal.WRONG_CHAIN, f"signed for chain {transaction.chain_id}")
        gas_least = max(transaction.intrinsic_gas, _gas_floor(transaction.data))
        if not gas_least <= transaction.gas <= GAS_LIMIT:
            raise _refused(Refusal.GAS_OUT_OF_RANGE, f"gas {transaction.gas}")
        state = self._view_of(self.head).state
        nonce = state.get_nonce(transaction.sender)
        if transaction.nonce != nonce:
            reason = Refusal.NONCE_TOO_LOW if transaction.nonce < nonce else Refusal.NONCE_TOO_HIGH
            raise _refused(reason, f"nonce {transaction.nonce}, expected {nonce}")
        fee = transaction.gas * transaction.max_fee_per_gas
        if state.get_balance(transaction.sender) < transaction.value + fee:
            raise _refused(Refusal.FUNDS_MISSING, "gas is free here: set the fees to 0")

    def mine(self, transaction: SignedTransactionAPI, timestamp_s: int) -> None:
        """Mines one transaction into the next block and flushes it.

        Raises:
            TransactionRefused: py-evm's own rules refuse it.
            ChainUnavailable: the disk refuses; the chain stands where it stood.
        """
        self.chain.header = self.next_header(timestamp_s)
        try:
            self.chain.mine_all([transaction])
            self.file.flush()
        except ValidationError as error:
            raise _refused(Refusal.BAD_TRANSACTION, str(error)) from error
        finally:
            # Whatever was not flushed never happened.
            self.file.pending.clear()
            self.refresh()

    def mine_empty(self, timestamp_s: int) -> None:
        """Mines a block without transactions and flushes it."""
        self.chain.header = self.next_header(timestamp_s)
        try:
            self.chain.mine_all([])
            self.file.flush()
        finally:
            self.file.pending.clear()
            self.refresh()

    def next_header(self, timestamp_s: int) -> BlockHeaderAPI:
        """Header of the block that would be mined now."""
        return FreeGasVM.create_header_from_parent(
            self.head, gas_limit=GAS_LIMIT, timestamp=timestamp_s, coinbase=_NOBODY
        )

    # Executing without mining.

    def execute(
        self,
        *,
        sender: Address | None,
        to: Address | None,
        data: bytes,
        header: BlockHeaderAPI,
        gas: int = GAS_LIMIT,
    ) -> Outcome:
        """Runs a message on the state of a header, and forgets what it changed.

        Args:
            gas: what it may use, besides what its data costs.
        """
        state = self._view_of(header).state
        origin = sender or _NOBODY
        builder: Any = FreeGasVM.get_transaction_builder()
        unsigned = builder.new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=state.get_nonce(origin),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=to or CREATE_CONTRACT_ADDRESS,
            value=0,
            data=data,
            access_list=(),
        )
        gas_intrinsic = unsigned.intrinsic_gas
        spoofed = SpoofTransaction(unsigned.copy(gas=gas + gas_intrinsic), from_=origin)
        executor = state.get_transaction_executor()
        snapshot = state.snapshot()
        try:
            message = executor.build_evm_message(spoofed)
            computation = executor.build_computation(message, spoofed)
        finally:
            state.revert(snapshot)
            state.clear_transient_storage()
        return Outcome(
            computation=computation, gas_intrinsic=gas_intrinsic, gas_floor=_gas_floor(data)
        )

    def _view_of(self, header: BlockHeaderAPI) -> Any:
        # Building a state is dear and its caches are worth keeping, so the last one is kept.
        if self._view is None or self._view[0] != header:
            self._view = (header, self.chain.get_vm(header))
        return self._view[1]

    def state_of(self, header: BlockHeaderAPI) -> Any:
        """The accounts as a header's block left them."""
        return self._view_of(header).state

    # Looking up.

    def header_at(self, number: int) -> BlockHeaderAPI | None:
        """Header by number; None beyond the head."""
        if not 0 <= number <= self.head.block_number:
            return None
        if number == self.head.block_number:
            return self.head
        header: BlockHeaderAPI = self.chain.chaindb.get_canonical_block_header_by_number(number)
        return header

    def number_of(self, block_hash: bytes) -> int | None:
        """Number of a block of this chain, which has one at each height."""
        try:
            header = self.chain.chaindb.get_block_header_by_hash(block_hash)
        except HeaderNotFound:
            return None
        number: int = header.block_number
        return number

    def place_of(self, tx_hash: bytes) -> tuple[BlockHeaderAPI, int] | None:
        """Header and index of a mined transaction."""
        try:
            number, index = self.chain.chaindb.get_transaction_index(tx_hash)
        except TransactionNotFound:
            return None
        header = self.header_at(number)
        return None if header is None else (header, index)

    def transactions_of(self, header: BlockHeaderAPI) -> tuple[SignedTransactionAPI, ...]:
        """A block's transactions."""
        found: tuple[SignedTransactionAPI, ...] = self.chain.chaindb.get_block_transactions(
            header, FreeGasVM.get_transaction_builder()
        )
        return found

    def receipts_of(self, header: BlockHeaderAPI) -> tuple[ReceiptAPI, ...]:
        """A block's receipts; their `gas_used` is cumulative."""
        found: tuple[ReceiptAPI, ...] = self.chain.chaindb.get_receipts(
            header, FreeGasVM.get_receipt_builder()
        )
        return found

    @staticmethod
    def created_by(transaction: SignedTransactionAPI) -> Address | None:
        """Address of the contract that a transaction creates."""
        if transaction.to != CREATE_CONTRACT_ADDRESS:
            return None
        return Address(bytes(generate_contract_address(transaction.sender, transaction.nonce)))

    def logs_of(
        self, header: BlockHeaderAPI, addresses: frozenset[Address] | None
    ) -> Iterator[tuple[int, int, LogAPI]]:
        """A block's events of some contracts, or of all: transaction index, log index, log."""
        bloom = BloomFilter(header.bloom)
        if not header.bloom or (
            addresses is not None and not any(address in bloom for address in addresses)
        ):
            return
        log_index = 0
        for tx_index, receipt in enumerate(self.receipts_of(header)):
            for log in receipt.logs:
                if addresses is None or Address(bytes(log.address)) in addresses:
                    yield tx_index, log_index, log
                log_index += 1


def _gas_floor(data: bytes) -> int:
    """What a transaction with this calldata costs at least (EIP-7623), which py-evm charges for but
    does not ask the gas limit to cover."""
    tokens = STANDARD_TOKEN_COST * len(data) - (STANDARD_TOKEN_COST - 1) * data.count(0)
    return GAS_TX + TOTAL_COST_FLOOR_PER_TOKEN * tokens


def _refused(reason: Refusal, rule: str) -> TransactionRefused:
    return TransactionRefused(reason=reason, rule=rule)
