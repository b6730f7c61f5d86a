"""What a log may say: marks in place of what belongs to people, and the traceback of a fault."""

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.logs import LogFormat, default_format, formatter_of, scrubbed, write_logs

ROOT = Path(__file__).parents[2]
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
SESSION_ID = "0x" + "3f" * 32
SIGNATURE = "0x" + "1c" * 65
TOKEN = "q7Zs0Jk3n-FzV1m_1rD8W0o2uYcXbT5hQGqL9eRpA4s"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a logger writes as JSON."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter_of(LogFormat.JSON))
    logger = logging.getLogger("wattledger.test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield written
    logger.removeHandler(handler)
    logger.propagate = True


@pytest.mark.parametrize(
    "secret",
    [
        ADDRESS,
        ADDRESS.lower(),
        ADDRESS[2:],
        SESSION_ID,
        SESSION_ID[2:],
        SIGNATURE,
        f"\\x{'ab' * 20}",  # As PostgreSQL shows bytes.
        TOKEN,
        "anna@example.org",
        "203.0.113.9",
    ],
)
@pytest.mark.parametrize("around", ["{}", "driver={},", "'{}'", "({}: no)", "Bearer {} end", "{}."])
def test_what_belongs_to_somebody_is_never_written(secret: str, around: str) -> None:
    written = scrubbed(around.format(secret))
    assert secret not in written
    assert secret[4:] not in written


def test_a_nodes_url_keeps_its_host_alone() -> None:
    url = "https://user:pa55@node.example:8545/v3/9aa3d95b3bc440fa?key=1"
    assert scrubbed(f"no answer from {url}, twice") == (
        "no answer from https://node.example:8545/, twice"
    )


@pytest.mark.parametrize(
    "harmless",
    [
        "settled period 2016-06-01T00:00:00Z run 1",
        "chain_unavailable: rule=the chain does not show its first block",
        "CP-0042/1: connected anew",
        "test_a_long_name_of_a_function_with_words_and_1_number",
        "needed_nano=203600000000, available_nano=18",
        "api/jobs/charging/attendant.py, line 211",
    ],
)
def test_what_helps_to_find_a_fault_is_left(harmless: str) -> None:
    assert scrubbed(harmless) == harmless


def test_the_same_value_has_the_same_mark_and_another_one_another() -> None:
    first, again, other = (scrubbed(value) for value in (ADDRESS, ADDRESS.lower()[2:], SESSION_ID))
    assert first == again != other


def test_a_line_is_one_json_object_with_its_facts(lines: io.StringIO) -> None:
    logging.getLogger("wattledger.test").info(
        "paid %s", ADDRESS, extra={"status": 200, "to": TOKEN}
    )
    (line,) = lines.getvalue().splitlines()
    found = json.loads(line)
    assert (found["level"], found["logger"], found["status"]) == ("info", "wattledger.test", 200)
    assert found["event"].startswith("paid #")
    assert found["to"].startswith("#")
    assert found["timestamp"].endswith("Z")


def test_a_fault_leaves_its_traceback_and_no_values_of_variables(lines: io.StringIO) -> None:
    private_key = "d7" * 32
    try:
        int(private_key + "!")
    except ValueError:
        logging.getLogger("wattledger.test").exception("failed")
    (line,) = lines.getvalue().splitlines()
    found = json.loads(line)
    assert "Traceback" in found["exception"]
    assert "test_logs.py" in found["exception"]
    assert "ValueError: invalid literal" in found["exception"]
    assert private_key not in line


PROGRAM = """
import logging, sys, threading, warnings
from api.logs import LogFormat, write_logs
write_logs(LogFormat(sys.argv[1]))
key = "d7" * 32
def fail(): raise ValueError(key)
thread = threading.Thread(target=fail, name="settling"); thread.start(); thread.join()
logging.getLogger("uvicorn.access").info("203.0.113.9 GET /v1/sessions/1")
logging.getLogger("x").info("said")
"""


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_thread_that_ends_by_a_fault_says_so_in_the_log(log_format: LogFormat) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == ""
    assert "settling ended" in done.stderr
    assert "Traceback" in done.stderr
    assert "said" in done.stderr
    assert "d7d7" not in done.stderr
    assert "/v1/sessions" not in done.stderr
    assert "\x1b" not in done.stderr  # No colours where nobody looks.
    if log_format is LogFormat.JSON:
        assert all(json.loads(line) for line in done.stderr.splitlines())


def test_logs_go_to_standard_error_once(monkeypatch: pytest.MonkeyPatch) -> None:
    root, hook, written = logging.getLogger(), threading.excepthook, io.StringIO()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in ("alembic", "urllib3", "web3")}
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("WATTLEDGER_LOG_FORMAT", "text")
    try:
        write_logs(LogFormat.JSON)
        write_logs(LogFormat.JSON)
        logging.getLogger("wattledger").warning("once")
    finally:
        root.handlers, threading.excepthook = handlers, hook
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
    assert written.getvalue().count("once") == 1
    assert default_format() is LogFormat.JSON  # So do processes that it starts.
