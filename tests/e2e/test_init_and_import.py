"""`init`, `import` and `settle` on the command line: what they print and how they end."""

import re
from pathlib import Path

import pytest

from api.jobs.community import CHARGING, open_community
from ledger.chain.wallet import new_wallet
from ledger.keccak import checksum_address
from tests.e2e.command_line import Cli, Ran
from tests.e2e.registers import HEADER, home, line, write

START_S = 1_464_739_200
HOUR_S = 3_600
STREET = """
name = "Ahornweg"
chain = {{clock = "data"}}
supplier = {{name = "Supplier", deposit_micro = {supplier}}}
accounts = [{{name = "a", deposit_micro = 50_000_000}}, {{name = "b", deposit_micro = 50_000_000}}]
meters = [{{label = "a", account = 2}}, {{label = "b", account = 3}}]
[market]
first_period_start = 2016-06-01T00:00:00Z
window_s = 3600
period_windows = {windows}
dispute_period_s = {dispute_s}
finalize_within_s = {dispute_s}
"""


def init(
    cli: Cli, place: Path, *, supplier: int = 50_000_000, windows: int = 24, dispute_s: int = 900
) -> Ran:
    config = place / "street.toml"
    config.write_text(STREET.format(supplier=supplier, windows=windows, dispute_s=dispute_s))
    return cli("init", "--config", config, "--data-dir", place / "data")


def take(cli: Cli, place: Path, *lines: str, words: tuple[str, ...] = ()) -> Ran:
    file = write(place / "r.csv", lines)
    return cli("import", file, "--format", "registers-csv", "--data-dir", place / "data", *words)


def homes(count: int, *, export_step_wh: int = 50) -> list[str]:
    return [
        *home("a", start_s=START_S, step_s=HOUR_S, count=count, export_step_wh=export_step_wh),
        *home("b", start_s=START_S, step_s=HOUR_S, count=count),
    ]


def test_init_says_what_it_made_and_what_comes_next(cli: Cli, tmp_path: Path) -> None:
    ran = init(cli, tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Ahornweg: 2 members, 2 meters.")
    assert "wattledger import" in ran.out
    assert "warning" not in ran.out


def test_a_host_with_a_key_of_its_own_is_told_what_to_send(cli: Cli, tmp_path: Path) -> None:
    host = new_wallet()
    street = STREET.format(supplier=50_000_000, windows=24, dispute_s=900)
    owner = f'{{name = "h", address = "0x{host.address.hex()}"}}'
    street = street.replace("accounts = [", f"accounts = [{owner}, ")
    street = street.replace(
        "[market]",
        'chargers = [{id = "CP1", host = 2, power_w = 11_000, tariff '
        "= {energy_per_kwh = 390_000}}]\n[market]\ndebit_max_wh = 1_000_000",
    )
    (tmp_path / "street.toml").write_text(street)
    ran = cli(
        "init", "--config", tmp_path / "street.toml", "--data-dir", tmp_path / "data", "--json"
    )
    assert ran.code == 0, ran.err
    (warning,) = ran.document["warnings"]
    assert "account 2" in warning
    assert f"to the escrow {ran.document['escrow']}" in warning
    called = re.search(r"setDelegate\((0x[0-9a-fA-F]{40}), true\)", warning)
    assert called is not None
    with open_community(tmp_path / "data") as community:
        service = community.keys.wallet(CHARGING).address
        assert called[1] == checksum_address(service)


def test_periods_of_one_window_come_with_a_warning_of_what_they_betray(
    cli: Cli, tmp_path: Path
) -> None:
    ran = init(cli, tmp_path, windows=1)
    assert (ran.code, "warning" in ran.out) == (0, True)
    assert take(cli, tmp_path, *homes(3)).code == 0
    settled = cli("settle", "--data-dir", tmp_path / "data", "--json")
    assert (settled.code, len(settled.document["settled"])) == (0, 2)
    assert cli("audit", "--data-dir", tmp_path / "data").code == 0


def test_import_lists_each_refused_row_with_its_line_and_rule(cli: Cli, tmp_path: Path) -> None:
    init(cli, tmp_path)
    lines = homes(3)
    lines[1:1] = ["a,2016-06-01T00:20:00Z,nan,1", line("c", START_S, 1, 1)]
    ran = take(cli, tmp_path, *lines, words=("--json",))
    assert (ran.code, ran.document["accepted"]) == (1, 6)
    rejected = [(each["line"], each["code"]) for each in ran.document["rejected"]]
    assert rejected == [(3, "bad_row"), (4, "unknown_meter")]
    text = take(cli, tmp_path, *lines)
    assert "0 accepted, 6 duplicates" in text.out
    assert "line 3: bad_row" in text.out


def test_import_fails_if_nothing_of_a_file_can_be_used(cli: Cli, tmp_path: Path) -> None:
    init(cli, tmp_path)
    ran = take(cli, tmp_path, line("stranger", START_S, 1, 1), words=("--json",))
    assert (ran.code, ran.document["accepted"]) == (1, 0)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (HEADER.encode(), "empty_file"),
        (b"a,b\n1,2\n", "missing_column"),
        (b"\x00", "unknown_format"),
    ],
)
def test_import_refuses_a_file_that_is_none(
    content: bytes, code: str, cli: Cli, tmp_path: Path
) -> None:
    init(cli, tmp_path)
    file = tmp_path / "r.csv"
    file.write_bytes(content)
    words = ("import", file, "--data-dir", tmp_path / "data", "--json", "--format")
    ran = cli(*words, "registers-csv")
    assert (ran.code, ran.document["error"]["code"]) == (1, code)
    ran = cli(*words, "csv")
    assert (ran.code, ran.document["error"]["code"]) == (1, "unknown_format")


def test_settle_ends_with_one_when_the_supplier_cannot_pay(cli: Cli, tmp_path: Path) -> None:
    init(cli, tmp_path, supplier=1)
    assert take(cli, tmp_path, *homes(25, export_step_wh=5_000)).code == 0
    ran = cli("settle", "--data-dir", tmp_path / "data", "--json")
    assert (ran.code, ran.document["settled"]) == (1, [])
    assert ran.document["alarm"]["code"]
    text = cli("settle", "--data-dir", tmp_path / "data")
    assert (text.code, "alarm" in text.out + text.err) == (1, True)
    assert cli("audit", "--data-dir", tmp_path / "data").code == 0


def test_times_are_told_as_in_files_and_over_http(cli: Cli, tmp_path: Path) -> None:
    init(cli, tmp_path)
    lines = homes(3)
    assert take(cli, tmp_path, *lines).code == 0
    falling = line("a", START_S + 10 * 3_600, 0, 0)
    ran = take(cli, tmp_path, falling, words=("--json",))
    (rejected,) = ran.document["rejected"]
    assert rejected["code"] == "register_decreased"
    assert "earlier_at=2016-06-01T02:00:00Z" in rejected["detail"]
    assert "later_at=2016-06-01T10:00:00Z" in take(cli, tmp_path, falling).out


@pytest.mark.parametrize("until", ["yesterday", "2016-06-02", "2016-06-02T00:00:00", "1464739200"])
def test_a_time_without_offset_is_refused(until: str, demo_home: Path, cli: Cli) -> None:
    ran = cli("settle", "--until", until, "--data-dir", demo_home, "--json")
    assert (ran.code, ran.document["error"]["code"]) == (2, "usage")


def test_settle_until_stops_there_and_goes_on_from_there(cli: Cli, tmp_path: Path) -> None:
    init(cli, tmp_path, windows=24)
    take(cli, tmp_path, *homes(73))
    for until, count in (
        ("2016-06-01T23:59:59Z", 0),
        ("2016-06-02T02:00:00+02:00", 1),
        ("2016-06-03T12:00:00Z", 1),
    ):
        words = ("settle", "--until", until, "--data-dir", tmp_path / "data", "--json")
        ran = cli(*words)
        assert (ran.code, len(ran.document["settled"])) == (0, count), until
    ran = cli("settle", "--data-dir", tmp_path / "data", "--json")
    assert len(ran.document["settled"]) == 1


def test_a_configuration_that_is_wrong_leaves_nothing_behind(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    for text, field in (
        ("", "market"),
        ("[market", "file"),
        ("[market]\nfirst_period_start = 2016-06-01T00:00:00Z\nwindows = 1", "windows"),
        ("[market]\nfirst_period_start = 2016-06-01T00:00:01Z", "first_period_start"),
        ("[market]\nfirst_period_start = 2016-06-01T00:00:00", "first_period_start"),
    ):
        config.write_text(text)
        ran = cli("init", "--config", config, "--data-dir", tmp_path / "data", "--json")
        assert (ran.code, ran.document["error"]["code"]) == (1, "bad_config"), text
        assert field in ran.document["error"]["detail"]
        assert not (tmp_path / "data").exists()
    ran = cli("init", "--config", tmp_path / "none.toml", "--data-dir", tmp_path / "data")
    assert (ran.code, "none.toml" in ran.err) == (1, True)
