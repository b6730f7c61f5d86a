"""What is true of an EnergyMarket at an instant, in plain integers (DESIGN §2).

The first half of the model; the calls that change it are in `model.py`.
"""

from dataclasses import dataclass, field

from ledger.keccak import keccak256
from ledger.units import Address
from tests.chain.market_world import deltas_root, price_word, windows_hash

NANO_PER_MICRO = 1_000
BALANCE_NANO_MAX = 2**51 - 1
NOBODY = Address(bytes(20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A tariff; the fixed price is 0 unless the price rule is `fixed`."""

    grid_import: int
    grid_export: int
    fee: int
    fixed: int = 0

    @property
    def most(self) -> int:
        return self.grid_import - self.fee

    def allowed(self, rule: str) -> tuple[int, int]:
        """The least and the greatest local price that the price rule allows."""
        if rule == "mid_market":
            middle = (self.grid_export + self.most) // 2
            return middle, middle
        return (self.fixed, self.fixed) if rule == "fixed" else (self.grid_export, self.most)

    def word(self, local: int) -> int:
        return price_word(
            local,
            {
                "localFeePerKwh": self.fee,
                "gridImportPerKwh": self.grid_import,
                "gridExportPerKwh": self.grid_export,
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What a community is created with."""

    first_s: int
    period_s: int
    windows: int
    dispute_s: int
    finalize_within_s: int
    delay_s: int
    price_rule: str
    debit_max_wh: int  # Of a member in a window.
    supplier_cap_nano: int
    prices: Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A run as somebody wants to publish it."""

    period_s: int
    run: int
    cutoff_s: int
    root: bytes
    totals: bytes
    prices: tuple[tuple[int, Prices], ...]  # Local price and tariff of each window.
    words: tuple[int, ...]  # Of deltas.
    lanes: tuple[int, ...]  # What the words mean.
    shorts: tuple[tuple[int, int], ...] = ()

    @property
    def key(self) -> tuple[int, int]:
        return self.period_s, self.run

    @property
    def price_words(self) -> list[int]:
        return [prices.word(local) for local, prices in self.prices]

    @property
    def windows_hash(self) -> bytes:
        return windows_hash(self.price_words, self.totals)

    @property
    def commitment(self) -> bytes:
        tail = self.run.to_bytes(32) + self.cutoff_s.to_bytes(32)
        return keccak256(self.root + self.windows_hash + deltas_root(self.words) + tail)


@dataclass(slots=True)
class Account:
    owner: Address
    recovery: Address = NOBODY
    move: tuple[Address, int, bool] | None = None  # To, since, by recovery.
    balance_nano: int = 0
    request: tuple[int, int] = (0, 0)  # Micro, since.
    limits: list[tuple[int, int, int]] = field(default_factory=list)
    limits_nonce: int = 0
    withdrawal_nonce: int = 0
    paid_in_micro: int = 0  # Less what was paid out.
    own_micro: list[tuple[int, int]] = field(default_factory=list)  # Since when, how much counts.

    def note_own(self, now_s: int) -> None:
        self.own_micro.append((now_s, self.paid_in_micro - self.request[0]))

    def own_micro_at(self, instant_s: int) -> int:
        return ([0] + [micro for since_s, micro in self.own_micro if since_s <= instant_s])[-1]


@dataclass(slots=True, kw_only=True)
class Pending:
    draft: Draft
    proposed_s: int
    cancelled: bool = False


class MarketState:
    """What is true of one market, and of its token as far as the market takes from it."""

    def __init__(self, fixed: Fixed, *, owner: Address, operator: Address) -> None:
        self.fixed = fixed
        self.now_s = 0
        self.owner, self.operator = owner, operator
        self.next_owner = NOBODY
        self.next_operator: tuple[Address, int] = (NOBODY, 0)
        self.accounts: list[Account] = []
        self.tariffs: list[tuple[int, Prices]] = [(fixed.first_s, fixed.prices)]
        self.next_tariff: tuple[int, Prices, int] | None = None  # Start, prices, announced.
        self.next_period_s = fixed.first_s
        self.final: list[Draft] = []
        self.published: dict[tuple[int, int], bytes] = {}
        self.pending: Pending | None = None
        self.last_revision_s = 0
        self.applied_before: dict[int, list[int]] = {}  # All deltas when run 0 was proposed.
        self.wallets_micro: dict[Address, int] = {}
        self.allowances_micro: dict[Address, int] = {}
        self.permit_nonces: dict[Address, int] = {}
        self.permits_used: set[tuple[Address, int, int, int]] = set()

    # What is true now.

    @property
    def held_micro(self) -> int:
        return sum(account.paid_in_micro for account in self.accounts)

    def state(self) -> str:
        if self.pending is None:
            return "none"
        if self.pending.cancelled:
            return "cancelled"
        return "lapsed" if self.now_s > self.lapses_s() else "proposed"

    def lapses_s(self) -> int:
        assert self.pending is not None
        fixed = self.fixed
        return self.pending.proposed_s + fixed.dispute_s + fixed.finalize_within_s

    def runs(self, period_s: int) -> int:
        """Final runs of a period."""
        return sum(draft.period_s == period_s for draft in self.final)

    def applied_nano(self, account: int, period_s: int | None = None) -> int:
        """What the final runs of a period, or of all, moved on an account."""
        return sum(
            draft.lanes[account]
            for draft in self.final
            if period_s in {None, draft.period_s} and account < len(draft.lanes)
        )

    def available_nano(self, account: int) -> int:
        own = self.accounts[account]
        matured = own.request[0] and self.now_s >= own.request[1] + self.fixed.delay_s
        return max(0, own.balance_nano - matured * own.request[0] * NANO_PER_MICRO)

    def cover_nano(self, account: int, period_s: int) -> int:
        own_nano = self.accounts[account].own_micro_at(period_s) * NANO_PER_MICRO
        before = self.applied_before.get(period_s)
        if before is None:
            return own_nano + self.applied_nano(account)
        return own_nano + (before[account] if account < len(before) else 0)

    def prices_at(self, instant_s: int) -> Prices | None:
        found = [prices for starts_s, prices in self.tariffs if starts_s <= instant_s]
        return found[-1] if found else None

    def cap_nano(self, account: int, draft: Draft) -> int:
        prices = self.prices_at(draft.period_s)
        if account < 2 or prices is None:
            return self.fixed.supplier_cap_nano
        factor = 2 if draft.run else 1
        return self.fixed.windows * self.fixed.debit_max_wh * prices.grid_import * factor

    def revision_s(self) -> int:
        """When the next revision may come."""
        return self.last_revision_s and self.last_revision_s + self.fixed.period_s

    def instants(self) -> list[int]:
        """When something changes by itself."""
        delay_s = self.fixed.delay_s
        found = [self.now_s + 1, self.next_period_s, self.next_period_s + self.fixed.period_s]
        found.append(self.revision_s())
        found += [account.request[1] + delay_s for account in self.accounts if account.request[0]]
        found += [account.move[1] + delay_s for account in self.accounts if account.move]
        found += [self.next_operator[1] + delay_s] * any(self.next_operator[0])
        if self.next_tariff:
            found += [self.next_tariff[2] + delay_s, self.next_tariff[0]]
        if self.pending:
            found += [self.pending.proposed_s + self.fixed.dispute_s, self.lapses_s() + 1]
        return sorted({instant_s for instant_s in found if instant_s > self.now_s})
