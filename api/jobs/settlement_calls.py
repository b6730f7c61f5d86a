"""Calldata, gas and outbox keys of a run."""

from ledger.chain import market_calls
from ledger.chain.market_values import Proposal
from ledger.settlement import SettlementPlan
from ledger.settlement_store import StoredRun

GAS_BASE = 600_000  # What does not grow, with room.
GAS_PER_WORD = 30_000  # A word of four balances that were all zero costs 22,100.
GAS_PER_WINDOW = 2_500
GAS_MAX = 16_777_216  # Of one transaction (EIP-7825).


def proposal_call(function: str, planned: SettlementPlan) -> bytes:
    """Calldata of `propose` or `settle`."""
    call = market_calls.settle if function == "settle" else market_calls.propose
    return call(
        Proposal(
            period_start_s=planned.period_start_s,
            run=planned.run,
            cutoff_at_s=planned.cutoff_at_s,
            statements_root=planned.tree.root,
            totals_hash=planned.totals_hash,
        ),
        prices=[price.word for price in planned.prices],
        deltas=planned.deltas,
        shortfalls_nano=dict(planned.shorts),
    )


def finalize_call(run: StoredRun) -> bytes:
    """Calldata of `finalize`."""
    return market_calls.finalize(
        period_start_s=run.period_start_s,
        run=run.run,
        cutoff_at_s=run.cutoff_at_s,
        statements_root=run.statements_root,
        windows_hash=run.windows_hash,
        deltas=run.deltas,
    )


def gas_limit(planned: SettlementPlan) -> int:
    """Gas that surely suffices to publish and apply a run; what is not used is not spent."""
    words = gas_limit_of_words(len(planned.deltas))
    return min(GAS_MAX, words + GAS_PER_WINDOW * len(planned.prices))


def gas_limit_of_words(words: int) -> int:
    """Gas that surely suffices to apply this many delta words."""
    return min(GAS_MAX, GAS_BASE + GAS_PER_WORD * words)


def outbox_key(function: str, period_start_s: int, run: int, attempt: int) -> str:
    return f"{function}:{period_start_s}:{run}:{attempt}"
