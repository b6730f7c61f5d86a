"""A market in memory: a list of events, folded by the ledger's own history.

It publishes what the contract publishes, event for event, and checks nothing: what a test plans is
what happens. Statements and chain facts are read back from it as the service would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ledger.assignment import AccountState, Assignment, FlowCell, Rules, Tariff
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.history import MarketEvent, MarketHistory
from ledger.keccak import keccak256
from ledger.periods import Schedule
from ledger.settlement import SettlementPlan, plan
from ledger.statements import Statement, StatementMeter
from ledger.units import LIMIT_PER_KWH_MAX, AccountId, Address, Hash32
from ledger.verify import ChainFacts
from ledger.words import commitment

Flows = Mapping[int, Sequence[tuple[int, int]]]  # Account → (import, export) of each window.

CHAIN_ID = 1337
MARKET = Address(bytes.fromhex("c0ffee254729296a45a3885639ac7e10f9d54979"))
SECRET = b"known to this test only"
START_S = 1_464_739_200  # 2016-06-01T00:00:00Z
HOUR_S = 3_600
SCHEDULE = Schedule(
    first_period_start_s=START_S,
    window_s=HOUR_S,
    period_windows=3,
    grace_s=24 * HOUR_S,
    dispute_period_s=600,
    finalize_within_s=3_000,
)
TARIFF = Tariff(
    grid_import_per_kwh=300_000,
    grid_export_per_kwh=80_000,
    local_fee_per_kwh=20_000,
    fixed_per_kwh=0,
)
RULES = Rules(
    volume_rule=VolumeRule.PROPORTIONAL,
    price_rule=PriceRule.MID_MARKET,
    residual=Residual.SETTLED,
    auction_k_bps=5_000,
    keys={},
    priorities={},
    debit_max_wh=100_000,
    supplier_debit_max_nano=10**15,
    withdrawal_delay_s=40 * HOUR_S,
)


class MemoryMarket:
    """One community whose chain is the list `events`."""

    def __init__(
        self, *, schedule: Schedule = SCHEDULE, rules: Rules = RULES, tariff: Tariff = TARIFF
    ) -> None:
        self.schedule = schedule
        self.rules = rules
        self.events: list[MarketEvent] = []
        self.history = MarketHistory()
        self.commitments: dict[tuple[int, int], Hash32] = {}
        self.enact(tariff, starts_at_s=schedule.first_period_start_s, at_s=self.before_s)

    @property
    def before_s(self) -> int:
        """A day before the first period."""
        return self.schedule.first_period_start_s - 24 * HOUR_S

    # What happens on the chain.

    def emit(self, name: str, at_s: int, **args: Any) -> None:
        number = len(self.events)
        self._append(
            MarketEvent(
                name=name,
                args=args,
                timestamp_s=at_s,
                block_number=number,
                tx_hash=keccak256(b"transaction %d" % number),
            )
        )

    def enact(self, tariff: Tariff, *, starts_at_s: int, at_s: int) -> None:
        prices = {
            "gridImportPerKwh": tariff.grid_import_per_kwh,
            "gridExportPerKwh": tariff.grid_export_per_kwh,
            "localFeePerKwh": tariff.local_fee_per_kwh,
            "fixedPerKwh": tariff.fixed_per_kwh,
        }
        self.emit("TariffEnacted", at_s, tariff=prices, startsAt=starts_at_s)

    def enrol(self, count: int, *, at_s: int | None = None) -> None:
        for _ in range(count):
            account = self.history.account_count
            owner = keccak256(b"owner %d" % account)[:20]
            self.emit("AccountEnrolled", at_s or self.before_s, account=account, owner=owner)

    def deposit(self, account: int, micro: int, *, at_s: int | None = None) -> None:
        at_s = self.before_s if at_s is None else at_s
        self.emit("Deposited", at_s, account=account, payer=bytes(20), amountMicro=micro)

    def request(self, account: int, micro: int, *, at_s: int) -> None:
        self.emit("WithdrawalRequested", at_s, account=account, amountMicro=micro)

    def withdraw(self, account: int, *, at_s: int) -> int:
        """Pays the request, at most the whole micro of the balance, as the contract does."""
        _, requested_micro = self.history.request_at(account)
        micro = min(requested_micro, self.history.balances_nano[account] // 1_000)
        self.emit("Withdrawn", at_s, account=account, to=bytes(20), amountMicro=micro)
        return micro

    def limit(
        self,
        account: int,
        *,
        effective_from_s: int,
        at_s: int,
        max_buy_per_kwh: int = LIMIT_PER_KWH_MAX,
        min_sell_per_kwh: int = 0,
    ) -> None:
        self.emit(
            "LimitsSet",
            at_s,
            account=account,
            effectiveFrom=effective_from_s,
            maxBuyPerKwh=max_buy_per_kwh,
            minSellPerKwh=min_sell_per_kwh,
            nonce=len(self.events),
        )

    def propose(self, planned: SettlementPlan, *, at_s: int) -> None:
        period_start_s, run = planned.period_start_s, planned.run
        event = MarketEvent(
            name="Proposed",
            args={
                "periodStart": period_start_s,
                "run": run,
                "cutoffAt": planned.cutoff_at_s,
                "statementsRoot": planned.tree.root,
                "windowsHash": planned.windows_hash,
                "deltasRoot": planned.deltas_root,
            },
            timestamp_s=at_s,
            block_number=len(self.events),
            tx_hash=keccak256(b"proposal %d" % len(self.events)),
            deltas=planned.deltas,
            prices=tuple(price.word for price in planned.prices),
        )
        self._append(event)
        self.commitments[(period_start_s, run)] = commitment(
            statements_root=planned.tree.root,
            windows=planned.windows_hash,
            deltas_root=planned.deltas_root,
            run=run,
            cutoff_at_s=planned.cutoff_at_s,
        )
        for account, short_nano in planned.shorts:
            self.emit(
                "Shortfall",
                at_s,
                periodStart=period_start_s,
                run=run,
                account=account,
                shortfallNano=short_nano,
            )

    def end(self, name: str, planned: SettlementPlan, *, at_s: int) -> None:
        """Ends what is pending: `Finalized`, `ProposalCancelled` or `ProposalLapsed`."""
        self.emit(name, at_s, periodStart=planned.period_start_s, run=planned.run)

    def settle(self, planned: SettlementPlan, *, at_s: int) -> None:
        """Proposes and finalizes, the dispute period apart."""
        self.propose(planned, at_s=at_s)
        self.end("Finalized", planned, at_s=at_s + self.schedule.dispute_period_s)

    # What the service reads from it.

    def assign(
        self, flows: Flows, *, period_start_s: int = START_S, run: int = 0, at_s: int | None = None
    ) -> Assignment:
        history = self.history
        end_s = self.schedule.period_end(period_start_s)
        at_s = end_s + HOUR_S if at_s is None else at_s
        tariff = history.tariff_at(period_start_s)
        return Assignment(
            schedule=self.schedule,
            rules=self.rules,
            tariff=Tariff(
                grid_import_per_kwh=tariff.grid_import_per_kwh,
                grid_export_per_kwh=tariff.grid_export_per_kwh,
                local_fee_per_kwh=tariff.local_fee_per_kwh,
                fixed_per_kwh=tariff.fixed_per_kwh,
            ),
            period_start_s=period_start_s,
            run=run,
            cutoff_at_s=at_s,
            accounts=[
                self._state(account, period_start_s, run, at_s)
                for account in range(history.account_count)
            ],
            flows=cells_of(flows),
        )

    def run(
        self, flows: Flows, *, period_start_s: int = START_S, run: int = 0, at_s: int | None = None
    ) -> SettlementPlan:
        """Plans a run and settles it."""
        at_s = self.schedule.period_end(period_start_s) + HOUR_S if at_s is None else at_s
        assignment = self.assign(flows, period_start_s=period_start_s, run=run, at_s=at_s)
        planned = plan(assignment, SECRET)
        self.settle(planned, at_s=at_s)
        return planned

    def statement(
        self, planned: SettlementPlan, account: int, *, meters: tuple[StatementMeter, ...] = ()
    ) -> Statement:
        """The statement of an account for a run that is final."""
        result = planned.results[account]
        run = self.history.runs[(planned.period_start_s, planned.run)]
        assert run.final_tx is not None
        return Statement(
            chain_id=CHAIN_ID,
            market=MARKET,
            account=AccountId(account),
            period_start_s=planned.period_start_s,
            run=planned.run,
            window_s=self.schedule.window_s,
            residual=str(self.rules.residual),
            meters=meters,
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
            transaction=run.final_tx,
        )

    def facts(
        self, planned: SettlementPlan, *, meters: tuple[StatementMeter, ...] = ()
    ) -> ChainFacts:
        return ChainFacts(
            chain_id=CHAIN_ID,
            market=MARKET,
            window_s=self.schedule.window_s,
            period_windows=self.schedule.period_windows,
            residual=str(self.rules.residual),
            rules=self.rules,
            commitment=self.commitments[(planned.period_start_s, planned.run)],
            history=self.history,
            meters=meters,
        )

    def _append(self, event: MarketEvent) -> None:
        self.events.append(event)
        self.history.extend([event])

    def _state(self, account: int, period_start_s: int, run: int, at_s: int) -> AccountState:
        history = self.history
        limits = history.limits_at(account, period_start_s)
        return AccountState(
            applied_nano=history.applied_nano(period_start_s, account, before_run=run),
            available_nano=history.available_nano(
                account, at_s=at_s, withdrawal_delay_s=self.rules.withdrawal_delay_s
            ),
            balance_nano=history.balances_nano[account],
            cover_nano=history.cover_nano(account, period_start_s),
            max_buy_per_kwh=limits.max_buy_per_kwh if limits else LIMIT_PER_KWH_MAX,
            min_sell_per_kwh=limits.min_sell_per_kwh if limits else 0,
        )


def cells_of(flows: Flows) -> dict[AccountId, list[FlowCell]]:
    return {
        AccountId(account): [
            FlowCell(import_wh=import_wh, export_wh=export_wh, estimated=False)
            for import_wh, export_wh in windows
        ]
        for account, windows in flows.items()
    }


def market_of(
    members: int = 4, *, supplier_micro: int = 10**9, member_micro: int = 10**7, **fixed: Any
) -> MemoryMarket:
    """A market with the two special accounts, members from 2, and everybody's deposit made."""
    market = MemoryMarket(**fixed)
    market.enrol(2 + members)
    market.deposit(0, supplier_micro)
    for account in range(2, 2 + members):
        if member_micro:
            market.deposit(account, member_micro)
    return market


def importing(wh: int, account: int = 3) -> Flows:
    """One account that takes this much from the grid in the first window, and nobody else."""
    return {account: [(wh, 0), (0, 0), (0, 0)]}


def with_state(assignment: Assignment, account: int, **changes: int) -> Assignment:
    accounts = list(assignment.accounts)
    accounts[account] = replace(accounts[account], **changes)
    return replace(assignment, accounts=accounts)
