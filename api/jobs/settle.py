"""The settlement loop: what is due is planned, published, applied, and taken up after a crash.

A plan and the transaction that publishes it are committed together, before anything is sent. So
whatever interrupts the loop, the same call goes on with the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from api.jobs.community import Community
from api.jobs.due import DueRun, DueRuns
from api.jobs.planning import assign
from api.jobs.settlement_calls import (
    finalize_call,
    gas_limit,
    gas_limit_of_words,
    outbox_key,
    proposal_call,
)
from ledger.chain import market_calls
from ledger.errors import LedgerError
from ledger.outbox_states import Entry, IntentFailed, UnknownIntent
from ledger.settlement import SettlementPlan, plan
from ledger.settlement_store import StoredRun
from ledger.units import from_unix_s
from ledger.words import StatementRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One run that became final."""

    period_start_s: int
    run: int
    gas_used: int


@dataclass(eq=False, kw_only=True)
class SettlementFailed(LedgerError):
    """The chain refused a run; nothing moved, and it is planned anew next time."""

    code: ClassVar[str] = "settlement_failed"
    period_start_s: int
    run: int
    reason_code: str
    reason: str


class SettlementLoop:
    """Settles a community's periods and revisions up to an instant."""

    def __init__(
        self, community: Community, *, until_s: int | None = None, may_move_time: bool = True
    ) -> None:
        """`may_move_time`: a chain whose clock follows the data is moved to when a run is due."""
        self._community = community
        self._moves_time = may_move_time and community.config.chain.clock == "data"
        self._due = DueRuns(community, until_s=until_s, moves_time=self._moves_time)
        self.alarm: LedgerError | None = None  # Why a run that is due is not proposed.

    def run(self) -> Iterator[Settled]:
        """Settles until nothing is due, one run at a time."""
        while (settled := self.step()) is not None:
            yield settled

    def step(self) -> Settled | None:
        """Finishes what is open, else begins what is due next; None if nothing can be done now."""
        open_run = self._community.settlements.open_run() or self._begin()
        while open_run is not None:
            settled = self._finish(open_run)
            if settled is not None or self._community.settlements.open_run() is not None:
                return settled
            open_run = self._begin()  # It had lapsed, and is made again.
        return None

    def first_runs_left(self) -> int:
        """How many first runs there are to settle, for a progress bar."""
        return self._due.first_runs_left()

    def periods_behind(self) -> int:
        """How many periods are over by the clock, and have not been settled once."""
        return self._due.periods_behind()

    def _begin(self) -> StoredRun | None:
        self.alarm = None
        community = self._community
        history, book = community.refresh(), community.book()
        for due in self._due.find(history, book):
            if not self._moves_time:  # A time that is yet to come is frozen with the plan.
                community.readings.freeze(from_unix_s(due.cutoff_at_s))
            assignment = assign(
                community,
                history,
                book,
                period_start_s=due.period_start_s,
                run=due.run,
                at_s=due.at_s,
                cutoff_at_s=due.cutoff_at_s,
            )
            try:
                planned = plan(assignment, community.keys.secret("salt"))
            except LedgerError as alarm:
                self.alarm = self.alarm or alarm
                continue
            if due.run > 0 and self._changes_nothing(planned):
                self._due.settled(due.period_start_s)
                continue
            return self._commit(planned, due)
        if self.alarm is None:
            self._due.note_nothing_left()
        return None

    def _changes_nothing(self, planned: SettlementPlan) -> bool:
        """Whether a revision would move no money and change no Wh."""
        if not planned.moves_nothing:
            return False
        stored = self._community.settlements.statements(planned.period_start_s, planned.run - 1)
        before = {int(each.account): _energies(each.result.rows) for each in stored}
        return all(
            before.get(account, _no_energies(result.rows)) == _energies(result.rows)
            for account, result in enumerate(planned.results)
        )

    def _commit(self, planned: SettlementPlan, due: DueRun) -> StoredRun:
        community = self._community
        before = community.settlements.run(planned.period_start_s, planned.run)
        attempt = before.attempt + 1 if before else 0
        function = "settle" if community.schedule.dispute_period_s == 0 else "propose"
        intent = community.intent(
            outbox_key(function, planned.period_start_s, planned.run, attempt),
            proposal_call(function, planned),
            to=community.contracts.market,
            at_s=due.at_s,
            gas=gas_limit(planned),
            slots=(  # A proposal moves no balance.
                market_calls.slots_of_settlement(len(planned.deltas), by_operator=True)
                if function == "settle"
                else ()
            ),
        )
        with community.engine.begin() as connection:
            community.settlements.save_plan(connection, planned, attempt=attempt)
            community.readings.freeze(from_unix_s(due.cutoff_at_s), connection)
            community.outbox.put(intent, connection)
        return community.settlements.require_run(planned.period_start_s, planned.run)

    def _finish(self, run: StoredRun) -> Settled | None:
        if self._community.schedule.dispute_period_s == 0:
            entry = self._wait(run, "settle")
        else:
            if run.state == "planned":
                self._wait(run, "propose")
                self._mark(run, "proposed")
            finalized = self._finalize(run)
            if finalized is None:
                return None
            entry = finalized
        self._mark(run, "final", entry)
        self._due.settled(run.period_start_s)
        gas_used = entry.inclusion.gas_used if entry.inclusion else 0
        return Settled(period_start_s=run.period_start_s, run=run.run, gas_used=gas_used)

    def _finalize(self, run: StoredRun) -> Entry | None:
        """Applies a proposal after its dispute period; None while that lasts, or if it lapsed."""
        community, schedule = self._community, self._community.schedule
        key = outbox_key("finalize", run.period_start_s, run.run, run.attempt)
        try:
            community.outbox.status(key)
        except UnknownIntent:
            on_chain = community.refresh().runs[(run.period_start_s, run.run)]
            at_s = on_chain.proposed_at_s + schedule.dispute_period_s
            if community.now_s() > at_s + schedule.finalize_within_s:
                self._mark(run, "given_up")
                return None
            if not self._moves_time and community.next_block_from_s() < at_s:
                return None
            intent = community.intent(
                key,
                finalize_call(run),
                to=community.contracts.market,
                at_s=at_s,
                gas=gas_limit_of_words(len(run.deltas)),
                slots=market_calls.slots_of_settlement(len(run.deltas), by_operator=False),
            )
            community.outbox.put(intent)
        return self._wait(run, "finalize")

    def _wait(self, run: StoredRun, function: str) -> Entry:
        key = outbox_key(function, run.period_start_s, run.run, run.attempt)
        try:
            return self._community.outbox.wait(key)
        except IntentFailed as error:
            self._mark(run, "given_up")
            raise SettlementFailed(
                period_start_s=run.period_start_s,
                run=run.run,
                reason_code=error.reason_code,
                reason=error.reason,
            ) from error

    def _mark(self, run: StoredRun, state: str, entry: Entry | None = None) -> None:
        inclusion = entry.inclusion if entry else None
        with self._community.engine.begin() as connection:
            self._community.settlements.set_state(
                connection,
                run,
                state,
                final_tx=inclusion.tx_hash if inclusion else None,
                gas_used=inclusion.gas_used if inclusion else None,
            )


def _energies(rows: tuple[StatementRow, ...]) -> list[tuple[int, int]]:
    return [(row.import_wh, row.export_wh) for row in rows]


def _no_energies(rows: tuple[StatementRow, ...]) -> list[tuple[int, int]]:
    """What an account that had no statement before had metered."""
    return [(0, 0)] * len(rows)
