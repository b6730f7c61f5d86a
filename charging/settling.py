"""What a charge comes to in the end: its record and its evidence, from its charger's messages.

A function of the messages alone, so that whoever has them makes the same record again.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from charging.evidence import with_evidence
from charging.orders import ChargeRecord, SessionId
from charging.points import PointEvent
from charging.registers import EnergyTrack
from charging.sessions import Evidence
from charging.tariffs import ChargeTariff
from ledger.units import Hash32, to_unix_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeTerms:
    """What was fixed for a charge before its first message."""

    session_id: SessionId
    tariff: ChargeTariff
    last_wh: int  # The charger's register on chain before it.
    power_w: int
    opened_at: datetime
    public_key: str | None  # The charger's configured one, if it has one.

    def track(self, messages: Iterable[PointEvent]) -> EnergyTrack:
        """The energy that messages tell of."""
        track = EnergyTrack(last_wh=self.last_wh, power_w=self.power_w, opened_at=self.opened_at)
        for message in messages:
            track.take(message)
        return track


def settled_charge(
    terms: ChargeTerms,
    track: EnergyTrack,
    *,
    message_count: int,
    now_at: datetime,
    replayed: Collection[Hash32] = (),
) -> tuple[ChargeRecord, Evidence]:
    """The record, not signed yet, and what proves it.

    Args:
        track: has taken the first `message_count` messages of the charge.
        replayed: digests of signed records that prove another session.
    """
    measured, evidence = with_evidence(
        track.settle(now_at),
        [value.text for value in track.signed_values()],
        terms.public_key,
        last_wh=terms.last_wh,
        power_w=terms.power_w,
        opened_at=terms.opened_at,
        replayed=replayed,
    )
    record = ChargeRecord(
        session_id=terms.session_id,
        start_wh=measured.start_wh,
        stop_wh=measured.stop_wh,
        started_at_s=to_unix_s(measured.started_at),
        stopped_at_s=to_unix_s(measured.stopped_at),
        idle_s=measured.idle_s_under(terms.tariff),
        evidence_hash=evidence.hash,
    )
    return record, replace(
        evidence,
        message_count=message_count,
        settled_s=to_unix_s(now_at),
        replayed=tuple(sorted(replayed)),
    )
