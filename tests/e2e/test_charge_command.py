"""`charge` as it is typed: against a served community, with a charge point, each a process."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from charging.simulator.ocmf import OcmfSigner
from ledger.chain.wallet import load_keystore
from ledger.keccak import checksum_address
from tests.e2e.charge_world import (
    PROGRAM,
    WALLET_PASSWORD,
    Town,
    receipt_of,
    town,
)


def verified(place: Town) -> None:
    """The receipt agrees with the chain, asked at the service and in the data directory."""
    for where in (["--rpc", f"{place.url}/rpc"], ["--data-dir", place.home]):
        code, out, err = place.run("verify", "receipt.json", *where)
        assert code == 0, out + err
        assert "agrees with the chain" in out


@pytest.mark.parametrize("protocol", ["1.6", "2.0.1"])
def test_a_driver_sees_the_price_signs_watches_and_gets_the_rest_back(
    protocol: str, tmp_path: Path
) -> None:
    meter = tmp_path / "meter.pem"
    signer = OcmfSigner.made()
    meter.write_bytes(signer.private_key_pem())
    with town(tmp_path, public_key=signer.public_key_hex) as place:
        place.charger("--protocol", protocol, "--ocmf-key", meter)
        charge = place.charge("--kwh", "0.2", "--receipt", "receipt.json")
        assert charge.end() == 0, charge.printed
        printed = charge.printed
        order = ["0.39 EUR", "per start", "example, 30 kWh", "deposit", "You sign a ChargeOrder"]
        assert [printed.index(words) for words in order] == sorted(map(printed.index, order))
        driver = checksum_address(load_keystore(place.wallet_file, WALLET_PASSWORD).address)
        assert driver in printed
        receipt = receipt_of(place)
        assert receipt["session_id"] in printed
        assert re.search(r"0\.\d{3} kWh.* EUR, .* of 20\.00 left", printed)
        assert "stopping: it has charged as much as was asked for" in printed
        assert receipt["energy_wh"] >= 200
        assert (receipt["evidence"]["kind"], receipt["evidence"]["verified"]) == ("ocmf", True)
        assert "by values that the meter signed (OCMF), and that were verified" in printed
        assert "checked   against the chain, all agree" in printed
        verified(place)


def test_ctrl_c_stops_the_charge_and_the_receipt_still_comes(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        place.charger()
        charge = place.charge("--receipt", "receipt.json")
        charge.until_energy()
        charge.interrupt()
        assert charge.end() == 0, charge.printed
        assert "stopping; Ctrl-C again leaves" in charge.printed
        assert receipt_of(place)["evidence"]["kind"] == "meter_values"
        verified(place)


def test_ctrl_c_before_the_car_is_there_brings_everything_back(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        charge = place.charge()
        charge.until("the deposit is there: plug in at CP1, connector 1")
        charge.interrupt()
        assert charge.end() == 0, charge.printed
        assert "Nothing was charged" in charge.printed
        assert "All 20.00 EUR are back in your wallet." in charge.printed


def test_a_service_that_is_killed_and_starts_again_is_waited_for(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        place.charger()
        charge = place.charge("--receipt", "receipt.json")
        charge.until("0.000 kWh")
        place.running[0].process.kill()
        charge.until("the connection dropped")
        heard = len(charge.printed)
        place.serve()
        charge.until_energy(after=heard)
        charge.interrupt()
        assert charge.end() == 0, charge.printed
        verified(place)


def test_a_deposit_that_is_nearly_used_is_topped_up_once(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        place.charger()
        charge = place.charge("--top-up", "5.50", "--receipt", "receipt.json", deposit="3.00")
        charge.until("5.50 EUR are added to the deposit")
        charge.until("of 8.50 left")
        charge.interrupt()
        assert charge.end() == 0, charge.printed
        assert charge.printed.count("are added to the deposit") == 1
        receipt = receipt_of(place)
        assert receipt["deposit_micro"] == "8500000"
        assert receipt["order"]["depositMicro"] == "3000000"
        verified(place)


def test_json_is_one_object_and_a_session_can_be_taken_up_again(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        place.charger()
        start = ["charge", "--url", place.url, "--charger", "CP1", "--deposit", "20", "--json"]
        demo = ["--demo-wallet", "anna", "--data-dir", place.home]
        code, out, err = place.run(*start, *demo)
        assert (code, json.loads(out)["error"]["code"]) == (1, "bad_input")
        assert "--yes" in err
        code, out, err = place.run(*start, *demo, "--yes", "--no-follow")
        assert code == 0, err
        session = json.loads(out)["session_id"]
        follow = ["charge", "--url", place.url, "--session", session, "--minutes", "1", "--kwh"]
        code, out, err = place.run(*follow, "0.1", *demo, "--json", "--receipt", "receipt.json")
        assert code == 0, out + err
        document = json.loads(out)
        assert (document["state"], document["verified"], document["failed"]) == ("closed", True, [])
        assert document["session_id"] == session
        receipt = receipt_of(place)
        assert document["paid_micro"] == receipt["paid_micro"]
        assert document["transactions"] == receipt["transactions"]
        verified(place)


def test_what_is_wrong_is_said_in_one_line_before_anything_is_signed(tmp_path: Path) -> None:
    with town(tmp_path, deposit_micro_min=1_000_000) as place:
        base = ["charge", "--url", place.url, "--wallet", place.wallet_file, "--yes"]
        at = ["--charger", "CP1", "--deposit", "20.00"]
        wrong: list[tuple[list[object], str]] = [
            ([*base, "--charger", "CP9", "--deposit", "5"], "charger_unknown: No charger of this"),
            ([*base, *at, "--connector", "7"], "bad_input: field=--connector, rule=CP1 has: 1"),
            ([*base, "--charger", "CP1", "--deposit", "0.5"], "deposit_too_small: "),
            ([*base, "--charger", "CP1", "--deposit", "500"], "funds_missing: "),
            (
                [*base, "--charger", "CP1", "--deposit", "-1"],
                "usage: Invalid value for '--deposit': an",
            ),
            ([*base, "--charger", "CP1", "--deposit", "1e3"], "usage: "),
            ([*base, "--charger", "CP1", "--deposit", "0.0000001"], "usage: "),
            ([*base, "--charger", "CP1"], "bad_input: field=--deposit"),
            ([*base, *at, "--kwh", "0"], "usage: Invalid value for '--kwh': kWh"),
            ([*base, *at, "--top-up", "all"], "usage: Invalid value for '--top-up': an"),
            ([*base, *at, "--demo-wallet", "anna"], "bad_input: field=--wallet"),
            ([*base, "--session", "0x12"], "usage: Invalid value for '--session': 0x"),
            ([*base, "--session", "0x" + "11" * 32], "not_found: "),
            ([*base, *at, "--rpc", "http://127.0.0.1:9"], "chain_unavailable: "),
            (["charge", *at, "--wallet", "none.json", "--url", place.url], "bad_keystore: "),
            (["charge", *at, "--url", "ftp://x", "--demo-wallet", "a"], "bad_input: field=--url"),
            (
                ["charge", *at, "--url", "http://127.0.0.1:9", "--demo-wallet", "a"],
                "service_unreachable: url=http://127.0.0.1:9",
            ),
            (
                ["charge", *at, "--url", place.url, "--demo-wallet", "a", "--data-dir", "none"],
                "no_community: ",
            ),
        ]
        for words, expected in wrong:
            code, out, err = place.run(*words)
            assert code == (2 if expected.startswith("usage") else 1), (words, out, err)
            assert err.startswith(f"wattledger: {expected}"), err
            assert err.count("\n") == 1
            assert "You sign" not in out


def test_who_does_not_confirm_signs_nothing(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        ended = subprocess.run(
            [
                *(sys.executable, "-c", PROGRAM, "charge", "--url", place.url),
                *("--charger", "CP1", "--deposit", "20.00"),
                *("--demo-wallet", "anna", "--data-dir", str(place.home)),
            ],
            cwd=tmp_path,
            input="n\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 1
        assert ended.stdout.endswith("Nothing was signed.\n")
        code, out, _ = place.run("charge", "--list", "--url", place.url, "--json")
        assert code == 0
        charger = json.loads(out)["chargers"][0]
        assert (charger["charger"], charger["busy"]) == ("CP1", False)
        code, out, _ = place.run("charge", "--list", "--url", place.url)
        assert out.startswith("CP1/1  offline now   100.0 kW  0.39 EUR per kWh, 0.35 EUR per start")
