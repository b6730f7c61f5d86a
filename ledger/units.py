"""Units, ranges and the few types that every package speaks (DESIGN §1).

Energy is an integer number of Wh, money an integer number of nano (10⁻⁹ settlement tokens), and a
price is micro-tokens per kWh, which is the same number as nano per Wh.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NewType

AccountId = NewType("AccountId", int)
Address = NewType("Address", bytes)  # 20 bytes.
Hash32 = NewType("Hash32", bytes)  # 32 bytes.

SUPPLIER: Final = AccountId(0)
GRID_OPERATOR: Final = AccountId(1)
FIRST_MEMBER: Final = AccountId(2)

NANO_PER_MICRO: Final = 1_000
MICRO_PER_TOKEN: Final = 1_000_000
NANO_PER_TOKEN: Final = NANO_PER_MICRO * MICRO_PER_TOKEN
BPS: Final = 10_000

ENERGY_WH_MAX: Final = 10**8  # Of one row: 100 MWh in a window.
PRICE_PER_KWH_MAX: Final = 10**8
PERIOD_WINDOWS_MAX: Final = 96
REGISTER_WH_MAX: Final = 10**12  # 1 TWh: beyond any meter in a neighbourhood.
LIMIT_PER_KWH_MAX: Final = 2**64 - 1  # As max_buy: no limit.
ACCOUNTS_MAX: Final = 8_192
BALANCE_NANO_MAX: Final = 2**51 - 1  # What a settlement may leave on an account.
DEPOSIT_BALANCE_NANO_MAX: Final = 2**50  # What a deposit may take an account to.

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_unix_s(instant_at: datetime) -> int:
    """Whole Unix seconds of an aware instant, without passing through a float."""
    return (instant_at - EPOCH) // timedelta(seconds=1)


def from_unix_s(unix_s: int) -> datetime:
    """Aware UTC instant of whole Unix seconds."""
    return EPOCH + timedelta(seconds=unix_s)


def to_rfc3339(instant_at: datetime) -> str:
    """`2016-06-01T00:00:00Z`: the one form that times have in files and HTTP."""
    return instant_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_down(amount_nano: int) -> int:
    """Whole base units of the token in an amount, rounded down (the token's door)."""
    return amount_nano // NANO_PER_MICRO
