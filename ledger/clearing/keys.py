"""Sharing keys and priorities: what the consumers of a producer are promised."""

from collections.abc import Mapping, Sequence
from typing import Final

from ledger.clearing.errors import BadKeys
from ledger.units import BPS, FIRST_MEMBER, AccountId

ACCOUNT_MAX: Final = 2**32 - 1  # uint32 on chain.
POOL: Final = "pool"  # `dynamic` shares what all producers offer together.

Keys = Mapping[AccountId | str, Mapping[AccountId, int]]  # Producer or pool → consumer → bps.
Priorities = Mapping[AccountId, Sequence[AccountId]]  # Producer → consumers, the first one first.


def is_member(name: object) -> bool:
    """Whether a name in keys or priorities is an account that may have flows."""
    return type(name) is int and FIRST_MEMBER <= name <= ACCOUNT_MAX


def check_producer_keys(keys: Keys) -> None:
    """Refuse keys that are not producer → consumer → bps with at most the whole shared out."""
    for producer, keys_bps in keys.items():
        if not is_member(producer):
            raise BadKeys(at=str(producer), reason="a producer is an account from 2")
        _check_shares(str(producer), keys_bps)


def check_pool_keys(keys: Keys) -> None:
    """Refuse keys that are not pool → consumer → bps with at most the whole shared out."""
    for name, keys_bps in keys.items():
        if name != POOL:
            raise BadKeys(at=str(name), reason="dynamic keys share the pool, not one producer")
        _check_shares(POOL, keys_bps)


def check_priorities(priorities: Priorities) -> None:
    """Refuse lists that name a consumer twice, or anything that is not a member's account."""
    for producer, consumers in priorities.items():
        if not is_member(producer):
            raise BadKeys(at=str(producer), reason="a producer is an account from 2")
        for consumer in consumers:
            if not is_member(consumer):
                raise BadKeys(at=str(producer), reason="a consumer is an account from 2")
        if len(set(consumers)) != len(consumers):
            raise BadKeys(at=str(producer), reason="a consumer stands twice in the list")


def _check_shares(at: str, keys_bps: Mapping[AccountId, int]) -> None:
    for consumer, key_bps in keys_bps.items():
        if not is_member(consumer):
            raise BadKeys(at=at, reason="a consumer is an account from 2")
        if type(key_bps) is not int or key_bps < 0:
            raise BadKeys(at=f"{at}.{consumer}", reason="a key is an integer from 0")
    if sum(keys_bps.values()) > BPS:
        raise BadKeys(at=at, reason=f"keys add up to more than {BPS}")
