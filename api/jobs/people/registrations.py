"""Meters that were accepted are registered on the chain, from the start of a window on."""

from typing import Final

from api.jobs.community import REGISTRAR, Community
from api.jobs.meter_book import CLASSES
from api.jobs.people.pairing_store import PairingStore
from api.jobs.people.pairings import Pairing, PairingState
from api.jobs.people.patience import Patience
from ledger.chain import registry
from ledger.chain.embedded import EmbeddedChain
from ledger.outbox_store import OutboxStore
from metering.meters import MeterBook
from metering.store import Meter

EMBEDDED_TAKES_S: Final = 5  # Real seconds until a registration is in a block, at the most.
NODE_TAKES_S: Final = 300


class Registrations:
    """Registers what the grid operator accepted, once."""

    name: Final = "registrations"

    def __init__(self, community: Community) -> None:
        self._community = community
        self._store = PairingStore()
        self._intents = OutboxStore(community.engine, chain_id=community.config.chain.chain_id)
        self._patience = Patience()

    def step(self) -> bool:
        """Notes what is registered, and owes the chain what is not."""
        with self._community.engine.begin() as connection:
            accepted = self._store.in_state(connection, PairingState.REGISTERING)
        if not accepted:
            return False
        book = self._community.book()
        acted = False
        for pairing in accepted:
            acted = (self._note(pairing, book) or self._owe(pairing)) or acted
        return acted

    def _note(self, pairing: Pairing, book: MeterBook) -> bool:
        terms = book.terms_of_meter(pairing.meter_id)
        if not terms:
            return False
        with self._community.engine.begin() as connection:
            self._store.decide(
                connection,
                pairing.meter_id,
                PairingState.REGISTERED,
                valid_from=terms[0].valid_from,
            )
        return True

    def _owe(self, pairing: Pairing) -> bool:
        community, wish = self._community, pairing.wish
        key = f"pair:{pairing.meter_id.hex()}"
        entry = self._intents.entry(key)
        if not self._patience.is_due(key, entry, community.system_now()):
            return False
        community.readings.add_meters([Meter(meter_id=pairing.meter_id, label=wish.label)])
        data = registry.begin(
            meter_id=pairing.meter_id,
            key=wish.key,
            account=wish.account,
            meter_class=registry.MeterClass(CLASSES.index(wish.meter_class)),
            limit_w=wish.limit_w,
            valid_from_s=self._next_window_s(),
        )
        intent = community.intent(key, data, to=community.contracts.registry, role=REGISTRAR)
        if entry is None:
            self._intents.put(intent)
        else:
            self._intents.retry(intent)
        return True

    def _next_window_s(self) -> int:
        """Start of the first window that the registration's block will not be in.

        The registry lets a new meter begin in the past, where periods may be settled without it.
        """
        community = self._community
        community.chain.head()  # Nothing is put off while the chain does not answer.
        is_quick = isinstance(community.chain, EmbeddedChain)
        margin_s = (EMBEDDED_TAKES_S if is_quick else NODE_TAKES_S) * community.clock.speed
        window_s = community.market_config.window_s
        return ((community.now_s() + margin_s) // window_s + 1) * window_s
