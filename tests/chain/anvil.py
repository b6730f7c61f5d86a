"""A real node for tests: anvil, from npm's package or wherever PATH has it."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.chain.errors import ChainUnavailable
from ledger.chain.rpc import RpcChain
from ledger.chain.wallet import Wallet

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
CHAIN_ID = 31_337
START_S = 20
# The first of anvil's well-known accounts, which has ether from the beginning.
RICH = Wallet(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextmanager
def anvil(port: int, *options: str, chain_id: int = CHAIN_ID) -> Iterator[subprocess.Popen[bytes]]:
    """Runs anvil until the block ends; skips the test where there is none."""
    program = str(PACKAGE) if PACKAGE.exists() else shutil.which("anvil")
    if program is None:
        pytest.skip("anvil is not installed: `npm ci` brings it")
    arguments = ["--hardfork", "prague", "--silent", "--chain-id", str(chain_id)]
    process = subprocess.Popen([program, "--port", str(port), *arguments, *options])
    try:
        _wait_for(port)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    ends_at = time.monotonic() + START_S
    while True:
        try:
            RpcChain.connect(url_of(port)).close()
        except ChainUnavailable:
            assert time.monotonic() < ends_at, "anvil does not answer"
            time.sleep(0.05)
        else:
            return
