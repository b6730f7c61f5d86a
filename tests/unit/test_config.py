"""A community's file: what it may leave out, and that every refusal names its field."""

import tomllib
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.config import CommunityConfig, config_of, read_config
from api.errors import BadConfig
from ledger.clearing import PriceRule, VolumeRule

ADDRESS = "0x" + "aB" * 20
METER_ID = "0x" + "0f" * 32
SMALLEST = "[market]\nfirst_period_start = 2026-12-01T00:00:00Z\n"
FULL = f"""
name = "Sunny street"
currency = "CHF"
time_zone = "Asia/Kathmandu"

[chain]
chain_id = 7
rpc = "http://127.0.0.1:8545"
confirmations = 3
token = "{ADDRESS}"

[market]
first_period_start = 2026-12-01T01:00:00+01:00
window_s = 3600
period_windows = 24
withdrawal_delay_s = 1000000
volume_rule = "static"
price_rule = "fixed"
residual = "external"
debit_max_wh = 50000
keys = {{ "3" = {{ "2" = 5000 }} }}

[tariff]
fixed_per_kwh = 150000

[supplier]
name = "Stadtwerk"
address = "{ADDRESS}"

[[accounts]]
name = "Ada"
deposit_micro = 100

[[accounts]]
name = "Bo"
address = "{ADDRESS}"

[[meters]]
label = "ada-roof"
account = 2
class = "gateway"
limit_w = 30000
key = "{ADDRESS}"
meter_id = "{METER_ID}"

[[meters]]
label = "bo"
account = 3
limit_w = 50000
valid_from = 2026-12-24T00:00:00Z
"""
DOCUMENT = tomllib.loads(FULL)


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The full document with one value put in."""
    document: Any = deepcopy(DOCUMENT)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    assert isinstance(document, dict)
    return document


def refusal(document: dict[str, Any]) -> BadConfig:
    with pytest.raises(BadConfig) as refused:
        config_of(document, "street.toml")
    assert refused.value.code == "bad_config"
    assert refused.value.file == "street.toml"
    return refused.value


# What is accepted.


def test_only_the_first_periods_start_must_be_given(tmp_path: Path) -> None:
    path = tmp_path / "street.toml"
    path.write_text(SMALLEST)
    config = read_config(path)
    market = config.market
    assert (market.window_s, market.period_windows, market.period_s) == (900, 96, 86_400)
    assert market.delay_s == 86_400 + market.grace_s + 2 * 21_600
    assert (config.tariff.grid_import_per_kwh, config.tariff.local_fee_per_kwh) == (300_000, 20_000)
    assert (config.chain.rpc, config.chain.chain_id, config.chain.clock) == (None, 1337, "system")
    assert (config.accounts, config.meters, config.time_zone) == ([], [], "UTC")


def test_a_full_file_is_read_with_its_times_in_utc(tmp_path: Path) -> None:
    path = tmp_path / "street.toml"
    path.write_text(FULL)
    config = read_config(path)
    assert config.market.first_period_start == datetime(2026, 12, 1, tzinfo=UTC)
    assert config.market.first_period_start.tzinfo is UTC
    assert config.market.volume_rule is VolumeRule.STATIC
    assert config.market.price_rule is PriceRule.FIXED
    assert config.market.delay_s == 1_000_000
    assert [meter.meter_class for meter in config.meters] == ["gateway", "imported"]
    assert [account.name for account in config.accounts] == ["Ada", "Bo"]
    assert config.time_zone == "Asia/Kathmandu"


def test_what_the_data_directory_keeps_is_read_back_unchanged() -> None:
    config = config_of(DOCUMENT, "street.toml")
    assert CommunityConfig.model_validate_json(config.model_dump_json()) == config


# What is refused.


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        # A name that nothing has.
        (("nmae",), "x", "nmae"),
        (("market", "period_window"), 24, "market.period_window"),
        (("accounts", 1, "adress"), ADDRESS, "accounts.1.adress"),
        (("meters", 0, "limit"), 1, "meters.0.limit"),
        # A value of another type: nothing is guessed.
        (("chain", "chain_id"), "7", "chain.chain_id"),
        (("market", "window_s"), 3600.0, "market.window_s"),
        (("market", "debit_max_wh"), True, "market.debit_max_wh"),
        (("tariff", "grid_import_per_kwh"), 0.3, "tariff.grid_import_per_kwh"),
        (("accounts", 0, "name"), 2, "accounts.0.name"),
        (("accounts", 0, "deposit_micro"), "100", "accounts.0.deposit_micro"),
        (("meters",), {}, "meters"),
        (("market", "first_period_start"), "2026-12-01T00:00:00Z", "market.first_period_start"),
        (("market", "first_period_start"), 1_796_083_200, "market.first_period_start"),
        # A time zone that is none, or a machine's own.
        (("time_zone",), "Europe/Konstanz", "time_zone"),
        (("time_zone",), "Europe", "time_zone"),
        (("time_zone",), "", "time_zone"),
        (("time_zone",), "../etc/passwd", "time_zone"),
        (("time_zone",), "E/../../Europe/Berlin", "time_zone"),
        (("time_zone",), "posix/Europe/Berlin", "time_zone"),
        # A time without offset.
        (("market", "first_period_start"), datetime(2026, 12, 1), "market.first_period_start"),  # noqa: DTZ001
        (("meters", 1, "valid_from"), datetime(2026, 12, 1), "meters.1.valid_from"),  # noqa: DTZ001
        # An address that is none.
        (("accounts", 1, "address"), ADDRESS[:-1], "accounts.1.address"),
        (("accounts", 1, "address"), ADDRESS[:-1] + "g", "accounts.1.address"),
        (("accounts", 1, "address"), ADDRESS[:-2] + "  ", "accounts.1.address"),
        (("accounts", 1, "address"), ADDRESS + "\n", "accounts.1.address"),
        (("accounts", 1, "address"), ADDRESS[2:] + "ab", "accounts.1.address"),
        (("supplier", "address"), "", "supplier.address"),
        (("chain", "token"), "0x", "chain.token"),
        (("meters", 0, "key"), METER_ID, "meters.0.key"),
        (("meters", 0, "meter_id"), ADDRESS, "meters.0.meter_id"),
        (("meters", 0, "meter_id"), METER_ID[:-1] + "x", "meters.0.meter_id"),
        # Out of range.
        (("market", "period_windows"), 0, "market.period_windows"),
        (("market", "period_windows"), 97, "market.period_windows"),
        (("market", "auction_k_bps"), 10_001, "market.auction_k_bps"),
        (("tariff", "fixed_per_kwh"), 10**8 + 1, "tariff.fixed_per_kwh"),
        (("tariff", "grid_export_per_kwh"), -1, "tariff.grid_export_per_kwh"),
        (("accounts", 0, "name"), "", "accounts.0.name"),
        (("meters", 0, "account"), 1, "meters.0.account"),
        (("meters", 0, "limit_w"), 0, "meters.0.limit_w"),
        # A word that names nothing.
        (("market", "volume_rule"), "fair", "market.volume_rule"),
        (("market", "price_rule"), "MID_MARKET", "market.price_rule"),
        (("market", "residual"), "", "market.residual"),
        (("chain", "clock"), "sun", "chain.clock"),
        (("meters", 0, "class"), "trusted", "meters.0.class"),
        # What several fields say together.
        (
            ("market", "first_period_start"),
            datetime(2026, 12, 1, 1, tzinfo=UTC),
            "market.first_period_start",
        ),
        (("market", "debit_max_wh"), 49_999, "market.debit_max_wh"),
        (("meters", 1, "limit_w"), 50_001, "market.debit_max_wh"),
        (("market", "dispute_period_s"), 21_601, "market.dispute_period_s"),
        (("market", "finalize_within_s"), 0, "market.finalize_within_s"),
        (("market", "withdrawal_delay_s"), 388_799, "market.withdrawal_delay_s"),
        (("market", "withdrawal_delay_s"), 2**32, "market.withdrawal_delay_s"),
        (("market", "supplier_debit_max_micro"), 2**64, "market.supplier_debit_max_micro"),
        (("market", "price_rule"), "auction", "market.volume_rule"),
        (("market", "keys"), {"3": {"2": 10_001}}, "market.keys"),
        (("market", "keys"), {"3": {"2": 5_000, "4": 5_001}}, "market.keys"),
        (("market", "keys"), {"pool": {"2": 5_000}}, "market.keys"),
        (("tariff", "grid_export_per_kwh"), 280_001, "tariff"),
        (("tariff", "fixed_per_kwh"), 79_999, "tariff.fixed_per_kwh"),
        (("tariff", "fixed_per_kwh"), 280_001, "tariff.fixed_per_kwh"),
        (("meters", 1, "account"), 4, "meters.1.account"),
        (("meters", 1, "label"), "ada-roof", "meters.label"),
        (("meters", 1, "meter_id"), METER_ID.replace("f", "F"), "meters.meter_id"),
    ],
)
def test_a_refusal_names_its_field(path: tuple[str | int, ...], value: Any, field: str) -> None:
    assert refusal(changed(*path, to=value)).field == field


def test_the_cap_counts_all_meters_of_an_account_together() -> None:
    document = changed("meters", 1, "account", to=2)
    refused = refusal(document)
    assert refused.field == "market.debit_max_wh"
    assert "account 2 can draw 80000 Wh in a window" in refused.rule


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("market", "dispute_period_s"), 21_600),  # With 21,600 to finalize: half a period.
        (("market", "withdrawal_delay_s"), 388_800),  # A day, three of grace, half a day.
        (("market", "keys"), {"3": {"2": 5_000, "4": 5_000}}),
        (("tariff", "fixed_per_kwh"), 80_000),
        (("tariff", "fixed_per_kwh"), 280_000),
    ],
)
def test_a_value_may_reach_its_bound(path: tuple[str | int, ...], value: Any) -> None:
    config_of(changed(*path, to=value), "street.toml")


def test_rules_are_refused_in_the_words_of_clearing() -> None:
    refused = refusal(changed("market", "price_rule", to="auction"))
    assert refused.rule.startswith("rule_combination: ")


def test_a_time_without_offset_is_told_what_it_lacks() -> None:
    document = changed("market", "first_period_start", to=datetime(2026, 12, 1))  # noqa: DTZ001
    assert "offset" in refusal(document).rule


def test_a_file_without_a_market_is_refused_by_that_name() -> None:
    assert refusal({"name": "Sunny street"}).field == "market"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig) as refused:
        read_config(tmp_path / "none.toml")
    assert (refused.value.field, refused.value.rule) == ("file", "No such file or directory")


@pytest.mark.parametrize(
    "content", [b"[market", b"a = 1\na = 2\n", b"name = '\xff'", b"\xef\xbb\xbf[market]\n"]
)
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "street.toml"
    path.write_bytes(content)
    with pytest.raises(BadConfig) as refused:
        read_config(path)
    assert refused.value.field == "file"
    assert refused.value.rule.startswith("not TOML")
