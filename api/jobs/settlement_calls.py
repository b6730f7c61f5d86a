"""Calldata, gas and outbox keys of a run."""

from ledger.chain.abi import encode_call
from ledger.chain.replay import MARKET
from ledger.settlement import SettlementPlan
from ledger.settlement_store import StoredRun

GAS_BASE = 600_000  # What does not grow, with room.
GAS_PER_WORD = 30_000  # A word of four balances that were all zero costs 22,100.
GAS_PER_WINDOW = 2_500
GAS_MAX = 16_777_216  # Of one transaction (EIP-7825).


def proposal_call(function: str, planned: SettlementPlan) -> bytes:
    """Calldata of `propose` or `settle`."""
    proposal = {
        "periodStart": planned.period_start_s,
        "run": planned.run,
        "cutoffAt": planned.cutoff_at_s,
        "statementsRoot": planned.tree.root,
        "totalsHash": planned.totals_hash,
    }
    shorts = [{"account": a, "shortfallNano": nano} for a, nano in planned.shorts]
    prices = [price.word for price in planned.prices]
    return encode_call(MARKET, function, [proposal, prices, list(planned.deltas), shorts])


def finalize_call(run: StoredRun) -> bytes:
    """Calldata of `finalize`."""
    arguments = [
        run.period_start_s,
        run.run,
        run.cutoff_at_s,
        run.statements_root,
        run.windows_hash,
        list(run.deltas),
    ]
    return encode_call(MARKET, "finalize", arguments)


def gas_limit(planned: SettlementPlan) -> int:
    """Gas that surely suffices to publish and apply a run; what is not used is not spent."""
    words = gas_limit_of_words(len(planned.deltas))
    return min(GAS_MAX, words + GAS_PER_WINDOW * len(planned.prices))


def gas_limit_of_words(words: int) -> int:
    """Gas that surely suffices to apply this many delta words."""
    return min(GAS_MAX, GAS_BASE + GAS_PER_WORD * words)


def outbox_key(function: str, period_start_s: int, run: int, attempt: int) -> str:
    return f"{function}:{period_start_s}:{run}:{attempt}"
