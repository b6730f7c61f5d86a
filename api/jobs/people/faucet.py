"""A demo's wallets: their names, and a faucet so that nobody plays with an empty one."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.errors import NotFound
from api.jobs.community import OWNER, Community
from api.jobs.people.names import Names
from api.jobs.people.relay_book import RelayBook
from api.jobs.people.relays import Relay, RelayId, RelayKind, RelayState, RelayView
from api.keys import OPERATOR_WALLET, demo_secret, demo_wallet_of
from ledger.chain import settlement_token
from ledger.keccak import address_of, keccak256
from ledger.units import GRID_OPERATOR, MICRO_PER_TOKEN, AccountId, Address

POCKET_MICRO: Final = 500 * MICRO_PER_TOKEN
DRIVER_WALLETS: Final = ("anna", "ben")  # Any other name is a driver's, too.


class WalletKind(StrEnum):
    """Whose part a demo's wallet plays."""

    HOME = "home"
    GRID = "grid"  # The grid operator, who audits.
    OPERATOR = "operator"
    DRIVER = "driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWallet:
    """A wallet whose key is published."""

    name: str  # What its key is made of.
    address: Address
    kind: WalletKind
    account: AccountId | None
    title: str  # What the account's owner is called; the name where there is no account.


class Faucet:
    """Only a demo has one. Its methods wait for disk and chain: call them in a thread."""

    def __init__(self, community: Community, book: RelayBook, wake: Callable[[], None]) -> None:
        """`wake` tells the loop that something is owed."""
        self._community = community
        self._book = book
        self._names = Names(community)
        self._wake = wake

    def wallets(self) -> list[DemoWallet]:
        """The wallets that a demo is played with; raises NotFound where there is none."""
        self._require_demo()
        owners = self._community.ask(lambda told: list(told.market.owners))
        found = []
        for number, owner in enumerate(owners):
            account = AccountId(number)
            name = demo_wallet_of(f"account:{account}")
            if name is None or address_of(demo_secret(name)) != owner:
                continue  # The supplier's, or somebody's own.
            found.append(
                DemoWallet(
                    name=name,
                    address=owner,
                    kind=WalletKind.GRID if account == GRID_OPERATOR else WalletKind.HOME,
                    account=account,
                    title=self._names.names_shown(account) or name,
                )
            )
        others = [
            (OPERATOR_WALLET, WalletKind.OPERATOR),
            *((name, WalletKind.DRIVER) for name in DRIVER_WALLETS),
        ]
        return found + [
            DemoWallet(
                name=name,
                address=address_of(demo_secret(name)),
                kind=kind,
                account=None,
                title=name,
            )
            for name, kind in others
        ]

    def fill(self, address: Address) -> tuple[RelayView, bool]:
        """Makes tokens for a wallet that has fewer than `POCKET_MICRO`; whether it has to.

        Raises:
            NotFound: this is no demo.
        """
        self._require_demo()
        count = self._book.count(RelayKind.TOKENS, address)
        if count:
            last = self._book.view(_relay_id(address, count - 1))
            if last.state in (RelayState.ACCEPTED, RelayState.SENT):
                return last, False
        token = self._community.contracts.token
        reader = settlement_token.TokenReader(self._community.chain, token)
        missing_micro = max(0, POCKET_MICRO - reader.balance_micro_of(address))
        relay = Relay(
            relay_id=_relay_id(address, count),
            kind=RelayKind.TOKENS,
            owner=address,
            account=None,
            nonce=count,
            amount_micro=missing_micro,
            created_at=self._community.clock.now(),
        )
        if not missing_micro:
            full = RelayView(
                relay=relay, state=RelayState.CONFIRMED, transaction=None, reason="enough_already"
            )
            return full, False
        data = settlement_token.mint(address, missing_micro)
        view, is_new = self._book.owe(relay, data, to=token, role=OWNER)
        if is_new:
            self._wake()
        return view, is_new

    def _require_demo(self) -> None:
        if not self._community.is_demo:
            raise NotFound(rule="only a demo has wallets and tokens to give away")


def _relay_id(address: Address, number: int) -> RelayId:
    return RelayId(keccak256(b"wattledger demo tokens" + address + number.to_bytes(32)))
