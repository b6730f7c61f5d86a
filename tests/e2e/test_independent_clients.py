"""Charge points that others wrote complete whole charges, in both versions of OCPP.

First against a central system of the tests, which proves the clients; then against the service.
"""

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.api.central_system import PASSWORD, Central, central_system, remote_start, remote_stop
from tests.e2e.independent_clients import Client, client

VERSIONS = ("1.6", "2.0.1")
CURVES = {"secp256r1": ec.SECP256R1(), "secp256k1": ec.SECP256K1()}


def pem_file(folder: Path, curve: str) -> Path:
    """A fresh private key for a meter, as a PEM file."""
    key = ec.generate_private_key(CURVES[curve])
    path = folder / "meter.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


async def charge(
    central: Central, station: Client, version: str, *, ends: str
) -> dict[str, object]:
    """Starts a charge from afar, stops it if it does not end by itself; what the client says."""
    point = await central.point("N1")
    await central.until("StatusNotification")
    answer = await point.call(remote_start(version, "driver-1"))
    assert answer.status == "Accepted"
    started = await asyncio.to_thread(station.until, "started")
    if ends == "remote":
        transaction_id = str(started["transaction_id"])
        answer = await point.call(remote_stop(version, transaction_id))
        assert answer.status == "Accepted"
    return await asyncio.to_thread(station.until, "stopped")


@pytest.mark.parametrize("ends", ["local", "remote"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_charge_point_of_others_completes_a_charge(version: str, ends: str) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            url = f"{central.url}/ocpp"
            with client(version, url, "N1", PASSWORD, ends=ends, every_ms=20) as station:
                stopped = await charge(central, station, version, ends=ends)
                await asyncio.to_thread(station.finish)
            assert stopped["stop_wh"] == 910_123 + 83
            if version == "1.6":
                assert central.of("StopTransaction")[0]["meter_stop"] == 910_206
                assert len(central.of("MeterValues")) == 3
            else:
                ended = central.of("TransactionEvent", "Ended")[0]
                assert ended["meter_value"][0]["sampled_value"][0]["value"] == 910_206
                assert len(central.of("TransactionEvent", "Updated")) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("version", VERSIONS)
def test_an_independent_signer_signs_the_values(version: str, curve: str, tmp_path: Path) -> None:
    from pyocmf.core.ocmf import OCMF  # noqa: PLC0415 (takes a second)

    async def scenario() -> None:
        async with central_system() as central:
            key = str(pem_file(tmp_path, curve))
            url = f"{central.url}/ocpp"
            with client(version, url, "N1", PASSWORD, ocmf_key=key, every_ms=20) as station:
                stopped = await charge(central, station, version, ends="local")
                await asyncio.to_thread(station.finish)
            record = OCMF.from_string(str(stopped["record"]))
            assert record.verify_signature(str(stopped["public_key"]))
            assert [str(reading.RV) for reading in record.payload.RD] == ["910.123", "910.206"]

    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_password_keeps_a_client_out(version: str) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            with client(version, f"{central.url}/ocpp", "N1", "wrong") as station:
                assert await asyncio.to_thread(station.process.wait, 30) == 1
            assert not central.heard

    asyncio.run(scenario())
