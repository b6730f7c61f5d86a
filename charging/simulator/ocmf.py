"""Signs meter values as a calibrated charger does (OCMF 1.0, one record of begin and end)."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from charging.simulator.errors import BadPointSetting

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

IMPORT_REGISTER: Final = "01-00:01.08.00*FF"  # OBIS 1-0:1.8.0, as OCMF writes it.
CURVES: Final = ("secp256r1", "secp256k1")
WH_PER_KWH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReading:
    """One register of a record: when, and how much."""

    at: datetime
    register_wh: int


class OcmfSigner:
    """A meter's own key, and its count of signed records."""

    def __init__(self, key: "EllipticCurvePrivateKey", *, serial: str = "SIM-0001") -> None:
        """
        Raises:
            BadPointSetting: the key is on another curve than OCMF's secp256r1 or secp256k1.
        """
        if key.curve.name not in CURVES:
            raise BadPointSetting(field="ocmf-key", rule=f"on {' or '.join(CURVES)}")
        self._key = key
        self._serial = serial
        self._records = 0

    @classmethod
    def made(cls, curve: str = "secp256r1", *, serial: str = "SIM-0001") -> "OcmfSigner":
        """A signer with a fresh key."""
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        if curve not in CURVES:
            raise BadPointSetting(field="ocmf-key", rule=f"on {' or '.join(CURVES)}")
        made = ec.SECP256R1() if curve == "secp256r1" else ec.SECP256K1()
        return cls(ec.generate_private_key(made), serial=serial)

    @classmethod
    def from_file(cls, path: Path, *, serial: str = "SIM-0001") -> "OcmfSigner":
        """A signer with the private key of a PEM file."""
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_private_key,
        )

        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise BadPointSetting(
                field="ocmf-key", rule=f"{path} is not a PEM file of a private key"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadPointSetting(field="ocmf-key", rule="a key on an elliptic curve")
        return cls(key, serial=serial)

    @property
    def curve(self) -> str:
        """`secp256r1` or `secp256k1`."""
        return self._key.curve.name

    @property
    def method(self) -> str:
        """OCMF's name of the signature method."""
        return f"ECDSA-{self.curve}-SHA256"

    @property
    def public_key_der(self) -> bytes:
        """The public key as SubjectPublicKeyInfo."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            Encoding,
            PublicFormat,
        )

        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public_key_hex(self) -> str:
        """As OCMF tools and configuration files write it."""
        return self.public_key_der.hex()

    @property
    def public_key_ocpp(self) -> str:
        """As OCPP 2.0.1 carries it: Base64 of `oca:base16:asn1:` and the DER in hex."""
        return base64.b64encode(f"oca:base16:asn1:{self.public_key_hex}".encode()).decode()

    def private_key_pem(self) -> bytes:
        """The private key, unencrypted: it protects nothing but a simulation."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, begin: SignedReading, end: SignedReading, *, id_token: str, point: str) -> str:
        """One record with the registers at begin and end of a transaction.

        Args:
            point: the charge point's name, the record's `CI`.
        """
        self._records += 1
        text = self._payload(begin, end, id_token=id_token, point=point)
        signature = json.dumps(
            {"SA": self.method, "SE": "hex", "SM": "application/x-der", "SD": self._signed(text)},
            separators=(",", ":"),
        )
        return f"OCMF|{text}|{signature}"

    def _payload(
        self, begin: SignedReading, end: SignedReading, *, id_token: str, point: str
    ) -> str:
        head = {
            "FV": "1.0",
            "GI": "Wattledger simulator",
            "GS": self._serial,
            "PG": f"T{self._records}",
            "MV": "Wattledger",
            "MM": "simulated meter",
            "MS": self._serial,
            "IS": bool(id_token),
            "IL": "TRUSTED" if id_token else "NONE",
            "IF": ["OCPP_RS"] if id_token else [],
            "IT": "CENTRAL" if id_token else "NONE",
            "ID": id_token,
            "CT": "CBIDC",
            "CI": point,
        }
        readings = f"[{_reading(begin, 'B')},{_reading(end, 'E')}]"
        return f'{json.dumps(head, separators=(",", ":"))[:-1]},"RD":{readings}}}'

    def _signed(self, text: str) -> str:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        return self._key.sign(text.encode(), ec.ECDSA(SHA256())).hex()


def _reading(reading: SignedReading, transaction: str) -> str:
    """JSON of one reading; kWh with three digits, laid out by hand so that no float is near."""
    at = reading.at.astimezone(UTC)
    stamp = f"{at:%Y-%m-%dT%H:%M:%S},{at.microsecond // 1_000:03d}+0000 S"
    kwh, wh = divmod(reading.register_wh, WH_PER_KWH)
    return (
        f'{{"TM":"{stamp}","TX":"{transaction}","RV":{kwh}.{wh:03d},'
        f'"RI":"{IMPORT_REGISTER}","RU":"kWh","RT":"AC","EF":"","ST":"G"}}'
    )
