"""Runs `wattledger` in this process, and copies of one small demo, made once for the test run."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api import keystore
from api.cli.app import run
from api.jobs.demo import run_demo_job
from tests.e2e.registers import KONSTANZ
from tests.once import made_once

DAYS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object and nothing else."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


Cli = Callable[..., Ran]


def is_ours(variable: str) -> bool:
    """Whether a variable of the environment is a setting of the program."""
    return variable.startswith("WATTLEDGER_")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Runs a command in an empty directory with no settings of the machine's."""
    clean = tmp_path / "elsewhere"
    clean.mkdir()
    monkeypatch.chdir(clean)
    for name in filter(is_ours, list(os.environ)):
        monkeypatch.delenv(name)
    # A real keystore takes half a second to open: tests/unit/test_keystore.py waits for it.
    monkeypatch.setattr(keystore, "SCRYPT_N", 2)

    def call(*words: object) -> Ran:
        capsys.readouterr()
        code = run([str(word) for word in words])
        printed = capsys.readouterr()
        return Ran(code=code, out=printed.out, err=printed.err)

    return call


def make_demo(path: Path) -> None:
    """A demo of two days of the six homes."""
    result = run_demo_job(KONSTANZ, path, days=DAYS, progress=lambda *_: None)
    result.community.close()
    assert result.audit is not None
    assert result.audit.verdict == "ok"


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One demo that all tests read; who changes something takes `demo_copy`."""
    return made_once(tmp_path_factory, "demo", make_demo)


@pytest.fixture
def demo_copy(demo_home: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the demo's data directory, to be changed."""
    copy = tmp_path / "copy"
    shutil.copytree(demo_home, copy)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)
