"""Charge points that others wrote complete whole charges, in both versions of OCPP.

First against a central system of the tests, which proves the clients; then against the service.
"""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from charging.simulator.ocmf import OcmfSigner
from charging.tariffs import ChargeTariff, cost_micro_down
from tests.api.central_system import PASSWORD, Central, central_system, remote_start, remote_stop
from tests.e2e.charging_service import (
    DEPOSIT_MICRO,
    PROGRAM,
    REGISTER_WH,
    TARIFF,
    Driver,
    charger_section,
    charging_service,
)
from tests.e2e.independent_clients import Client, client
from tests.e2e.registers import ROOT

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


# Against the service, as processes: deposit, charge, refund, receipt.


@pytest.fixture(scope="module")
def meter_keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A PEM file for the meter of each charge point that signs, on either curve."""
    folder = tmp_path_factory.mktemp("keys")
    paths = {"N-1.6": folder / "a.pem", "N-2.0.1": folder / "b.pem"}
    for path, curve in zip(paths.values(), CURVES, strict=True):
        path.write_bytes(OcmfSigner.made(curve).private_key_pem())
    return paths


@pytest.fixture(scope="module")
def driver(
    tmp_path_factory: pytest.TempPathFactory, meter_keys: dict[str, Path]
) -> Iterator[Driver]:
    """A driver at a service with four charge points; those of others sign their values."""
    chargers = [
        charger_section(
            name, PASSWORD, public_key=OcmfSigner.from_file(meter_keys[name]).public_key_hex
        )
        for name in meter_keys
    ]
    chargers += [charger_section(f"S-{version}", PASSWORD) for version in VERSIONS]
    with charging_service(tmp_path_factory.mktemp("street") / "home", chargers) as at_service:
        yield at_service


def check_refund(driver: Driver, session: dict[str, Any], energy_wh: int) -> dict[str, Any]:
    """The driver paid for these Wh and got the rest; the receipt says the same."""
    assert session["energy_wh"] == energy_wh
    paid = int(session["paid_micro"])
    assert paid == cost_micro_down(
        ChargeTariff(**TARIFF), energy_wh=energy_wh, time_s=session["time_s"], idle_s=0
    )
    assert paid + int(session["refunded_micro"]) == DEPOSIT_MICRO
    receipt = driver.receipt(session["session_id"])
    assert receipt["energy_wh"] == energy_wh
    assert receipt["paid_micro"] == str(paid)
    assert receipt["transactions"]["close"]
    return receipt


@pytest.mark.parametrize("ends", ["local", "remote"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_driver_charges_at_a_charge_point_of_others(
    version: str, ends: str, driver: Driver, meter_keys: dict[str, Path]
) -> None:
    name = f"N-{version}"
    url = driver.url.replace("http", "ws") + "/ocpp"
    # Two charges at one meter: its register goes on where it was.
    register_wh = REGISTER_WH + {"local": 0, "remote": 83}[ends]
    options = {"ends": ends, "ocmf_key": str(meter_keys[name]), "register_wh": register_wh}
    with client(version, url, name, PASSWORD, **options) as station:
        station.until("booted")
        session_id = driver.order(name)
        started = station.until("started")
        assert started["token_status"] == "Accepted"
        if ends == "remote":
            driver.until(session_id, "charging")
            driver.stop(session_id)
        stopped = station.until("stopped")
        station.finish()
    session = driver.until(session_id, "closed")
    receipt = check_refund(driver, session, stopped["stop_wh"] - stopped["start_wh"])
    evidence = receipt["evidence"]
    assert evidence["verified"] is True
    assert evidence["data"] == stopped["record"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_driver_charges_at_a_simulated_charge_point(
    version: str, driver: Driver, tmp_path: Path
) -> None:
    command = ["simulate-charger", "--id", f"S-{version}", "--protocol", version, "--json"]
    command += ["--url", driver.url.replace("http", "ws"), "--password", PASSWORD]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command, "--interval-s", "1", "--charges", "1"],
        env={"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        session_id = driver.order(f"S-{version}")
        driver.until(session_id, "charging")
        driver.stop(session_id)
        session = driver.until(session_id, "closed")
        out, complaints = process.communicate(timeout=60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (process.returncode, complaints) == (0, "")
    (charge_told,) = json.loads(out)["charges"]
    assert charge_told["reason"] == "Remote"
    check_refund(driver, session, charge_told["energy_wh"])
