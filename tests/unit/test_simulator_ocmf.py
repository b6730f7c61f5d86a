"""What the simulator signs, other people's software verifies."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pyocmf.core.ocmf import OCMF

from charging.simulator.errors import BadPointSetting
from charging.simulator.ocmf import CURVES, OcmfSigner, SignedReading

BEGIN = SignedReading(at=datetime(2016, 6, 1, 10, 7, tzinfo=UTC), register_wh=910_000)
END = SignedReading(at=datetime(2016, 6, 1, 11, 8, 30, tzinfo=UTC), register_wh=917_083)


def record_of(signer: OcmfSigner, id_token: str = "driver-1") -> str:
    return signer.sign(BEGIN, END, id_token=id_token, point="CP1")


@pytest.mark.parametrize("curve", CURVES)
def test_a_record_follows_the_specification_and_verifies(curve: str) -> None:
    signer = OcmfSigner.made(curve)
    record = OCMF.from_string(record_of(signer), strict=True)
    assert record.verify_signature(signer.public_key_hex)
    assert record.check_eichrecht(errors_only=True) == []
    assert [(str(r.RV), str(r.RU), str(r.TX)) for r in record.payload.RD] == [
        ("910.000", "kWh", "B"),
        ("917.083", "kWh", "E"),
    ]
    assert [r.timestamp for r in record.payload.RD] == [BEGIN.at, END.at]


@pytest.mark.parametrize("curve", CURVES)
def test_the_signature_is_over_the_bytes_of_the_payload(curve: str) -> None:
    signer = OcmfSigner.made(curve)
    _, payload, signature = record_of(signer).split("|")
    key = load_der_public_key(signer.public_key_der)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    data = bytes.fromhex(json.loads(signature)["SD"])
    key.verify(data, payload.encode(), ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(data, payload.replace("917.083", "917.084").encode(), ECDSA(SHA256()))


def test_records_are_counted() -> None:
    signer = OcmfSigner.made()
    pages = [OCMF.from_string(record_of(signer)).payload.PG for _ in range(3)]
    assert pages == ["T1", "T2", "T3"]


def test_a_charge_of_nobody_is_signed_as_that() -> None:
    payload = OCMF.from_string(record_of(OcmfSigner.made(), id_token=""), strict=True).payload
    assert payload.IS is False


def test_a_key_lives_in_a_file(tmp_path: Path) -> None:
    signer = OcmfSigner.made("secp256k1")
    path = tmp_path / "meter.pem"
    path.write_bytes(signer.private_key_pem())
    assert OcmfSigner.from_file(path).public_key_der == signer.public_key_der


@pytest.mark.parametrize("text", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "meter.pem"
    path.write_bytes(text)
    with pytest.raises(BadPointSetting, match="ocmf-key"):
        OcmfSigner.from_file(path)
    with pytest.raises(BadPointSetting, match="ocmf-key"):
        OcmfSigner.from_file(tmp_path / "missing.pem")


def test_another_curve_is_refused() -> None:
    with pytest.raises(BadPointSetting, match="secp256r1"):
        OcmfSigner(ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(BadPointSetting, match="secp256r1"):
        OcmfSigner.made("secp384r1")


def test_ocpp_carries_the_key_with_its_encoding() -> None:
    signer = OcmfSigner.made()
    text = base64.b64decode(signer.public_key_ocpp).decode()
    assert text == f"oca:base16:asn1:{signer.public_key_hex}"
