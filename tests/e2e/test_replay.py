"""A demo that is served goes on living: homes, chargers and drivers, stopped, killed, audited."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.jobs.community import Community, open_community
from api.jobs.demo import run_demo_job
from api.jobs.demo_charging import charging_file
from ledger.chain import settlement_token
from ledger.chain.wallet import Wallet
from ledger.keccak import domain_separator
from tests.api.community_worlds import quiet
from tests.e2e.charging_service import CHAIN_ID, PROGRAM, WALLET_MICRO, Driver
from tests.e2e.command_line import Cli
from tests.e2e.registers import KONSTANZ, ROOT

FAST, HUMAN = 14_400, 600
PATIENCE_S = 240
pytestmark = pytest.mark.timeout(900)
STOP_WITHIN_S = 8
VISITOR = Wallet((9_001).to_bytes(32))


@dataclass
class Served:
    """A demo's directory that is served."""

    home: Path
    url: str
    process: subprocess.Popen[str]

    def ask(self, path: str) -> Any:
        answer = httpx2.get(self.url + path, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def now(self) -> datetime:
        return datetime.fromisoformat(self.ask("/v1/market")["now"])

    def stop(self) -> float:
        """In order; how long it took."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0
        return time.monotonic() - began_s


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day of the demo, with its chargers; and a visitor has tokens."""
    path = tmp_path_factory.mktemp("replay") / "demo"
    result = run_demo_job(KONSTANZ, path, days=1, progress=quiet, charging=charging_file())
    community = result.community
    try:
        data = settlement_token.mint(VISITOR.address, WALLET_MICRO)
        to = community.contracts.token
        community.execute([community.intent("mint:visitor", data, to=to, role="owner")])
    finally:
        community.close()
    return path


@pytest.fixture
def home(street: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(street, tmp_path / "home"))


@contextmanager
def serving(home: Path, *words: object, may_complain: bool = False) -> Iterator[Served]:
    """`wattledger serve` as typed; it meets nothing unforeseen, unless it may."""
    with home.with_suffix(".log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "serve", "--port", "0", "--json", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "WATTLEDGER_DATA_DIR": str(home)},
            cwd=home.parent,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, home.with_suffix(".log").read_text()
        yield Served(home=home, url=json.loads(line)["url"], process=process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert may_complain or "Traceback" not in home.with_suffix(".log").read_text()


def until(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.2)


def told(community: Community) -> dict[str, list[tuple[int, int, int]]]:
    """Everything that each home's meter has said."""
    at = community.config.market.first_period_start
    labels = {each.meter_id: each.label for each in community.readings.meters()}
    series = community.readings.series(labels, from_at=at, until_at=at + timedelta(days=400))
    return {
        label: list(zip(own.taken_s, own.import_wh, own.export_wh, strict=True))
        for meter_id, own in series.items()
        if (label := labels[meter_id]) is not None and label.startswith("DE_KN")
    }


def test_a_demo_lives_on_is_audited_meanwhile_and_goes_on_after_a_kill(
    home: Path, cli: Cli
) -> None:
    with open_community(home, read_only=True) as community:
        first = told(community)
    with serving(home, "--replay", "--speed", FAST) as served:
        began_at = served.now()
        next_at = served.ask("/v1/market")["next_period_start"]
        until(lambda: served.ask("/v1/market")["next_period_start"] > next_at)
        audited = cli("audit", "--data-dir", home)
        assert audited.code == 0, audited.out
        assert served.ask("/readyz")["problems"] == []
        killed_at = served.now()
        assert killed_at > began_at
    with serving(home, "--replay", "--speed", FAST) as served:
        assert served.now() >= killed_at
        next_at = served.ask("/v1/market")["next_period_start"]
        until(lambda: served.ask("/v1/market")["next_period_start"] > next_at)
        assert served.stop() < STOP_WITHIN_S
    with open_community(home, read_only=True) as community:
        last = told(community)
    for label, rows in last.items():
        assert rows[: len(first[label])] == first[label]
        assert len(rows) > len(first[label]) + 24
        assert all(
            earlier[1] <= later[1] and earlier[2] <= later[2] for earlier, later in pairwise(rows)
        )
    audited = cli("audit", "--data-dir", home)
    assert audited.code == 0, audited.out


def test_a_visitor_charges_at_a_simulated_charger(home: Path, cli: Cli) -> None:
    with open_community(home, read_only=True) as community:
        contracts = community.contracts
        token = settlement_token.TokenReader(community.chain, contracts.token)
        driver = Driver(
            url="",
            wallet=VISITOR,
            escrow_separator=domain_separator(CHAIN_ID, contracts.escrow),
            token_separator=token.domain_separator(),
            escrow=contracts.escrow,
        )
    with serving(home, "--replay", "--speed", HUMAN) as served:
        driver.url = served.url
        driver.sign_in()

        def free() -> list[str]:
            points = served.ask("/v1/chargers")["items"]
            return [each["id"] for each in points if each["connectors"][0]["state"] == "available"]

        until(lambda: bool(free()))
        session_id = driver.order(free()[0])
        driver.until(session_id, "charging")
        until(lambda: driver.session(session_id)["energy_wh"] > 1_000)
        driver.stop(session_id)
        closed = driver.until(session_id, "closed")
        assert closed["energy_wh"] > 1_000
        assert int(closed["paid_micro"]) + int(closed["refunded_micro"]) == 20_000_000
        assert served.stop() < STOP_WITHIN_S
    audited = cli("audit", "--data-dir", home)
    assert audited.code == 0, audited.out


def test_only_a_demo_is_replayed(demo_home: Path, tmp_path: Path, cli: Cli) -> None:
    copy = Path(shutil.copytree(demo_home, tmp_path / "copy"))
    mark = copy / "wattledger.json"
    mark.write_text(mark.read_text().replace('"demo"', '"init"'))
    refused = cli("serve", "--replay", "--port", "0", "--data-dir", copy)
    assert (refused.code, "--replay" in refused.err) == (1, True)
