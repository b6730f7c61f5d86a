"""Who may import whom, and which vendor has which door (the table of the README's map)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "ledger", "metering", "charging", "api")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

NEVER = {
    "contracts": {"ledger", "metering", "charging", "api"},
    "ledger": {"metering", "charging", "api"},
    "metering": {"charging", "api"},
    "charging": {"api"},
    "api": set(),
}
METERING_MAY = {"ledger.units", "ledger.errors", "ledger.keccak"}

CHAIN_VENDORS = {"web3", "eth_tester", "eth", "eth_abi", "eth_account", "eth_keys", "eth_utils"}
HASH_VENDORS = {"eth_hash", "coincurve", "sha3"}
STORE_VENDORS = {"sqlmodel", "sqlalchemy", "alembic", "psycopg"}
API_VENDORS = {
    "babel",
    "fastapi",
    "jinja2",
    "limits",
    "matplotlib",
    "prometheus_client",
    "pydantic",
    "pydantic_settings",
    "rich",
    "starlette",
    "structlog",
    "typer",
    "uvicorn",
}

MODULE_OF = {"dsmr_parser": "metering/dsmr.py", "solcx": "contracts/build.py"}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found.add(node.module)
            if node.module == "ledger":
                found.update(f"ledger.{alias.name}" for alias in node.names)
    return found


def door_is_open(vendor: str, path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    if vendor in CHAIN_VENDORS:
        return name.startswith("ledger/chain/")
    if vendor in HASH_VENDORS:
        return name == "ledger/keccak.py"
    if vendor in STORE_VENDORS:
        # A transaction that spans two stores is opened by whoever wires them together.
        return path.stem.endswith("store") or name.startswith("api/")
    if vendor in API_VENDORS:
        return name.startswith("api/")
    return name == MODULE_OF.get(vendor, name)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for imported in imports_of(path):
        top = imported.split(".")[0]
        assert top not in NEVER[package], f"{path}: imports {imported}"
        if package == "metering" and top == "ledger":
            assert imported == "ledger" or imported in METERING_MAY, f"{path}: imports {imported}"
        assert door_is_open(top, path), f"{path}: {top} has another door"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_is_short_enough_to_read(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{path}: {lines} lines"
    assert path.stem not in {"utils", "helpers", "common", "base", "manager"}
