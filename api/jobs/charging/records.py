"""Makes the record of a charge that is over: registers, times, evidence; signed and owed."""

from datetime import datetime

from api.jobs.charging.chargers import ChargerBook
from api.jobs.charging.escrow_side import EscrowSide
from charging.evidence import with_evidence
from charging.orders import ChargeRecord
from charging.registers import EnergyTrack
from charging.sessions import ChargeSession
from charging.store import Connection
from ledger.units import to_unix_s


class RecordMaker:
    """`SessionEnder`: the smaller of what was signed and what was said is billed (DESIGN §3)."""

    def __init__(self, book: ChargerBook, escrow_side: EscrowSide) -> None:
        self._book = book
        self._escrow = escrow_side

    def end(
        self, connection: Connection, session: ChargeSession, track: EnergyTrack, now_at: datetime
    ) -> ChargeSession:
        """Settles a charge with all that was received, and owes its record to the escrow."""
        charger = self._book.require(session.order.charger_id)
        measured, evidence = with_evidence(
            track.settle(now_at),
            [value.text for value in track.signed_values()],
            charger.section.public_key,
            last_wh=session.last_wh,
            power_w=session.power_w,
        )
        record = ChargeRecord(
            session_id=session.session_id,
            start_wh=measured.start_wh,
            stop_wh=measured.stop_wh,
            started_at_s=to_unix_s(measured.started_at),
            stopped_at_s=to_unix_s(measured.stopped_at),
            idle_s=measured.idle_s_under(session.order.tariff),
            evidence_hash=evidence.hash,
        )
        return self._escrow.owe_close(connection, session, record, evidence)
