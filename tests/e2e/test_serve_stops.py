"""`serve` stops within a few seconds of being asked, whatever it is doing, and goes on later."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from api.config import config_of
from api.jobs.create import create_community
from api.jobs.intake import import_registers
from ledger.chain.embedded import EmbeddedChain
from ledger.units import to_unix_s
from tests.api.community_worlds import document, quiet
from tests.chain.endpoint import endpoint
from tests.e2e.charging_service import CHAIN_ID
from tests.e2e.registers import home, write
from tests.e2e.test_replay import Served, serving, until

WITHIN_S = 12.0  # On a busy machine; four on a calm one.
PERIODS, HOUR_S = 60, 3_600


@pytest.fixture(scope="module")
def long_away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A community whose service was off for days of hourly periods."""
    place = tmp_path_factory.mktemp("away")
    config = document(
        ["a", "b"],
        market={"period_windows": 1, "dispute_period_s": 0, "finalize_within_s": 0},
        chain={},
    )
    now_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    first_at = now_at - timedelta(hours=PERIODS)
    config["market"]["first_period_start"] = first_at
    community = create_community(place / "data", config_of(config, "test"), progress=quiet)
    try:
        lines = [
            line
            for label in ("a", "b")
            for line in home(label, start_s=to_unix_s(first_at), step_s=HOUR_S, count=PERIODS + 1)
        ]
        assert import_registers(community, write(place / "r.csv", lines)).accepted == len(lines)
    finally:
        community.close()
    return place / "data"


def settled(served: Served) -> int:
    """How many periods are final."""
    market = served.ask("/v1/market")
    first_at, next_at = (
        datetime.fromisoformat(market[name]) for name in ("first_period_start", "next_period_start")
    )
    return (next_at - first_at) // timedelta(hours=1)


def test_it_stops_in_the_middle_of_catching_up_and_goes_on_later(
    long_away: Path, tmp_path: Path
) -> None:
    place = Path(shutil.copytree(long_away, tmp_path / "data"))
    with serving(place) as served:
        until(lambda: settled(served) > 2)
        answers_s = []
        for _ in range(5):
            began_s = time.monotonic()
            assert served.ask("/v1/market")["accounts"] == 4
            answers_s.append(time.monotonic() - began_s)
        assert min(answers_s) < 2
        assert served.stop() < WITHIN_S
    with serving(place) as served:
        assert settled(served) < PERIODS
        until(lambda: settled(served) >= PERIODS)
        assert served.stop() < WITHIN_S


def test_it_stops_though_somebody_listens_to_events_without_end(
    long_away: Path, tmp_path: Path
) -> None:
    place = Path(shutil.copytree(long_away, tmp_path / "data"))
    with serving(place) as served, httpx2.Client(timeout=30) as client:
        heard = threading.Event()

        def listen() -> None:
            with (
                suppress(httpx2.TransportError),
                client.stream("GET", served.url + "/v1/events") as answer,
            ):
                for _ in answer.iter_raw():
                    heard.set()

        listener = threading.Thread(target=listen)
        listener.start()
        assert heard.wait(30)
        assert served.stop() < WITHIN_S
        listener.join()


def test_it_stops_though_its_node_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "chain").mkdir()
    open_gate = threading.Event()
    open_gate.set()
    with (
        EmbeddedChain.open(
            tmp_path / "chain", chain_id=CHAIN_ID, genesis_at=datetime(2026, 1, 1, tzinfo=UTC)
        ) as chain,
        endpoint(chain, hold=open_gate.wait) as node,
        ThreadPoolExecutor() as visitors,
    ):
        config = document(["a"], chain={"rpc": node, "chain_id": CHAIN_ID})
        create_community(tmp_path / "data", config_of(config, "test"), progress=quiet).close()
        with serving(tmp_path / "data", may_complain=True) as served:
            assert served.ask("/v1/market")["accounts"] == 3
            open_gate.clear()
            for _ in range(3):
                visitors.submit(lambda: _tolerantly(served.url + "/v1/market"))
            time.sleep(2)
            try:
                assert served.stop() < WITHIN_S
            finally:
                open_gate.set()
        assert "is cut off" in (tmp_path / "data.log").read_text()
        with serving(tmp_path / "data", may_complain=True) as served:
            assert served.ask("/v1/market")["accounts"] == 3
            assert served.stop() < WITHIN_S


def _tolerantly(url: str) -> None:
    with suppress(httpx2.TransportError):
        httpx2.get(url, timeout=60)
