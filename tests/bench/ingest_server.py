"""`wattledger serve` for the bench: `python -m tests.bench.ingest_server WORKER_MODULE WORDS …`."""

import sys

from api.cli.app import run
from api.jobs.taking import crew


def main(worker_module: str, words: list[str]) -> int:
    """Serves; the workers are those of this module."""
    crew.MODULE = worker_module  # type: ignore[misc]
    return run(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
