"""What an audit goes by of charging besides the chain: sessions, messages, signed values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.jobs.community import Community
from charging.kept_store import KeptSession, kept_charges
from charging.orders import ChargerId, charger_id_of
from ledger.units import Address
from metering.readings import MeterId


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCharger:
    """A charger of the community's configuration."""

    charge_point_id: str
    connector_id: int
    meter_id: MeterId | None  # In the market; None: it has none there.
    public_key: str | None  # Of its meter's signed values.
    vat_bps: int

    @property
    def charger_id(self) -> ChargerId:
        """What the escrow calls it."""
        return charger_id_of(self.charge_point_id, self.connector_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingEvidence:
    """Everything of charging that an audit is given."""

    escrow: Address
    chargers: Mapping[ChargerId, KnownCharger]
    sessions: Sequence[KeptSession]
    unreadable: Sequence[tuple[str, str]] = ()  # Sessions that the tables garble, and how.


def charging_evidence_of(community: Community) -> ChargingEvidence | None:
    """Collects it from a data directory; None where there is no escrow."""
    contracts = community.contracts
    if not contracts.has_escrow:
        return None
    meters = {each.label: each.meter_id for each in community.readings.meters() if each.label}
    known = [
        KnownCharger(
            charge_point_id=section.charge_point_id,
            connector_id=connector_id,
            meter_id=meters.get(f"{section.charge_point_id}/{connector_id}"),
            public_key=section.public_key,
            vat_bps=section.vat_bps,
        )
        for section in community.config.chargers
        for connector_id in section.connector_ids()
    ]
    kept = kept_charges(community.engine)
    return ChargingEvidence(
        escrow=contracts.escrow,
        chargers={charger.charger_id: charger for charger in known},
        sessions=kept.sessions,
        unreadable=kept.unreadable,
    )
