"""Whose signature it is: a key's, or a contract wallet's (ERC-1271), as the contracts judge it."""

from collections.abc import Callable
from typing import Final

from ledger.chain.errors import ContractReverted
from ledger.chain.protocol import Chain
from ledger.errors import BadSignature, MalleableSignature
from ledger.keccak import SIGNATURE_BYTES, recover
from ledger.units import Address

# `isValidSignature(bytes32,bytes)`: its selector is also what it answers (ERC-1271).
IS_VALID: Final = bytes.fromhex("1626ba7e")
WORD: Final = 32
# Where else something may have been signed for, to say so: Ethereum, test networks, rollups.
CHAINS_TRIED: Final = (
    1, 10, 56, 100, 137, 1_337, 8_453, 17_000, 31_337, 42_161, 11_155_111,
)  # fmt: skip


def is_signed_by(chain: Chain, signer: Address, digest: bytes, signature: bytes) -> bool:
    """Whether an account stands by a digest: by its key, else by its code. The escrow's rule.

    Raises:
        BadSignature, MalleableSignature: no account without code can have made it.
    """
    try:
        if recover(digest, signature) == signer:
            return True
    except (BadSignature, MalleableSignature):
        if not chain.code(signer):
            raise
    return bool(chain.code(signer)) and _wallet_says_so(chain, signer, digest, signature)


def is_signed_for_account(chain: Chain, signer: Address, digest: bytes, signature: bytes) -> bool:
    """Whether an account's address stands by a digest: its code where it has some, else its key.

    The market's rule: a key whose address was given code (EIP-7702) does not count there.

    Raises:
        BadSignature, MalleableSignature: no account without code can have made it.
    """
    if chain.code(signer):
        return _wallet_says_so(chain, signer, digest, signature)
    return recover(digest, signature) == signer


def chain_signed_for(
    digest_on: Callable[[int], bytes], signer: Address, signature: bytes, *, ours: int
) -> int | None:
    """Which other chain a key signed for; None if none is found, or no key signed."""
    if len(signature) != SIGNATURE_BYTES:
        return None
    for chain_id in (ours - 1, ours + 1, *CHAINS_TRIED):
        try:
            if chain_id != ours and recover(digest_on(chain_id), signature) == signer:
                return chain_id
        except (BadSignature, MalleableSignature):
            return None
    return None


def _wallet_says_so(chain: Chain, wallet: Address, digest: bytes, signature: bytes) -> bool:
    padded = signature + bytes(-len(signature) % WORD)
    data = IS_VALID + digest + (2 * WORD).to_bytes(WORD) + len(signature).to_bytes(WORD) + padded
    try:
        answer = chain.call(wallet, data)
    except ContractReverted:
        return False
    return answer[:WORD] == IS_VALID + bytes(WORD - len(IS_VALID))
