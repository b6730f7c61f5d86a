"""What can go wrong between the service and a chain, told apart by type and typed facts.

LedgerError
├── ChainUnavailable        chain_unavailable        nobody answers, or not sensibly: try later
├── WrongChain              wrong_chain              it answers, but it is another chain
├── ContractReverted        contract_reverted        the contract refused, and said why
├── TransactionRefused      transaction_refused      it never reached a block
├── UnknownBlock            unknown_block            a call at a block that is not there
├── DataDirectoryInUse      data_directory_in_use
├── DataDirectoryMissing    data_directory_missing
├── DataDirectoryMismatch   data_directory_mismatch  made by another version or for another chain
├── BadAbiValue             bad_abi_value            a value or calldata that its ABI type forbids
├── UnknownAbiName          unknown_abi_name         a contract or function that is not built
└── BadKeystore             bad_keystore             a key file that cannot be opened
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from ledger.errors import LedgerError


@dataclass(eq=False, kw_only=True)
class ChainUnavailable(LedgerError):
    """The chain gave no usable answer; the same request may work later."""

    code: ClassVar[str] = "chain_unavailable"
    rule: str


@dataclass(eq=False, kw_only=True)
class WrongChain(LedgerError):
    """The endpoint or the transaction belongs to another chain."""

    code: ClassVar[str] = "wrong_chain"
    chain_id: int
    chain_id_expected: int


@dataclass(eq=False, kw_only=True)
class ContractReverted(LedgerError):
    """A call or a transaction was refused by a contract.

    `name` is the custom error's (`EnergyMarket_NotOperator`), `Error` or `Panic`; `Halted` where
    execution stopped without a reason (no data, out of gas, invalid instruction); `Unknown` for
    data that no artifact explains.
    """

    code: ClassVar[str] = "contract_reverted"
    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)


class Refusal(StrEnum):
    """Why a transaction never reached a block."""

    NONCE_TOO_LOW = "nonce_too_low"
    NONCE_TOO_HIGH = "nonce_too_high"
    WRONG_CHAIN = "wrong_chain"  # It was signed for another chain.
    UNDERPRICED = "underpriced"  # The fee is too low for the chain or to replace another.
    FUNDS_MISSING = "funds_missing"
    GAS_OUT_OF_RANGE = "gas_out_of_range"  # Below what the data costs, or above the block's.
    BAD_TRANSACTION = "bad_transaction"  # Malformed, wrongly signed, of an unsupported kind.
    READ_ONLY = "read_only"  # This chain was opened for reading.


@dataclass(eq=False, kw_only=True)
class TransactionRefused(LedgerError):
    """The chain will not take a transaction; nothing happened."""

    code: ClassVar[str] = "transaction_refused"
    reason: Refusal
    rule: str = ""


@dataclass(eq=False, kw_only=True)
class UnknownBlock(LedgerError):
    """A call names a block that the chain does not have."""

    code: ClassVar[str] = "unknown_block"
    block_number: int


@dataclass(eq=False, kw_only=True)
class DataDirectoryInUse(LedgerError):
    """Another process writes to this embedded chain."""

    code: ClassVar[str] = "data_directory_in_use"
    directory: str


@dataclass(eq=False, kw_only=True)
class DataDirectoryMissing(LedgerError):
    """There is no embedded chain in this directory."""

    code: ClassVar[str] = "data_directory_missing"
    directory: str


@dataclass(eq=False, kw_only=True)
class DataDirectoryMismatch(LedgerError):
    """The directory was made by another version, or for another chain."""

    code: ClassVar[str] = "data_directory_mismatch"
    directory: str
    what: str
    found: str
    expected: str


@dataclass(eq=False, kw_only=True)
class BadAbiValue(LedgerError):
    """A value that does not fit its ABI type, or bytes that are not of the type."""

    code: ClassVar[str] = "bad_abi_value"
    abi_type: str
    rule: str


@dataclass(eq=False, kw_only=True)
class UnknownAbiName(LedgerError):
    """No artifact, or no such function in it."""

    code: ClassVar[str] = "unknown_abi_name"
    contract: str
    name: str


@dataclass(eq=False, kw_only=True)
class BadKeystore(LedgerError):
    """A key file that is malformed, or does not open with this password."""

    code: ClassVar[str] = "bad_keystore"
    rule: str
