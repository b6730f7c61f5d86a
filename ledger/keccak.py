"""Hashing, signing and recovery: the only module that knows `sha3` and `coincurve`.

Typed data is EIP-712, signatures are 65 bytes `r‖s‖v` with low s and v 27 or 28 (EIP-2, EIP-155's
`v` is for transactions only).
"""

from functools import lru_cache

import coincurve
import sha3

from ledger.errors import BadSignature, MalleableSignature
from ledger.units import Address, Hash32

DOMAIN_NAME = "Wattledger"
DOMAIN_VERSION = "1"
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
SIGNATURE_BYTES = 65


def keccak256(data: bytes) -> Hash32:
    """Keccak-256 as Ethereum uses it (not SHA3-256)."""
    digest: bytes = sha3.keccak_256(data).digest()
    return Hash32(digest)


DOMAIN_TYPE_HASH = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


@lru_cache(maxsize=64)
def domain_separator(chain_id: int, verifying_contract: Address) -> Hash32:
    """EIP-712 domain separator of one of our contracts (INTERFACES §4)."""
    return keccak256(
        DOMAIN_TYPE_HASH
        + keccak256(DOMAIN_NAME.encode())
        + keccak256(DOMAIN_VERSION.encode())
        + chain_id.to_bytes(32)
        + bytes(12)
        + verifying_contract
    )


def typed_digest(separator: bytes, struct_hash: bytes) -> Hash32:
    """EIP-712 digest, the 32 bytes that are signed."""
    return keccak256(b"\x19\x01" + separator + struct_hash)


def personal_digest(text: str) -> Hash32:
    """Digest that a wallet's `personal_sign` signs (EIP-191, version 0x45)."""
    message = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)


def sign(digest: bytes, private_key: bytes) -> bytes:
    """Signs 32 bytes; deterministic (RFC 6979), low s, 65 bytes `r‖s‖v`."""
    signature = coincurve.PrivateKey(private_key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def recover(digest: bytes, signature: bytes) -> Address:
    """Address of the key that signed the digest.

    Raises:
        BadSignature: wrong length, wrong v, or no key can have made it.
        MalleableSignature: s is in the upper half of the order.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise BadSignature(rule=f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    if signature[64] not in (27, 28):
        raise BadSignature(rule=f"v is 27 or 28, not {signature[64]}")
    if int.from_bytes(signature[32:64]) > HALF_ORDER:
        raise MalleableSignature
    try:
        public_key = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), digest, hasher=None
        )
    except ValueError as error:
        raise BadSignature(rule="no key can have made this signature") from error
    return _address(public_key)


def address_of(private_key: bytes) -> Address:
    """Address of a private key."""
    return _address(coincurve.PrivateKey(private_key).public_key)


def checksum_address(address: bytes) -> str:
    """EIP-55 spelling of an address."""
    plain = address.hex()
    digest = keccak256(plain.encode()).hex()
    return "0x" + "".join(
        char.upper() if int(nibble, 16) > 7 else char  # noqa: PLR2004 (EIP-55)
        for char, nibble in zip(plain, digest, strict=False)
    )


def _address(public_key: coincurve.PublicKey) -> Address:
    return Address(keccak256(public_key.format(compressed=False)[1:])[-20:])
