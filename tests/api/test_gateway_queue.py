"""The gateway's queue: what it has taken it keeps, and each reading ends in one way."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.errors import StorageFailed
from api.gateway.errors import OtherCommunity
from api.gateway.key_file import ReadingDomain
from api.gateway.queue_file import AGAIN_S_MAX, GIVE_UP_S, KEPT_S, ReadingQueue, State
from ledger.units import Address, from_unix_s, to_unix_s
from metering.readings import MeterId, Reading, SignedReading
from tests.e2e.registers import ROOT

NOW_S = 1_795_694_400
MINUTE_S = 60


def signed(second: int, meter: bytes = b"\x3e", import_wh: int = 5) -> SignedReading:
    reading = Reading(
        meter_id=MeterId(meter * 32),
        taken_at=from_unix_s(NOW_S + second),
        import_wh=import_wh,
        export_wh=0,
    )
    return SignedReading(reading=reading, signature=bytes(65))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sqlite"


@pytest.fixture
def queue(path: Path) -> Iterator[ReadingQueue]:
    with ReadingQueue(path) as opened:
        yield opened


def waiting(queue: ReadingQueue, now_s: int = NOW_S) -> list[int]:
    return [to_unix_s(each.reading.taken_at) - NOW_S for each in queue.next_batch(now_s, 1_000)]


def test_a_queue_is_for_its_owner_alone(queue: ReadingQueue, path: Path) -> None:
    queue.add(signed(0), now_s=NOW_S)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_readings_come_out_as_they_went_in_oldest_first(queue: ReadingQueue) -> None:
    for second in (20, 0, 10):
        assert queue.add(signed(second), now_s=NOW_S)
    assert queue.next_batch(NOW_S, 2) == [signed(0), signed(10)]
    queue.done([signed(0), signed(20)])
    assert waiting(queue) == [10]
    assert queue.counts() == {State.DONE: 2, State.WAITING: 1}


def test_the_first_reading_of_an_instant_stays(queue: ReadingQueue) -> None:
    assert queue.add(signed(0), now_s=NOW_S)
    assert not queue.add(signed(0, import_wh=6), now_s=NOW_S)
    assert queue.next_batch(NOW_S, 2) == [signed(0)]
    assert queue.add(signed(0, b"\x40"), now_s=NOW_S)  # Another meter's.


def test_what_is_refused_for_good_is_kept_with_its_reason(queue: ReadingQueue, path: Path) -> None:
    queue.add(signed(0), now_s=NOW_S)
    queue.refused(signed(0), "register_decreased", "by 5 Wh")
    assert waiting(queue, NOW_S + GIVE_UP_S) == []
    queue.forget_done(NOW_S + 10 * KEPT_S)
    assert queue.counts() == {State.REFUSED: 1}
    with queue:
        pass
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT state, code, detail FROM reading").fetchall()
    assert kept == [("refused", "register_decreased", "by 5 Wh")]


def test_what_may_heal_is_tried_again_less_and_less_often_for_a_month(queue: ReadingQueue) -> None:
    queue.add(signed(0), now_s=NOW_S)
    pauses_s, now_s = list[int](), NOW_S
    while queue.counts() == {State.WAITING: 1}:
        queue.put_off(signed(0), "meter_not_valid_at", "", now_s=now_s)
        pause_s = next((s for s in range(0, AGAIN_S_MAX + 1, 60) if waiting(queue, now_s + s)), 0)
        pauses_s.append(pause_s)
        now_s += pause_s
    assert pauses_s[:4] == [60, 120, 240, 480]
    assert max(pauses_s) == AGAIN_S_MAX
    assert now_s - NOW_S > GIVE_UP_S
    assert queue.counts() == {State.REFUSED: 1}


def test_a_meter_that_is_known_at_last_has_what_waited_sent_at_once(queue: ReadingQueue) -> None:
    for second in (0, 1):
        for meter in (b"\x3e", b"\x40"):
            queue.add(signed(second, meter), now_s=NOW_S)
    for meter in (b"\x3e", b"\x40"):
        queue.put_off(signed(0, meter), "unknown_meter", "", now_s=NOW_S)
    queue.done([signed(1)])
    assert queue.next_batch(NOW_S, 9) == [signed(0), signed(1, b"\x40")]


def test_a_clock_that_is_set_back_holds_nothing_up(queue: ReadingQueue) -> None:
    queue.add(signed(0), now_s=NOW_S)
    queue.put_off(signed(0), "time_in_future", "", now_s=NOW_S)
    assert waiting(queue) == []
    assert waiting(queue, NOW_S - 10 * AGAIN_S_MAX) == [0]


def test_what_is_done_is_forgotten_after_a_while(queue: ReadingQueue) -> None:
    for second in (0, 1):
        queue.add(signed(second), now_s=NOW_S + second)
    queue.done([signed(0)])
    queue.forget_done(NOW_S + KEPT_S)
    assert queue.counts() == {State.DONE: 1, State.WAITING: 1}
    queue.forget_done(NOW_S + KEPT_S + MINUTE_S)
    assert queue.counts() == {State.WAITING: 1}


def test_a_queue_is_one_communitys(queue: ReadingQueue) -> None:
    assert queue.domain() is None
    street = ReadingDomain(chain_id=1337, registry=Address(b"\xe5" * 20))
    for _ in range(2):
        queue.bind(street)
    assert queue.domain() == street
    with pytest.raises(OtherCommunity):
        queue.bind(ReadingDomain(chain_id=1, registry=street.registry))


def test_a_queue_is_one_gateways_at_a_time(queue: ReadingQueue, path: Path) -> None:
    queue.add(signed(0), now_s=NOW_S)
    with pytest.raises(StorageFailed, match="another gateway"):
        ReadingQueue(path)


@pytest.mark.parametrize("content", [b"no database" * 100, b"\xff" * 5_000])
def test_a_file_that_is_no_queue_is_named_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageFailed):
        ReadingQueue(path)
    assert path.read_bytes() == content


def test_a_queue_of_another_version_is_left_alone(path: Path) -> None:
    with ReadingQueue(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE fact SET value = '2' WHERE name = 'format'")
    connection.close()
    with pytest.raises(StorageFailed, match="version"):
        ReadingQueue(path)


def test_a_full_disk_is_named_and_the_queue_goes_on_when_there_is_room(queue: ReadingQueue) -> None:
    def fill() -> None:
        while queue.add(signed(len(waiting(queue))), now_s=NOW_S):
            pass

    pages_max = "PRAGMA max_page_count = {}"
    queue._connection.execute(pages_max.format(12))
    with pytest.raises(StorageFailed, match="disk is full"):
        fill()
    kept = len(waiting(queue))
    queue._connection.execute(pages_max.format(1_000))
    assert queue.add(signed(kept), now_s=NOW_S)
    assert waiting(queue) == list(range(kept + 1))


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        ReadingQueue(tmp_path / "nowhere" / "gateway.sqlite")


WRITER = """
import sys
from pathlib import Path
from api.gateway.queue_file import ReadingQueue
from tests.api.test_gateway_queue import NOW_S, signed
queue = ReadingQueue(Path(sys.argv[1]))
for second in range(10**6):
    queue.add(signed(second), now_s=NOW_S)
    print(second, flush=True)
"""


def test_what_was_kept_is_there_after_a_kill(path: Path) -> None:
    told = []
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            told.append(int(line))
            if len(told) == 50:
                writer.kill()
    with ReadingQueue(path) as queue:
        kept = [to_unix_s(each.reading.taken_at) - NOW_S for each in queue.next_batch(NOW_S, 10**6)]
    assert kept[: len(told)] == told
    assert len(kept) - len(told) <= 1
