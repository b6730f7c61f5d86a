"""Reading an EnergyMarket contract."""

from dataclasses import dataclass
from typing import Any

from ledger.chain.abi import decode_result, encode_call
from ledger.chain.market_calls import CONTRACT
from ledger.chain.market_values import (
    AnnouncedOperator,
    AnnouncedTariff,
    MarketConfig,
    MarketTariff,
    Move,
    Pending,
    PendingState,
    WithdrawalRequest,
)
from ledger.chain.protocol import Chain
from ledger.history import AccountLimits
from ledger.units import Address, Hash32

LANES = 4


@dataclass(frozen=True, slots=True)
class MarketReader:
    """One market as it is now, or with `at_block` as a past block left it.

    Every method may raise `ChainUnavailable`, and `ContractReverted` where there is no market.
    """

    chain: Chain
    address: Address
    at_block: int | None = None

    def config(self) -> MarketConfig:
        """What the community was created with."""
        return MarketConfig.of_abi(self._ask("config"))

    def owner(self) -> Address:
        """Who may change operator and tariff."""
        return Address(self._ask("owner"))

    def operator(self) -> Address:
        """Who may enrol and propose."""
        return Address(self._ask("operator"))

    def announced_owner(self) -> Address | None:
        """Who may accept the ownership."""
        owner = Address(self._ask("announcedOwner"))
        return owner if any(owner) else None

    def announced_operator(self) -> AnnouncedOperator | None:
        """Who may become the operator, and since when that is known."""
        operator, announced_at_s = self._ask("announcedOperator")
        if not any(operator):
            return None
        return AnnouncedOperator(operator=operator, announced_at_s=announced_at_s)

    def announced_tariff(self) -> AnnouncedTariff | None:
        """The tariff that waits to be enacted."""
        tariff, starts_at_s, announced_at_s = self._ask("announcedTariff")
        if not announced_at_s:
            return None
        return AnnouncedTariff(
            tariff=MarketTariff.of_abi(tariff),
            starts_at_s=starts_at_s,
            announced_at_s=announced_at_s,
        )

    def tariff_at(self, period_start_s: int) -> MarketTariff:
        """The tariff of a period."""
        return MarketTariff.of_abi(self._ask("tariffAt", period_start_s))

    def account_count(self) -> int:
        """Number of accounts, 0 and 1 among them."""
        return int(self._ask("accountCount"))

    def address_of(self, account: int) -> Address:
        """Whose account it is."""
        return Address(self._ask("addressOf", account))

    def recovery_of(self, account: int) -> Address | None:
        """Who else may begin a move of the account."""
        recovery = Address(self._ask("recoveryOf", account))
        return recovery if any(recovery) else None

    def move_of(self, account: int) -> Move | None:
        """The move that is under way."""
        move = self._ask("moveOf", account)
        if not any(move["to"]):
            return None
        return Move(
            to=move["to"], requested_at_s=move["requestedAt"], by_recovery=move["byRecovery"]
        )

    def balance_nano_of(self, account: int) -> int:
        """Balance in nano."""
        return int(self._ask("balanceOf", account))

    def available_nano_of(self, account: int) -> int:
        """Balance less a matured withdrawal request: what a settlement may take."""
        return int(self._ask("availableOf", account))

    def balance_words(self, first: int, end: int) -> list[int]:
        """Balance words `[first, end)`, four accounts each."""
        words: list[int] = self._ask("balanceWords", first, end)
        return words

    def all_balance_words(self) -> list[int]:
        """The balance words of all accounts."""
        return self.balance_words(0, -(-self.account_count() // LANES))

    def request_of(self, account: int) -> WithdrawalRequest:
        """What the account asked to be paid."""
        request = self._ask("requestOf", account)
        return WithdrawalRequest(
            amount_micro=request["amountMicro"], requested_at_s=request["requestedAt"]
        )

    def limits_of(self, account: int) -> list[AccountLimits]:
        """All price limits of an account that were ever set, oldest first."""
        return [
            AccountLimits(
                effective_from_s=limits["effectiveFrom"],
                max_buy_per_kwh=limits["maxBuyPerKwh"],
                min_sell_per_kwh=limits["minSellPerKwh"],
            )
            for limits in self._ask("limitsOf", account)
        ]

    def limits_nonce(self, account: int) -> int:
        """Nonce of the account's last `PriceLimits`."""
        return int(self._ask("limitsNonce", account))

    def withdrawal_nonce(self, account: int) -> int:
        """Nonce of the account's last `Withdrawal`."""
        return int(self._ask("withdrawalNonce", account))

    def permit_used(self, digest: Hash32) -> bool:
        """Whether a permit was used here."""
        return bool(self._ask("permitUsed", digest))

    def pending(self) -> Pending:
        """The proposal that waits, or that must be made again."""
        pending = self._ask("pending")
        return Pending(
            period_start_s=pending["periodStart"],
            run=pending["run"],
            proposed_at_s=pending["proposedAt"],
            state=PendingState(pending["state"]),
        )

    def next_period_start_s(self) -> int:
        """The next period that run 0 may be proposed for."""
        return int(self._ask("nextPeriodStart"))

    def final_runs(self, period_start_s: int) -> int:
        """Number of final runs of a period."""
        return int(self._ask("finalRuns", period_start_s))

    def commitment_of(self, period_start_s: int, run: int) -> Hash32 | None:
        """What was committed to for a period and run."""
        commitment = Hash32(self._ask("commitmentOf", period_start_s, run))
        return commitment if any(commitment) else None

    def last_revision_at_s(self) -> int:
        """When a revision was last applied; 0 if never."""
        return int(self._ask("lastRevisionAt"))

    def _ask(self, function: str, *arguments: object) -> Any:
        data = encode_call(CONTRACT, function, arguments)
        answer = self.chain.call(self.address, data, block=self.at_block)
        return decode_result(CONTRACT, function, answer)
