"""Pairing: a member's device asks to be a meter, and the grid operator decides."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from api.errors import BadInput, NotFound, RateLimited
from api.jobs.community import REGISTRAR, Community
from api.jobs.people.errors import AlreadyDecided, AlreadyPaired, KeyNotHere
from api.jobs.people.pairing_store import PairingStore
from api.jobs.people.pairings import Pairing, PairingState, PairingWish
from ledger.chain.registry import RegistryReader
from ledger.errors import BadSignature, OutOfRange
from ledger.keccak import checksum_address, personal_digest, recover
from ledger.units import Address
from metering.meters import LIMIT_W_MAX, MeterBook
from metering.readings import MeterId

Also = Callable[[Connection, Pairing], None]
SECONDS_PER_HOUR: Final = 3_600
PROOF_S: Final = 3_600  # So long a device's word is good, in the community's time; or,
PROOF_REAL_S: Final = 600  # where that runs faster, so long for people.
AHEAD_S: Final = 60  # A device's clock may be this much ahead of ours.
WAITING_MAX: Final = 10  # Of one account: somebody has to look at each of them.
RETRY_AFTER_S: Final = 3_600


class PairingDesk:
    """Asked by people, in threads: its methods wait for disk and chain."""

    def __init__(self, community: Community, wake: Callable[[], None]) -> None:
        """`wake` tells the loop that there is a meter to register."""
        self._community = community
        self._store = PairingStore()
        self._wake = wake

    def pair(
        self,
        wish: PairingWish,
        owner: Address,
        *,
        issued_at: datetime,
        proof: bytes,
        also: Also,
    ) -> Pairing:
        """Asks for a device to be a meter of an account; its id is chosen here, by chance.

        Args:
            owner: of the account, who asks.
            proof: `wish.text`, signed by the device's key.

        Raises:
            BadSignature, MalleableSignature: the device did not agree.
            BadInput: it agreed too long ago, or the label cannot be used.
            OutOfRange: the account could draw more than a settlement may take.
            AlreadyPaired: the device is a meter, or waits to be one.
            RateLimited: very many devices of the account wait to be one.
        """
        self._require_proof(wish, owner, issued_at, proof)
        book = self._community.book()
        self._require_new(wish, book)
        meter_id = MeterId(secrets.token_bytes(32))
        now_at = self._community.clock.now()
        try:
            with self._community.engine.begin() as connection:
                self._require_free(connection, wish, book)
                self._require_bounds(connection, wish, book)
                pairing = self._store.add(connection, meter_id, wish, owner, at=now_at)
                also(connection, pairing)
        except IntegrityError:
            with self._community.engine.begin() as connection:
                self._require_free(connection, wish, book)
            raise
        return pairing

    def _require_proof(
        self, wish: PairingWish, owner: Address, issued_at: datetime, proof: bytes
    ) -> None:
        clock, contracts = self._community.clock, self._community.contracts
        now_at, good_s = clock.now(), max(PROOF_S, PROOF_REAL_S * clock.speed)
        ahead_s = AHEAD_S * clock.speed
        if not -ahead_s <= (now_at - issued_at).total_seconds() <= good_s:
            rule = f"the community's time, at most {good_s} s ago: see `now` of GET /v1/market"
            raise BadInput(field="issued_at", rule=rule)
        text = wish.text(
            chain_id=self._community.config.chain.chain_id,
            registry=contracts.registry,
            owner=owner,
            issued_at=issued_at,
        )
        if recover(personal_digest(text), proof) != wish.key:
            raise BadSignature(rule="the device's key did not sign this pairing")

    def _require_new(self, wish: PairingWish, book: MeterBook) -> None:
        """Refuses a key that speaks for a meter, and a label that stands for one in files."""
        for meter_id in book.meters():
            last = book.terms_of_meter(meter_id)[-1]
            if last.key == wish.key and last.valid_until is None:
                raise AlreadyPaired(key=checksum_address(wish.key))
        labels = {meter.label for meter in self._community.readings.meters()}
        if wish.label in labels or wish.label.startswith("0x"):
            raise BadInput(field="label", rule="is taken")

    def _require_free(self, connection: Connection, wish: PairingWish, book: MeterBook) -> None:
        """Refuses a key or label of another pairing, unless that meter has retired."""
        retired = []
        for other in self._store.holding(connection, key=wish.key, label=wish.label):
            if other.wish.key == wish.key and not _has_retired(other, book):
                raise AlreadyPaired(key=checksum_address(wish.key))
            if other.wish.label == wish.label:
                raise BadInput(field="label", rule="is taken")
            retired.append(other.meter_id)
        self._store.let_go(connection, retired)

    def _require_bounds(self, connection: Connection, wish: PairingWish, book: MeterBook) -> None:
        """Refuses what would let an account draw more in a window than a settlement may take."""
        market = self._community.market_config
        most_w = min(LIMIT_W_MAX, market.debit_max_wh * SECONDS_PER_HOUR // market.window_s)
        registered_w = {
            term.meter_id: term.limit_w
            for term in book.terms_of_account(wish.account)
            if term.valid_until is None
        }
        standing = self._store.standing(connection, wish.account)
        if sum(each.state is PairingState.WAITING for each in standing) >= WAITING_MAX:
            raise RateLimited(retry_after_s=RETRY_AFTER_S)
        asked_w = {
            each.meter_id: each.wish.limit_w
            for each in standing
            if each.state is not PairingState.REGISTERED
        }
        left_w = most_w - sum((asked_w | registered_w).values())
        if not 1 <= wish.limit_w <= left_w:
            raise OutOfRange(
                field="limit_w", value=wish.limit_w, value_min=1, value_max=max(0, left_w)
            )

    # Deciding.

    def page(
        self,
        *,
        owner: Address | None = None,
        state: PairingState | None = None,
        limit: int,
        before: int | None,
    ) -> tuple[Sequence[Pairing], int | None]:
        """Pairings, one person's or all, newest first, and where the next page begins."""
        with self._community.engine.begin() as connection:
            return self._store.page(
                connection, owner=owner, state=state, limit=limit, before=before
            )

    def accept(self, meter_id: MeterId, by: Address, also: Also) -> Pairing:
        """Has a meter registered; asking twice is asking once.

        Raises:
            NotFound: there is no such pairing.
            AlreadyDecided: it was refused.
            KeyNotHere: the registrar is somebody else than this service.
        """
        self._require_registrars_key()
        with self._community.engine.begin() as connection:
            pairing = self._require(connection, meter_id)
            if pairing.state is PairingState.REFUSED:
                raise AlreadyDecided(state=pairing.state, rule="it was refused")
            if pairing.state is PairingState.WAITING:
                now_at = self._community.clock.now()
                pairing = self._store.decide(
                    connection, meter_id, PairingState.REGISTERING, by=by, at=now_at
                )
            also(connection, pairing)
        self._wake()
        return pairing

    def refuse(self, meter_id: MeterId, by: Address, reason: str, also: Also) -> Pairing:
        """Says no; asking twice is asking once.

        Raises:
            NotFound: there is no such pairing.
            AlreadyDecided: it was accepted.
        """
        with self._community.engine.begin() as connection:
            pairing = self._require(connection, meter_id)
            if pairing.state in (PairingState.REGISTERING, PairingState.REGISTERED):
                raise AlreadyDecided(state=pairing.state, rule="it was accepted")
            if pairing.state is PairingState.WAITING:
                now_at = self._community.clock.now()
                pairing = self._store.decide(
                    connection, meter_id, PairingState.REFUSED, by=by, at=now_at, reason=reason
                )
            also(connection, pairing)
        return pairing

    def _require(self, connection: Connection, meter_id: MeterId) -> Pairing:
        pairing = self._store.find(connection, meter_id)
        if pairing is None:
            raise NotFound(rule="no such pairing")
        return pairing

    def _require_registrars_key(self) -> None:
        keys, contracts = self._community.keys, self._community.contracts
        registrar = RegistryReader(self._community.chain, contracts.registry).registrar()
        if REGISTRAR not in keys or keys.wallet(REGISTRAR).address != registrar:
            raise KeyNotHere(role=REGISTRAR, rule="the registrar registers meters from elsewhere")


def _has_retired(pairing: Pairing, book: MeterBook) -> bool:
    terms = book.terms_of_meter(pairing.meter_id)
    return bool(terms) and terms[-1].valid_until is not None
