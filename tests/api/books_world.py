"""A settled street: two final days, the first of them revised, and a third that runs.

Seven homes. By day five of them feed in, the largest with less than half; at night nobody does. One
home has a deposit that does not cover it. The third day's last meter has been heard until six.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.jobs.community import Community, open_community
from api.jobs.intake import import_registers
from api.jobs.settle import SettlementLoop
from ledger.chain.embedded import EmbeddedChain
from ledger.units import from_unix_s
from tests.api.community_worlds import (
    DAY_S,
    HEADER,
    HOUR_S,
    START_S,
    Profile,
    community_of,
    document,
    registers,
    take,
)
from tests.once import made_once

HOURS = 54  # Of readings: two days and a quarter.
UNCOVERED = 7  # The account whose deposit is too small.
CHANGED = 3  # The account whose meter sends a better reading later.
SELLERS = (2, 3, 4, 5, 6)
LABELS = [f"home-{account}" for account in range(2, 9)]


def profile(account: int) -> Profile:
    """A home's hours: some import always, and from eight to sixteen a roof's export."""
    hours = []
    for hour in range(HOURS):
        by_day = 8 <= hour % 24 < 16
        export_wh = 400 + 10 * account + hour if by_day and account in SELLERS else 0
        hours.append((200 + 17 * account + 3 * hour, export_wh))
    return hours


PROFILES: Mapping[str, Profile] = {label: profile(2 + place) for place, label in enumerate(LABELS)}


@contextmanager
def street(factory: pytest.TempPathFactory) -> Iterator[Community]:
    """The street, settled as far as it is: a copy of its own."""
    data = factory.mktemp("street") / "data"
    shutil.copytree(made_once(factory, "books-street", make_street), data)
    with open_community(data) as community:
        yield community


def make_street(path: Path) -> None:
    """The street's data directory."""
    with community_of(path, document(LABELS, deposits={UNCOVERED: 500_000})) as community:
        take(community, PROFILES)
        settle_until(community, START_S + 2 * DAY_S + 4 * HOUR_S)
        correct(community)
        settle_until(community, START_S + 2 * DAY_S + 20 * HOUR_S)


def settle_until(community: Community, until_s: int) -> None:
    """Settles what is due by an instant, and lets the chain's clock come to it."""
    loop = SettlementLoop(community, until_s=until_s)
    list(loop.run())
    assert loop.alarm is None
    chain = community.chain
    assert isinstance(chain, EmbeddedChain)
    if chain.head().timestamp_s < until_s:
        chain.set_next_timestamp(from_unix_s(until_s))
        chain.mine()


def correct(community: Community) -> None:
    """A better reading of the first day's noon: the hour before it had less, the one after more."""
    lines = registers({LABELS[CHANGED - 2]: profile(CHANGED)}).splitlines()
    label, taken_at, import_kwh, export_kwh = lines[1 + 12].split(",")
    lower = f"{float(import_kwh) - 0.05:.3f}"
    file = community.directory.path.with_name("better.csv")
    file.write_text(HEADER + ",".join([label, taken_at, lower, export_kwh]) + "\n")
    assert import_registers(community, file).accepted == 1
