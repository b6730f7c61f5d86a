"""Starts charge points of other people's making: npm's `ocpp-ts` (1.6) and `ocpp-rpc` (2.0.1)."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).parents[2]
CLIENTS = Path(__file__).with_name("clients")
SCRIPTS = {"1.6": "station_1_6.cjs", "2.0.1": "station_2_0_1.cjs"}
PACKAGES = {"1.6": "ocpp-ts", "2.0.1": "ocpp-rpc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A charge point that runs as a process of its own and says in lines what it does."""

    process: "subprocess.Popen[str]"

    def until(self, event: str) -> dict[str, Any]:
        """The next line about this event; the test fails if the client ends without it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told: dict[str, Any] = json.loads(line)
            if told["event"] == event:
                return told
        pytest.fail(f"the client ended before {event}: {self._complaint()}")

    def finish(self) -> None:
        """Waits until it has ended, without complaint."""
        assert self.process.wait(timeout=30) == 0, self._complaint()

    def _complaint(self) -> str:
        stream: IO[str] | None = self.process.stderr
        return stream.read() if stream else ""


def require_node(version: str) -> None:
    """Skips, with the reason, where the client for this version cannot run."""
    package = PACKAGES[version]
    if shutil.which("node") is None:
        pytest.skip(f"node is not on the path: no independent OCPP {version} client was run")
    if _modules(package) is None:
        pytest.skip(f"{package} is not installed (npm ci): no OCPP {version} client was run")


@contextmanager
def client(
    version: str, url: str, charge_point_id: str, password: str, **options: object
) -> Iterator[Client]:
    """A charge point in a process; `options` as in `clients/charge.cjs`."""
    require_node(version)
    arguments = [url, charge_point_id, password, json.dumps(options)]
    process = subprocess.Popen(
        ["node", str(CLIENTS / SCRIPTS[version]), *arguments],
        env=_environment(PACKAGES[version]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Client(process=process)
    finally:
        process.kill()
        process.communicate()


def _modules(package: str) -> str | None:
    places = [ROOT / "node_modules", *map(Path, os.environ.get("NODE_PATH", "").split(os.pathsep))]
    found = (place for place in places if (place / package / "package.json").is_file())
    return next(map(str, found), None)


def _environment(package: str) -> Mapping[str, str]:
    return {**os.environ, "NODE_PATH": _modules(package) or ""}
