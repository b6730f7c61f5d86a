"""Models of charges: what a driver signs, and what becomes of it."""

from typing import Self

from pydantic import Field

from api.errors import BadInput
from api.schemas.chargers import TariffIn, TariffOut
from api.schemas.fields import (
    AddressIn,
    Amount,
    ChargerIdIn,
    Hex,
    Instant,
    SessionIdIn,
    SignatureIn,
    Uint64In,
    Uint256In,
    Wire,
    address_text,
    amount_if_any,
    hex_if_any,
    hex_of,
    instant_if_any,
    instant_of,
)
from charging.desk import Permit, SessionState, SessionView
from charging.orders import ChargeOrder, SessionId, TopUp
from charging.tariffs import ChargeTariff


class OrderIn(Wire):
    """`ChargeOrder` of INTERFACES §4."""

    driver: AddressIn
    chargerId: ChargerIdIn  # noqa: N815 (EIP-712's names)
    depositMicro: Uint64In  # noqa: N815
    tariff: TariffIn
    validUntil: Uint64In  # noqa: N815
    nonce: Uint256In

    def order(self) -> ChargeOrder:
        """As a value; raises BadTariff."""
        return ChargeOrder(
            driver=self.driver,
            charger_id=self.chargerId,
            deposit_micro=self.depositMicro,
            tariff=ChargeTariff(
                energy_per_kwh=self.tariff.energyPerKwh,
                start_fee=self.tariff.startFee,
                time_per_hour=self.tariff.timePerHour,
                idle_per_hour=self.tariff.idlePerHour,
            ),
            valid_until_s=self.validUntil,
            nonce=self.nonce,
        )


class PermitIn(Wire):
    """An ERC-2612 permit for exactly what is taken."""

    deadline: Uint256In
    signature: SignatureIn

    def permit(self) -> Permit:
        """As a value."""
        return Permit(deadline_s=self.deadline, signature=self.signature)


class PlaceIn(Wire):
    """A signed order, and a permit where no allowance was given."""

    order: OrderIn
    signature: SignatureIn
    permit: PermitIn | None = None


class TopUpMessage(Wire):
    """`TopUp` of INTERFACES §4."""

    sessionId: SessionIdIn  # noqa: N815 (EIP-712's names)
    addMicro: Uint64In  # noqa: N815
    nonce: Uint256In

    def top_up_of(self, session_id: SessionId) -> TopUp:
        """As a value; raises BadInput where it is for another session, and OutOfRange."""
        if self.sessionId != session_id:
            raise BadInput(field="top_up.sessionId", rule="is another session than the path's")
        return TopUp(session_id=self.sessionId, add_micro=self.addMicro, nonce=self.nonce)


class TopUpIn(Wire):
    """A signed top-up, and a permit where no allowance was given."""

    top_up: TopUpMessage
    signature: SignatureIn
    permit: PermitIn | None = None


class TransactionsOut(Wire):
    """Hashes, null while there is none."""

    open: Hex | None
    close: Hex | None


class SessionOut(Wire):
    """One charge, from deposit to refund."""

    session_id: Hex = Field(examples=["0x" + "5e" * 32])
    state: SessionState
    reason: str
    driver: Hex
    host: Hex
    charge_point_id: str
    connector_id: int
    charger_id: Hex
    tariff: TariffOut
    vat_bps: int
    deposit_micro: Amount
    stops_at_micro: Amount = Field(description="The charge is stopped at about this cost.")
    interval_s: int = Field(description="Between two values of the charger's meter.")
    energy_wh: int
    power_w: int | None
    measured_at: Instant | None
    time_s: int
    idle_s: int
    cost_micro: Amount
    paid_micro: Amount | None
    refunded_micro: Amount | None
    created_at: Instant
    opened_at: Instant | None
    started_at: Instant | None
    stopped_at: Instant | None
    transactions: TransactionsOut

    @classmethod
    def of(cls, view: SessionView) -> Self:
        """From a session."""
        return cls(
            session_id=hex_of(view.session_id),
            state=view.state,
            reason=view.reason,
            driver=address_text(view.driver),
            host=address_text(view.host),
            charge_point_id=view.charge_point_id,
            connector_id=view.connector_id,
            charger_id=hex_of(view.charger_id),
            tariff=TariffOut.of(view.tariff),
            vat_bps=view.vat_bps,
            deposit_micro=str(view.deposit_micro),
            stops_at_micro=str(view.stops_at_micro),
            interval_s=view.interval_s,
            energy_wh=view.energy_wh,
            power_w=view.power_w,
            measured_at=instant_if_any(view.measured_at),
            time_s=view.time_s,
            idle_s=view.idle_s,
            cost_micro=str(view.cost_micro),
            paid_micro=amount_if_any(view.paid_micro),
            refunded_micro=amount_if_any(view.refunded_micro),
            created_at=instant_of(view.created_at),
            opened_at=instant_if_any(view.opened_at),
            started_at=instant_if_any(view.started_at),
            stopped_at=instant_if_any(view.stopped_at),
            transactions=TransactionsOut(
                open=hex_if_any(view.open_tx), close=hex_if_any(view.close_tx)
            ),
        )


class SessionsOut(Wire):
    """A page of sessions, newest first."""

    items: list[SessionOut]
    next: str | None
