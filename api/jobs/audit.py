"""The audit: every settlement again, from chain events and signed readings alone.

The service's results are compared at the end, and never used to derive anything.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from api.jobs.audit_charging import Market, audit_charging
from api.jobs.audit_report import AuditReport, Discrepancy, Progress, run_name
from api.jobs.audit_signatures import check_signatures
from api.jobs.chain_rules import config_on, rules_of
from api.jobs.evidence import ClaimedRun, Evidence, KnownReading
from api.jobs.forgetting.erasures_store import Erasure
from api.jobs.meter_book import book_of_logs
from api.jobs.planning import account_states, flows_of_book, grid_of
from ledger.assignment import Assignment, FlowCell, Tariff, flows_of_enrolled
from ledger.chain.market import MarketReader
from ledger.chain.market_values import MarketConfig
from ledger.chain.protocol import Chain, Log
from ledger.chain.replay import market_events, read_entries
from ledger.chain.settlement_token import TokenReader
from ledger.errors import LedgerError
from ledger.history import MarketEvent, MarketHistory, Run
from ledger.keccak import domain_separator
from ledger.settlement import SettlementPlan, plan_salted
from ledger.units import NANO_PER_MICRO, AccountId, from_unix_s, to_rfc3339, to_unix_s
from ledger.words import balances_of_words, commitment, deltas_root
from metering.meters import MeterBook
from metering.readings import MeterId, Reading
from metering.series import Series

__all__ = ["AuditReport", "Discrepancy", "Progress", "audit", "run_name"]

OnRun = Callable[[AuditReport, Run, SettlementPlan], None]


def audit(
    chain: Chain, evidence: Evidence, *, progress: Progress, on_run: OnRun | None = None
) -> AuditReport:
    """Re-derives all that a market settled and all charges; lists every discrepancy.

    Args:
        on_run: is shown each run as the chain has it and as it was derived.

    Raises:
        ChainUnavailable: the chain does not answer.
    """
    report = AuditReport(readings=len(evidence.readings))
    report.compare("chain", "chain_id", evidence.chain_id, chain.chain_id)
    config = config_on(chain, evidence.market)
    report.compare(
        "rules",
        "hash of keys or priorities",
        evidence.sharing.hash_for(config.volume_rule),
        config.keys_hash,
    )
    registry_logs = chain.logs([config.registry], from_block=0, to_block=chain.head().number)
    book = book_of_logs(registry_logs)
    domain = domain_separator(chain.chain_id, config.registry)
    check_signatures(
        report, evidence.readings, chain, registry_logs, domain=domain, progress=progress
    )
    auditor = _Auditor(chain, evidence, config, registry_logs, report, on_run=on_run)
    entries = read_entries(chain, evidence.market)
    events = list(market_events(entries))
    for place, event in enumerate(events):
        auditor.apply(event)
        progress("settlements", place + 1, len(events))
    auditor.check_end()
    market = Market(token=config.token, book=book)
    audit_charging(report, chain, evidence, market, progress=progress)
    return report


class _Auditor:
    """Folds the market's events, deriving each run from what was there when it was proposed."""

    def __init__(
        self,
        chain: Chain,
        evidence: Evidence,
        config: MarketConfig,
        registry_logs: Sequence[Log],
        report: AuditReport,
        *,
        on_run: OnRun | None,
    ) -> None:
        self._on_run = on_run
        self._chain = chain
        self._market = MarketReader(chain, evidence.market)
        self._evidence = evidence
        self._config = config
        self._schedule = config.schedule
        self._rules = rules_of(config, evidence.sharing)
        self._registry_logs = registry_logs
        self._books: dict[int, MeterBook] = {}  # The last one, by how many events it knows.
        self._report = report
        self._history = MarketHistory()
        self._assignments: dict[tuple[int, int], Assignment] = {}
        self._readings = _by_meter(evidence.readings)
        self._balances_then: Sequence[int] | None = None  # After the block of the claimed ones.

    def apply(self, event: MarketEvent) -> None:
        if self._balances_then is None and event.block_number > self._evidence.balances_at_block:
            self._balances_then = tuple(self._history.balances_nano)
        if event.name == "Proposed" and self._can_derive(event.args["periodStart"]):
            try:
                self._assign(event)
            except LedgerError as error:  # Readings that no intake would have let in.
                where = run_name(event.args["periodStart"], event.args["run"])
                self._report.note(where, f"its flows cannot be derived: {error}")
        self._history.extend([event])
        if event.name != "Finalized" or not self._concerns(event.args["periodStart"]):
            return
        if event.block_number > self._evidence.balances_at_block:
            where = run_name(event.args["periodStart"], event.args["run"])
            self._report.remark(where, "became final after the evidence was collected")
        else:
            self._check_run(self._history.runs[(event.args["periodStart"], event.args["run"])])

    def _concerns(self, period_start_s: int) -> bool:
        """Whether the evidence is about a period."""
        from_s, until_s = self._evidence.from_s, self._evidence.until_s
        return (from_s is None or from_s <= period_start_s) and (
            until_s is None or period_start_s < until_s
        )

    def _can_derive(self, period_start_s: int) -> bool:
        """Whether everything that a period was settled from is in the evidence, or should be."""
        return self._concerns(period_start_s) and not self._erasures_of(period_start_s)

    def _erasures_of(self, period_start_s: int) -> list[Erasure]:
        end_s = self._schedule.period_end(period_start_s)
        return [each for each in self._evidence.erasures if each.meets(period_start_s, end_s)]

    def check_end(self) -> None:
        """Compares balances, custody and the list of runs."""
        report, history = self._report, self._history
        count = history.account_count
        on_chain = balances_of_words(self._market.all_balance_words(), count)
        _compare_all(report, "balance of account", on_chain, history.balances_nano)
        then = history.balances_nano if self._balances_then is None else self._balances_then
        _compare_all(report, "claimed balance of account", self._evidence.balances_nano, then)
        at_block, last_block = self._evidence.balances_at_block, self._chain.head().number
        if at_block > last_block:
            report.note("claimed balances", f"of block {at_block}, the chain ends at {last_block}")
        token = TokenReader(self._chain, self._config.token)
        held_micro = token.balance_micro_of(self._evidence.market)
        owed_nano = sum(history.balances_nano)
        if held_micro * NANO_PER_MICRO < owed_nano:
            report.note("custody", f"the market holds {held_micro} micro and owes {owed_nano} nano")
        if (evidence := self._evidence).from_s is not None and evidence.until_s is not None:
            stretch = [
                to_rfc3339(from_unix_s(at_s)) for at_s in (evidence.from_s, evidence.until_s)
            ]
            report.remark("bundle", f"it is about periods from {stretch[0]} to {stretch[1]} alone")
        for key in self._evidence.runs.keys() - set(history.final_order):
            report.note(run_name(*key), "claimed as final, and not final on the chain")

    def _assign(self, event: MarketEvent) -> None:
        """Notes what this run must be derived from: the state just before it was proposed."""
        key = (event.args["periodStart"], event.args["run"])
        tariff = self._history.tariff_at(key[0])
        self._assignments[key] = Assignment(
            schedule=self._schedule,
            rules=self._rules,
            tariff=Tariff(
                grid_import_per_kwh=tariff.grid_import_per_kwh,
                grid_export_per_kwh=tariff.grid_export_per_kwh,
                local_fee_per_kwh=tariff.local_fee_per_kwh,
                fixed_per_kwh=tariff.fixed_per_kwh,
            ),
            period_start_s=key[0],
            run=key[1],
            cutoff_at_s=event.args["cutoffAt"],
            accounts=account_states(
                self._history,
                range(self._history.account_count),
                period_start_s=key[0],
                run=key[1],
                at_s=event.timestamp_s,
                withdrawal_delay_s=self._rules.withdrawal_delay_s,
            ),
            flows=flows_of_enrolled(self._flows(key[0], event), self._history.account_count),
        )

    def _book_before(self, block_number: int) -> MeterBook:
        """The meters that were known before a block: one that begins in the past came later."""
        known = bisect_left(self._registry_logs, block_number, key=lambda log: log.block_number)
        if known not in self._books:
            self._books = {known: book_of_logs(self._registry_logs[:known])}
        return self._books[known]

    def _flows(self, period_start_s: int, event: MarketEvent) -> dict[AccountId, list[FlowCell]]:
        cutoff_at_s: int = event.args["cutoffAt"]
        grid = grid_of(self._schedule, period_start_s)
        end_s = self._schedule.period_end(period_start_s)
        series = {
            meter_id: Series.of(meter_id, _around(known, period_start_s, end_s, cutoff_at_s))
            for meter_id, known in self._readings.items()
        }
        return flows_of_book(self._book_before(event.block_number), series, grid)

    def _check_run(self, run: Run) -> None:
        self._report.runs += 1
        if gone := self._erasures_of(run.period_start_s):
            self._check_erased(run, gone)
            return
        assignment = self._assignments.pop((run.period_start_s, run.run), None)
        if assignment is None:
            return
        where = run_name(run.period_start_s, run.run)
        claimed = self._evidence.runs.get((run.period_start_s, run.run))
        if claimed is None:
            self._report.note(where, "final on the chain, but its salts are not in the evidence")
            return
        if len(claimed.salts.accounts) != len(assignment.accounts):
            self._report.note(where, "the evidence has not one salt for each account")
            return
        try:
            derived = plan_salted(assignment, claimed.salts)
        except LedgerError as error:
            self._report.note(where, f"cannot be derived: {error}")
            return
        self._report.statements += len(derived.results)
        self._compare_with_chain(where, run, derived)
        self._compare_with_claim(where, claimed, derived)
        if self._on_run is not None:
            self._on_run(self._report, run, derived)

    def _check_erased(self, run: Run, gone: Sequence[Erasure]) -> None:
        """What can be said of a run whose readings and rows are not all there any more."""
        where = run_name(run.period_start_s, run.run)
        whose = sorted({"all" if each.account is None else str(each.account) for each in gone})
        self._report.remark(
            where,
            f"readings and rows of account {', '.join(whose)} were erased on request or by age: "
            "the published deltas were compared, amounts and prices were not derived again",
        )
        self._compare_published(where, run)

    def _compare_published(self, where: str, run: Run) -> None:
        report = self._report
        report.compare(where, "published deltas' root", deltas_root(run.deltas), run.deltas_root)
        report.compare(where, "sum of published deltas", sum(run.deltas_nano), 0)
        stored = self._market.commitment_of(run.period_start_s, run.run)
        published = commitment(
            statements_root=run.statements_root,
            windows=run.windows_hash,
            deltas_root=run.deltas_root,
            run=run.run,
            cutoff_at_s=run.cutoff_at_s,
        )
        report.compare(where, "published commitment", stored, published)

    def _compare_with_chain(self, where: str, run: Run, derived: SettlementPlan) -> None:
        report = self._report
        report.compare(where, "statements root", run.statements_root, derived.tree.root)
        report.compare(where, "windows hash", run.windows_hash, derived.windows_hash)
        report.compare(where, "deltas root", run.deltas_root, derived.deltas_root)
        report.compare(where, "published deltas' root", deltas_root(run.deltas), run.deltas_root)
        report.compare(
            where, "published prices", list(run.prices), [price.word for price in derived.prices]
        )
        report.compare(where, "shortfalls", run.shortfalls_nano, dict(derived.shorts))
        for account, (applied_nano, result) in enumerate(
            zip(run.deltas_nano, derived.results, strict=True)
        ):
            report.compare(f"{where} account {account}", "delta", applied_nano, result.delta_nano)
        stored = self._market.commitment_of(run.period_start_s, run.run)
        expected = commitment(
            statements_root=derived.tree.root,
            windows=derived.windows_hash,
            deltas_root=derived.deltas_root,
            run=run.run,
            cutoff_at_s=run.cutoff_at_s,
        )
        report.compare(where, "commitment", stored, expected)

    def _compare_with_claim(self, where: str, claimed: ClaimedRun, derived: SettlementPlan) -> None:
        report = self._report
        for window, (stated, price) in enumerate(zip(claimed.prices, derived.prices, strict=False)):
            report.compare(f"{where} window {window}", "claimed price", stated, price)
        for window, (totals, total) in enumerate(zip(claimed.totals, derived.totals, strict=False)):
            report.compare(f"{where} window {window}", "claimed totals", totals, total)
        for account, result in enumerate(derived.results):
            own = f"{where} account {account}"
            report.compare(own, "claimed amount", claimed.amounts_nano[account], result.amount_nano)
            for window, (stated_row, row) in enumerate(
                zip(claimed.rows[account], result.rows, strict=False)
            ):
                report.compare(f"{own} window {window}", "claimed row", stated_row, row)
        lengths = (len(claimed.prices), len(claimed.totals), *map(len, claimed.rows))
        if set(lengths) != {len(derived.prices)}:
            report.note(where, "the evidence has not one entry for each window")


def _by_meter(readings: Sequence[KnownReading]) -> dict[MeterId, list[KnownReading]]:
    """Each meter's readings by instant, versions of one in the order they were accepted in."""
    by_meter: dict[MeterId, list[KnownReading]] = {}
    for each in readings:
        by_meter.setdefault(each.signed.reading.meter_id, []).append(each)
    for own in by_meter.values():
        own.sort(key=_taken_s)
    return by_meter


def _around(
    known: Sequence[KnownReading], start_s: int, end_s: int, cutoff_at_s: int
) -> list[Reading]:
    """What was known at the cutoff of a period, with one neighbour on each side."""
    low = bisect_left(known, start_s, key=_taken_s)
    while low > 0 and known[low - 1].accepted_at_s > cutoff_at_s:
        low -= 1
    if low > 0:  # All versions of the neighbour's instant.
        low = bisect_left(known, _taken_s(known[low - 1]), key=_taken_s)
    high = bisect_right(known, end_s, key=_taken_s)
    while high < len(known) and known[high].accepted_at_s > cutoff_at_s:
        high += 1
    if high < len(known):
        high = bisect_right(known, _taken_s(known[high]), key=_taken_s)
    return [each.signed.reading for each in known[low:high] if each.accepted_at_s <= cutoff_at_s]


def _taken_s(known: KnownReading) -> int:
    return to_unix_s(known.signed.reading.taken_at)


def _compare_all(
    report: AuditReport, what: str, stated: Sequence[int], derived: Sequence[int]
) -> None:
    report.compare(what + "s", "number", len(stated), len(derived))
    for account, (left_nano, right_nano) in enumerate(zip(stated, derived, strict=False)):
        report.compare(f"{what} {account}", "nano", left_nano, right_nano)
