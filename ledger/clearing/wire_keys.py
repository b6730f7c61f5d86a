"""Keys and priorities as JSON, where accounts that are names are written as decimal strings."""

import re
from typing import Final, cast

from ledger.clearing.errors import BadKeys
from ledger.clearing.keys import POOL, Keys, Priorities
from ledger.units import AccountId

# One way to write each account, so that no two names of an object are the same account. The
# range is for the problem to check; ten digits hold any account.
ACCOUNT_NAME: Final = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
SHOWN_LENGTH: Final = 40


def keys_from_json(item: object) -> Keys:
    """`{producer or "pool": {consumer: bps}}`; the problem checks the numbers."""
    keys: dict[AccountId | str, dict[AccountId, int]] = {}
    for name, shares in _members("keys", item).items():
        producer = name if name == POOL else _account(f"keys.{_shown(name)}", name)
        keys[producer] = {
            _account(f"keys.{_shown(name)}", consumer): cast("int", key_bps)
            for consumer, key_bps in _members(f"keys.{_shown(name)}", shares).items()
        }
    return keys


def priorities_from_json(item: object) -> Priorities:
    """`{producer: [consumer, …]}`; the problem checks the consumers."""
    priorities: dict[AccountId, tuple[AccountId, ...]] = {}
    for name, consumers in _members("priorities", item).items():
        at = f"priorities.{_shown(name)}"
        if not isinstance(consumers, list):
            raise BadKeys(at=at, reason="priorities are a list of accounts")
        priorities[_account(at, name)] = tuple(consumers)
    return priorities


def _members(at: str, item: object) -> dict[str, object]:
    if not isinstance(item, dict):
        raise BadKeys(at=at, reason="expected an object with each name once")
    return item


def _account(at: str, name: object) -> AccountId:
    if not isinstance(name, str) or not ACCOUNT_NAME.fullmatch(name):
        raise BadKeys(at=at, reason="a name is an account from 2, in plain digits")
    return AccountId(int(name))


def _shown(name: object) -> str:
    return ascii(name[:SHOWN_LENGTH]) if isinstance(name, str) else type(name).__name__
