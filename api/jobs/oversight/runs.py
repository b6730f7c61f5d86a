"""Every run of every period, as the chain has it, with the gas that it took."""

from dataclasses import dataclass
from datetime import datetime

from api.jobs.community import Community
from ledger.units import Hash32, from_unix_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledRun:
    """One run."""

    period_start: datetime
    run: int
    state: str  # proposed, final, cancelled, lapsed.
    cutoff_at: datetime
    proposed_at: datetime
    final_at: datetime | None
    shortfall_nano: int
    gas_used: int | None
    statements_root: Hash32
    windows_hash: Hash32
    deltas_root: Hash32
    proposal_tx: Hash32
    final_tx: Hash32 | None


def settled_runs(community: Community) -> list[SettledRun]:
    """All of them, by period and run."""
    history = community.refresh()
    gas = community.settlements.gas_used()
    return [
        SettledRun(
            period_start=from_unix_s(run.period_start_s),
            run=run.run,
            state=run.state,
            cutoff_at=from_unix_s(run.cutoff_at_s),
            proposed_at=from_unix_s(run.proposed_at_s),
            final_at=None if run.final_at_s is None else from_unix_s(run.final_at_s),
            shortfall_nano=sum(run.shortfalls_nano.values()),
            gas_used=gas.get(key),
            statements_root=run.statements_root,
            windows_hash=run.windows_hash,
            deltas_root=run.deltas_root,
            proposal_tx=run.proposal_tx,
            final_tx=run.final_tx,
        )
        for key, run in sorted(history.runs.items())
    ]
