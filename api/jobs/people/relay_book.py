"""The book of relays: each is owed to the chain once, in the transaction that notes it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from api.errors import NotFound, RateLimited
from api.jobs.community import RELAY, Community
from api.jobs.people.errors import NonceUsed
from api.jobs.people.relay_store import RelayStore
from api.jobs.people.relays import (
    ASKED_FOR,
    Relay,
    RelayId,
    RelayKind,
    RelayState,
    RelayView,
)
from ledger.outbox_states import Intent
from ledger.outbox_store import OutboxStore
from ledger.units import AccountId, Address

A_DAY_MAX: Final = 200  # Relays of one account; payouts that one person asks for.
TRIES_MAX: Final = 10  # Of one message: what fails so often is signed anew, if at all.
RETRY_AFTER_S: Final = 3_600
RISING: Final = frozenset({RelayKind.LIMITS, RelayKind.WITHDRAWAL})  # Nonces that may leave gaps.


class RelayBook:
    """Relays and how they fare. Its methods wait for the disk: call them in a thread."""

    def __init__(self, community: Community) -> None:
        self._community = community
        self._store = RelayStore()
        self._intents = OutboxStore(community.engine, chain_id=community.config.chain.chain_id)

    def owe(
        self, relay: Relay, data: bytes, *, to: Address, role: str = RELAY
    ) -> tuple[RelayView, bool]:
        """Notes a relay and owes its transaction; the same one again changes nothing.

        One that failed is owed again, or gives its nonce to another message.

        Returns:
            The relay as it stands, and whether something is to be sent for it now.

        Raises:
            NonceUsed: another message with this nonce, or a later one, is on its way or done.
            RateLimited: the account, or the person, has asked for very much.
        """
        intent = self._community.intent(relay.outbox_key, data, to=to, role=role)
        try:
            with self._community.engine.begin() as connection:
                return self._put(connection, relay, intent)
        except IntegrityError:  # Another process was first, and it is known by now.
            with self._community.engine.begin() as connection:
                return self._put(connection, relay, intent)

    def _put(self, connection: Connection, relay: Relay, intent: Intent) -> tuple[RelayView, bool]:
        known = self._store.find(connection, relay.relay_id)
        if known is not None:
            if known.account != relay.account:
                raise _used(relay, "a permit pays into one account, and it was given for another")
            view = self._view(connection, known)
            if view.state is not RelayState.FAILED:
                return view, False
        self._make_room(connection, relay)
        self._require_moderate(connection, relay)
        if known is None:
            self._store.add(connection, relay)
            self._intents.put(intent, connection)
        else:
            self._require_tries(connection, relay)
            self._store.hold(connection, relay)
            self._intents.retry(intent, connection)
        return self._view(connection, known or relay), True

    def _make_room(self, connection: Connection, relay: Relay) -> None:
        holder = self._store.holder(connection, relay.slot)
        if holder is not None and holder.relay_id != relay.relay_id:
            if self._view(connection, holder).state is not RelayState.FAILED:
                raise _used(relay, "something else was signed with it, and is on its way or done")
            self._store.let_go(connection, holder)
        if relay.kind not in RISING or relay.account is None:
            return
        for other in self._store.latest(connection, relay.kind, relay.account):
            if other.nonce > relay.nonce:
                if self._view(connection, other).state is RelayState.FAILED:
                    continue
                raise _used(relay, "a later one is on its way", last_nonce=other.nonce)

    def _require_moderate(self, connection: Connection, relay: Relay) -> None:
        """Refuses more of one account than anybody needs: it is the service that pays for gas."""
        since = relay.created_at - timedelta(days=1)
        if relay.kind in ASKED_FOR:
            count = self._store.count_asked_for(connection, relay.owner, since)
        elif relay.account is None or relay.kind is RelayKind.PAYOUT:
            return
        else:
            count = self._store.count_since(connection, relay.account, since)
        if count >= A_DAY_MAX:
            raise RateLimited(retry_after_s=RETRY_AFTER_S)

    def _require_tries(self, connection: Connection, relay: Relay) -> None:
        """Refuses to try without end what passes when it is asked for, and fails in its block."""
        entry = self._intents.entries([relay.outbox_key], connection).get(relay.outbox_key)
        if relay.kind is RelayKind.PAYOUT or entry is None:
            return
        if len(entry.attempts) >= TRIES_MAX:
            raise _used(relay, f"it failed {TRIES_MAX} times: sign anew")

    def standing(self, relay_id: RelayId) -> RelayView | None:
        """A relay that is on its way or done; None if it is unknown or failed."""
        with self._community.engine.begin() as connection:
            relay = self._store.find(connection, relay_id)
            view = None if relay is None else self._view(connection, relay)
        return None if view is None or view.state is RelayState.FAILED else view

    def view(self, relay_id: RelayId) -> RelayView:
        """A relay as it fares; raises NotFound."""
        with self._community.engine.begin() as connection:
            relay = self._store.find(connection, relay_id)
            if relay is None:
                raise NotFound(rule="no such relay")
            return self._view(connection, relay)

    def page(
        self, account: AccountId, *, limit: int, before: int | None
    ) -> tuple[Sequence[RelayView], int | None]:
        """An account's relays, newest first, and where the next page begins."""
        with self._community.engine.begin() as connection:
            relays, following = self._store.page(connection, account, limit=limit, before=before)
            entries = self._intents.entries([relay.outbox_key for relay in relays], connection)
        views = [RelayView.of(relay, entries.get(relay.outbox_key)) for relay in relays]
        return views, following

    def last_asked_for(self, owner: Address) -> list[RelayView]:
        """What somebody asked for last of each charger's credit and of claims, newest first."""
        with self._community.engine.begin() as connection:
            relays = self._store.last_asked_for(connection, owner)
            entries = self._intents.entries([relay.outbox_key for relay in relays], connection)
        return [RelayView.of(relay, entries.get(relay.outbox_key)) for relay in relays]

    def count(self, kind: RelayKind, owner: Address) -> int:
        """How many relays of a kind somebody has had."""
        with self._community.engine.begin() as connection:
            return self._store.count(connection, kind, owner)

    def _view(self, connection: Connection, relay: Relay) -> RelayView:
        entries = self._intents.entries([relay.outbox_key], connection)
        return RelayView.of(relay, entries.get(relay.outbox_key))


def _used(relay: Relay, rule: str, *, last_nonce: int | None = None) -> NonceUsed:
    last = relay.nonce if last_nonce is None else last_nonce
    return NonceUsed(nonce=relay.nonce, last_nonce=last, rule=rule)
