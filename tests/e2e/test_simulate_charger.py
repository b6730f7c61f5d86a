"""`wattledger simulate-charger` as it is typed, at a central system of the tests."""

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from pyocmf.core.ocmf import OCMF

from charging.simulator.faults import Fault
from tests.api.central_system import PASSWORD, Central, central_system, remote_start

PROGRAM = "from api.cli import main; main()"
VARIABLE = "WATTLEDGER_CHARGER_PASSWORD"


async def started(
    folder: Path, *arguments: str, password: str | None = PASSWORD
) -> asyncio.subprocess.Process:
    """The command, running."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if password is not None:
        environment[VARIABLE] = password
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        "simulate-charger",
        *arguments,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Exit code, output, complaints."""
    async with asyncio.timeout(60):
        out, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), complaints.decode()


async def refused(
    folder: Path, *arguments: str, password: str | None = PASSWORD, expected_code: int = 1
) -> str:
    """The one line of a command that does not begin."""
    code, out, complaints = await finished(await started(folder, *arguments, password=password))
    assert (code, out) == (expected_code, "")
    assert complaints.count("\n") == 1
    return complaints


async def start_charge(central: Central, version: str) -> None:
    """Starts a charge from afar when a car is plugged in."""
    async with asyncio.timeout(30):
        await central.until("StatusNotification", 2)
    point = await central.point("CP1")
    assert (await point.call(remote_start(version, "driver-1"))).status == "Accepted"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_one_charge_is_played_and_summed_up_in_json(version: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            process = await started(
                tmp_path,
                *("--id", "CP1", "--url", central.url, "--protocol", version, "--json"),
                *("--ocmf-key", "meter.pem", "--charges", "1", "--speed", "3600"),
                *("--fault", "refuses-stop", "--power-w", "22000"),
            )
            await start_charge(central, version)
            await central.until(*awaited_updates(version))
            process.send_signal(signal.SIGINT)
            code, out, complaints = await finished(process)
            assert (code, complaints) == (0, "")
            summary: dict[str, Any] = json.loads(out)
            (charge,) = summary["charges"]
            assert charge["energy_wh"] == charge["stop_wh"] - charge["start_wh"] > 0
            assert (charge["id_token"], charge["reason"]) == ("driver-1", "Local")
            check_record(central, summary, charge["stop_wh"])
            assert stat.S_IMODE((tmp_path / "meter.pem").stat().st_mode) == 0o600

    asyncio.run(scenario())


def awaited_updates(version: str) -> tuple[Any, ...]:
    """Three meter values."""
    return ("MeterValues", 3) if version == "1.6" else ("TransactionEvent", 3, "Updated")


def check_record(central: Central, summary: dict[str, Any], stop_wh: int) -> None:
    """Where the stop of 1.6 carries a record, it is that of the key in the file."""
    for stop in central.of("StopTransaction"):
        values = stop["transaction_data"][0]["sampled_value"]
        text = next(value["value"] for value in values if value.get("format") == "SignedData")
        record = OCMF.from_string(text)
        assert record.verify_signature(summary["ocmf_public_key"])
        reading = record.payload.RD[1].RV
        assert reading is not None
        assert reading * 1_000 == stop_wh


def test_lines_tell_what_happens_and_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            process = await started(
                tmp_path, "--id", "CP1", "--url", central.url, "--speed", "600", "--ocmf"
            )
            await start_charge(central, "1.6")
            await central.until("MeterValues", 2)
            process.send_signal(signal.SIGINT)
            code, out, complaints = await finished(process)
            assert (code, complaints) == (0, "")
            for part in (
                "the meter signs with secp256r1, public key 3059",
                "  connected",
                "connector 1: accepts a remote start for driver-1",
                "connector 1: charging for driver-1, register 0 Wh",
                "connector 1: stopped (Local)",
                "charges told: 1, together",
            ):
                assert part in out
            assert len(central.of("StopTransaction")) == 1

    asyncio.run(scenario())


def test_ctrl_c_ends_it_before_anybody_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            central.boot_status = ["Pending"] * 60
            process = await started(tmp_path, "--id", "CP1", "--url", central.url)
            await central.until("BootNotification")
            process.send_signal(signal.SIGINT)
            code, _, complaints = await finished(process)
            assert (code, complaints) == (0, "")

    asyncio.run(scenario())


def test_who_is_not_let_in_learns_why_in_one_line(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with central_system() as central:
            where = ("--id", "CP1", "--url", central.url)
            wrong = await refused(tmp_path, *where, password="wrong")
            assert "not_authenticated" in wrong
            assert "wrong password" in wrong
            assert "not_authenticated" in await refused(tmp_path, *where, password=None)
            url = central.url
        assert "nobody listens there" in await refused(tmp_path, "--id", "CP1", "--url", url)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--protocol", "2.1"), "one of 1.6, 2.0.1"),
        (("--connectors", "0"), "from 1 to"),
        (("--power-w", "0"), "from 1 to"),
        (("--battery-wh", "0"), "equal to 1"),
        (("--interval-s", "-1"), "from 0 (none)"),
        (("--speed", "0"), "a whole number from 1"),
        (("--fault", "sulks"), "'sulks' is none of"),
        (("--url", "http://127.0.0.1"), "starts with ws://"),
    ],
)
def test_an_option_that_cannot_be_is_named(
    arguments: tuple[str, ...], part: str, tmp_path: Path
) -> None:
    line = asyncio.run(refused(tmp_path, "--id", "CP1", *arguments, expected_code=2))
    assert line.startswith(f"wattledger: usage: Invalid value for '{arguments[0]}': ")
    assert part in line


def test_a_key_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    line = asyncio.run(refused(tmp_path, "--id", "CP1", "--ocmf-key", "missing/meter.pem"))
    assert "cannot be written" in line


def test_faults_are_listed_and_an_id_is_required(tmp_path: Path) -> None:
    async def scenario() -> None:
        code, out, _ = await finished(await started(tmp_path, "--list-faults"))
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()] == [fault.value for fault in Fault]
        code, out, _ = await finished(await started(tmp_path, "--list-faults", "--json"))
        assert set(json.loads(out)["faults"]) == {fault.value for fault in Fault}
        code, _, complaints = await finished(await started(tmp_path))
        assert code == 2
        assert "--id is missing" in complaints

    asyncio.run(scenario())
