"""Charge points to play with at a served demo: `wattledger simulate-charger`, one process each."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.browser.service import PROGRAM, Served
from tests.e2e.registers import ROOT

READY_WITHIN_S = 40
INTERVAL_S = 1


@contextmanager
def charge_point(service: Served, charge_point_id: str, *words: str) -> Iterator[str]:
    """A charge point with a car at its cable, until the block ends; its id.

    Args:
        words: more options of `simulate-charger`.
    """
    log = service.home.parent / f"{charge_point_id}.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", PROGRAM, "simulate-charger", "--id", charge_point_id),
                *("--url", service.url.replace("http", "ws"), "--interval-s", str(INTERVAL_S)),
                *("--power-w", "7400", *words),
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "WATTLEDGER_DATA_DIR": str(service.home),
            },
            cwd=service.home,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            yield charge_point_id
        finally:
            process.terminate()
            process.wait(timeout=20)


def until_usable(service: Served, charge_point_id: str) -> None:
    """Waits until drivers can charge there."""
    ends_at = time.monotonic() + READY_WITHIN_S
    while not _is_usable(fetch(service, f"/v1/chargers/{charge_point_id}")):
        assert time.monotonic() < ends_at, f"{charge_point_id} is not free"
        time.sleep(0.1)


def _is_usable(point: dict[str, Any]) -> bool:
    (connector,) = point["connectors"]
    states = {"available", "preparing", "occupied"}
    return point["state"] == "online" and not connector["busy"] and connector["state"] in states


def fetch(service: Served, path: str) -> Any:
    """What the service says to everybody."""
    answer = httpx2.get(service.url + path)
    assert answer.status_code == 200, answer.text
    return answer.json()
