"""What is made once for a whole test run, and read by all of its workers."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The path that `make` fills: by the first worker that comes, and nobody may change it."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            unfinished = shared / f"{name}-unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)  # Of a worker that failed.
            make(unfinished)
            unfinished.rename(made)
    return made
