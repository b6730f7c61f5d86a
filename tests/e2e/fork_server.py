"""A process that has everything imported and forks one child for each command asked of it.

    python -m tests.e2e.fork_server [MODULE …]

Each line on standard input is `{"words": […], "log": FILE, "writes": N, "clock": {…}}`; the answer
is the child's process id and, once it has ended, its exit code (negative: the signal). With
`writes`, the child kills itself with SIGKILL as soon as that many of its changes are durable, in
the database or the chain. With `clock`, the communities that it opens live in that time.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.night_clock import NightClock
from tests.e2e.registers import ROOT

KILLED = -signal.SIGKILL
PRELOADED = ("alembic.command", "api.cli.community", "ledger.chain.evm", "ledger.chain.rpc")


class ForkServer:
    """Runs commands in children of the process below, and kills them as asked."""

    def __init__(
        self,
        place: Path,
        preloaded: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._log = place / "commands.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.fork_server", *preloaded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=place,
            env={**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)},
        )

    def run(
        self,
        *words: object,
        writes: int | None = None,
        kill_after_s: float | None = None,
        once: Callable[[], object] = lambda: None,
        kill_with: int = signal.SIGKILL,
        clock: NightClock | None = None,
    ) -> int:
        """Runs one command, killed as asked, so long after `once` returns; gives its exit code."""
        request = {
            "words": [str(word) for word in words],
            "log": str(self._log),
            "writes": writes,
            "clock": None if clock is None else asdict(clock),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        child = self._answer()
        if kill_after_s is not None:
            once()
            time.sleep(kill_after_s)
            # Reaped already where it was quicker.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, kill_with)
        return self._answer()

    def printed(self) -> str:
        """What all commands have printed."""
        return self._log.read_text(encoding="utf-8")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def fork_server(
    place: Path, *preloaded: str, environment: Mapping[str, str] | None = None
) -> Iterator[ForkServer]:
    """A server for as long as the block runs, with further modules imported."""
    started = ForkServer(place, preloaded, environment)
    try:
        yield started
    finally:
        started.close()


def serve() -> None:
    """The process itself."""
    for name in (*PRELOADED, *sys.argv[1:]):
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(request)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _child(request: dict[str, Any]) -> None:
    from api.cli.app import run  # noqa: PLC0415

    code = 70
    try:
        with Path(request["log"]).open("ab") as log:
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())
        if request["writes"] is not None:
            _Death(request["writes"]).lie_in_wait()
        if request["clock"] is not None:
            NightClock(**request["clock"]).rule(pytest.MonkeyPatch())
        code = run(request["words"])
        sys.stdout.flush()
    finally:
        os._exit(code)


class _Death:
    """Comes right after the n-th durable change; a commit that changed nothing does not count."""

    def __init__(self, writes: int) -> None:
        self._left = writes
        self._changes: dict[int, int] = {}

    def lie_in_wait(self) -> None:
        from sqlalchemy.engine.default import DefaultDialect  # noqa: PLC0415

        from ledger.chain.storage import ChainFile  # noqa: PLC0415

        do_commit: Any = DefaultDialect.do_commit
        flush = ChainFile.flush

        def commit_and_count(dialect: DefaultDialect, connection: Any) -> None:
            do_commit(dialect, connection)
            changes = connection.dbapi_connection.total_changes
            if changes != self._changes.get(id(connection.dbapi_connection), 0):
                self._changes[id(connection.dbapi_connection)] = changes
                self._count()

        def flush_and_count(file: ChainFile, meta: dict[str, int] | None = None) -> None:
            changed = bool(file.pending) or meta is not None
            flush(file, meta)
            if changed:
                self._count()

        vendors = pytest.MonkeyPatch()
        vendors.setattr(DefaultDialect, "do_commit", commit_and_count)
        vendors.setattr(ChainFile, "flush", flush_and_count)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    serve()
