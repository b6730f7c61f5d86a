"""What a member checks of a statement, one named check after the other (INTERFACES §2 `verify`).

The first five need nothing but the file; the others compare it with what the chain says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger.assignment import Rules
from ledger.checks import Check, equal
from ledger.clearing import PriceRule, VolumeRule
from ledger.history import AccountLimits, GridTariff, MarketHistory, Run
from ledger.keccak import keccak256
from ledger.statements import Statement, StatementMeter
from ledger.units import FIRST_MEMBER, Address, Hash32
from ledger.words import (
    StatementRow,
    WindowPrice,
    WindowTotals,
    commitment,
    deltas_root,
    pack,
    prices_hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """What the chain says that a statement is compared with."""

    chain_id: int
    market: Address
    window_s: int
    period_windows: int
    residual: str
    rules: Rules  # Its keys and priorities are not on the chain, and not needed here.
    commitment: Hash32  # As stored by the contract; zero if none.
    history: MarketHistory
    meters: tuple[StatementMeter, ...]  # Of this account in this period, by the registry.


def check_alone(statement: Statement) -> Iterator[Check]:
    """Checks that need the file only: rows, amount, leaf, proof."""
    yield from _row_checks(statement)
    yield equal("amount", "amount_nano", statement.amount_nano, statement.amount_computed_nano())
    yield equal("leaf", "leaf", statement.leaf, statement.leaf_computed())
    yield equal("proof", "statements_root", statement.statements_root, statement.root_computed())


def check_with_chain(statement: Statement, facts: ChainFacts) -> Iterator[Check]:
    """Checks against the chain: rules, commitment, transaction, deltas, earlier runs, meters."""
    yield equal("chain", "chain_id", statement.chain_id, facts.chain_id)
    yield equal("market", "market", statement.market, facts.market)
    yield equal("rules", "window_s", statement.window_s, facts.window_s)
    yield equal("rules", "rows", len(statement.rows), facts.period_windows)
    yield equal("rules", "residual", statement.residual, facts.residual)
    yield equal(
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
    if statement.account < len(run.deltas_nano):
        yield from check_rules(statement, facts)
    if statement.meters is not None:
        yield equal("meters", "meters", _spell(statement.meters), _spell(facts.meters))


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
    yield equal("commitment", "statements_root", statement.statements_root, run.statements_root)
    yield equal("commitment", "cutoff_at", statement.cutoff_at_s, run.cutoff_at_s)
    published = [price.word for price in statement.prices]
    for place, (stated, on_chain) in enumerate(zip(published, run.prices, strict=False)):
        if stated != on_chain:
            yield equal("prices", f"prices[{place}]", hex(stated), hex(on_chain))
            break
    yield equal(
        "prices",
        "prices",
        prices_hash(statement.prices),
        prices_hash_of_words(run.prices),
    )
    yield equal(
        "totals", "totals, totals_salt", statement.windows_hash_computed(), run.windows_hash
    )
    yield equal("deltas", "deltas_root", statement.deltas_root, deltas_root(run.deltas))


def _delta_checks(statement: Statement, run: Run, facts: ChainFacts) -> Iterator[Check]:
    yield equal("transaction", "transaction", statement.transaction, run.final_tx)
    account, history = statement.account, facts.history
    if account >= len(run.deltas_nano):
        yield Check(
            name="delta", passed=False, detail=f"account {account} is not in this settlement"
        )
        return
    yield equal(
        "delta",
        "amount_nano - applied_before_nano + shortfall_nano",
        statement.delta_nano,
        run.deltas_nano[account],
    )
    shortfall_nano = run.shortfalls_nano.get(account, 0)
    if account == 0:
        shortfall_nano = -sum(run.shortfalls_nano.values())
    yield equal("shortfall", "shortfall_nano", statement.shortfall_nano, shortfall_nano)
    yield equal(
        "earlier runs",
        "applied_before_nano",
        statement.applied_before_nano,
        history.applied_nano(run.period_start_s, account, before_run=run.run),
    )


def check_rules(statement: Statement, facts: ChainFacts) -> Iterator[Check]:
    """Whether price, limits, cover and the account's share follow the market's rules.

    What depends on everybody's rows (an auction's price, shares by keys) is for the audit.
    """
    history, account, start_s = facts.history, statement.account, statement.period_start_s
    tariff = history.tariff_at(start_s)
    limits = history.limits_at(account, start_s)
    is_uncovered = account >= FIRST_MEMBER and (
        history.cover_nano(account, start_s)
        < sum(row.import_wh for row in statement.rows) * tariff.grid_import_per_kwh
    )
    wrong = {"price": "", "limits": "", "cover": "", "share": ""}
    windows = zip(statement.rows, statement.prices, statement.totals, strict=True)
    for place, (row, price, total) in enumerate(windows):
        expected = _price_by_rule(facts.rules, tariff, total)
        if expected is not None and price.local_per_kwh != expected:
            wrong["price"] = f"prices[{place}]: stated {price.local_per_kwh}, is {expected}"
        if limits is not None and _breaks(limits, row, price):
            wrong["limits"] = f"rows[{place}]: trades outside the account's limits"
        if account >= FIRST_MEMBER and row.uncovered != is_uncovered and facts.meters:
            wrong["cover"] = f"rows[{place}]: uncovered is {row.uncovered}, is {is_uncovered}"
        if not _share_fits(facts.rules, limits, row, price, total):
            wrong["share"] = f"rows[{place}], totals[{place}]: not the share by the volume rule"
    for name, detail in wrong.items():
        yield Check(name=name, passed=not detail, detail=detail or name)


def _price_by_rule(rules: Rules, tariff: GridTariff, total: WindowTotals) -> int | None:
    """The price that the rule gives from the community's sums; None where it needs all bids."""
    low = tariff.grid_export_per_kwh
    high = tariff.grid_import_per_kwh - tariff.local_fee_per_kwh
    match rules.price_rule:
        case PriceRule.MID_MARKET:
            return (low + high) // 2
        case PriceRule.FIXED:
            return tariff.fixed_per_kwh
        case PriceRule.SUPPLY_DEMAND_RATIO:
            demand_wh = total.import_wh
            traded_wh = min(total.export_wh, demand_wh)
            if demand_wh == 0:
                return low
            return (high * (demand_wh - traded_wh) + low * traded_wh) // demand_wh
    return None


def _breaks(limits: AccountLimits, row: StatementRow, price: WindowPrice) -> bool:
    pays = price.local_per_kwh + price.local_fee_per_kwh
    return (row.bought_wh > 0 and limits.max_buy_per_kwh < pays) or (
        row.sold_wh > 0 and limits.min_sell_per_kwh > price.local_per_kwh
    )


def _share_fits(
    rules: Rules,
    limits: AccountLimits | None,
    row: StatementRow,
    price: WindowPrice,
    total: WindowTotals,
) -> bool:
    """Under proportional volumes: everything eligible is traded, each within 1 Wh of its share."""
    if rules.volume_rule is not VolumeRule.PROPORTIONAL or rules.price_rule is PriceRule.AUCTION:
        return True
    traded_wh, demand_wh, supply_wh = (
        total.traded_wh,
        total.eligible_import_wh,
        total.eligible_export_wh,
    )
    pays = price.local_per_kwh + price.local_fee_per_kwh
    buys = not row.uncovered and (limits is None or limits.max_buy_per_kwh >= pays)
    sells = limits is None or limits.min_sell_per_kwh <= price.local_per_kwh
    import_wh, export_wh = row.import_wh * buys, row.export_wh * sells
    return (
        traded_wh == min(demand_wh, supply_wh)
        and _is_share(row.bought_wh, import_wh, traded_wh, demand_wh)
        and _is_share(row.sold_wh, export_wh, traded_wh, supply_wh)
    )


def _is_share(part_wh: int, own_wh: int, traded_wh: int, whole_wh: int) -> bool:
    """Whether a part of what is traded is within 1 Wh of `own / whole` of it."""
    if whole_wh == 0:
        return part_wh == own_wh == 0
    return own_wh <= whole_wh and abs(part_wh * whole_wh - own_wh * traded_wh) < whole_wh


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
