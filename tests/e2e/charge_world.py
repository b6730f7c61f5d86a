"""A served community that can be killed and started again, its chargers, and `charge` as typed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from api.config import config_of
from api.jobs.create import create_community
from ledger.chain import settlement_token
from ledger.chain.wallet import new_wallet, save_keystore
from tests.api.community_worlds import quiet
from tests.e2e.registers import ROOT
from tests.ports import free_port

PROGRAM = "import sys; from api.cli.app import run; sys.exit(run(sys.argv[1:]))"
WITHIN_S = 60
WALLET_MICRO = 200_000_000
DEPOSIT_MICRO = 20_000_000
PASSWORD = "secret-password"
WALLET_PASSWORD = "correct horse"
POWER_W = 100_000  # So that seconds are enough for energy that one can see.


@dataclass
class Program:
    """A command that runs as a process of its own."""

    process: subprocess.Popen[str]
    log: Path

    @property
    def printed(self) -> str:
        """Everything so far, both streams."""
        return self.log.read_text(encoding="utf-8")

    def until(self, words: str, *, after: int = 0) -> None:
        """Waits until it has printed something, behind so many characters."""
        wait_for(
            lambda: words in self.printed[after:],
            lambda: f"{words!r} is not in:\n{self.printed}",
        )

    def until_energy(self, *, after: int = 0) -> None:
        """Waits until a driver has seen that the car takes energy."""
        wait_for(
            lambda: (
                re.search(r"^0\.(?!000)\d{3} kWh", self.printed[after:], re.MULTILINE) is not None
            ),
            lambda: f"no energy in:\n{self.printed}",
        )

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Waits for it; its exit code."""
        try:
            return self.process.wait(timeout=WITHIN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.printed) from None


@dataclass
class Town:
    """A community's data directory, its address, and what runs."""

    home: Path
    port: int
    wallet_file: Path
    running: list[Program] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the service is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *words: object, **environment: str) -> Program:
        """Runs a command."""
        log = self.home.parent / f"{len(self.running)}.log"
        with log.open("w", encoding="utf-8") as stream:
            program = Program(
                process=_process(words, self.home.parent, stream, environment), log=log
            )
        self.running.append(program)
        return program

    def serve(self) -> Program:
        """Starts the service, and waits until it can be asked."""
        program = self.start("serve", "--port", self.port, "--data-dir", self.home)
        program.until("is served at")
        return program

    def charger(self, *words: object) -> Program:
        """Starts a charge point with a car."""
        program = self.start(
            *("simulate-charger", "--id", "CP1", "--url", self.url.replace("http", "ws")),
            *("--password", PASSWORD, "--power-w", POWER_W, *words),
        )
        program.until("connected")
        return program

    def charge(self, *words: object, deposit: str = "20.00") -> Program:
        """Starts `charge` with the driver's key file."""
        return self.start(
            *("charge", "--url", self.url, "--charger", "CP1", "--deposit", deposit),
            *("--wallet", self.wallet_file, "--yes", *words),
            WATTLEDGER_WALLET_PASSWORD=WALLET_PASSWORD,
        )

    def run(self, *words: object) -> tuple[int, str, str]:
        """Runs a command to its end: code, output, complaints."""
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, words)],
            cwd=self.home.parent,
            env=_environment(WATTLEDGER_WALLET_PASSWORD=WALLET_PASSWORD),
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )
        return ended.returncode, ended.stdout, ended.stderr


def wait_for(holds: Callable[[], bool], why: Callable[[], str]) -> None:
    """Waits until something holds."""
    ends_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < ends_s, why()
        time.sleep(0.05)


@contextmanager
def town(place: Path, **charger: Any) -> Iterator[Town]:
    """A community with one charge point, served; everything that runs is ended with it."""
    home, wallet = place / "data", new_wallet()
    community = create_community(home, config_of(_document(charger), "test"), progress=quiet)
    try:
        data = settlement_token.mint(wallet.address, WALLET_MICRO)
        to = community.contracts.token
        community.execute([community.intent("mint:driver", data, to=to, role="owner")])
    finally:
        community.close()
    wallet_file = place / "wallet.json"
    save_keystore(wallet, wallet_file, WALLET_PASSWORD, work=2)
    found = Town(home=home, port=free_port(), wallet_file=wallet_file)
    try:
        found.serve()
        yield found
    finally:
        for program in reversed(found.running):
            program.process.kill()
            program.process.wait()
    for program in found.running:
        assert "Traceback" not in program.printed, program.printed


def receipt_of(town_: Town, name: str = "receipt.json") -> Mapping[str, Any]:
    """A receipt that was written."""
    document = json.loads((town_.home.parent / name).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def _document(charger: Mapping[str, Any]) -> dict[str, Any]:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "market": {
            "first_period_start": midnight + timedelta(days=1),
            "window_s": 3_600,
            "period_windows": 24,
            "debit_max_wh": 10_000_000,
        },
        "supplier": {"name": "Supplier", "deposit_micro": DEPOSIT_MICRO},
        "accounts": [{"name": "Host", "deposit_micro": DEPOSIT_MICRO}],
        "chargers": [
            {
                "id": "CP1",
                "host": 2,
                "power_w": POWER_W,
                "password": PASSWORD,
                "tariff": {"energy_per_kwh": 390_000, "start_fee": 350_000},
                "vat_bps": 1_900,
                "interval_s": 1,
                "place": {"name": "Lindenhof", "address": "Main Street 5"},
                **charger,
            }
        ],
    }


def _process(
    words: Sequence[object], place: Path, log: IO[str], environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, *map(str, words)],
        cwd=place,
        env=_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        text=True,
    )


def _environment(**more: str) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("WATTLEDGER_")}
    return {**own, "PYTHONPATH": str(ROOT), **more}
