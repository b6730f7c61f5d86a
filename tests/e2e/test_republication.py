"""The real re-publication: the first release settled, then the revised one, is the revised alone.

Same home, same hours, published twice (tests/data/README.md): nearly every hour differs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.jobs.audit import audit
from api.jobs.community import Community, open_community
from api.jobs.demo import run_demo_job
from api.jobs.evidence import evidence_of
from api.jobs.intake import import_registers
from api.jobs.settle import SettlementLoop
from api.jobs.statements import statements_of_run
from api.jobs.verify import MarketFacts, verify_statement
from ledger.words import StatementRow
from tests.e2e.registers import DAY_S, FIRST_RELEASE, REVISED_RELEASE, Expected, expected_of, unix

WHOLE = 111
FIRST_DAY_S = unix("2015-10-13T00:00:00Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the chain and the statements say of a community in the end."""

    runs: int
    rows: dict[tuple[int, int], tuple[StatementRow, ...]]  # By period and account, last run.
    deltas_nano: dict[tuple[int, int], int]  # All runs' deltas, from the chain's calldata.
    balances_nano: list[int]
    deposits_nano: list[int]


def quiet(*_: object) -> None:
    """No progress."""


def first_days(file: Path, out: Path, days: int) -> Path:
    """The file's rows up to the end of its first days."""
    header, *lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    until_s = FIRST_DAY_S + days * DAY_S
    out.write_text(
        header + "".join(text for text in lines if unix(text.split(",")[1]) <= until_s),
        encoding="utf-8",
    )
    return out


@contextmanager
def demo_of(file: Path, data: Path, days: int) -> Iterator[Community]:
    result = run_demo_job(file, data, days=days, progress=quiet)
    try:
        assert result.failed_statements == []
        assert result.audit is not None
        assert result.audit.discrepancies == []
        yield result.community
    finally:
        result.community.close()


def in_the_end(community: Community) -> Settled:
    """Verifies and audits everything, and gives what came out."""
    history, book = community.refresh(), community.book()
    facts = MarketFacts(community.chain, community.contracts.market)
    rows: dict[tuple[int, int], tuple[StatementRow, ...]] = {}
    deltas_nano: dict[tuple[int, int], int] = {}
    runs = community.settlements.runs()
    for run in runs:
        assert run.state == "final"
        on_chain = history.runs[(run.period_start_s, run.run)].deltas_nano
        for statement in statements_of_run(community, book, run):
            verdict = verify_statement(statement, facts)
            assert verdict.passed, [each for each in verdict.checks if not each.passed]
            key = (run.period_start_s, int(statement.account))
            rows[key] = statement.rows
            deltas_nano[key] = deltas_nano.get(key, 0) + on_chain[statement.account]
    report = audit(community.chain, evidence_of(community), progress=quiet)
    assert report.discrepancies == []
    assert report.runs == len(runs)
    config = community.config
    sections = [config.supplier, config.grid_operator, *config.accounts]
    return Settled(
        runs=len(runs),
        rows=rows,
        deltas_nano=deltas_nano,
        balances_nano=list(history.balances_nano),
        deposits_nano=[section.deposit_micro * 1_000 for section in sections],
    )


def check_republication(tmp_path: Path, days: int) -> None:
    first = first_days(FIRST_RELEASE, tmp_path / "first.csv", days)
    revised = first_days(REVISED_RELEASE, tmp_path / "revised.csv", days)
    with demo_of(first, tmp_path / "both", days) as community:
        before = community.refresh().balances_nano[:]
        report = import_registers(community, revised)
        assert report.accepted == len(revised.read_text().splitlines()) - 1
        assert not report.rejected
        settled = list(SettlementLoop(community).run())
        assert {each.run for each in settled} == {1}
        both = in_the_end(community)
        assert both.balances_nano != before
    with demo_of(revised, tmp_path / "alone", days) as community:
        alone = in_the_end(community)
    assert alone.runs == days
    assert both.runs > alone.runs
    assert both.rows == alone.rows
    assert both.deltas_nano == alone.deltas_nano
    assert [
        balance - deposit
        for balance, deposit in zip(both.balances_nano, both.deposits_nano, strict=True)
    ] == [
        balance - deposit
        for balance, deposit in zip(alone.balances_nano, alone.deposits_nano, strict=True)
    ]
    check_independently(alone, expected_of(revised, window_s=3_600, days=days))


def check_independently(alone: Settled, expected: Expected) -> None:
    sums_nano = dict.fromkeys(expected.amounts_nano, 0)
    for (_, account), nano in alone.deltas_nano.items():
        sums_nano[account] += nano
    assert sums_nano == expected.amounts_nano


def test_the_runs_of_both_releases_add_up_to_the_revised_one_alone(tmp_path: Path) -> None:
    check_republication(tmp_path, 12)


@pytest.mark.slow
def test_the_whole_republication_adds_up_to_the_wh_and_the_nano(tmp_path: Path) -> None:
    check_republication(tmp_path, WHOLE)


def test_a_third_settlement_finds_nothing_to_do(tmp_path: Path) -> None:
    first = first_days(FIRST_RELEASE, tmp_path / "first.csv", 3)
    revised = first_days(REVISED_RELEASE, tmp_path / "revised.csv", 3)
    with demo_of(first, tmp_path / "data", 3) as community:
        import_registers(community, revised)
        assert len(list(SettlementLoop(community).run())) == 3
        assert list(SettlementLoop(community).run()) == []
    with open_community(tmp_path / "data") as community:
        report = import_registers(community, revised)
        assert (report.accepted, len(report.rejected)) == (0, 0)
        assert list(SettlementLoop(community).run()) == []
