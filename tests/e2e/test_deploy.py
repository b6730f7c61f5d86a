"""The systemd unit and the container file: what they name exists, what they run is understood."""

import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import Cli
from tests.e2e.registers import ROOT
from tests.e2e.test_serve import ended, serving

UNIT = ROOT / ".deploy/wattledger.service"
GATEWAY_UNIT = ROOT / ".deploy/wattledger-gateway.service"
CONTAINER = ROOT / ".deploy/Containerfile"
IGNORED = ROOT / ".deploy/Containerfile.dockerignore"
PROGRAM = "/opt/wattledger/bin/wattledger"
EXPOSURE_MAX = 20  # In tenths; systemd calls up to 20 "OK" and 96 "unsafe".


class OnceOrMore(dict[str, Any]):
    """Keeps what a unit says twice."""

    def __setitem__(self, name: str, value: Any) -> None:
        before = self.get(name)
        is_list = isinstance(value, list) and isinstance(before, list)
        super().__setitem__(name, [*before, *value] if is_list else value)


def read_unit(path: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False, dict_type=OnceOrMore, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser


@pytest.fixture(scope="module")
def unit() -> RawConfigParser:
    return read_unit(UNIT)


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Instructions of the container file."""
    text = re.sub(r"\\\n\s*", "", CONTAINER.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def words_of(steps: list[tuple[str, str]], instruction: str) -> list[str]:
    """The words of an instruction in its list form."""
    [found] = [rest for name, rest in steps if name == instruction]
    return re.findall(r'"((?:[^"\\]|\\.)*)"', found[found.index("[") :])


# systemd.


@pytest.mark.parametrize("path", [UNIT, GATEWAY_UNIT], ids=lambda path: path.stem)
def test_systemd_finds_nothing_wrong_with_the_unit(path: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    program = tmp_path / "wattledger"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / path.name
    copy.write_text(path.read_text().replace(PROGRAM, str(program)))
    verified = subprocess.run(
        [analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    rated = subprocess.run(
        [analyze, "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", "--no-pager", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-400:]


def test_the_units_command_is_understood(unit: RawConfigParser, cli: Cli) -> None:
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program == PROGRAM
    assert words[0] == "serve"
    assert cli(*words, "--help").code == 0
    assert cli(*words, "--no-such-option", "--help").code == 2


def test_the_gateways_unit_keeps_key_and_queue_where_nobody_else_reads(cli: Cli) -> None:
    service = read_unit(GATEWAY_UNIT)["Service"]
    program, command, *words = shlex.split(service["ExecStart"])
    assert (program, command, words.pop()) == (PROGRAM, "gateway", "$GATEWAY_OPTIONS")
    assert words[:4] == [
        *("--key", "${CREDENTIALS_DIRECTORY}/meter-key.json"),
        *("--queue", "${STATE_DIRECTORY}/gateway.sqlite"),
    ]
    assert service["LoadCredential"].startswith("meter-key.json:")
    assert (service["StateDirectoryMode"], service["UMask"]) == ("0700", "0077")
    (default,) = shlex.split(service["Environment"])
    others = re.findall(r"^#   GATEWAY_OPTIONS=(.*)$", GATEWAY_UNIT.read_text(), re.MULTILINE)
    assert len(others) == 1
    for options in (default.removeprefix("GATEWAY_OPTIONS="), *others):
        assert cli(command, *words, *options.split(), "--help").code == 0
        assert cli(command, *words, *options.split(), "--no-such-option").code == 2


def test_the_unit_gives_the_service_as_little_as_it_needs(unit: RawConfigParser) -> None:
    service = unit["Service"]
    for name, value in {
        "Type": "notify",
        "DynamicUser": "yes",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "StateDirectory": "wattledger",
        "StateDirectoryMode": "0700",
        "UMask": "0077",
        "CapabilityBoundingSet": "",
    }.items():
        assert service[name] == value, name
    credential, _, path = service["LoadCredential"].partition(":")
    assert (credential, path) == ("wattledger-keystore", "/etc/wattledger/keystore-password")
    assert "password" not in service["Environment"].lower()


def test_a_community_is_made_as_the_unit_says(cli: Cli) -> None:
    text = " ".join(line.strip("# \\\n") for line in UNIT.read_text().splitlines())
    [words] = re.findall(r"bin/wattledger (init [^']*)'", text)
    assert cli(*shlex.split(words), "--help").code == 0


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_systemd_hears_when_the_service_is_ready_and_when_it_stops(
    demo_copy: Path, manager: socket.socket
) -> None:
    with serving(demo_copy) as (process, url):
        assert manager.recv(100) == b"READY=1"
        healthy = subprocess.run(
            health_check(url), capture_output=True, text=True, check=False, timeout=60
        )
        assert healthy.returncode == 0, healthy.stderr
        code, _, _ = ended(process, signal.SIGTERM)
    assert code == 0
    assert manager.recv(100) == b"STOPPING=1"
    gone = subprocess.run(health_check(url), capture_output=True, check=False, timeout=60)
    assert gone.returncode != 0


# The container.


def health_check(url: str) -> list[str]:
    text = re.sub(r"\\\n\s*", "", CONTAINER.read_text(encoding="utf-8"))
    [rest] = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", text, re.MULTILINE)
    program, option, code = re.findall(r'"([^"]*)"', rest)
    assert (program, option) == ("python", "-c")
    assert "http://127.0.0.1:8000/readyz" in code
    return [sys.executable, option, code.replace("http://127.0.0.1:8000", url)]


def test_what_the_container_copies_is_here_and_is_not_kept_from_its_builder(
    steps: list[tuple[str, str]],
) -> None:
    allowed = {line[1:] for line in IGNORED.read_text().splitlines() if line.startswith("!")}
    copied = [rest for name, rest in steps if name == "COPY" and not rest.startswith("--from")]
    assert len(copied) >= 6
    for rest in copied:
        for source in rest.split(" ")[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, source
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= {rest.split(" ")[0] for rest in copied}
    assert all((ROOT / name).exists() for name in allowed)


def test_the_container_runs_as_nobody_and_understands_its_command(
    steps: list[tuple[str, str]], cli: Cli
) -> None:
    entry, words = words_of(steps, "ENTRYPOINT"), words_of(steps, "CMD")
    assert entry == ["wattledger"]
    assert cli(*words, "--help").code == 0
    [user] = [rest for name, rest in steps if name == "USER"]
    assert user == "10001:10001"
    [volume] = [rest for name, rest in steps if name == "VOLUME"]
    environment = " ".join(rest for name, rest in steps if name == "ENV")
    assert f"WATTLEDGER_DATA_DIR={volume}/" in environment
    assert steps.index(("USER", user)) > max(
        place for place, (name, _) in enumerate(steps) if name in {"RUN", "COPY"}
    )


def test_the_container_installs_what_is_locked_with_hashes(
    steps: list[tuple[str, str]],
) -> None:
    [locked] = [rest for name, rest in steps if name == "RUN" and "--require-hashes" in rest]
    assert "-r .requirements/${REQUIREMENTS}" in locked
    [default] = [rest for name, rest in steps if name == "ARG"]
    assert default == "REQUIREMENTS=run.txt"
    names = {
        file: set(
            re.findall(
                r"^([a-z0-9_.-]+)==", (ROOT / ".requirements" / file).read_text(), re.MULTILINE
            )
        )
        for file in ("run.txt", "postgres.txt")
    }
    assert names["postgres.txt"] - names["run.txt"] == {"psycopg", "psycopg-binary"}
    assert "setuptools" in names["run.txt"]  # --no-build-isolation takes it from there.
