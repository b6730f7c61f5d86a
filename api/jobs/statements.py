"""Statement files of final runs, from what is stored and what the chain says."""

import json
from collections.abc import Iterator
from pathlib import Path

from api.errors import Erased
from api.files import write_whole
from api.jobs.community import Community
from api.jobs.meter_book import meters_of
from ledger.merkle import StandardTree
from ledger.settlement_store import StoredRun, StoredStatement
from ledger.statement_file import statement_file_name, statement_to_json
from ledger.statements import Statement
from ledger.units import Hash32
from metering.meters import MeterBook


def statements_of_run(community: Community, book: MeterBook, run: StoredRun) -> Iterator[Statement]:
    """All accounts' statements of a final run."""
    stored = community.settlements.statements(run.period_start_s, run.run)
    tree = StandardTree([each.leaf for each in stored])
    for index, each in enumerate(stored):
        yield statement_of(community, book, run, each, tree.proof(index))


def statements_of_account(
    community: Community, account: int, *, period_start_s: int | None = None
) -> Iterator[Statement]:
    """One account's statements of all final runs, or of one period's."""
    book = community.book()
    for run in community.settlements.runs():
        if run.state != "final" or period_start_s not in {None, run.period_start_s}:
            continue
        stored = community.settlements.statements(run.period_start_s, run.run)
        tree = StandardTree([each.leaf for each in stored])
        for index, each in enumerate(stored):
            if each.account == account and each.result.rows:  # Else they were erased.
                yield statement_of(community, book, run, each, tree.proof(index))


def statement_text(statement: Statement) -> str:
    """A statement file's text: the same wherever it is got."""
    return json.dumps(statement_to_json(statement), indent=1) + "\n"


def write_statement(statement: Statement, directory: Path) -> Path:
    """Writes a statement file under its own name."""
    path = directory / statement_file_name(
        statement.period_start_s, statement.account, statement.run
    )
    write_whole(path, statement_text(statement))
    return path


def statement_of(
    community: Community,
    book: MeterBook,
    run: StoredRun,
    stored: StoredStatement,
    proof: tuple[Hash32, ...],
) -> Statement:
    """One account's statement of a final run."""
    assert run.final_tx is not None  # noqa: S101 (only final runs come here)
    if not stored.result.rows:
        raise Erased(rule="the rows of this statement were erased; its amount is on the chain")
    return Statement(
        chain_id=community.config.chain.chain_id,
        market=community.contracts.market,
        account=stored.account,
        period_start_s=run.period_start_s,
        run=run.run,
        window_s=community.schedule.window_s,
        residual=community.rules.residual.value,
        meters=meters_of(book, community.schedule, stored.account, run.period_start_s),
        rows=stored.result.rows,
        prices=run.prices,
        totals=run.totals,
        totals_salt=run.totals_salt,
        amount_nano=stored.result.amount_nano,
        applied_before_nano=stored.result.applied_before_nano,
        shortfall_nano=stored.result.shortfall_nano,
        salt=stored.result.salt,
        leaf=stored.leaf,
        proof=proof,
        statements_root=run.statements_root,
        deltas_root=run.deltas_root,
        cutoff_at_s=run.cutoff_at_s,
        transaction=run.final_tx,
    )
