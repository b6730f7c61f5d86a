"""`wattledger clear`: a file or standard input in, JSON out."""

import json
import sys
from pathlib import Path

from api.files import storage
from ledger.clearing import clear_document


def run_clear(file: Path | None) -> int:
    """Clears a document; 1 if any problem in it was refused."""
    answer, all_cleared = clear_document(_read(file))
    print(json.dumps(answer))
    if not all_cleared:
        print("wattledger: a problem was refused; see the error in its place", file=sys.stderr)
    return 0 if all_cleared else 1


def _read(file: Path | None) -> str:
    if file is None or str(file) == "-":
        return sys.stdin.buffer.read().decode("utf-8", errors="replace")
    with storage(file):
        return file.read_bytes().decode("utf-8", errors="replace")
