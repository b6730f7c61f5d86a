"""The committed snapshot of what transactions cost.

Rewrite it after a change that is meant to cost something else:

    WATTLEDGER_REWRITE_GAS=1 python -m pytest -p no:randomly tests/chain/test_*_gas.py
"""

import json
import os
from pathlib import Path

SNAPSHOT = Path(__file__).parent / "gas_snapshot.json"
REWRITE = os.environ.get("WATTLEDGER_REWRITE_GAS") == "1"


def checked(name: str, gas: int) -> int:
    """Compares with the snapshot, or writes it when that is asked for."""
    snapshot = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    if REWRITE:
        SNAPSHOT.write_text(json.dumps(snapshot | {name: gas}, indent=1, sort_keys=True) + "\n")
        return gas
    assert gas == snapshot[name], f"{name} costs {gas} gas, the snapshot says {snapshot[name]}"
    return gas
