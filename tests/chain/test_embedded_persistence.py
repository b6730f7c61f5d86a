"""The embedded chain on the disk: restarts, kills, second processes, strangers, full disks."""

import multiprocessing
import os
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.embedded import EmbeddedChain
from ledger.chain.errors import (
    ChainUnavailable,
    DataDirectoryInUse,
    DataDirectoryMismatch,
    DataDirectoryMissing,
    Refusal,
    TransactionRefused,
)
from ledger.chain.storage import FILE_NAME, LOCK_NAME
from ledger.errors import LedgerError
from ledger.units import Address
from tests.chain.probe import Caller, probe_call

GENESIS_AT = datetime(2016, 5, 31, tzinfo=UTC)
KILLS = 16
NOBODY_UID = 65_534

# A process that has everything imported gives birth to the ones that are killed: it is quick, and
# a child of it shares no thread and no file with the tests.
children: Any = multiprocessing.get_context("forkserver")
children.set_forkserver_preload(["ledger.chain.evm", "tests.chain.probe"])


def open_chain(directory: Path, *, read_only: bool = False) -> EmbeddedChain:
    return EmbeddedChain.open(directory, genesis_at=GENESIS_AT, read_only=read_only)


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    with open_chain(tmp_path) as chain:
        caller = Caller(chain)
        caller.deploy()
        yield caller


def reopened(caller: Caller, directory: Path) -> Caller:
    caller.chain = open_chain(directory)
    return caller


def store_for_ever(directory: Path, probe: Address, acknowledged: Connection) -> None:
    caller = Caller(open_chain(directory), probe=probe)
    number = caller.chain.nonce(caller.wallet.address)
    while True:
        signed = caller.sign(probe, probe_call("store", number, number))
        caller.chain.send_raw(signed.raw)
        acknowledged.send(number)
        number += 1


def test_state_receipts_and_events_survive_a_restart(caller: Caller, tmp_path: Path) -> None:
    receipt = caller.store(1, 11)
    logs = caller.chain.logs([caller.probe], from_block=0, to_block=100)
    head = caller.chain.head()
    caller.chain.close()
    with reopened(caller, tmp_path).chain:
        assert caller.chain.head() == head
        assert caller.value(1) == 11
        assert caller.chain.receipt(receipt.tx_hash) == receipt
        assert caller.chain.logs([caller.probe], from_block=0, to_block=100) == logs
        assert caller.store(1, 12).block_number == head.number + 1


def test_kill_minus_nine_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with open_chain(tmp_path) as chain:
        probe = Caller(chain).deploy().contract_address
        assert probe is not None
    last = 0
    for kill in range(KILLS):
        parent_end, child_end = children.Pipe(duplex=False)
        child = children.Process(target=store_for_ever, args=(tmp_path, probe, child_end))
        child.start()
        child_end.close()
        last = parent_end.recv()
        time.sleep(0.0037 * kill)
        child.kill()
        child.join()
        try:
            while True:
                last = parent_end.recv()
        except EOFError:
            parent_end.close()
        with open_chain(tmp_path) as chain:
            caller = Caller(chain, probe=probe)
            assert all(caller.value(number) == number for number in range(1, last + 1))
            mined = chain.nonce(caller.wallet.address)
            # At most the one that was under way is there without having been acknowledged.
            assert mined in (last + 1, last + 2)
            assert chain.head().number == mined
            assert len(chain.logs([probe], from_block=0, to_block=mined)) == mined - 1
    assert last >= KILLS


def test_a_second_writer_is_refused_and_the_first_goes_on(caller: Caller, tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryInUse) as caught:
        open_chain(tmp_path)
    assert caught.value.code == "data_directory_in_use"
    assert caller.store(1, 1).succeeded
    caller.chain.close()
    open_chain(tmp_path).close()


def refused_code(directory: Path, answer: Connection) -> None:
    try:
        open_chain(directory)
    except LedgerError as error:
        answer.send(error.code)


def test_a_second_writing_process_is_refused(caller: Caller, tmp_path: Path) -> None:
    assert answer_of(refused_code, tmp_path) == "data_directory_in_use"


def test_a_reader_beside_the_writer_sees_a_snapshot_until_it_refreshes(
    caller: Caller, tmp_path: Path
) -> None:
    caller.store(1, 1)
    with open_chain(tmp_path, read_only=True) as view:
        reader = Caller(view, probe=caller.probe)
        receipt = caller.store(1, 2)
        assert reader.value(1) == 1
        assert view.head().number == receipt.block_number - 1
        assert view.block(receipt.block_number) is None
        assert view.receipt(receipt.tx_hash) is None
        assert view.transaction(receipt.tx_hash) is None
        assert len(view.logs([caller.probe], from_block=0, to_block=100)) == 1
        assert view.refresh() == caller.chain.head()
        assert reader.value(1) == 2
        assert view.receipt(receipt.tx_hash) == receipt


def test_a_reader_cannot_write_and_does_not_block_the_writer(
    caller: Caller, tmp_path: Path
) -> None:
    with open_chain(tmp_path, read_only=True) as view:
        with pytest.raises(TransactionRefused) as caught:
            Caller(view, probe=caller.probe).store(1, 1)
        assert caught.value.reason is Refusal.READ_ONLY
        with pytest.raises(TransactionRefused):
            view.mine()
        assert caller.store(1, 1).succeeded


def test_a_directory_without_a_chain_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryMissing):
        EmbeddedChain.open(tmp_path / "nowhere", read_only=True)
    with pytest.raises(DataDirectoryMissing):
        EmbeddedChain.open(tmp_path)
    # A writer that never came to its first block leaves a file without a chain.
    with pytest.raises(DataDirectoryMissing):
        EmbeddedChain.open(tmp_path, read_only=True)
    open_chain(tmp_path).close()


def test_another_chain_id_or_version_is_named(caller: Caller, tmp_path: Path) -> None:
    caller.chain.close()
    with pytest.raises(DataDirectoryMismatch) as caught:
        EmbeddedChain.open(tmp_path, chain_id=5)
    assert (caught.value.what, caught.value.found, caught.value.expected) == (
        "chain_id",
        "1337",
        "5",
    )
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'format_version'")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(DataDirectoryMismatch) as caught:
            open_chain(tmp_path, read_only=read_only)
        assert caught.value.what == "format_version"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"meter readings, not a database" * 100)
    with pytest.raises(ChainUnavailable):
        open_chain(tmp_path)
    with pytest.raises(ChainUnavailable):
        open_chain(tmp_path, read_only=True)
    # The lock was given back.
    (tmp_path / FILE_NAME).unlink()
    open_chain(tmp_path).close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ChainUnavailable, match="not writable"):
        open_chain(tmp_path / "file")


def fill_the_disk(directory: Path, answer: Connection) -> None:
    """Writes until the kernel refuses, then makes room and goes on."""
    caller = Caller(open_chain(directory))
    caller.deploy()
    sizes = [path.stat().st_size for path in directory.iterdir()]
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + 100_000, hard))
    stored = 0
    try:
        while True:
            caller.store(stored + 1, 1)
            stored += 1
    except ChainUnavailable:
        head = caller.chain.head()
        value = caller.value(stored + 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    caller.store(stored + 1, 2)
    answer.send((stored, head.number, value, caller.probe))


def test_a_full_disk_is_an_error_and_no_corruption(tmp_path: Path) -> None:
    stored, head_number, value, probe = answer_of(fill_the_disk, tmp_path)
    assert stored > 0
    assert (head_number, value) == (stored + 1, 0)
    with open_chain(tmp_path) as chain:
        caller = Caller(chain, probe=probe)
        assert [caller.value(slot) for slot in range(1, stored + 2)] == [1] * stored + [2]
        assert chain.head().number == stored + 2


def use_read_only_directory(directory: Path, answer: Connection) -> None:
    if os.getuid() == 0:
        os.setuid(NOBODY_UID)  # Nothing is read-only to root.
    try:
        open_chain(directory)
    except ChainUnavailable as error:
        with open_chain(directory, read_only=True) as chain:
            answer.send((error.rule, chain.head().number))


def test_a_read_only_disk_is_an_error_for_the_writer_and_enough_for_a_reader() -> None:
    with tempfile.TemporaryDirectory() as parent:
        directory = Path(parent) / "data"
        with open_chain(directory) as chain:
            Caller(chain).deploy()
        Path(parent).chmod(0o755)
        directory.chmod(0o555)
        for name in (FILE_NAME, LOCK_NAME):
            (directory / name).chmod(0o444)
        rule, head_number = answer_of(use_read_only_directory, directory)
        directory.chmod(0o755)
    assert "not writable" in rule
    assert head_number == 1


def answer_of(target: Any, directory: Path) -> Any:
    parent_end, child_end = children.Pipe(duplex=False)
    child = children.Process(target=target, args=(directory, child_end))
    child.start()
    child_end.close()
    try:
        assert parent_end.poll(60), "no answer"
        return parent_end.recv()
    finally:
        parent_end.close()
        child.join(10)
