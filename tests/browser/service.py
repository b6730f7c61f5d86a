"""`wattledger serve` over a demo with homes and charges, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.registers import ROOT

DAYS = 3
STOPS_WITHIN_S = 20
PROGRAM = "import sys; from api.cli.app import run; sys.exit(run(sys.argv[1:]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running service."""

    url: str
    home: Path  # Its data directory, this service's alone.
    log: Path


def make_demo(home: Path) -> None:
    """The demo that the services of all tests start from."""
    words = ["demo", "--days", str(DAYS), "--data-dir", str(home), "--json"]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=_environment(),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@contextmanager
def serving(home: Path, *words: str, program: str = PROGRAM) -> Iterator[Served]:
    """A service at a free port until the block ends.

    Args:
        words: more options of `serve`.
    """
    log = home.parent / f"{home.name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "serve", "--port", "0", "--json", *words],
            env=_environment() | {"WATTLEDGER_DATA_DIR": str(home)},
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield Served(url=json.loads(line)["url"], home=home, log=log)
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATTLEDGER_")}
    return kept | {"PYTHONPATH": str(ROOT)}
