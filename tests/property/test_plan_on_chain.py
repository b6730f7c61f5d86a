"""What Python plans, the contract takes; what the contract then holds is what Python says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from api.jobs.chain_rules import SharingRules, rules_of
from api.jobs.meter_book import meters_of
from api.jobs.planning import account_states
from api.jobs.settlement_calls import proposal_call
from api.jobs.verify import MarketFacts, verify_statement
from ledger.assignment import Assignment, Tariff
from ledger.chain import (
    evm,  # noqa: F401 (sets the recursion limit: before hypothesis looks)
    registry,
)
from ledger.chain import market_calls as calls
from ledger.chain.embedded import EmbeddedChain
from ledger.chain.market_values import MarketConfig
from ledger.chain.registry import MeterClass
from ledger.chain.replay import read_history
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.settlement import SettlementPlan, plan
from ledger.statements import Statement
from ledger.units import LIMIT_PER_KWH_MAX, AccountId
from ledger.words import balances_of_words, commitment
from tests.ledger_market import Flows, cells_of
from tests.market.on_chain import (
    CONFIG,
    FIRST_S,
    GENESIS_S,
    GRID,
    MEMBERS,
    OPERATOR,
    PEOPLE,
    STRANGER,
    SUPPLIER,
    MarketOnChain,
    Template,
)

SECRET = b"known to this test only"
AMPLE_MICRO = 10**9
ACCOUNTS = [AccountId(account) for account in range(2, 6)]
SHARING = SharingRules(
    keys={"2": {"3": 3_333, "4": 6_667}, "3": {"2": 10_000}}, priorities={"2": [3, 4], "3": [2]}
)
FIXED_PER_KWH = 100_000

ENERGY_WH = st.sampled_from([0, 0, 1, 2, 3, 100, 100, 999, 99_999, 100_000])
# 100,000 Wh cost 30 million micro.
FUNDS_MICRO = st.sampled_from([0, 30_000, 30_000_000, 90_000_000, 90_000_000, 180_000_000])
LIMITS = st.sampled_from(
    [
        (LIMIT_PER_KWH_MAX, 0),
        (LIMIT_PER_KWH_MAX, 0),
        (200_000, 180_000),
        (199_999, 0),
        (300_000, 180_001),
        (120_000, 100_000),
    ]
)


def four(each: st.SearchStrategy[int]) -> st.SearchStrategy[list[int]]:
    return st.lists(each, min_size=4, max_size=4)


@st.composite
def flows(draw: st.DrawFn) -> Flows:
    """Three windows of everybody who has a meter; a community of one window uses the first."""
    cells = st.lists(st.tuples(ENERGY_WH, ENERGY_WH), min_size=3, max_size=3)
    drawn = draw(st.dictionaries(st.sampled_from(ACCOUNTS), cells, min_size=2))
    return {account: drawn.get(account, [(0, 0)] * 3) for account in ACCOUNTS}


@st.composite
def configs(draw: st.DrawFn) -> MarketConfig:
    """Every price rule and residual, three volume rules, K of 1 or 3, both ways to settle."""
    price_rule = draw(st.sampled_from(PriceRule))
    volume_rules = [VolumeRule.PROPORTIONAL, VolumeRule.STATIC, VolumeRule.PRIORITY]
    volume_rule = draw(st.sampled_from(volume_rules))
    if price_rule is PriceRule.AUCTION:
        volume_rule = VolumeRule.PROPORTIONAL
    windows = draw(st.sampled_from([1, 3]))
    dispute_s, within_s = draw(st.sampled_from([(0, 0), (150, 300)]))
    is_fixed = price_rule is PriceRule.FIXED
    return replace(
        CONFIG,
        period_windows=windows,
        dispute_period_s=dispute_s,
        finalize_within_s=within_s,
        withdrawal_delay_s=900 * windows + dispute_s + within_s,
        volume_rule=volume_rule,
        price_rule=price_rule,
        residual=draw(st.sampled_from(Residual)),
        keys_hash=SHARING.hash_for(volume_rule),
        debit_max_wh=10**7,
        supplier_debit_max_nano=10**15,
        tariff=replace(CONFIG.tariff, fixed_per_kwh=FIXED_PER_KWH if is_fixed else 0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What members have before the first period and after, and what they ask back."""

    cover_micro: Sequence[int]
    later_micro: Sequence[int]
    requested_micro: Sequence[int]
    limits: Sequence[tuple[int, int]]


MONEY = st.builds(
    Money,
    cover_micro=four(FUNDS_MICRO),
    later_micro=four(st.sampled_from([0, 0, 1, 50_000])),
    requested_micro=four(st.sampled_from([0, 0, 30_000, 30_000_000, 2**63])),
    limits=st.lists(LIMITS, min_size=4, max_size=4),
)
# A period, and its flows as they are known then.
TURNS = st.lists(st.tuples(st.sampled_from([0, 0, 1]), flows()), min_size=1, max_size=4)


@dataclass(kw_only=True)
class Town:
    """A community on a chain, and what was planned for it."""

    on: MarketOnChain
    planned: dict[tuple[int, int], SettlementPlan] = field(default_factory=dict)
    known: dict[int, Flows] = field(default_factory=dict)  # Of each settled period, the latest.

    @property
    def config(self) -> MarketConfig:
        return self.on.config

    def prepare(self, money: Money) -> None:
        """Enrols members with meters, money and limits; some want their money back later."""
        on = self.on
        owners = [MEMBERS[place].address for place in range(4)]
        on.send(OPERATOR, calls.enrol_many(2, owners))
        on.send(SUPPLIER, calls.deposit(0, AMPLE_MICRO))
        for place, account in enumerate(ACCOUNTS):
            data = registry.begin(
                meter_id=bytes([account]) * 32,
                key=owners[place],
                account=account,
                meter_class=MeterClass.GATEWAY,
                limit_w=10**9,
                valid_from_s=GENESIS_S,
            )
            on.send(GRID, data, to=self.config.registry)
            if money.cover_micro[place]:
                on.send(MEMBERS[place], calls.deposit(account, money.cover_micro[place]))
            self.limit(account, *money.limits[place])
        on.at(FIRST_S + 1)
        for place, account in enumerate(ACCOUNTS):
            if money.later_micro[place]:
                on.send(MEMBERS[place], calls.deposit(account, money.later_micro[place]))
            requested_micro = money.requested_micro[place]
            on.send(MEMBERS[place], calls.request_withdrawal(account, requested_micro))

    def limit(self, account: AccountId, max_buy: int, min_sell: int) -> None:
        key = MEMBERS[account - 2]
        data = calls.set_limits(
            account=account,
            valid_from_s=0,
            max_buy_per_kwh=max_buy,
            min_sell_per_kwh=min_sell,
            nonce=1,
            signature=self.on.sign_limits(key, account, (0, max_buy, min_sell), 1),
        )
        self.on.send(STRANGER, data)

    def assignment(self, period_start_s: int, run: int, known: Flows) -> Assignment:
        """As the service gathers it, for a proposal in the next block."""
        history = read_history(self.on.chain, self.on.market)
        tariff, windows = history.tariff_at(period_start_s), self.config.period_windows
        return Assignment(
            schedule=self.config.schedule,
            rules=rules_of(self.config, SHARING),
            tariff=Tariff(
                grid_import_per_kwh=tariff.grid_import_per_kwh,
                grid_export_per_kwh=tariff.grid_export_per_kwh,
                local_fee_per_kwh=tariff.local_fee_per_kwh,
                fixed_per_kwh=tariff.fixed_per_kwh,
            ),
            period_start_s=period_start_s,
            run=run,
            cutoff_at_s=self.on.now_s,
            accounts=account_states(
                history,
                range(history.account_count),
                period_start_s=period_start_s,
                run=run,
                at_s=self.on.now_s,
                withdrawal_delay_s=self.config.withdrawal_delay_s,
            ),
            flows=cells_of({account: cells[:windows] for account, cells in known.items()}),
        )

    def run(self, period_start_s: int, known: Flows) -> SettlementPlan:
        """Plans the period's next run and puts it on the chain, one way or the other."""
        on, config = self.on, self.config
        run = on.reader.final_runs(period_start_s)
        planned = plan(self.assignment(period_start_s, run, known), SECRET)
        if config.dispute_period_s == 0:
            on.send(OPERATOR, proposal_call("settle", planned))
        else:
            proposed_s = on.now_s
            on.send(OPERATOR, proposal_call("propose", planned))
            on.at(proposed_s + config.dispute_period_s)
            data = calls.finalize(
                period_start_s=period_start_s,
                run=run,
                cutoff_at_s=planned.cutoff_at_s,
                statements_root=planned.tree.root,
                windows_hash=planned.windows_hash,
                deltas=planned.deltas,
            )
            on.send(STRANGER, data)
        self.planned[(period_start_s, run)] = planned
        self.known[period_start_s] = known
        return planned

    def balances_nano(self) -> list[int]:
        return balances_of_words(self.on.reader.all_balance_words(), 6)


@contextmanager
def town_of(config: MarketConfig, money: Money) -> Iterator[Town]:
    with TemporaryDirectory() as name:
        directory = Path(name) / "chain"
        funds_micro = {wallet.address: 4 * AMPLE_MICRO for wallet in PEOPLE}
        template = Template.build(directory, config, funds_micro)
        with EmbeddedChain.open(directory) as chain:
            town = Town(on=MarketOnChain(chain, template.market, template.config))
            town.prepare(money)
            yield town


def check_published(town: Town, key: tuple[int, int], before_nano: Sequence[int]) -> None:
    """Balances, commitment, roots and prices on the chain are Python's."""
    planned, reader = town.planned[key], town.on.reader
    deltas_nano = [result.delta_nano for result in planned.results]
    after_nano = [a + b for a, b in zip(before_nano, deltas_nano, strict=True)]
    assert town.balances_nano() == after_nano
    held_micro = town.on.token.balance_micro_of(town.on.market)
    assert held_micro * 1_000 == sum(after_nano)
    assert sum(deltas_nano) == 0
    assert reader.commitment_of(*key) == commitment(
        statements_root=planned.tree.root,
        windows=planned.windows_hash,
        deltas_root=planned.deltas_root,
        run=planned.run,
        cutoff_at_s=planned.cutoff_at_s,
    )
    run = read_history(town.on.chain, town.on.market).runs[key]
    assert run.state == "final"
    # The events hold what the contract computed from the calldata.
    assert run.deltas_root == planned.deltas_root
    assert run.windows_hash == planned.windows_hash
    assert list(run.deltas_nano) == deltas_nano
    assert run.prices == tuple(price.word for price in planned.prices)
    assert run.shortfalls_nano == dict(planned.shorts)


def statement_of(
    town: Town, planned: SettlementPlan, account: int, facts: MarketFacts
) -> Statement:
    result = planned.results[account]
    final_tx = facts.history.runs[(planned.period_start_s, planned.run)].final_tx
    assert final_tx is not None
    return Statement(
        chain_id=town.on.chain.chain_id,
        market=town.on.market,
        account=AccountId(account),
        period_start_s=planned.period_start_s,
        run=planned.run,
        window_s=town.config.window_s,
        residual=town.config.residual.value,
        meters=meters_of(facts.book, town.config.schedule, account, planned.period_start_s),
        rows=result.rows,
        prices=planned.prices,
        totals=planned.totals,
        totals_salt=planned.totals_salt,
        amount_nano=result.amount_nano,
        applied_before_nano=result.applied_before_nano,
        shortfall_nano=result.shortfall_nano,
        salt=result.salt,
        leaf=planned.leaves[account],
        proof=planned.tree.proof(account),
        statements_root=planned.tree.root,
        deltas_root=planned.deltas_root,
        cutoff_at_s=planned.cutoff_at_s,
        transaction=final_tx,
    )


def check_statements(town: Town) -> None:
    """Every account verifies every run, from its file and the chain."""
    facts = MarketFacts(town.on.chain, town.on.market)
    for planned in town.planned.values():
        for account in range(len(planned.results)):
            statement = statement_of(town, planned, account, facts)
            verdict = verify_statement(statement, facts)
            assert verdict.passed, [check for check in verdict.checks if not check.passed]


def settle_all(town: Town, turns: Sequence[tuple[int, Flows]], *, from_s: int) -> None:
    """Every turn in its order; a revision waits for a whole period."""
    period_s = town.config.schedule.period_s
    for place, (period, known) in enumerate(turns):
        period_start_s = min(FIRST_S + period * period_s, town.on.reader.next_period_start_s())
        town.on.at(max(town.on.now_s + period_s, from_s, period_start_s + period_s))
        before_nano = town.balances_nano()
        planned = town.run(period_start_s, known)
        check_published(town, (period_start_s, planned.run), before_nano)
        event(f"revision: {planned.run > 0}, shorts: {bool(planned.shorts)}, turn {place}")
        event(f"traded: {any(total.traded_wh for total in planned.totals)}")
        event(f"uncovered: {any(total.uncovered_import_wh for total in planned.totals)}")


def collect(town: Town) -> None:
    """Everybody pays in and asks for nothing any more; a further run then collects it all."""
    for account in ACCOUNTS:
        town.on.send(MEMBERS[account - 2], calls.deposit(account, AMPLE_MICRO))
        town.on.send(MEMBERS[account - 2], calls.request_withdrawal(account, 0))
    for period_start_s, known in town.known.items():
        town.on.at(town.on.now_s + town.config.schedule.period_s)
        planned = town.run(period_start_s, known)
        assert planned.shorts == []
        history = read_history(town.on.chain, town.on.market)
        for place, result in enumerate(planned.results):
            runs = planned.run + 1
            applied_nano = history.applied_nano(period_start_s, place, before_run=runs)
            assert applied_nano == result.amount_nano


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # Shrinking takes minutes.
    suppress_health_check=list(HealthCheck),
)
@given(config=configs(), money=MONEY, turns=TURNS, is_late=st.booleans())
def test_every_plan_is_taken_and_every_statement_verifies(
    config: MarketConfig, money: Money, turns: list[tuple[int, Flows]], is_late: bool
) -> None:
    with town_of(config, money) as town:
        matured_s = FIRST_S + 10 + config.withdrawal_delay_s
        settle_all(town, turns, from_s=matured_s if is_late else 0)
        collect(town)
        check_statements(town)
