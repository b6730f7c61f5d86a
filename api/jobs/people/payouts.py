"""Withdrawals that have matured are paid out: anyone may ask for it, so the service does."""

from typing import Final

from api.jobs.community import Community
from api.jobs.people.patience import Patience
from api.jobs.people.relay_book import RelayBook
from api.jobs.people.relays import Relay, RelayId, RelayKind
from ledger.chain import market_calls
from ledger.chain.market import MarketReader
from ledger.chain.market_values import PendingState
from ledger.history import MarketHistory
from ledger.keccak import keccak256
from ledger.outbox_store import OutboxStore
from ledger.units import AccountId


class Payouts:
    """Owes the chain a `withdraw` for each request whose delay has passed."""

    name: Final = "payouts"

    def __init__(self, community: Community, book: RelayBook) -> None:
        self._community = community
        self._book = book
        self._intents = OutboxStore(community.engine, chain_id=community.config.chain.chain_id)
        self._patience = Patience()

    def step(self) -> bool:
        """Owes what has matured and can be paid now; whether there was anything."""
        community = self._community
        now_s = community.next_block_from_s()
        matured_before_s = now_s - community.market_config.withdrawal_delay_s
        wanted = community.ask(lambda told: _matured(told.market, matured_before_s))
        owed = False
        for account, requested_at_s in wanted:
            owed = self._pay(account, requested_at_s) or owed
        return owed

    def _pay(self, account: AccountId, requested_at_s: int) -> bool:
        community = self._community
        relay_id = _relay_id(community.contracts.market, account, requested_at_s)
        if self._book.standing(relay_id) is not None:
            return False
        reader = MarketReader(community.chain, community.contracts.market)
        request = reader.request_of(account)
        if request.requested_at_s != requested_at_s:
            return False  # It was paid, replaced or taken back since.
        if self._is_held_up(reader, requested_at_s):
            return False
        relay = Relay(
            relay_id=relay_id,
            kind=RelayKind.PAYOUT,
            owner=reader.address_of(account),
            account=account,
            nonce=requested_at_s,
            amount_micro=request.amount_micro,
            created_at=community.clock.now(),
        )
        entry = self._intents.entry(relay.outbox_key)
        if not self._patience.is_due(relay.outbox_key, entry, community.system_now()):
            return False
        data = market_calls.withdraw(account)
        return self._book.owe(relay, data, to=community.contracts.market)[1]

    def _is_held_up(self, reader: MarketReader, requested_at_s: int) -> bool:
        """Whether a proposal waits that was made before the request matured."""
        pending = reader.pending()
        matures_at_s = requested_at_s + self._community.market_config.withdrawal_delay_s
        return pending.state is PendingState.PROPOSED and pending.proposed_at_s < matures_at_s


def _matured(history: MarketHistory, requested_by_s: int) -> list[tuple[AccountId, int]]:
    """Accounts whose request is old enough, and when it was made."""
    found = []
    for account in range(history.account_count):
        requested_at_s, amount_micro = history.request_at(account)
        if amount_micro and requested_at_s <= requested_by_s:
            found.append((AccountId(account), requested_at_s))
    return found


def _relay_id(market: bytes, account: AccountId, requested_at_s: int) -> RelayId:
    words = account.to_bytes(32) + requested_at_s.to_bytes(32)
    return RelayId(keccak256(b"wattledger payout" + market + words))
