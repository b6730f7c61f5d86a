"""What clearing takes and gives: values that refuse to exist when invalid (INTERFACES §6)."""

from dataclasses import dataclass, field
from enum import StrEnum

from ledger.clearing.errors import (
    DuplicateAccount,
    PriceOutOfBounds,
    ReservedAccount,
    RuleCombination,
    TariffNoMargin,
    WrongShape,
)
from ledger.clearing.keys import (
    ACCOUNT_MAX,
    Keys,
    Priorities,
    check_pool_keys,
    check_priorities,
    check_producer_keys,
)
from ledger.errors import OutOfRange
from ledger.units import (
    BPS,
    ENERGY_WH_MAX,
    FIRST_MEMBER,
    LIMIT_PER_KWH_MAX,
    PRICE_PER_KWH_MAX,
    AccountId,
)


class VolumeRule(StrEnum):
    """Who gets how much of what the neighbours have in common."""

    PROPORTIONAL = "proportional"
    STATIC = "static"
    DYNAMIC = "dynamic"
    FULL_DYNAMIC = "full_dynamic"
    PRIORITY = "priority"


class PriceRule(StrEnum):
    """What a kWh costs between neighbours."""

    MID_MARKET = "mid_market"
    FIXED = "fixed"
    SUPPLY_DEMAND_RATIO = "supply_demand_ratio"
    AUCTION = "auction"


class Residual(StrEnum):
    """Whether what is not traded is settled here or left to the supplier's own bill."""

    SETTLED = "settled"
    EXTERNAL = "external"


AUCTION_K_BPS = BPS // 2  # Half-way between the bounds.
PRINTABLE_MAX = 10**40
PRODUCER_KEY_RULES = frozenset({VolumeRule.STATIC, VolumeRule.FULL_DYNAMIC})


def require_whole(at: str, value: object, value_max: int, value_min: int = 0) -> int:
    """An integer within its range; a bool, a float or a string is none."""
    if type(value) is not int:
        raise not_whole(at, value)
    if not value_min <= value <= value_max:
        raise OutOfRange(field=at, value=printable(value), value_min=value_min, value_max=value_max)
    return value


def not_whole(at: str, value: object) -> WrongShape:
    """The error for a value that should be an integer."""
    return WrongShape(field=at, expected="integer", found=type(value).__name__)


def printable(number: int) -> int:
    """A number for an error's detail: Python refuses to print integers of 4,300 digits."""
    return max(min(number, PRINTABLE_MAX), -PRINTABLE_MAX)


def require_member(at: str, account: object) -> None:
    """An account that may have flows: the supplier and the grid operator have none."""
    number = require_whole(at, account, ACCOUNT_MAX)
    if number < FIRST_MEMBER:
        raise ReservedAccount(field=at, account=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """The grid's two prices and the local fee; neighbours trade between them."""

    grid_import_per_kwh: int
    grid_export_per_kwh: int
    local_fee_per_kwh: int

    def __post_init__(self) -> None:
        for name in ("grid_import_per_kwh", "grid_export_per_kwh", "local_fee_per_kwh"):
            require_whole(f"tariff.{name}", getattr(self, name), PRICE_PER_KWH_MAX)
        if self.grid_export_per_kwh > self.price_max_per_kwh:
            raise TariffNoMargin(
                grid_import_per_kwh=self.grid_import_per_kwh,
                grid_export_per_kwh=self.grid_export_per_kwh,
                local_fee_per_kwh=self.local_fee_per_kwh,
            )

    @property
    def price_max_per_kwh(self) -> int:
        """`pmax`: above it a buyer would be worse off than with the grid."""
        return self.grid_import_per_kwh - self.local_fee_per_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What one account took from and gave to the grid in one window, gross."""

    account: AccountId
    import_wh: int
    export_wh: int

    def __post_init__(self) -> None:
        account, import_wh, export_wh = self.account, self.import_wh, self.export_wh
        if (
            type(account) is type(import_wh) is type(export_wh) is int
            and FIRST_MEMBER <= account <= ACCOUNT_MAX
            and 0 <= import_wh <= ENERGY_WH_MAX
            and 0 <= export_wh <= ENERGY_WH_MAX
        ):
            return  # There are ten thousand of these a window; what follows finds words for it.
        require_member("flows.account", self.account)
        require_whole("flows.import_wh", self.import_wh, ENERGY_WH_MAX)
        require_whole("flows.export_wh", self.export_wh, ENERGY_WH_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most an account pays, fee included, and the least that it sells for."""

    account: AccountId
    max_buy_per_kwh: int = LIMIT_PER_KWH_MAX  # The largest number: no limit.
    min_sell_per_kwh: int = 0  # No limit.

    def __post_init__(self) -> None:
        require_member("limits.account", self.account)
        require_whole("limits.max_buy_per_kwh", self.max_buy_per_kwh, LIMIT_PER_KWH_MAX)
        require_whole("limits.min_sell_per_kwh", self.min_sell_per_kwh, LIMIT_PER_KWH_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One window to be cleared. Inputs of rules that were not chosen are not looked at."""

    tariff: Tariff
    flows: tuple[Flow, ...]
    limits: tuple[Limits, ...] = ()
    uncovered: frozenset[AccountId] = frozenset()
    volume_rule: VolumeRule = VolumeRule.PROPORTIONAL
    price_rule: PriceRule = PriceRule.MID_MARKET
    residual: Residual = Residual.SETTLED
    keys: Keys = field(default_factory=dict)
    priorities: Priorities = field(default_factory=dict)
    price_per_kwh: int | None = None  # Of `fixed`.
    auction_k_bps: int = AUCTION_K_BPS  # 0 favours the buyers, 10,000 the sellers.

    def __post_init__(self) -> None:
        refuse_duplicates("flows", [flow.account for flow in self.flows])
        refuse_duplicates("limits", [limit.account for limit in self.limits])
        self._check_price_rule()
        self._check_volume_rule()

    def _check_price_rule(self) -> None:
        if self.price_rule is PriceRule.AUCTION:
            if self.volume_rule is not VolumeRule.PROPORTIONAL:
                raise RuleCombination(volume_rule=self.volume_rule, price_rule=self.price_rule)
            require_whole("auction_k_bps", self.auction_k_bps, BPS)
        elif self.price_rule is PriceRule.FIXED:
            low, high = self.tariff.grid_export_per_kwh, self.tariff.price_max_per_kwh
            if self.price_per_kwh is not None and type(self.price_per_kwh) is not int:
                raise not_whole("price_per_kwh", self.price_per_kwh)
            if self.price_per_kwh is None or not low <= self.price_per_kwh <= high:
                raise PriceOutOfBounds(
                    price_per_kwh=self.price_per_kwh and printable(self.price_per_kwh),
                    price_per_kwh_min=low,
                    price_per_kwh_max=high,
                )

    def _check_volume_rule(self) -> None:
        if self.volume_rule in PRODUCER_KEY_RULES:
            check_producer_keys(self.keys)
        elif self.volume_rule is VolumeRule.DYNAMIC:
            check_pool_keys(self.keys)
        elif self.volume_rule is VolumeRule.PRIORITY:
            check_priorities(self.priorities)


def refuse_duplicates(at: str, accounts: list[AccountId]) -> None:
    """An account stands once in a list: which of two entries counts would be a guess."""
    if len(set(accounts)) == len(accounts):
        return
    seen: set[AccountId] = set()
    for account in accounts:
        if account in seen:
            raise DuplicateAccount(field=at, account=account)
        seen.add(account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one account traded in the window, and what that does to its balance."""

    account: AccountId
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    delta_nano: int
    uncovered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The rows of a clearing as columns, in account order: ten thousand objects cost more."""

    account: tuple[AccountId, ...]
    import_wh: tuple[int, ...]
    export_wh: tuple[int, ...]
    bought_wh: tuple[int, ...]
    sold_wh: tuple[int, ...]
    delta_nano: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """A window's price, trades and amounts; all amounts with the two below add up to zero."""

    local_per_kwh: int
    import_wh: int
    export_wh: int
    traded_wh: int
    uncovered_import_wh: int
    eligible_import_wh: int
    eligible_export_wh: int
    columns: Columns
    uncovered: frozenset[AccountId]
    supplier_delta_nano: int  # Account 0's.
    operator_delta_nano: int  # Account 1's.

    @property
    def rows(self) -> tuple[Row, ...]:
        """One row an account, in account order, built when asked for."""
        columns = self.columns
        lines = zip(
            columns.account,
            columns.import_wh,
            columns.export_wh,
            columns.bought_wh,
            columns.sold_wh,
            columns.delta_nano,
            strict=True,
        )
        return tuple(
            Row(
                account=account,
                import_wh=import_wh,
                export_wh=export_wh,
                bought_wh=bought_wh,
                sold_wh=sold_wh,
                delta_nano=delta_nano,
                uncovered=account in self.uncovered,
            )
            for account, import_wh, export_wh, bought_wh, sold_wh, delta_nano in lines
        )
