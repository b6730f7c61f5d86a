"""Importing any module opens no file to write, no socket, no database and no chain."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "ledger", "metering", "charging", "api")
HEAVY = ("web3", "eth_tester", "eth_account", "eth", "alembic", "solcx", "matplotlib")
# ledger/chain/evm.py is py-evm's door, opened when a chain is; migrations are alembic's own.
OPENED_LATER = ("ledger.chain.evm", "api.migrations")

PROGRAM = """
import importlib, json, os, sys

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT
    )
    if writes or event in ("socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen"):
        done.append(f"{event} {arguments[0]!r}")

done = []
sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
heavy = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
print(json.dumps({"done": done, "heavy": heavy}))
"""


def module_names() -> list[str]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.startswith(OPENED_LATER)]


def test_importing_every_module_does_nothing_and_loads_nothing_heavy() -> None:
    names = module_names()
    assert len(names) > 60
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(names), json.dumps(HEAVY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {"done": [], "heavy": []}
