"""A chain in a process of its own, in a time that passes quickly: it can be killed like a node.

python -m tests.e2e.night_chain DIRECTORY PORT START_S BEGAN_NS SPEED
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.chain.embedded import EmbeddedChain
from tests.chain.endpoint import endpoint
from tests.e2e.night_clock import NightClock
from tests.e2e.registers import ROOT

BLOCK_S = 0.25  # Real seconds between two blocks, whether anybody has sent something or not.


def started(directory: Path, port: int, clock: NightClock) -> subprocess.Popen[str]:
    """The process, once it answers."""
    arguments = (directory, port, clock.start_s, clock.began_ns, clock.speed)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.night_chain", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """As a power cut does."""
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@contextmanager
def running(directory: Path, port: int, clock: NightClock) -> Iterator[None]:
    """For as long as the block runs."""
    process = started(directory, port, clock)
    try:
        yield
    finally:
        kill(process)


def main() -> None:
    """The process itself."""
    directory, port = Path(sys.argv[1]), int(sys.argv[2])
    start_s, began_ns, speed = map(int, sys.argv[3:])
    clock = NightClock(start_s=start_s, began_ns=began_ns, speed=speed)
    with EmbeddedChain.open(directory, clock=clock.now) as chain, endpoint(chain, port):
        print("ready", flush=True)
        while True:
            chain.mine()
            time.sleep(BLOCK_S)


if __name__ == "__main__":
    main()
