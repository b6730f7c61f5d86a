"""`wattledger gateway` as it is typed: real lines, a real community, outages and kills."""

import json
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ledger.chain.wallet import new_wallet
from ledger.keccak import checksum_address
from ledger.units import to_rfc3339, to_unix_s
from metering.flows import flows_of
from metering.readings import MeterId
from metering.series import WindowGrid
from tests.api.people_world import PeopleWorld, hex_of, people_world
from tests.api.test_members import pairing_body
from tests.e2e.command_line import Cli
from tests.e2e.registers import ROOT
from tests.meters import EXAMPLE, p1_of, sml_of
from tests.outages import CutWire, Wire
from tests.served import served

PROGRAM = "from api.cli import main; main()"
WITHIN_S = 60
EVERY_S = 900
STEP = timedelta(seconds=300)  # Between telegrams, by the meter's clock.
MARKET = {"debit_max_wh": 200_000}  # Of a window of an hour: room for more meters at one home.
IMPORT_WH, EXPORT_WH = 4_812_345, 1_002_210
Json = dict[str, Any]


def until(look: Callable[[], Any]) -> None:
    """Waits for what comes in the end."""
    ends_s = time.monotonic() + WITHIN_S
    while not look():
        assert time.monotonic() < ends_s
        time.sleep(0.02)


# The community.


@dataclass
class Street:
    """A served community, and a key file for each of its paired meters."""

    world: PeopleWorld
    url: str
    keys: list[Json]
    from_at: datetime  # Since when the meters count.

    def kept(self, key: Json) -> list[Any]:
        """All versions of a meter's readings that the service has."""
        meter_id = MeterId(bytes.fromhex(key["meter_id"][2:]))
        from_at, until_at = self.from_at, self.from_at + timedelta(days=10_000)
        store = self.world.community.readings
        return store.versions([meter_id], from_at=from_at, until_at=until_at)


def paired(world: PeopleWorld, url: str) -> Json:
    """What `/home` gives a person who pairs a meter with a key made in the browser."""
    device = new_wallet()
    asked = world.post("/meters", pairing_body(world, device), world.member()).json()
    world.post(f"/pairings/{asked['id']}/accept", {}, world.web.auditor)
    world.relay()
    (own,) = [
        each
        for each in world.get("/meters", world.member()).json()["items"]
        if each["id"] == asked["id"]
    ]
    assert own["state"] == "registered"
    return {
        "format": "wattledger.meter-key/1",
        "label": own["label"],
        "key": checksum_address(device.address),
        "secret": hex_of(device.private_key),
        "meter_id": own["id"],
        "service": url,
        "chain_id": world.community.chain.chain_id,
        "registry": checksum_address(world.community.contracts.registry),
    }


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    place = tmp_path_factory.mktemp("gateway")
    with people_world(place, market=MARKET) as world, served(world.web.app) as url:
        keys = [paired(world, url) for _ in range(4)]
        book = world.community.book()
        starts = [
            book.terms_of_meter(MeterId(bytes.fromhex(key["meter_id"][2:])))[-1].valid_from
            for key in keys
        ]
        yield Street(world=world, url=url, keys=keys, from_at=max(starts))


# The program and its meter.


class Gateway:
    """The program, running."""

    started: ClassVar[list["Gateway"]] = []

    def __init__(self, folder: Path, key: Json | Path, *words: str) -> None:
        path = key if isinstance(key, Path) else folder / "meter-key.json"
        if not isinstance(key, Path):
            path.touch(mode=0o600)
            path.write_text(json.dumps(key))
        self._log = folder / "gateway.log"
        self._log.touch()
        self._before = self._log.stat().st_size
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "gateway", "--key", path, *words],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.started.append(self)

    def said(self) -> str:
        """Its log."""
        text = self._log.read_bytes()[self._before :].decode()
        assert "Traceback" not in text, text
        return text

    def until_said(self, words: str) -> None:
        until(lambda: words in self.said() or self.process.poll() is not None)
        assert words in self.said()

    def ended(self, number: int | None = None, stdin: bytes | None = None) -> tuple[int, str]:
        """Its exit code and what it printed."""
        if number is not None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(stdin, timeout=WITHIN_S)
        return self.process.returncode, out.decode()


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    """A test that fails ends what it began, too."""
    yield
    while Gateway.started:
        process = Gateway.started.pop().process
        if process.poll() is None:
            process.kill()
            process.communicate()


def ran(folder: Path, key: Json | Path, *words: str, stdin: bytes | None = None) -> Any:
    """A run to its end: exit code, JSON, log."""
    gateway = Gateway(folder, key, *words, "--json")
    code, out = gateway.ended(stdin=stdin)
    return code, json.loads(out), gateway.said()


@dataclass
class SerialMeter:
    """A P1 port at a pseudo-terminal, which counts three Wh for each telegram and gives one."""

    from_at: datetime
    port: str
    descriptor: int
    sent: int = 0

    def registers_at(self, at: datetime) -> tuple[int, int]:
        steps = (at - self.from_at) // STEP
        return IMPORT_WH + 3 * steps, EXPORT_WH + steps

    def send_until(self, at: datetime) -> None:
        """Its telegrams up to an instant, one of them spoiled on its way."""
        while (now_at := self.from_at + self.sent * STEP) <= at:
            telegram = p1_of(now_at, *self.registers_at(now_at))
            if self.sent % 7 == 1:
                os.write(self.descriptor, telegram.replace(b"000", b"010"))
            os.write(self.descriptor, telegram)
            self.sent += 1


@contextmanager
def serial_meter(from_at: datetime) -> Iterator[SerialMeter]:
    ours, theirs = pty.openpty()
    try:
        tty.setraw(theirs)
        yield SerialMeter(from_at=from_at, port=os.ttyname(theirs), descriptor=ours)
    finally:
        os.close(ours)
        os.close(theirs)


@dataclass
class Story:
    """A meter, its gateway, and the wire to the service; told part by part."""

    street: Street
    key: Json
    meter: SerialMeter
    wire: CutWire
    folder: Path
    instants: list[datetime]  # Boundaries.

    def begun(self) -> Gateway:
        words = ("--read", "dsmr", "--from", self.meter.port, "--service", self.wire.url, "--json")
        gateway = Gateway(self.folder, self.key, *words)
        gateway.until_said("reading dsmr")
        return gateway

    def until_kept(self, gateway: Gateway, place: int) -> None:
        """The meter goes on to a boundary, and the gateway has it on the disk."""
        self.meter.send_until(self.instants[place])
        gateway.until_said(f"kept the reading of {to_rfc3339(self.instants[place])}")

    def until_known(self, count: int) -> None:
        """The service has so many readings."""
        until(lambda: len(self.street.kept(self.key)) == count)

    def service_away(self) -> None:
        """While nobody answers, the gateway dies with what it has, and again."""
        gateway = self.begun()
        self.until_kept(gateway, 4)
        self.until_known(5)
        self.wire.fares(Wire.CUT)
        self.until_kept(gateway, 9)
        gateway.until_said("service_unreachable")
        assert gateway.ended(signal.SIGKILL)[0] == -signal.SIGKILL
        gateway = self.begun()
        self.until_kept(gateway, 14)
        gateway.ended(signal.SIGKILL)
        assert len(self.street.kept(self.key)) == 5

    def answers_lost(self) -> None:
        """The service takes everything in, and the gateway dies before it hears of it."""
        self.wire.fares(Wire.WHOLE)
        gateway = self.begun()
        gateway.until_said("sent 10")
        self.wire.fares(Wire.DEAF)
        self.meter.send_until(self.instants[19])
        self.until_known(20)
        gateway.ended(signal.SIGKILL)

    def all_well(self) -> Json:
        """The last one hears that it was all known, goes on, and is stopped; its summary."""
        self.wire.fares(Wire.WHOLE)
        gateway = self.begun()
        self.until_kept(gateway, 20)
        self.until_known(21)
        gateway.until_said("1 accepted")
        began_s = time.monotonic()
        code, out = gateway.ended(signal.SIGTERM)
        assert time.monotonic() - began_s < 8
        assert code == 0
        summary: Json = json.loads(out)
        return summary


def test_nothing_is_lost_and_nothing_is_kept_twice_through_outages_and_kills(
    street: Street, tmp_path: Path
) -> None:
    key, begin_at = street.keys[0], street.from_at
    instants = [begin_at + timedelta(seconds=EVERY_S * step) for step in range(21)]
    with CutWire(street.url) as wire, serial_meter(begin_at) as meter:
        story = Story(street, key, meter, wire, tmp_path, instants)
        story.service_away()
        story.answers_lost()
        summary = story.all_well()
    assert summary["duplicates"] >= 1
    assert (summary["rejected"], summary["waiting"]) == ([], 0)
    kept = street.kept(key)
    assert [each.version for each in kept] == [1] * 21
    assert [each.signed.reading.taken_at for each in kept] == instants
    for each in kept:
        reading = each.signed.reading
        assert (reading.import_wh, reading.export_wh) == meter.registers_at(reading.taken_at)
    with sqlite3.connect(tmp_path / "gateway.sqlite") as queue:
        assert queue.execute("SELECT DISTINCT state FROM reading").fetchall() == [("done",)]
    said = (tmp_path / "gateway.log").read_text()
    assert "bad_checksum" in said
    assert key["secret"][2:] not in said.lower()
    check_windows(street, key, meter, instants)


def check_windows(street: Street, key: Json, meter: SerialMeter, instants: list[datetime]) -> None:
    """What the service makes of them: flows that are measured, not estimated."""
    community = street.world.community
    window_s = community.market_config.window_s
    count = (to_unix_s(instants[-1]) - to_unix_s(instants[0])) // window_s
    grid = WindowGrid(start_at=instants[0], window_s=window_s, count=count)
    assert count >= 5
    meter_id = MeterId(bytes.fromhex(key["meter_id"][2:]))
    series = community.readings.series([meter_id], from_at=grid.start_at, until_at=grid.end_at)
    terms = community.book().terms_of_meter(meter_id)
    flows = flows_of(terms[0].account, terms, series, grid)
    assert {each.estimated for each in flows} == {False}
    steps = window_s // int(STEP.total_seconds())
    assert {(each.import_wh, each.export_wh) for each in flows} == {(3 * steps, steps)}


# Other sources, and one reading.


@contextmanager
def tcp_meter(octets: bytes) -> Iterator[str]:
    """A network adapter that says the same to everybody, again and again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        while True:
                            connection.sendall(octets)
                            time.sleep(0.05)
                    except OSError:
                        continue

        threading.Thread(target=speak, daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_one_reading_of_an_sml_meter_behind_the_network(street: Street, tmp_path: Path) -> None:
    began_s = int(time.time())
    octets = sml_of({"1.8.0": IMPORT_WH, "2.8.0": EXPORT_WH})
    with tcp_meter(octets[100:] + octets) as source:
        words = ("--read", "sml", "--from", source, "--once")
        code, summary, _ = ran(tmp_path, street.keys[1], *words)
    assert code == 0
    assert summary == {
        "telegrams": summary["telegrams"],
        "unreadable": summary["unreadable"],
        "taken": 1,
        "missed": 0,
        "accepted": 1,
        "duplicates": 0,
        "rejected": [],
        "waiting": 0,
    }
    (kept,) = street.kept(street.keys[1])
    reading = kept.signed.reading
    assert (reading.import_wh, reading.export_wh) == (IMPORT_WH, EXPORT_WH)
    assert began_s <= to_unix_s(reading.taken_at) <= time.time()  # By the clock at its arrival.


def test_a_recorded_file_is_read_to_its_end_and_a_second_time_changes_nothing(
    street: Street, tmp_path: Path
) -> None:
    key, begin_at = street.keys[2], street.from_at
    recorded = tmp_path / "telegrams.txt"
    instants = [begin_at + step * STEP for step in range(7)]
    recorded.write_bytes(b"".join(p1_of(at, IMPORT_WH, EXPORT_WH) for at in instants))
    words = ("--read", "dsmr", "--from", str(recorded))
    code, summary, _ = ran(tmp_path, key, *words)
    assert (code, summary["telegrams"], summary["taken"]) == (0, 7, 3)
    assert (summary["accepted"], summary["missed"]) == (3, 0)
    code, summary, _ = ran(tmp_path, key, *words)
    assert (code, summary["taken"], summary["accepted"]) == (0, 0, 0)
    other = ("--queue", str(tmp_path / "other.sqlite"))
    code, summary, _ = ran(
        tmp_path, key, "--read", "dsmr", "--from", "-", *other, stdin=recorded.read_bytes()
    )
    assert (code, summary["duplicates"], summary["accepted"]) == (0, 3, 0)
    assert len(street.kept(key)) == 3


def test_what_the_service_refuses_is_printed_and_ends_with_one(
    street: Street, tmp_path: Path
) -> None:
    stranger = new_wallet()
    changed = {
        "key": checksum_address(stranger.address),
        "secret": hex_of(stranger.private_key),
    }
    words = ("--read", "dsmr", "--from", "telegram.txt", "--once")
    (tmp_path / "telegram.txt").write_bytes(p1_of(street.from_at, 5))
    code, summary, said = ran(tmp_path, street.keys[2] | changed, *words)
    (refused,) = summary["rejected"]
    assert (code, refused["code"], refused["again"]) == (1, "bad_signature", False)
    assert "bad_signature" in said
    # A meter that the grid operator has not accepted yet may be known later.
    unknown = {"meter_id": "0x" + "77" * 32}
    code, summary, _ = ran(tmp_path, street.keys[2] | unknown, *words)
    (refused,) = summary["rejected"]
    assert (code, refused["code"], refused["again"]) == (1, "unknown_meter", True)
    assert summary["waiting"] == 1


def test_a_key_file_that_leaves_open_what_is_signed_for_learns_it_from_the_service(
    street: Street, tmp_path: Path
) -> None:
    left = {name: street.keys[3][name] for name in ("format", "label", "key", "secret", "meter_id")}
    at = street.from_at + timedelta(days=1)
    (tmp_path / "telegram.txt").write_bytes(p1_of(at, IMPORT_WH + 100, EXPORT_WH))
    words = ("--read", "dsmr", "--from", "telegram.txt", "--service", street.url)
    code, summary, _ = ran(tmp_path, left, *words)
    assert (code, summary["accepted"]) == (0, 1)


# What is refused before anything is read.


def test_a_service_that_is_away_costs_nothing_but_time(street: Street, tmp_path: Path) -> None:
    (tmp_path / "telegram.txt").write_bytes(EXAMPLE.read_bytes())
    key = street.keys[2] | {"service": "http://127.0.0.1:9"}
    words = ("--read", "dsmr", "--from", "telegram.txt")
    code, document, _ = ran(tmp_path, key, *words, "--once")
    assert (code, document["error"]["code"]) == (1, "service_unreachable")
    # One that answers nothing holds nobody up who wants to stop.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        gateway = Gateway(tmp_path, key, *words, "--service", url)
        gateway.until_said("reading dsmr")
        connection, _ = mute.accept()
        with connection:
            began_s = time.monotonic()
            code, out = gateway.ended(signal.SIGINT)
    assert time.monotonic() - began_s < 8
    assert code == 0
    assert "waiting 1" in out


@pytest.fixture
def key_file(tmp_path: Path, street: Street) -> Path:
    path = tmp_path / "meter-key.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(street.keys[2]))
    return path


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--read", "dsmr"), 2, "--from"),
        (("--read", "d0", "--from", "-"), 2, "--read"),
        (("--read", "dsmr", "--from", "-", "--every", "0"), 2, "--every"),
        (("--read", "dsmr", "--from", "nowhere.txt"), 1, "neither a device nor a file"),
        (("--read", "dsmr", "--from", "."), 1, "neither a device nor a file"),
        (("--read", "sml", "--from", "udp://127.0.0.1:1"), 1, "tcp://"),
        (("--read", "sml", "--from", "tcp://127.0.0.1"), 1, "tcp://"),
        (("--read", "sml", "--from", "tcp://127.0.0.1:x"), 1, "tcp://"),
        (("--read", "sml", "--from", "-", "--service", "street"), 1, "field=--service"),
    ],
)
def test_what_cannot_be_is_named_in_one_line(
    words: tuple[str, ...], code: int, part: str, key_file: Path, cli: Cli
) -> None:
    done = cli("gateway", "--key", key_file, *words)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert part in done.err
    assert not Path("gateway.sqlite").exists()


def test_the_help_names_what_is_to_be_installed(cli: Cli) -> None:
    assert "pip install 'wattledger[gateway]'" in " ".join(cli("gateway", "--help").out.split())


def test_a_key_that_others_can_read_is_refused(key_file: Path, cli: Cli) -> None:
    key_file.chmod(0o644)
    done = cli("gateway", "--key", key_file, "--read", "sml", "--from", "-")
    assert done.code == 1
    assert re.fullmatch(r"wattledger: key_exposed: .*chmod 600 meter-key\.json\n", done.err)


def test_a_library_that_is_missing_is_named_with_the_remedy(
    key_file: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for read, source, module, library in (
        ("dsmr", "-", "dsmr_parser", "dsmr-parser"),
        ("sml", "/dev/ttyUSB0", "serial", "pyserial"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        done = cli("gateway", "--key", key_file, "--read", read, "--from", source)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert f"library_missing: library={library}" in done.err
        assert "pip install 'wattledger[gateway]'" in done.err


def test_a_line_that_is_not_there_is_waited_for_but_not_with_once(
    street: Street, tmp_path: Path
) -> None:
    words = ("--read", "sml", "--from", "/dev/tty-of-no-meter")
    code, document, _ = ran(tmp_path, street.keys[2], *words, "--once")
    assert (code, document["error"]["code"]) == (1, "meter_unreachable")
    gateway = Gateway(tmp_path, street.keys[2], *words)
    gateway.until_said("opened again in 2 s")
    assert gateway.ended(signal.SIGTERM)[0] == 0
