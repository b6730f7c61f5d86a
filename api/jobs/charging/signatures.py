"""Whose signature it is: a key's, or a contract wallet's (ERC-1271), as the escrow judges it."""

from typing import Final

from ledger.chain.errors import ContractReverted
from ledger.chain.protocol import Chain
from ledger.errors import BadSignature, MalleableSignature
from ledger.keccak import recover
from ledger.units import Address

# `isValidSignature(bytes32,bytes)`: its selector is also what it answers (ERC-1271).
IS_VALID: Final = bytes.fromhex("1626ba7e")
WORD: Final = 32


def is_signed_by(chain: Chain, signer: Address, digest: bytes, signature: bytes) -> bool:
    """Whether an account stands by a digest: by its key, else by its code.

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


def _wallet_says_so(chain: Chain, wallet: Address, digest: bytes, signature: bytes) -> bool:
    padded = signature + bytes(-len(signature) % WORD)
    data = IS_VALID + digest + (2 * WORD).to_bytes(WORD) + len(signature).to_bytes(WORD) + padded
    try:
        answer = chain.call(wallet, data)
    except ContractReverted:
        return False
    return answer[:WORD] == IS_VALID + bytes(WORD - len(IS_VALID))
