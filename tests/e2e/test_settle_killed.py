"""`settle` killed with SIGKILL, again and again, comes to the very same end.

The community has first runs and revisions ahead of it, each proposed and finalized after a dispute
period, so every step of the loop, the outbox and the chain is interrupted somewhere.
"""

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.jobs.audit import audit
from api.jobs.community import open_community
from api.jobs.create import create_community
from api.jobs.demo import config_of_shape, shape_of
from api.jobs.evidence import evidence_of
from api.jobs.intake import import_registers
from api.jobs.settle import SettlementLoop
from api.jobs.statements import statements_of_account, write_statement
from tests.e2e.fork_server import KILLED, ForkServer, fork_server
from tests.e2e.registers import DAY_S, FIRST_RELEASE, REVISED_RELEASE
from tests.e2e.test_republication import FIRST_DAY_S, first_days, quiet

KILLS = 50
WRITES_PER_RUN = 12  # Plan, sign, block, note and mark, for each of propose and finalize.


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Everything that must come out the same."""

    balances_nano: list[int]
    runs: list[tuple[int, int]]  # In the order in which they became final.
    roots: list[tuple[bytes, bytes, bytes, int]]
    transactions: int  # A second payment would be one more.
    statements: dict[str, str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with fork_server(tmp_path_factory.mktemp("server")) as started:
        yield started


def not_settled(place: Path, *, days: int, settled: int) -> Path:
    """A community with first runs and revisions ahead of it."""
    first = first_days(FIRST_RELEASE, place / "first.csv", days)
    revised = first_days(REVISED_RELEASE, place / "revised.csv", days)
    config = config_of_shape(shape_of(first, days))
    community = create_community(place / "base", config, progress=quiet)
    try:
        import_registers(community, first)
        loop = SettlementLoop(community, until_s=FIRST_DAY_S + settled * DAY_S)
        assert len(list(loop.run())) == settled
        import_registers(community, revised)
    finally:
        community.close()
    return place / "base"


def undisturbed(server: ForkServer, base: Path, *, runs: int) -> tuple[End, float]:
    """How it ends if nobody disturbs it, and how long that takes."""
    data = base.parent / "undisturbed" / "data"
    shutil.copytree(base, data)
    started_s = time.monotonic()
    assert server.run("settle", "--data-dir", data) == 0
    took_s = time.monotonic() - started_s
    end = end_of(data)
    assert len(end.runs) == runs
    return end, took_s


def end_of(data: Path) -> End:
    """Reads everything that must be the same, and audits it."""
    with open_community(data, read_only=True) as community:
        history = community.refresh()
        report = audit(community.chain, evidence_of(community), progress=quiet)
        assert report.discrepancies == []
        out = data.parent / "out"
        for account in range(history.account_count):
            for statement in statements_of_account(community, account):
                write_statement(statement, out)
        return End(
            balances_nano=list(history.balances_nano),
            runs=list(history.final_order),
            roots=[
                (run.statements_root, run.windows_hash, run.deltas_root, run.cutoff_at_s)
                for run in (history.runs[key] for key in history.final_order)
            ],
            transactions=community.chain.head().number,
            statements={path.name: less_transaction(path) for path in sorted(out.iterdir())},
        )


def less_transaction(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [text for text in lines if not text.startswith(' "transaction"')]
    assert len(kept) == len(lines) - 1
    return "\n".join(kept)


def test_settle_killed_after_each_of_its_writes_comes_to_the_same_end(
    server: ForkServer, tmp_path: Path
) -> None:
    base = not_settled(tmp_path, days=3, settled=1)
    expected, _ = undisturbed(server, base, runs=3 + 1)
    data = tmp_path / "killed" / "data"
    shutil.copytree(base, data)
    kills = 0
    while (code := server.run("settle", "--data-dir", data, writes=1)) == KILLED:
        kills += 1
        assert kills < 20 * WRITES_PER_RUN, "it never gets to its end"
    assert code == 0, server.printed()
    assert kills >= 3 * WRITES_PER_RUN
    assert end_of(data) == expected


def test_settle_killed_at_random_moments_comes_to_the_same_end(
    server: ForkServer, tmp_path: Path
) -> None:
    base = not_settled(tmp_path, days=12, settled=4)
    expected, took_s = undisturbed(server, base, runs=12 + 4)
    moments = random.Random(20160601)
    kills = rounds = 0
    while kills < KILLS:
        rounds += 1
        data = tmp_path / f"killed {rounds}" / "data"
        shutil.copytree(base, data)
        # Late enough to get on, early enough to be hit many times on the way.
        code = KILLED
        while code == KILLED:
            moment_s = moments.uniform(0, took_s / 3)
            code = server.run("settle", "--data-dir", data, kill_after_s=moment_s)
            kills += code == KILLED
            assert kills < 20 * KILLS, "it never gets to its end"
        assert code == 0, server.printed()
        assert end_of(data) == expected
    print(f"{kills} kills in {rounds} settlements of {took_s:.1f} s")
