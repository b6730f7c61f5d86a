"""A market's whole state, folded from its events and calldata alone (DESIGN §2, §4).

The service plans from it, the audit re-derives from it, and neither asks a table of results. The
fold is pure: the same events in the same order give the same history.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.units import LIMIT_PER_KWH_MAX, NANO_PER_MICRO, Address, Hash32
from ledger.words import deltas_of_words


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketEvent:
    """One decoded event of an EnergyMarket, with what its place in the chain tells."""

    name: str
    args: Mapping[str, Any]  # Named as in the interface's ABI.
    timestamp_s: int
    block_number: int
    tx_hash: Hash32
    deltas: tuple[int, ...] = ()  # Delta words of the calldata: Proposed only. The commitment
    # ties what `finalize` applies to them.
    prices: tuple[int, ...] = ()  # Price words of the calldata: Proposed only.


@dataclass(frozen=True, slots=True, kw_only=True)
class GridTariff:
    """Prices from one instant on, in micro-tokens per kWh."""

    starts_at_s: int
    grid_import_per_kwh: int
    grid_export_per_kwh: int
    local_fee_per_kwh: int
    fixed_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """Price limits of an account, for periods that start at `effective_from_s` or later."""

    effective_from_s: int
    max_buy_per_kwh: int = LIMIT_PER_KWH_MAX
    min_sell_per_kwh: int = 0


@dataclass(slots=True, kw_only=True)
class Run:
    """One proposal of a period and run, and what became of it."""

    period_start_s: int
    run: int
    cutoff_at_s: int
    statements_root: Hash32
    windows_hash: Hash32
    deltas_root: Hash32
    deltas: tuple[int, ...]  # Delta words as published.
    prices: tuple[int, ...]  # Price words as published.
    deltas_nano: tuple[int, ...]  # Decoded, one an account.
    proposed_at_s: int
    proposal_tx: Hash32
    shortfalls_nano: dict[int, int] = field(default_factory=dict)
    state: str = "proposed"  # proposed, final, cancelled, lapsed.
    final_tx: Hash32 | None = None
    final_at_s: int | None = None


@dataclass(slots=True)
class _Ledger:
    """What one account's cover is made of besides deltas."""

    deposits: list[tuple[int, int]] = field(default_factory=list)  # (at, micro)
    requests: list[tuple[int, int]] = field(default_factory=list)  # (at, micro); 0 ends one.
    payments: list[tuple[int, int]] = field(default_factory=list)  # (at, micro)
    limits: list[AccountLimits] = field(default_factory=list)

    def own_micro(self, at_s: int) -> int:
        """Deposits up to an instant, less what was paid out or asked for by then."""
        deposited = sum(micro for when_s, micro in self.deposits if when_s <= at_s)
        paid = sum(micro for when_s, micro in self.payments if when_s <= at_s)
        requested = 0
        for when_s, micro in self.requests:
            if when_s <= at_s:
                requested = micro
        return deposited - paid - requested


class MarketHistory:
    """All that a market's events say, up to the last one that was applied."""

    def __init__(self) -> None:
        self.owners: list[Address] = []
        self.balances_nano: list[int] = []
        self.runs: dict[tuple[int, int], Run] = {}
        self.final_order: list[tuple[int, int]] = []
        self.tariffs: list[GridTariff] = []
        self.last_revision_at_s = 0
        self.pending: tuple[int, int] | None = None
        self._accounts: defaultdict[int, _Ledger] = defaultdict(_Ledger)
        self._applied_nano = array("q")  # By account, over all final runs.
        self._applied_at_proposal: dict[int, array[int]] = {}
        self._enrolled_at_proposal: dict[tuple[int, int], int] = {}
        self._handlers: Mapping[str, Callable[[MarketEvent], None]] = {
            "AccountEnrolled": self._enrolled,
            "AccountMoved": self._moved,
            "Deposited": self._deposited,
            "WithdrawalRequested": self._requested,
            "Withdrawn": self._withdrawn,
            "LimitsSet": self._limited,
            "TariffEnacted": self._tariff,
            "Proposed": self._proposed,
            "Shortfall": self._short,
            "Finalized": self._finalized,
            "ProposalCancelled": self._taken_back,
            "ProposalLapsed": self._taken_back,
        }

    def extend(self, events: Iterable[MarketEvent]) -> None:
        """Applies further events, in chain order."""
        for event in events:
            handler = self._handlers.get(event.name)
            if handler is not None:
                handler(event)

    # Reading.

    @property
    def account_count(self) -> int:
        """Accounts enrolled so far."""
        return len(self.owners)

    def final_runs(self, period_start_s: int) -> list[Run]:
        """Final runs of a period, in order."""
        runs: list[Run] = []
        while True:
            run = self.runs.get((period_start_s, len(runs)))
            if run is None or run.state != "final":
                return runs
            runs.append(run)

    def applied_nano(self, period_start_s: int, account: int, *, before_run: int) -> int:
        """Sum of the deltas that earlier runs of a period really applied to an account."""
        total_nano = 0
        for run in range(before_run):
            deltas_nano = self.runs[(period_start_s, run)].deltas_nano
            if account < len(deltas_nano):
                total_nano += deltas_nano[account]
        return total_nano

    def tariff_at(self, instant_s: int) -> GridTariff:
        """The tariff in force at an instant."""
        return next(tariff for tariff in reversed(self.tariffs) if tariff.starts_at_s <= instant_s)

    def limits_at(self, account: int, period_start_s: int) -> AccountLimits | None:
        """Of the limits that are effective at a period's start, the one set last."""
        for limits in reversed(self._accounts[account].limits):
            if limits.effective_from_s <= period_start_s:
                return limits
        return None

    def limits_from(self, account: int, period_start_s: int) -> list[AccountLimits]:
        """The limits of a period, where there are any, and those of later ones, in order."""
        found: list[AccountLimits] = []
        for limits in reversed(self._accounts[account].limits):  # Of two, the one set last counts.
            if not found or limits.effective_from_s < found[-1].effective_from_s:
                found.append(limits)
            if limits.effective_from_s <= period_start_s:
                break
        return found[::-1]

    def cover_nano(self, account: int, period_start_s: int) -> int:
        """An account's cover for a period (DESIGN §2).

        The deltas finalized before the period's run 0 was proposed (all of them while it has not
        been), plus deposits up to its start, less what was paid or requested by then.
        """
        applied = self._applied_at_proposal.get(period_start_s, self._applied_nano)
        own_micro = self._accounts[account].own_micro(period_start_s)
        applied_nano = applied[account] if account < len(applied) else 0
        return applied_nano + own_micro * NANO_PER_MICRO

    def request_at(self, account: int) -> tuple[int, int]:
        """The account's withdrawal request: when, and how many micro; zeros if none."""
        requests = self._accounts[account].requests
        return requests[-1] if requests else (0, 0)

    def available_nano(self, account: int, *, at_s: int, withdrawal_delay_s: int) -> int:
        """What a settlement may take: the balance less a matured withdrawal request."""
        requested_at_s, requested_micro = self.request_at(account)
        balance_nano = self.balances_nano[account]
        if requested_micro and at_s >= requested_at_s + withdrawal_delay_s:
            return max(0, balance_nano - requested_micro * NANO_PER_MICRO)
        return balance_nano

    def deposited_micro(self) -> int:
        """All deposits less all withdrawals: what the contract must hold."""
        return sum(
            sum(micro for _, micro in account.deposits)
            - sum(micro for _, micro in account.payments)
            for account in self._accounts.values()
        )

    def enrolled_when_proposed(self, period_start_s: int, run: int) -> int:
        """Accounts enrolled when a run was proposed: each has a leaf."""
        return self._enrolled_at_proposal[(period_start_s, run)]

    # Folding.

    def _enrolled(self, event: MarketEvent) -> None:
        self.balances_nano.append(0)
        self._applied_nano.append(0)
        self.owners.append(event.args["owner"])  # Last: whoever reads meanwhile counts owners.

    def _moved(self, event: MarketEvent) -> None:
        self.owners[event.args["account"]] = event.args["to"]

    def _deposited(self, event: MarketEvent) -> None:
        account, micro = event.args["account"], event.args["amountMicro"]
        self._accounts[account].deposits.append((event.timestamp_s, micro))
        self.balances_nano[account] += micro * NANO_PER_MICRO

    def _requested(self, event: MarketEvent) -> None:
        ledger = self._accounts[event.args["account"]]
        ledger.requests.append((event.timestamp_s, event.args["amountMicro"]))

    def _withdrawn(self, event: MarketEvent) -> None:
        account, micro = event.args["account"], event.args["amountMicro"]
        self._accounts[account].payments.append((event.timestamp_s, micro))
        self._accounts[account].requests.append((event.timestamp_s, 0))
        self.balances_nano[account] -= micro * NANO_PER_MICRO

    def _limited(self, event: MarketEvent) -> None:
        self._accounts[event.args["account"]].limits.append(
            AccountLimits(
                effective_from_s=event.args["effectiveFrom"],
                max_buy_per_kwh=event.args["maxBuyPerKwh"],
                min_sell_per_kwh=event.args["minSellPerKwh"],
            )
        )

    def _tariff(self, event: MarketEvent) -> None:
        tariff = event.args["tariff"]
        self.tariffs.append(
            GridTariff(
                starts_at_s=event.args["startsAt"],
                grid_import_per_kwh=tariff["gridImportPerKwh"],
                grid_export_per_kwh=tariff["gridExportPerKwh"],
                local_fee_per_kwh=tariff["localFeePerKwh"],
                fixed_per_kwh=tariff["fixedPerKwh"],
            )
        )

    def _proposed(self, event: MarketEvent) -> None:
        key = (event.args["periodStart"], event.args["run"])
        self.runs[key] = Run(
            period_start_s=key[0],
            run=key[1],
            cutoff_at_s=event.args["cutoffAt"],
            statements_root=event.args["statementsRoot"],
            windows_hash=event.args["windowsHash"],
            deltas_root=event.args["deltasRoot"],
            deltas=event.deltas,
            prices=event.prices,
            deltas_nano=tuple(deltas_of_words(event.deltas, self.account_count)),
            proposed_at_s=event.timestamp_s,
            proposal_tx=event.tx_hash,
        )
        self.pending = key
        self._enrolled_at_proposal[key] = self.account_count
        if key[1] == 0:
            self._applied_at_proposal[key[0]] = self._applied_nano[:]

    def _short(self, event: MarketEvent) -> None:
        run = self.runs[(event.args["periodStart"], event.args["run"])]
        run.shortfalls_nano[event.args["account"]] = event.args["shortfallNano"]

    def _finalized(self, event: MarketEvent) -> None:
        key = (event.args["periodStart"], event.args["run"])
        run = self.runs[key]
        run.state, run.final_tx, run.final_at_s = "final", event.tx_hash, event.timestamp_s
        for account, delta_nano in enumerate(run.deltas_nano):
            self.balances_nano[account] += delta_nano
            self._applied_nano[account] += delta_nano
        self.final_order.append(key)
        self.pending = None
        if key[1] > 0:
            self.last_revision_at_s = event.timestamp_s

    def _taken_back(self, event: MarketEvent) -> None:
        key = (event.args["periodStart"], event.args["run"])
        self.runs[key].state = "cancelled" if event.name == "ProposalCancelled" else "lapsed"
        self.pending = None
