"""Models of chargers and of what a charge costs there."""

from typing import Self

from pydantic import Field

from api.schemas.fields import (
    Amount,
    Hex,
    Instant,
    Uint64In,
    Wire,
    address_text,
    hex_of,
    instant_if_any,
)
from charging.desk import ChargePointView, ConnectorView
from charging.points import Availability
from charging.tariffs import ChargeTariff


class TariffOut(Wire):
    """`Tariff` of INTERFACES §4, in micro-tokens, VAT included."""

    energyPerKwh: Amount  # noqa: N815 (EIP-712's names)
    startFee: Amount  # noqa: N815
    timePerHour: Amount  # noqa: N815
    idlePerHour: Amount  # noqa: N815

    @classmethod
    def of(cls, tariff: ChargeTariff) -> Self:
        """From a tariff."""
        return cls(
            energyPerKwh=str(tariff.energy_per_kwh),
            startFee=str(tariff.start_fee),
            timePerHour=str(tariff.time_per_hour),
            idlePerHour=str(tariff.idle_per_hour),
        )


class ConnectorOut(Wire):
    """One charger: a connector of a charge point."""

    connector_id: int
    charger_id: Hex
    state: Availability
    busy: bool
    power_w: int
    host: Hex
    tariff: TariffOut
    tariff_until: Instant | None
    vat_bps: int
    deposit_micro_min: Amount
    interval_s: int

    @classmethod
    def of(cls, view: ConnectorView) -> Self:
        """From a connector."""
        return cls(
            connector_id=view.connector_id,
            charger_id=hex_of(view.charger_id),
            state=view.availability,
            busy=view.busy,
            power_w=view.power_w,
            host=address_text(view.host),
            tariff=TariffOut.of(view.tariff),
            tariff_until=instant_if_any(view.tariff_until),
            vat_bps=view.vat_bps,
            deposit_micro_min=str(view.deposit_micro_min),
            interval_s=view.interval_s,
        )


class ChargePointOut(Wire):
    """One charge point."""

    id: str
    place: dict[str, str]
    state: str = Field(examples=["online", "offline"])
    last_contact_at: Instant | None
    connectors: list[ConnectorOut]

    @classmethod
    def of(cls, view: ChargePointView) -> Self:
        """From a charge point."""
        return cls(
            id=view.charge_point_id,
            place=dict(view.place),
            state="online" if view.online else "offline",
            last_contact_at=instant_if_any(view.last_contact_at),
            connectors=[ConnectorOut.of(each) for each in view.connectors],
        )


class ChargePointsOut(Wire):
    """A page of charge points."""

    items: list[ChargePointOut]
    next: str | None


class TariffIn(Wire):
    """`Tariff` of INTERFACES §4."""

    energyPerKwh: Uint64In  # noqa: N815 (EIP-712's names)
    startFee: Uint64In  # noqa: N815
    timePerHour: Uint64In  # noqa: N815
    idlePerHour: Uint64In  # noqa: N815
