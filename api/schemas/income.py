"""Models of what a host's chargers took in."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from api.jobs.people.relays import RelayView
from api.schemas.fields import Amount, Wire
from api.schemas.relays import RelayOut
from charging.desk import HostIncome


class ChargerIncomeOut(Wire):
    """What one charger took in, of charges that were paid."""

    charge_point_id: str
    connector_id: int
    sessions: int
    energy_wh: int
    paid_micro: Amount
    credit_micro: Amount = Field(description="Waits at the charger, on the chain, for its host.")


class IncomeOut(Wire):
    """What a host's chargers took in."""

    sessions: int
    energy_wh: int
    paid_micro: Amount
    credit_micro: Amount
    claimable_micro: Amount = Field(description="Could not be pushed to the host.")
    chargers: list[ChargerIncomeOut]

    @classmethod
    def of(cls, income: HostIncome) -> Self:
        """From what was found."""
        return cls(
            sessions=income.sessions,
            energy_wh=income.energy_wh,
            paid_micro=str(income.paid_micro),
            credit_micro=str(income.credit_micro),
            claimable_micro=str(income.claimable_micro),
            chargers=[
                ChargerIncomeOut(
                    charge_point_id=each.charge_point_id,
                    connector_id=each.connector_id,
                    sessions=each.sessions,
                    energy_wh=each.energy_wh,
                    paid_micro=str(each.paid_micro),
                    credit_micro=str(each.credit_micro),
                )
                for each in income.chargers
            ],
        )


class PayoutsOut(Wire):
    """Relays that bring what the escrow owes somebody: follow each one's state."""

    relays: list[RelayOut]

    @classmethod
    def of(cls, views: Sequence[RelayView]) -> Self:
        """From relays."""
        return cls(relays=[RelayOut.of(view) for view in views])
