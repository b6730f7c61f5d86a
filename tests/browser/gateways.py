"""What a person does with the key file that a page gave them: `wattledger gateway`."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.browser.service import PROGRAM
from tests.e2e.registers import ROOT
from tests.meters import p1_of


def sent_by_gateway(key_file: Path) -> dict[str, Any]:
    """Reads one telegram of a meter with that key; what came of it. The file says where it goes."""
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "meter-key.json"
        key.touch(mode=0o600)
        key.write_bytes(key_file.read_bytes())
        telegram = Path(folder) / "telegram.txt"
        telegram.write_bytes(p1_of(datetime.now(UTC).replace(microsecond=0), 4_812_345, 1_002_210))
        words = ["gateway", "--key", key, "--read", "dsmr", "--from", telegram, "--once", "--json"]
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert key_file.read_text().count("0x") == 4, "key, secret, meter and registry"
        summary: dict[str, Any] = json.loads(ran.stdout)
        return summary
