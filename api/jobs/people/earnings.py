"""What the escrow owes somebody is paid to them when they ask: nobody else can be paid by it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.errors import RateLimited
from api.jobs.community import Community
from api.jobs.people.errors import NothingOwed
from api.jobs.people.relay_book import RelayBook
from api.jobs.people.relays import UNDER_WAY, Relay, RelayId, RelayKind, RelayView
from charging.orders import ChargerId
from ledger.chain import escrow
from ledger.chain.escrow import EscrowReader
from ledger.keccak import keccak256
from ledger.units import MICRO_PER_TOKEN, Address

LEAST_CREDIT_MICRO: Final = MICRO_PER_TOKEN  # Less at a charger is not worth a transaction yet.

# The last relay of each of somebody's chargers, and under None of what could not be pushed to them.
Last = Mapping[ChargerId | None, RelayView]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What one transaction would pay."""

    charger_id: ChargerId | None  # Whose credit it is; None: what could not be pushed.
    amount_micro: int
    number: int  # How many relays of the same there were before.

    @property
    def is_worth_it(self) -> bool:
        """A refund that did not arrive is, whatever it is."""
        return self.charger_id is None or self.amount_micro >= LEAST_CREDIT_MICRO


class Earnings:
    """Its methods wait for disk and chain: call them in a thread."""

    def __init__(self, community: Community, book: RelayBook, wake: Callable[[], None]) -> None:
        """`wake` tells the loop that something is owed."""
        self._community = community
        self._book = book
        self._wake = wake

    def pay_out(self, owner: Address) -> tuple[list[RelayView], bool]:
        """Owes the chain a `payHost` for each charger of theirs with credit, and a `claim`.

        What is on its way already is not owed again, and is told.

        Returns:
            All that is on its way to them, and whether any of it is new.

        Raises:
            NothingOwed: nothing is on its way, and nothing is worth a transaction.
            RateLimited: they have asked for very much.
        """
        last = {view.relay.charger_id: view for view in self._book.last_asked_for(owner)}
        under_way = [view for view in last.values() if view.state in UNDER_WAY]
        # Only now is the chain asked: what was paid in between is nothing that it still owes.
        dues = self._dues(owner, last)
        worth_it = [due for due in dues if due.is_worth_it]
        if not worth_it and not under_way:
            raise NothingOwed(
                owed_micro=sum(due.amount_micro for due in dues),
                least_micro=LEAST_CREDIT_MICRO,
                rule="a charger's credit is paid from this much on, a refund whatever it is",
            )
        try:
            return self._owe_all(owner, worth_it, under_way)
        finally:
            self._wake()

    def last(self, owner: Address) -> list[RelayView]:
        """The last payout of each charger and of what could not be pushed, newest first."""
        return self._book.last_asked_for(owner)

    def _dues(self, owner: Address, last: Last) -> list[_Due]:
        """What the escrow owes somebody now, but for what is on its way."""
        community = self._community
        if not community.contracts.has_escrow:
            return []
        reader = EscrowReader(community.chain, community.contracts.escrow)
        hosts = community.ask(lambda told: dict(told.charges.hosts))
        dues = []
        for charger_id in (*(each for each, host in hosts.items() if host == owner), None):
            before = last.get(charger_id)
            if before is not None and before.state in UNDER_WAY:
                continue
            amount_micro = _owed_micro(reader, owner, charger_id)
            if amount_micro:
                number = 0 if before is None else before.relay.nonce + 1
                dues.append(_Due(charger_id=charger_id, amount_micro=amount_micro, number=number))
        return dues

    def _owe_all(
        self, owner: Address, dues: Sequence[_Due], under_way: Sequence[RelayView]
    ) -> tuple[list[RelayView], bool]:
        """Owes the largest first; where a day allows no more, the others wait for another day."""
        found, is_any_new = list(under_way), False
        for due in sorted(dues, key=lambda each: (-each.amount_micro, each.charger_id or b"")):
            try:
                view, is_new = self._owe(owner, due)
            except RateLimited:
                if not found:
                    raise
                break
            found.append(view)
            is_any_new = is_any_new or is_new
        return found, is_any_new

    def _owe(self, owner: Address, due: _Due) -> tuple[RelayView, bool]:
        contract, charger_id = self._community.contracts.escrow, due.charger_id
        relay = Relay(
            relay_id=_relay_id(contract, owner, due),
            kind=RelayKind.CLAIM if charger_id is None else RelayKind.CREDIT,
            owner=owner,
            account=None,
            nonce=due.number,
            amount_micro=due.amount_micro,
            created_at=self._community.clock.now(),
            charger_id=charger_id,
        )
        data = escrow.claim(owner) if charger_id is None else escrow.pay_host(charger_id)
        return self._book.owe(relay, data, to=contract)


def _owed_micro(reader: EscrowReader, owner: Address, charger_id: ChargerId | None) -> int:
    """What one transaction would pay to somebody by what the chain says now."""
    if charger_id is None:
        return reader.claimable_micro_of(owner)
    charger = reader.charger_of(charger_id)
    return charger.credit_micro if charger.host == owner else 0


def _relay_id(contract: Address, owner: Address, due: _Due) -> RelayId:
    """The same payout is the same relay, however often it is asked for; the next one is another."""
    what = b"claim" if due.charger_id is None else b"credit" + due.charger_id
    words = contract + owner + due.number.to_bytes(32) + what
    return RelayId(keccak256(b"wattledger earnings" + words))
