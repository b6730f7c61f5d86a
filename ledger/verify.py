"""What a member checks of a statement, one named check after the other (INTERFACES §2 `verify`).

The first five need nothing but the file; the others compare it with what the chain says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger.history import MarketHistory, Run
from ledger.keccak import keccak256
from ledger.statements import Statement, StatementMeter
from ledger.units import FIRST_MEMBER, Address, Hash32
from ledger.words import commitment, deltas_root, pack, prices_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was compared; `detail` names what differs, or what was found equal."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """What the chain says that a statement is compared with."""

    chain_id: int
    market: Address
    window_s: int
    period_windows: int
    residual: str
    commitment: Hash32  # As stored by the contract; zero if none.
    history: MarketHistory
    meters: tuple[StatementMeter, ...]  # Of this account in this period, by the registry.


def check_alone(statement: Statement) -> Iterator[Check]:
    """Checks that need the file only: rows, amount, leaf, proof."""
    yield from _row_checks(statement)
    yield _equal("amount", "amount_nano", statement.amount_nano, statement.amount_computed_nano())
    yield _equal("leaf", "leaf", statement.leaf, statement.leaf_computed())
    yield _equal("proof", "statements_root", statement.statements_root, statement.root_computed())


def check_with_chain(statement: Statement, facts: ChainFacts) -> Iterator[Check]:
    """Checks against the chain: rules, commitment, transaction, deltas, earlier runs, meters."""
    yield _equal("chain", "chain_id", statement.chain_id, facts.chain_id)
    yield _equal("market", "market", statement.market, facts.market)
    yield _equal("rules", "window_s", statement.window_s, facts.window_s)
    yield _equal("rules", "rows", len(statement.rows), facts.period_windows)
    yield _equal("rules", "residual", statement.residual, facts.residual)
    yield _equal(
        "commitment",
        "statements_root, prices, totals, totals_salt, deltas_root, run or cutoff_at",
        _commitment_of(statement),
        facts.commitment,
    )
    run = facts.history.runs.get((statement.period_start_s, statement.run))
    if run is None or run.state != "final":
        state = "unknown" if run is None else run.state
        yield Check(name="final", passed=False, detail=f"this run is {state} on the chain")
        return
    yield Check(name="final", passed=True, detail="this run is final on the chain")
    yield from _parts_checks(statement, run)
    yield from _delta_checks(statement, run, facts)
    if statement.meters is not None:
        yield _equal("meters", "meters", _spell(statement.meters), _spell(facts.meters))


def _row_checks(statement: Statement) -> Iterator[Check]:
    for place, row in enumerate(statement.rows):
        field = f"rows[{place}]"
        if row.bought_wh > row.import_wh or row.sold_wh > row.export_wh:
            yield Check(name="rows", passed=False, detail=f"{field}: trades more than it metered")
        if row.uncovered and row.bought_wh:
            yield Check(name="rows", passed=False, detail=f"{field}: uncovered, and bought")
        if statement.account < FIRST_MEMBER and row.word:
            yield Check(name="rows", passed=False, detail=f"{field}: this account has no flows")
    yield Check(name="rows", passed=True, detail=f"{len(statement.rows)} windows read")


def _parts_checks(statement: Statement, run: Run) -> Iterator[Check]:
    """Names which part differs where the commitment does."""
    yield _equal("commitment", "statements_root", statement.statements_root, run.statements_root)
    yield _equal("commitment", "cutoff_at", statement.cutoff_at_s, run.cutoff_at_s)
    published = [price.word for price in statement.prices]
    for place, (stated, on_chain) in enumerate(zip(published, run.prices, strict=False)):
        if stated != on_chain:
            yield _equal("prices", f"prices[{place}]", hex(stated), hex(on_chain))
            break
    yield _equal(
        "prices",
        "prices",
        prices_hash(statement.prices),
        prices_hash_of_words(run.prices),
    )
    yield _equal(
        "totals", "totals, totals_salt", statement.windows_hash_computed(), run.windows_hash
    )
    yield _equal("deltas", "deltas_root", statement.deltas_root, deltas_root(run.deltas))


def _delta_checks(statement: Statement, run: Run, facts: ChainFacts) -> Iterator[Check]:
    yield _equal("transaction", "transaction", statement.transaction, run.final_tx)
    account, history = statement.account, facts.history
    if account >= len(run.deltas_nano):
        yield Check(
            name="delta", passed=False, detail=f"account {account} is not in this settlement"
        )
        return
    yield _equal(
        "delta",
        "amount_nano - applied_before_nano + shortfall_nano",
        statement.delta_nano,
        run.deltas_nano[account],
    )
    shortfall_nano = run.shortfalls_nano.get(account, 0)
    if account == 0:
        shortfall_nano = -sum(run.shortfalls_nano.values())
    yield _equal("shortfall", "shortfall_nano", statement.shortfall_nano, shortfall_nano)
    yield _equal(
        "earlier runs",
        "applied_before_nano",
        statement.applied_before_nano,
        history.applied_nano(run.period_start_s, account, before_run=run.run),
    )


def prices_hash_of_words(words: Sequence[int]) -> Hash32:
    """Hash of price words as they were published."""

    return keccak256(pack(words))


def _commitment_of(statement: Statement) -> Hash32:
    return commitment(
        statements_root=statement.statements_root,
        windows=statement.windows_hash_computed(),
        deltas_root=statement.deltas_root,
        run=statement.run,
        cutoff_at_s=statement.cutoff_at_s,
    )


def _spell(meters: Sequence[StatementMeter]) -> str:
    return ", ".join(f"0x{meter.meter_id.hex()} {meter.meter_class}" for meter in meters) or "none"


def _equal(name: str, field: str, stated: object, found: object) -> Check:
    if stated == found:
        return Check(name=name, passed=True, detail=field)
    return Check(
        name=name, passed=False, detail=f"{field}: stated {_show(stated)}, is {_show(found)}"
    )


def _show(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
