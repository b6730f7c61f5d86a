"""What an account's address signed is checked and owed to the chain: nobody needs gas."""

from collections.abc import Callable

from api.jobs.community import Community
from api.jobs.meter_book import CALENDAR_ENDS_S
from api.jobs.people.relay_book import RelayBook
from api.jobs.people.relay_checks import MarketChecks
from api.jobs.people.relays import Relay, RelayId, RelayKind, RelayView
from ledger.chain import market_calls
from ledger.errors import OutOfRange
from ledger.market_messages import PriceLimits, Withdrawal
from ledger.units import AccountId

Relayed = tuple[RelayView, bool]  # How it stands, and whether it is new.


class RelayDesk:
    """Its methods wait for disk and chain: call them in a thread."""

    def __init__(self, community: Community, book: RelayBook, wake: Callable[[], None]) -> None:
        """`wake` tells the loop that something is owed."""
        self._community = community
        self._book = book
        self._checks = MarketChecks(community)
        self._wake = wake

    def set_limits(self, limits: PriceLimits, signature: bytes) -> Relayed:
        """Relays signed price limits.

        Raises:
            NotFound, BadSignature, MalleableSignature, WrongMarket: see `MarketChecks.signer`.
            OutOfRange: they begin after the calendar's end.
            NonceUsed: the nonce does not rise.
        """
        checks, account = self._checks, limits.account
        owner = checks.signer(account, limits.digest, signature)
        if limits.valid_from_s > CALENDAR_ENDS_S:
            raise OutOfRange(
                field="limits.validFrom",
                value=limits.valid_from_s,
                value_min=0,
                value_max=CALENDAR_ENDS_S,
            )
        relay = Relay(
            relay_id=RelayId(limits.digest(checks.separator)),
            kind=RelayKind.LIMITS,
            owner=owner,
            account=AccountId(account),
            nonce=limits.nonce,
            amount_micro=None,
            created_at=self._community.clock.now(),
        )
        data = market_calls.set_limits(
            account=account,
            valid_from_s=limits.valid_from_s,
            max_buy_per_kwh=limits.max_buy_per_kwh,
            min_sell_per_kwh=limits.min_sell_per_kwh,
            nonce=limits.nonce,
            signature=signature,
        )

        def require() -> None:
            checks.require_above(limits.nonce, checks.reader.limits_nonce(account))

        return self._relay(relay, data, require)

    def withdraw(self, withdrawal: Withdrawal, signature: bytes) -> Relayed:
        """Relays a signed request for a withdrawal, or its end.

        Raises:
            NotFound, BadSignature, MalleableSignature, WrongMarket: see `MarketChecks.signer`.
            NonceUsed: the nonce does not rise.
        """
        checks, account = self._checks, withdrawal.account
        owner = checks.signer(account, withdrawal.digest, signature)
        relay = Relay(
            relay_id=RelayId(withdrawal.digest(checks.separator)),
            kind=RelayKind.WITHDRAWAL,
            owner=owner,
            account=AccountId(account),
            nonce=withdrawal.nonce,
            amount_micro=withdrawal.amount_micro,
            created_at=self._community.clock.now(),
        )
        data = market_calls.request_withdrawal_by_sig(
            account=account,
            amount_micro=withdrawal.amount_micro,
            nonce=withdrawal.nonce,
            signature=signature,
        )

        def require() -> None:
            checks.require_above(withdrawal.nonce, checks.reader.withdrawal_nonce(account))

        return self._relay(relay, data, require)

    def deposit(
        self, account: int, *, amount_micro: int, deadline_s: int, signature: bytes
    ) -> Relayed:
        """Pays into an account from its address's wallet, by a permit.

        Raises:
            NotFound, BadSignature, MalleableSignature: see `MarketChecks.permit`.
            OutOfRange, NonceUsed, FundsMissing: see `MarketChecks.require_deposit`.
        """
        permit = self._checks.permit(
            account, amount_micro=amount_micro, deadline_s=deadline_s, signature=signature
        )
        relay = Relay(
            relay_id=RelayId(permit.digest),
            kind=RelayKind.DEPOSIT,
            owner=permit.owner,
            account=AccountId(account),
            nonce=permit.nonce,
            amount_micro=amount_micro,
            created_at=self._community.clock.now(),
        )
        data = market_calls.deposit_with_permit(
            account=account,
            payer=permit.owner,
            amount_micro=amount_micro,
            nonce=permit.nonce,
            deadline_s=deadline_s,
            signature=signature,
        )
        return self._relay(relay, data, lambda: self._checks.require_deposit(account, permit))

    def _relay(self, relay: Relay, data: bytes, require: Callable[[], None]) -> Relayed:
        standing = self._book.standing(relay.relay_id)
        if standing is not None and standing.relay.account == relay.account:
            return standing, False
        require()
        view, is_new = self._book.owe(relay, data, to=self._community.contracts.market)
        if is_new:
            self._wake()
        return view, is_new
