"""What an account's address signs for the market, as EIP-712 typed data (INTERFACES §4)."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from ledger.errors import OutOfRange
from ledger.keccak import keccak256, typed_digest
from ledger.units import Hash32

UINT32_MAX: Final = 2**32 - 1
UINT64_MAX: Final = 2**64 - 1
UINT256_MAX: Final = 2**256 - 1
LIMITS_TYPE: Final = (
    b"PriceLimits(uint32 account,uint64 validFrom,uint64 maxBuyPerKwh,"
    b"uint64 minSellPerKwh,uint256 nonce)"
)
WITHDRAWAL_TYPE: Final = b"Withdrawal(uint32 account,uint64 amountMicro,uint256 nonce)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLimits:
    """At which prices an account buys and sells, for periods that start from an instant on."""

    account: int
    valid_from_s: int
    max_buy_per_kwh: int  # 2^64 - 1: no limit.
    min_sell_per_kwh: int  # 0: no limit.
    nonce: int

    def __post_init__(self) -> None:
        _check("account", self.account, UINT32_MAX)
        _check("validFrom", self.valid_from_s, UINT64_MAX)
        _check("maxBuyPerKwh", self.max_buy_per_kwh, UINT64_MAX)
        _check("minSellPerKwh", self.min_sell_per_kwh, UINT64_MAX)
        _check("nonce", self.nonce, UINT256_MAX)

    def digest(self, separator: bytes) -> Hash32:
        """What the account's address signs."""
        return _digest(
            separator,
            LIMITS_TYPE,
            self.account,
            self.valid_from_s,
            self.max_buy_per_kwh,
            self.min_sell_per_kwh,
            self.nonce,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What an account asks to be paid after the withdrawal delay; 0 takes a request back."""

    account: int
    amount_micro: int
    nonce: int

    def __post_init__(self) -> None:
        _check("account", self.account, UINT32_MAX)
        _check("amountMicro", self.amount_micro, UINT64_MAX)
        _check("nonce", self.nonce, UINT256_MAX)

    def digest(self, separator: bytes) -> Hash32:
        """What the account's address signs."""
        return _digest(separator, WITHDRAWAL_TYPE, self.account, self.amount_micro, self.nonce)


def _digest(separator: bytes, type_text: bytes, *values: int) -> Hash32:
    words = b"".join(value.to_bytes(32) for value in values)
    return typed_digest(separator, keccak256(_type_hash(type_text) + words))


@cache
def _type_hash(type_text: bytes) -> Hash32:
    return keccak256(type_text)


def _check(field: str, value: int, value_max: int) -> None:
    if not 0 <= value <= value_max:
        raise OutOfRange(field=field, value=value, value_min=0, value_max=value_max)
