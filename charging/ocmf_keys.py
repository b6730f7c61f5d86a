"""Public keys of signing meters, and whether one of them signed something (ECDSA, any curve).

The key is the charger's configured one: what comes along with a value proves nothing.
"""

import base64
import re
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from charging.errors import BadEvidence

KEY_CHARS_MAX: Final = 2_000
CURVE_DEFAULT: Final = "secp256r1"  # OCMF 1.0, table 22.
_HEX: Final = re.compile(r"(?:0x)?(?P<digits>(?:[0-9A-Fa-f]{2})+)", re.ASCII)
_OCA: Final = re.compile(r"oca:(base16|base64):asn1:(?P<key>.*)", re.ASCII | re.DOTALL)
_ALGORITHM: Final = re.compile(r"ECDSA-([A-Za-z0-9]+)-SHA256", re.ASCII)
_POINT_FIRST: Final = (2, 3, 4)  # SEC 1: compressed, compressed, uncompressed.
_CURVE_CLASSES: Final[
    dict[str, type[ec.EllipticCurve]]
] = {  # Names of OCMF's table 22, and what meters write instead.
    "secp192r1": ec.SECP192R1,
    "secp224r1": ec.SECP224R1,
    "secp256k1": ec.SECP256K1,
    "secp256r1": ec.SECP256R1,
    "prime256v1": ec.SECP256R1,
    "secp384r1": ec.SECP384R1,
    "secp521r1": ec.SECP521R1,
    "brainpool256r1": ec.BrainpoolP256R1,
    "brainpoolp256r1": ec.BrainpoolP256R1,
    "brainpool384r1": ec.BrainpoolP384R1,
    "brainpoolp384r1": ec.BrainpoolP384R1,
    "brainpool512r1": ec.BrainpoolP512R1,
    "brainpoolp512r1": ec.BrainpoolP512R1,
}


def bytes_of_text(text: str, field: str) -> bytes:
    """The bytes that a text of hexadecimal digits or of base64 stands for, spaces ignored.

    Raises:
        BadEvidence: neither.
    """
    compact = "".join(text.split())
    if found := _HEX.fullmatch(compact):
        return bytes.fromhex(found["digits"])
    try:
        return base64.b64decode(compact, validate=True)
    except ValueError as error:
        raise BadEvidence(field=field, rule="hexadecimal digits or base64") from error


def public_key_of(text: str, curve: str = CURVE_DEFAULT) -> ec.EllipticCurvePublicKey:
    """A public key as chargers print it: SPKI DER or a point, in hex or base64, or OCA's spelling.

    Args:
        curve: of a point, which does not name its own.

    Raises:
        BadEvidence: no key, no point of the curve, or a curve that is not supported.
    """
    if len(text) > KEY_CHARS_MAX:
        raise BadEvidence(field="public_key", rule=f"at most {KEY_CHARS_MAX} characters")
    prefixed = _OCA.fullmatch(text.strip())
    raw = bytes_of_text(prefixed["key"] if prefixed else text, "public_key")
    try:
        if raw[:1] and raw[0] in _POINT_FIRST:
            return ec.EllipticCurvePublicKey.from_encoded_point(_curve_of(curve), raw)
        key = load_der_public_key(raw)
    except UnsupportedAlgorithm as error:
        raise BadEvidence(field="public_key", rule="the curve is not supported") from error
    except ValueError as error:
        raise BadEvidence(field="public_key", rule="an SPKI key or a point") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadEvidence(field="public_key", rule="an elliptic curve key")
    return key


def spki_hex(key: ec.EllipticCurvePublicKey) -> str:
    """The one spelling of a key that receipts have: hex of its SPKI DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()


def require_signed(
    key: ec.EllipticCurvePublicKey, *, signature: bytes, signed: bytes, algorithm: str
) -> None:
    """Refuses what the key did not sign; a high s is as good as a low one.

    Args:
        signature: DER, as OCMF has it.
        algorithm: OCMF's `SA`, like `ECDSA-secp256r1-SHA256`; empty: by the key's curve, SHA-256.

    Raises:
        BadEvidence: another algorithm, another curve, or not signed by this key.
    """
    stated = _ALGORITHM.fullmatch(algorithm or f"ECDSA-{key.curve.name}-SHA256")
    if stated is None:
        raise BadEvidence(field="SA", rule="ECDSA-curve-SHA256")
    if _curve_of(stated[1]).name != key.curve.name:
        raise BadEvidence(field="SA", rule=f"the charger's key is of the curve {key.curve.name}")
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise BadEvidence(field="SD", rule="signed by the charger's key") from error


def _curve_of(name: str) -> ec.EllipticCurve:
    found = _CURVE_CLASSES.get(name.lower())
    if found is None:
        raise BadEvidence(field="SA", rule=f"a curve among {', '.join(_CURVE_CLASSES)}")
    return found()
