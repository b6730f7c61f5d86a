"""Commands that need no chain and no database import none: looked at in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.test_gateway_key import FACTS
from tests.meters import EXAMPLE

ROOT = Path(__file__).parents[2]
CHAIN = {"web3", "eth_tester", "eth", "eth_account", "eth_abi", "hexbytes"}
SLOW = {
    "alembic",
    "fastapi",
    "jinja2",
    "limits",
    "matplotlib",
    "ocpp",
    "psycopg",
    "solcx",
    "starlette",
    "uvicorn",
}
STORE = {"sqlalchemy", "sqlmodel", "numpy"}
PROGRAM = """
import json, sys
from api.cli.app import run
code = run(sys.argv[1:])
print(file=sys.stderr)
print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]), file=sys.stderr)
"""
PROBLEM = (
    '{"tariff": {"grid_import_per_kwh": 300000, "grid_export_per_kwh": 80000,'
    ' "local_fee_per_kwh": 20000}, "flows": []}'
)


def imported_by(place: Path, *words: object) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        cwd=place,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(place)},
        input=PROBLEM,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    return code, set(names)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--help",), 0),
        ((), 2),
        (("demo", "--help"), 0),
        (("settle", "--help"), 0),
        (("charge", "--help"), 0),
        (("gateway", "--help"), 0),
        (("serve", "--help"), 0),
        (("clear",), 0),
        (("demo", "--days", "0"), 2),
    ],
)
def test_help_and_clear_import_neither_chain_nor_store(
    words: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    found_code, found = imported_by(tmp_path, *words)
    assert found_code == code
    assert not found & (CHAIN | SLOW | STORE)


def test_verify_without_a_chain_imports_no_chain_and_no_store(tmp_path: Path) -> None:
    golden = ROOT / "tests/golden/statement_member.json"
    code, found = imported_by(tmp_path, "verify", golden)
    assert code == 1  # It was compared with nothing.
    assert not found & (CHAIN | SLOW | {"sqlalchemy", "sqlmodel"})


def test_a_gateway_imports_neither_chain_nor_database(tmp_path: Path) -> None:
    key = tmp_path / "meter-key.json"
    key.touch(mode=0o600)
    key.write_text(json.dumps(FACTS | {"service": "http://127.0.0.1:9"}))
    code, found = imported_by(
        tmp_path, "gateway", "--key", key, "--read", "dsmr", "--from", EXAMPLE, "--once"
    )
    assert code == 1  # Nobody is at that address; the reading is kept.
    assert "dsmr_parser" in found
    assert not found & (CHAIN | SLOW | STORE)
    assert (tmp_path / "gateway.sqlite").exists()


def test_importing_every_module_opens_no_chain_and_no_compiler(tmp_path: Path) -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("api", "ledger", "metering", "charging", "contracts")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts and path.name != "evm.py"
    ]
    assert len(names) > 80
    program = (
        "import importlib, json, sys\n"
        "for name in json.load(sys.stdin): importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert not set(json.loads(done.stdout)) & {"web3", "eth_tester", "eth", "solcx", "matplotlib"}
    assert list(tmp_path.iterdir()) == []
