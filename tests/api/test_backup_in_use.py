"""Backups that are taken while the service works: each one goes on to the very same end.

What a backup holds is what a process leaves that is killed at that instant, so whoever restores it
has what was acknowledged by then, and repeats the rest.
"""

import asyncio
import copy
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.datadir import DataDir
from api.jobs.backup import backup
from api.jobs.community import open_community
from api.jobs.restore import restore
from ledger.chain.wallet import Wallet
from tests.api.community_worlds import (
    STREET,
    community_of,
    document,
    quiet,
    settle_all,
    statements,
    take,
)
from tests.api.test_charging_power_cuts import Charge, base, charge_at, check, one_life
from tests.power_cuts import Power

__all__ = ["base"]  # A fixture.
DAYS = 4
EVERY = 4  # Of a charge's durable changes one is backed up.


def restored(file: Path, home: Path) -> Path:
    restore(file, DataDir(home), database_url=None, progress=quiet)
    return home


def test_a_backup_of_any_moment_of_a_settlement_settles_to_the_same_balances(
    tmp_path: Path,
) -> None:
    street = {label: list(profile) * DAYS for label, profile in STREET.items()}
    backups: list[Path] = []
    with community_of(tmp_path / "data", document(list(street))) as community:
        take(community, street)
        thread = threading.Thread(target=settle_all, args=(community,))
        thread.start()
        while thread.is_alive():
            file = tmp_path / f"{len(backups)}.tar.gz"
            backup(DataDir(tmp_path / "data"), file, progress=quiet)
            backups.append(file)
        thread.join()
        balances = community.refresh().balances_nano
    heads = set()
    assert len(backups) >= 4
    for file in backups[:: max(1, len(backups) // 5)]:
        home = restored(file, tmp_path / file.name.removesuffix(".tar.gz"))
        with open_community(home) as again:
            heads.add(again.chain.head().number)
            settle_all(again)
            assert again.refresh().balances_nano == balances
            assert len(statements(again)) == DAYS * 5  # Each verifies, and the audit is clean.
    assert len(heads) >= 3  # They were taken at different moments.


class BackedUp:
    """Takes a backup after some of a charge's durable changes, as they are made."""

    def __init__(self, charge: Charge, data: Path, home: Path) -> None:
        self.taken: list[tuple[Path, Charge]] = []
        self._charge, self._data, self._home = charge, data, home
        self._changes = 0
        self._guard = threading.Lock()

    def changed(self) -> None:
        """In whichever thread has made a change."""
        with self._guard:
            self._changes += 1
            if self._changes % EVERY:
                return
            file = self._home / f"{self._changes}.tar.gz"
            state = copy.copy(self._charge)  # What driver and charger know at that moment.
            state.messages, state.clock = list(state.messages), copy.copy(state.clock)
            backup(DataDir(self._data), file, progress=quiet)
            self.taken.append((file, state))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BackedUp]]:
    """Whoever is to be told of durable changes."""
    told: list[BackedUp] = []
    changed = Power.changed

    def tell(power: Power) -> None:
        changed(power)
        for each in told:
            each.changed()

    monkeypatch.setattr(Power, "changed", tell)
    yield told
    told.clear()


def test_a_backup_of_any_moment_of_a_charge_brings_it_to_its_end(
    base: tuple[Path, Wallet],
    counted: list[BackedUp],
    tmp_path: Path,
) -> None:
    data = tmp_path / "street"
    charge = charge_at(base, data)
    backups = BackedUp(charge, data, tmp_path)
    counted.append(backups)
    view, _ = asyncio.run(one_life(charge, data, None))
    counted.clear()
    assert view is not None
    assert len(backups.taken) >= 4
    for file, state in backups.taken:
        home = restored(file, tmp_path / "again")
        again, _ = asyncio.run(one_life(state, home, None))
        assert again is not None
        asyncio.run(check(state, home))
        shutil.rmtree(home)
