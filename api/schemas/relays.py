"""Models of what accounts sign, and of its way to the chain."""

from typing import Self

from pydantic import Field

from api.errors import BadInput
from api.jobs.people.relays import RelayKind, RelayState, RelayView
from api.schemas.fields import (
    Amount,
    Hex,
    Instant,
    SignatureIn,
    Uint32In,
    Uint64In,
    Uint256In,
    Wire,
    amount_if_any,
    hex_if_any,
    hex_of,
    instant_of,
)
from ledger.market_messages import PriceLimits, Withdrawal

ELSEWHERE = "is another account than the path's"


class LimitsMessage(Wire):
    """`PriceLimits` of INTERFACES §4, in micro-tokens per kWh."""

    account: Uint32In
    validFrom: Uint64In  # noqa: N815 (EIP-712's names)
    maxBuyPerKwh: Uint64In  # noqa: N815
    minSellPerKwh: Uint64In  # noqa: N815
    nonce: Uint256In

    def limits_of(self, account: int) -> PriceLimits:
        """As a value; raises BadInput where they are another account's."""
        if self.account != account:
            raise BadInput(field="limits.account", rule=ELSEWHERE)
        return PriceLimits(
            account=self.account,
            valid_from_s=self.validFrom,
            max_buy_per_kwh=self.maxBuyPerKwh,
            min_sell_per_kwh=self.minSellPerKwh,
            nonce=self.nonce,
        )


class LimitsIn(Wire):
    """Signed price limits."""

    limits: LimitsMessage
    signature: SignatureIn


class WithdrawalMessage(Wire):
    """`Withdrawal` of INTERFACES §4; an amount of 0 takes a request back."""

    account: Uint32In
    amountMicro: Uint64In  # noqa: N815 (EIP-712's names)
    nonce: Uint256In

    def withdrawal_of(self, account: int) -> Withdrawal:
        """As a value; raises BadInput where it is another account's."""
        if self.account != account:
            raise BadInput(field="withdrawal.account", rule=ELSEWHERE)
        return Withdrawal(account=self.account, amount_micro=self.amountMicro, nonce=self.nonce)


class WithdrawalIn(Wire):
    """A signed request for a withdrawal."""

    withdrawal: WithdrawalMessage
    signature: SignatureIn


class DepositIn(Wire):
    """An ERC-2612 permit of the account's address to the market, for exactly this amount."""

    amount_micro: Uint64In
    deadline: Uint256In
    signature: SignatureIn


class RelayOut(Wire):
    """Something on its way to the chain. `sent` is not `confirmed`."""

    id: Hex = Field(examples=["0x" + "7e" * 32])
    kind: RelayKind
    account: int | None
    charger_id: Hex | None = Field(description="Whose credit is paid; null for all else.")
    amount_micro: Amount | None = Field(
        description="Of a credit: what there was when it was asked for. What came in since is paid "
        "along with it."
    )
    state: RelayState
    transaction: Hex | None
    reason: str = Field(description="Why it failed or does not move; the contract's own word.")
    created_at: Instant

    @classmethod
    def of(cls, view: RelayView) -> Self:
        """From a relay."""
        relay = view.relay
        return cls(
            id=hex_of(relay.relay_id),
            kind=relay.kind,
            account=None if relay.account is None else int(relay.account),
            charger_id=hex_if_any(relay.charger_id),
            amount_micro=amount_if_any(relay.amount_micro),
            state=view.state,
            transaction=hex_if_any(view.transaction),
            reason=view.reason,
            created_at=instant_of(relay.created_at),
        )


class RelaysOut(Wire):
    """A page of relays, newest first."""

    items: list[RelayOut]
    next: str | None
