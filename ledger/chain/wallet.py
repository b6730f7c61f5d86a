"""A key that signs transactions and typed data, and the encrypted file that it is kept in."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ledger import keccak
from ledger.chain.errors import BadKeystore
from ledger.chain.protocol import Fees
from ledger.chain.rlp import RlpItem, rlp_encode
from ledger.units import Address, Hash32

KEY_BYTES = 32
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_EIP1559 = b"\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """A transaction as it is sent, and the hash that it will be known by."""

    raw: bytes
    tx_hash: Hash32


@dataclass(frozen=True, slots=True)
class Wallet:
    """One private key. Its `repr` shows the address alone, so that logs never hold the key."""

    private_key: bytes = field(repr=False)
    address: Address = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.private_key) != KEY_BYTES:
            raise BadKeystore(rule=f"a private key has {KEY_BYTES} bytes")
        if not 0 < int.from_bytes(self.private_key) < _ORDER:
            raise BadKeystore(rule="a private key lies between 1 and the curve's order less 1")
        object.__setattr__(self, "address", keccak.address_of(self.private_key))

    def __repr__(self) -> str:
        return f"Wallet({keccak.checksum_address(self.address)})"

    def sign_transaction(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: Address | None,
        data: bytes,
        gas: int,
        fees: Fees,
        value: int = 0,
        slots: Sequence[int] = (),
    ) -> SignedTransaction:
        """An EIP-1559 transaction; without `to` it creates a contract.

        Args:
            slots: storage slots of `to` that it will touch (EIP-2930): each costs 100 gas less,
                the list itself 2,400 more.
        """
        accesses: list[RlpItem] = []
        if slots and to is not None:
            accesses = [[to, [slot.to_bytes(32) for slot in slots]]]
        payload: list[RlpItem] = [
            chain_id,
            nonce,
            fees.priority_fee_wei,
            fees.max_fee_wei,
            gas,
            to or b"",
            value,
            data,
            accesses,
        ]
        digest = keccak.keccak256(_EIP1559 + rlp_encode(payload))
        signature = keccak.sign(digest, self.private_key)
        parts: list[RlpItem] = [
            signature[64] - 27,
            int.from_bytes(signature[:32]),
            int.from_bytes(signature[32:64]),
        ]
        raw = _EIP1559 + rlp_encode(payload + parts)
        return SignedTransaction(raw=raw, tx_hash=keccak.keccak256(raw))

    def sign_digest(self, digest: bytes) -> bytes:
        """Signs an EIP-712 digest: 65 bytes `r‖s‖v`, low s."""
        return keccak.sign(digest, self.private_key)


def new_wallet() -> Wallet:
    """A wallet with a fresh random key."""
    while True:
        private_key = os.urandom(KEY_BYTES)
        if 0 < int.from_bytes(private_key) < _ORDER:
            return Wallet(private_key)


def save_keystore(wallet: Wallet, path: Path, password: str, *, work: int | None = None) -> None:
    """Writes the key, encrypted (JSON V3, scrypt), to a new file that only its owner may read.

    `work` is scrypt's cost N; leave it out except where a test cannot wait.

    Raises:
        BadKeystore: there is a file already; no key is ever overwritten.
    """
    from eth_account import Account  # noqa: PLC0415 (slow to import)

    document = Account.encrypt(wallet.private_key, password, kdf="scrypt", iterations=work)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadKeystore(rule=f"{path} is there already") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())


def load_keystore(path: Path, password: str) -> Wallet:
    """Reads an encrypted key.

    Raises:
        BadKeystore: no such file, not a key file, or the wrong password.
    """
    from eth_account import Account  # noqa: PLC0415 (slow to import)

    try:
        private_key = bytes(Account.decrypt(path.read_text(encoding="utf-8"), password))
    except OSError as error:
        raise BadKeystore(rule=f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        # The library's own words may quote the file: they stay out of ours.
        raise BadKeystore(rule=f"{path} is not a key file, or the password is wrong") from error
    return Wallet(private_key)
