"""What the EnergyMarket contract takes and gives, as values; times are Unix seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.periods import Schedule
from ledger.units import Address, Hash32

# The contract numbers the rules in INTERFACES §6's order, which is these types' own.
VOLUME_RULES = tuple(VolumeRule)
PRICE_RULES = tuple(PriceRule)
RESIDUALS = tuple(Residual)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTariff:
    """Prices that the contract holds, in micro-tokens per kWh."""

    grid_import_per_kwh: int
    grid_export_per_kwh: int
    local_fee_per_kwh: int
    fixed_per_kwh: int = 0  # Only for the price rule `fixed`.

    def to_abi(self) -> dict[str, int]:
        """As the contract names it."""
        return {
            "gridImportPerKwh": self.grid_import_per_kwh,
            "gridExportPerKwh": self.grid_export_per_kwh,
            "localFeePerKwh": self.local_fee_per_kwh,
            "fixedPerKwh": self.fixed_per_kwh,
        }

    @classmethod
    def of_abi(cls, value: Mapping[str, Any]) -> "MarketTariff":
        """From what the contract gave."""
        return cls(
            grid_import_per_kwh=value["gridImportPerKwh"],
            grid_export_per_kwh=value["gridExportPerKwh"],
            local_fee_per_kwh=value["localFeePerKwh"],
            fixed_per_kwh=value["fixedPerKwh"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketConfig:
    """Everything that is fixed when a community is created."""

    token: Address
    registry: Address
    owner: Address
    operator: Address
    supplier: Address  # Of account 0.
    grid_operator: Address  # Of account 1.
    first_period_start_s: int
    window_s: int
    period_windows: int
    grace_s: int
    dispute_period_s: int
    finalize_within_s: int
    withdrawal_delay_s: int
    volume_rule: VolumeRule
    price_rule: PriceRule
    residual: Residual
    auction_k_bps: int
    keys_hash: Hash32
    debit_max_wh: int
    supplier_debit_max_nano: int
    tariff: MarketTariff  # The first one.

    @property
    def schedule(self) -> Schedule:
        """The market's time grid."""
        return Schedule(
            first_period_start_s=self.first_period_start_s,
            window_s=self.window_s,
            period_windows=self.period_windows,
            grace_s=self.grace_s,
            dispute_period_s=self.dispute_period_s,
            finalize_within_s=self.finalize_within_s,
        )

    def to_abi(self) -> dict[str, object]:
        """As the contract's constructor names it."""
        return {
            "token": self.token,
            "registry": self.registry,
            "owner": self.owner,
            "operator": self.operator,
            "supplier": self.supplier,
            "gridOperator": self.grid_operator,
            "firstPeriodStart": self.first_period_start_s,
            "windowS": self.window_s,
            "periodWindows": self.period_windows,
            "graceS": self.grace_s,
            "disputePeriodS": self.dispute_period_s,
            "finalizeWithinS": self.finalize_within_s,
            "withdrawalDelayS": self.withdrawal_delay_s,
            "volumeRule": VOLUME_RULES.index(self.volume_rule),
            "priceRule": PRICE_RULES.index(self.price_rule),
            "residual": RESIDUALS.index(self.residual),
            "auctionKBps": self.auction_k_bps,
            "keysHash": self.keys_hash,
            "debitMaxWh": self.debit_max_wh,
            "supplierDebitMaxNano": self.supplier_debit_max_nano,
            "tariff": self.tariff.to_abi(),
        }

    @classmethod
    def of_abi(cls, value: Mapping[str, Any]) -> "MarketConfig":
        """From what the contract gave."""
        return cls(
            token=value["token"],
            registry=value["registry"],
            owner=value["owner"],
            operator=value["operator"],
            supplier=value["supplier"],
            grid_operator=value["gridOperator"],
            first_period_start_s=value["firstPeriodStart"],
            window_s=value["windowS"],
            period_windows=value["periodWindows"],
            grace_s=value["graceS"],
            dispute_period_s=value["disputePeriodS"],
            finalize_within_s=value["finalizeWithinS"],
            withdrawal_delay_s=value["withdrawalDelayS"],
            volume_rule=VOLUME_RULES[value["volumeRule"]],
            price_rule=PRICE_RULES[value["priceRule"]],
            residual=RESIDUALS[value["residual"]],
            auction_k_bps=value["auctionKBps"],
            keys_hash=value["keysHash"],
            debit_max_wh=value["debitMaxWh"],
            supplier_debit_max_nano=value["supplierDebitMaxNano"],
            tariff=MarketTariff.of_abi(value["tariff"]),
        )


class PendingState(IntEnum):
    """What has become of the last proposal; numbered as in the contract."""

    NONE = 0
    PROPOSED = 1
    CANCELLED = 2  # Must be made again first.
    LAPSED = 3  # Must be made again first.


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The proposal that waits, or that must be made again."""

    period_start_s: int
    run: int
    proposed_at_s: int
    state: PendingState


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRequest:
    """What an account asked to be paid; the amount is 0 when it asked for nothing."""

    amount_micro: int
    requested_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move of an account to another address that is under way."""

    to: Address
    requested_at_s: int
    by_recovery: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedTariff:
    """A tariff that waits to be enacted."""

    tariff: MarketTariff
    starts_at_s: int
    announced_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedOperator:
    """An operator that waits to accept."""

    operator: Address
    announced_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One run's proposal, less its prices and deltas."""

    period_start_s: int
    run: int
    cutoff_at_s: int
    statements_root: Hash32
    totals_hash: Hash32

    def to_abi(self) -> dict[str, object]:
        """As the contract names it."""
        return {
            "periodStart": self.period_start_s,
            "run": self.run,
            "cutoffAt": self.cutoff_at_s,
            "statementsRoot": self.statements_root,
            "totalsHash": self.totals_hash,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementInput:
    """What the calldata of `propose`, `finalize` or `settle` says.

    `finalize` gives `windows_hash`; the others give what it is made of, and the shortfalls.
    """

    function: Literal["propose", "finalize", "settle"]
    period_start_s: int
    run: int
    cutoff_at_s: int
    statements_root: Hash32
    deltas: list[int]  # Words of four lanes.
    windows_hash: Hash32 | None = None
    totals_hash: Hash32 | None = None
    prices: list[int] | None = None  # Words, one a window.
    shortfalls_nano: dict[int, int] | None = None  # By account.
