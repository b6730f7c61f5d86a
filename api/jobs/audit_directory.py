"""The audit of a data directory: everything derived again, then the tables of results beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from api.jobs.audit import AuditReport, Progress, audit, run_name
from api.jobs.community import Community
from api.jobs.evidence import Evidence, evidence_of
from api.jobs.verify import (
    MarketFacts,
    Verdict,
    read_document,
    read_statement,
    verify_statement,
)
from api.jobs.verify_receipt import EscrowFacts, verify_receipt
from charging.receipt_file import receipt_from_json
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.protocol import Block, Chain
from ledger.chain.replay import LogEntry, read_entries
from ledger.errors import LedgerError
from ledger.history import Run
from ledger.index_store import IndexStore
from ledger.settlement import SettlementPlan
from ledger.settlement_store import StoredRun, StoredStatement

READ_TIMES_MAX: Final = 20  # A service that is never still for a moment is taken as it comes.


def audit_directory(community: Community, chain: Chain, *, progress: Progress) -> AuditReport:
    """Audits what a data directory holds, by its own chain or an endpoint's.

    Raises:
        ChainUnavailable: the chain does not answer.
    """
    if isinstance(chain, EmbeddedChain) and (corrupt := chain.corrupt_nodes()):
        report = AuditReport()
        for key in corrupt:
            report.note("chain", f"node 0x{key.hex()} is not what its hash says")
        return report  # Nothing that such a chain says can be gone by.
    tables = _Tables(community)
    evidence = _evidence_of_now(community, chain)
    report = audit(chain, evidence, progress=progress, on_run=tables.check)
    _check_index(report, community, chain)
    _check_files(report, community, chain)
    return report


def _evidence_of_now(community: Community, chain: Chain) -> Evidence:
    """Evidence of one moment with what the chain shows: read again if a block came meanwhile."""
    for _ in range(READ_TIMES_MAX):
        head = _newest(chain)
        evidence = evidence_of(community)
        if _newest(chain) == head:
            break
    return evidence


def _newest(chain: Chain) -> Block:
    """The last block; from then on a chain that another process writes shows all up to it."""
    return chain.refresh() if isinstance(chain, EmbeddedChain) else chain.head()


class _Tables:
    """Compares the stored results of each run with what was derived for it."""

    def __init__(self, community: Community) -> None:
        self._store = community.settlements

    def check(self, report: AuditReport, run: Run, derived: SettlementPlan) -> None:
        where = run_name(run.period_start_s, run.run)
        stored = self._store.run(run.period_start_s, run.run)
        if stored is None:
            report.note(where, "is not in the service's tables")
            return
        _compare_run(report, where, stored, run, derived)
        statements = self._store.statements(run.period_start_s, run.run)
        accounts = [each.account for each in statements]
        report.compare(where, "stored accounts", accounts, list(range(len(derived.results))))
        for statement in statements:
            if statement.account < len(derived.results):
                _compare_statement(report, where, statement, derived)


def _compare_run(
    report: AuditReport, where: str, stored: StoredRun, run: Run, derived: SettlementPlan
) -> None:
    for what, stated, found in (
        ("cutoff", stored.cutoff_at_s, run.cutoff_at_s),
        ("prices", stored.prices, derived.prices),
        ("totals", stored.totals, derived.totals),
        ("deltas", stored.deltas, derived.deltas),
        ("shortfalls", dict(stored.shorts), dict(derived.shorts)),
        ("statements root", stored.statements_root, derived.tree.root),
        ("windows hash", stored.windows_hash, derived.windows_hash),
        ("deltas root", stored.deltas_root, derived.deltas_root),
        *_end_of(report, where, stored, run),
    ):
        report.compare(where, f"stored {what}", stated, found)


def _end_of(
    report: AuditReport, where: str, stored: StoredRun, run: Run
) -> Sequence[tuple[str, object, object]]:
    """What a run's end left in its row; the service may be a step behind the chain."""
    if stored.state in {"planned", "proposed"} and stored.final_tx is None:
        report.remark(where, "the service has not followed its end yet")
        return ()
    return ("state", stored.state, "final"), ("transaction", stored.final_tx, run.final_tx)


def _compare_statement(
    report: AuditReport, where: str, stored: StoredStatement, derived: SettlementPlan
) -> None:
    result, found = stored.result, derived.results[stored.account]
    own = f"{where} account {stored.account}"
    for what, stated, expected in (
        ("rows", result.rows, found.rows),
        ("amount", result.amount_nano, found.amount_nano),
        ("applied before", result.applied_before_nano, found.applied_before_nano),
        ("shortfall", result.shortfall_nano, found.shortfall_nano),
        ("leaf", stored.leaf, derived.leaves[stored.account]),
    ):
        report.compare(own, f"stored {what}", stated, expected)


def _check_index(report: AuditReport, community: Community, chain: Chain) -> None:
    """Whether the service's index, which it plans from, says what the chain says."""
    index = IndexStore(community.engine, chain_id=community.config.chain.chain_id)
    head = index.head()
    if head is None:
        return
    _newest(chain)  # The service may have followed it further than we have seen.
    on_chain = chain.block(head.number)
    report.compare("index", "its last block", head, on_chain)
    contracts = community.contracts
    names = ("market", "registry", "escrow")
    for name, address in zip(names, contracts.followed, strict=False):
        found = read_entries(chain, address, to_block=head.number)
        kept = [each for each in index.entries(address) if each.log.block_number <= head.number]
        _compare_index(report, f"index of the {name}", kept, found)


def _compare_index(
    report: AuditReport, where: str, stored: Sequence[LogEntry], found: Sequence[LogEntry]
) -> None:
    report.compare(where, "number of events", len(stored), len(found))
    for ours, theirs in zip(stored, found, strict=False):
        place = f"{where}, block {theirs.log.block_number} event {theirs.log.log_index}"
        report.compare(place, "event", ours.log, theirs.log)
        report.compare(place, "time", ours.timestamp_s, theirs.timestamp_s)
        if theirs.tx_input is not None:
            report.compare(place, "calldata", ours.tx_input, theirs.tx_input)


def _check_files(report: AuditReport, community: Community, chain: Chain) -> None:
    """Whether the statement and receipt files in the directory still agree with the chain."""
    market = MarketFacts(chain, community.contracts.market)
    for path in sorted(community.directory.statements_path.glob("*.json")):
        _check_file(report, path, lambda path: verify_statement(read_statement(path), market))
    escrow = EscrowFacts(chain, community.contracts.escrow)
    for path in sorted(community.directory.receipts_path.glob("*.json")):
        _check_file(
            report,
            path,
            lambda path: verify_receipt(receipt_from_json(read_document(path)), escrow),
        )


def _check_file(report: AuditReport, path: Path, verify: Callable[[Path], Verdict]) -> None:
    try:
        verdict = verify(path)
    except LedgerError as error:
        report.note(f"file {path.name}", str(error))
        return
    for check in verdict.checks:
        if not check.passed:
            report.note(f"file {path.name}", check.detail)
