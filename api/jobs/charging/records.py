"""Makes the record of a charge that is over: registers, times, evidence; signed and owed."""

from datetime import datetime

from api.jobs.charging.chargers import ChargerBook
from api.jobs.charging.escrow_side import EscrowSide
from charging.ocmf import signed_digest
from charging.registers import EnergyTrack
from charging.sessions import ChargeSession
from charging.settling import ChargeTerms, settled_charge
from charging.store import ChargingStore, Connection
from ledger.units import Hash32


class RecordMaker:
    """`SessionEnder`: the smaller of what was signed and what was said is billed (DESIGN §3)."""

    def __init__(self, book: ChargerBook, store: ChargingStore, escrow_side: EscrowSide) -> None:
        self._book = book
        self._store = store
        self._escrow = escrow_side

    def end(
        self, connection: Connection, session: ChargeSession, track: EnergyTrack, now_at: datetime
    ) -> ChargeSession:
        """Settles a charge with all that was received, and owes its record to the escrow."""
        charger = self._book.require(session.order.charger_id)
        terms = ChargeTerms(
            session_id=session.session_id,
            tariff=session.order.tariff,
            last_wh=track.last_wh,
            power_w=track.power_w,
            opened_at=track.opened_at,
            public_key=charger.section.public_key,
        )
        number, replayed = session.transaction_no, self._replayed(connection, session, track)
        record, evidence = settled_charge(
            terms,
            track,
            message_count=0 if number is None else self._count(connection, number),
            now_at=now_at,
            replayed=replayed,
        )
        if evidence.kind == "ocmf":
            used = filter(None, map(signed_digest, evidence.records()))
            self._store.note_used(connection, used, session.session_id)
        return self._escrow.owe_close(connection, session, record, evidence)

    def _count(self, connection: Connection, number: int) -> int:
        return self._store.messages.message_count(connection, number)

    def _replayed(
        self, connection: Connection, session: ChargeSession, track: EnergyTrack
    ) -> frozenset[Hash32]:
        """Signed records that prove an earlier session already."""
        found = (signed_digest(value.text) for value in track.signed_values())
        digests = {digest for digest in found if digest is not None}
        if not digests:
            return frozenset()
        return self._store.used_elsewhere(connection, digests, session.session_id)
