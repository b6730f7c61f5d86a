"""The demo's charges, by real OCPP and the real escrow, compared with the file of sessions."""

import csv
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.jobs.demo_charging import charging_file, deposit_micro
from tests.e2e.command_line import Cli, Ran
from tests.e2e.registers import KONSTANZ

HEADER = (
    "session_id,garage_id,user_id,user_type,shared_id,plugin_local,plugout_local,energy_kwh,"
    "duration_h_reported"
)
ROWS = (
    "1,A1,A1-1,Private,,2019-06-05T18:00,2019-06-06T07:00,12.34,13.0",
    "2,A1,A1-2,Private,,2019-06-05T19:30,2019-06-05T20:10,0.56,0.6667",
    "3,S1,Share-1,Shared,Shared-1,2019-06-05T20:00,2019-06-07T09:30,20.5,37.5",  # Over a day.
    "4,S1,Share-2,Shared,Shared-1,2019-06-06T08:00,2019-06-06T09:00,3.3,1.0",  # At the same one.
    "5,A1,A1-1,Private,,2019-06-05T08:00,2019-06-05T08:00,1.0,0",  # In no time at all.
    "6,A1,A1-1,Private,,2019-06-11T18:00,2019-06-11T19:00,1.0,1.0",  # Beyond two days.
    "7,A1,A1-1,Private,,not a time,2019-06-05T09:00,1.0,1.0",
    "8,A1,A1-3,Private,,2019-06-05T09:00,2019-06-05T08:00,3.0,1.0",  # Out before it was in.
    "9,A1,A1-3,Private,,2019-06-05T09:00,2019-06-05T09:00,0.2,0.0333",  # Longer than a minute.
)
BY_RULE = "sessions_rejected_by_rule"


def demo(cli: Cli, data: Path, charging: Path, days: int) -> Ran:
    words = ("--registers", KONSTANZ, "--days", days, "--charging", charging, "--json")
    return cli("demo", "--data-dir", data, *words)


def cost_micro(energy_wh: int) -> int:
    return 350_000 + energy_wh * 390_000 // 1_000


@pytest.mark.slow
def test_any_file_of_sessions_is_played_to_the_wh_and_the_micro(cli: Cli, tmp_path: Path) -> None:
    file, data = tmp_path / "sessions.csv", tmp_path / "data"
    file.write_text("\n".join([HEADER, *ROWS]) + "\n")
    ran = demo(cli, data, file, days=2)
    assert ran.code == 0, ran.err
    found = ran.document
    energies = (12_340, 560, 20_500, 3_300)
    assert found["sessions"] == len(energies)
    assert found["session_energy_wh"] == sum(energies)
    deposits = sum(map(deposit_micro, energies))
    paid = sum(map(cost_micro, energies))
    assert int(found["deposits_micro"]) == deposits
    assert int(found["paid_micro"]) == paid
    assert int(found["refunded_micro"]) == deposits - paid
    assert found["audit"] == "ok"
    assert found["periods"] == 2
    assert found["members"] == 6
    assert found["sessions_rejected"] == 4
    assert [(each["rule"], each["rows"], each["line"]) for each in found[BY_RULE]] == [
        ("plugout_local is after plugin_local", 3, 6),
        ("plugin_local: a local time like 2019-06-01T11:45", 1, 8),
    ]
    assert found["refund_blocks_max"] == 1
    assert found["receipts_verified"] == len(energies)
    assert 0 < found["sun_wh"] < found["traded_wh"]
    check_receipts(cli, data, energies)


def check_receipts(cli: Cli, data: Path, energies: tuple[int, ...]) -> None:
    receipts = [json.loads(path.read_text()) for path in (data / "receipts").glob("*.json")]
    assert sorted(receipt["energy_wh"] for receipt in receipts) == sorted(energies)
    for receipt in receipts:
        local = datetime.fromisoformat(receipt["started_at"])
        assert local.weekday() in (2, 3), "moved by whole weeks"
    path = min((data / "receipts").glob("*.json"))
    assert cli("verify", path, "--data-dir", data).code == 0
    assert cli("audit", "--data-dir", data).code == 0


def expected_sessions(days: int, most: int) -> list[tuple[datetime, int]]:
    """The file's sessions, computed another way than by the demo."""
    zone = ZoneInfo("Europe/Oslo")
    rows: list[dict[str, Any]] = list(csv.DictReader(charging_file().read_text().splitlines()))
    begun = [
        (datetime.fromisoformat(row["plugin_local"]).replace(tzinfo=zone), row) for row in rows
    ]
    first = min(at for at, _ in begun)
    until = first.astimezone(ZoneInfo("UTC")).replace(hour=0, minute=0) + timedelta(days=days)
    kept = sorted(
        (at, int(row["session_id"]), int(Decimal(row["energy_kwh"]) * 1_000))
        for at, row in begun
        if at < until and row["plugout_local"] > row["plugin_local"]
    )
    return [(at, energy_wh) for at, _, energy_wh in kept[:most]]


@pytest.mark.slow
def test_the_real_sessions_are_played_to_the_wh(cli: Cli, tmp_path: Path) -> None:
    ran = demo(cli, tmp_path / "data", charging_file(), days=3)
    assert ran.code == 0, ran.err
    expected = expected_sessions(3, 60)
    found = ran.document
    assert found["sessions"] == len(expected)
    assert found["session_energy_wh"] == sum(energy_wh for _, energy_wh in expected)
    paid = sum(cost_micro(energy_wh) for _, energy_wh in expected)
    assert int(found["paid_micro"]) == paid
    assert int(found["deposits_micro"]) == paid + int(found["refunded_micro"])


def test_a_file_that_is_none_of_sessions_is_refused(cli: Cli, tmp_path: Path) -> None:
    ran = demo(cli, tmp_path / "data", KONSTANZ, days=1)
    assert ran.code == 1
    assert "missing_column" in ran.err
    assert not (tmp_path / "data" / "complete").exists()
