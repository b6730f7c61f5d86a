"""The command line: `wattledger`."""

import sys


def main() -> None:
    """Runs one command; exit 0 on success, 1 for a failed check or bad input, 2 on wrong usage."""
    from api.cli.app import run  # noqa: PLC0415 (imported when it runs, not when it is installed)

    sys.exit(run())
