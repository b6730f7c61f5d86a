"""What was charged where, for a host, and what the escrow owes somebody: a part of `/home`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi.concurrency import run_in_threadpool

from api.jobs.people.earnings import LEAST_CREDIT_MICRO
from api.jobs.people.relays import UNDER_WAY, RelayState, RelayView
from api.service import Service
from charging.desk import HostIncome
from charging.orders import ChargerId, charger_id_of
from ledger.keccak import checksum_address
from ledger.units import Address

PAYOUTS_SHOWN: Final = 50
FEW: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """A payout that was asked for, and how it fares."""

    charger: str | None  # None: what could not be pushed.
    amount_micro: int
    state: RelayState
    at: datetime
    transaction: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What `partials/host_income.html` shows."""

    income: HostIncome
    address: str  # Who is paid.
    payable_micro: int  # What can be paid out now.
    waits_micro: int  # At chargers that hold too little to be paid out.
    least_micro: int
    payouts: tuple[PayoutLine, ...]  # The last of each charger, newest first.
    is_under_way: bool  # Some of them are to be followed.

    @property
    def are_few(self) -> bool:
        """Whether the payouts are shown without being asked for."""
        return len(self.payouts) <= FEW or any(
            each.state is RelayState.FAILED for each in self.payouts
        )


async def earned_by(service: Service, who: Address) -> Earned | None:
    """What somebody's chargers took in and the escrow owes them; None where there never was any."""
    income = await service.desk.income_of(who)
    last = await run_in_threadpool(service.people.earnings.last, who)
    if not (income.chargers or income.claimable_micro or last):
        return None
    names = {
        charger_id_of(each.charge_point_id, each.connector_id): (
            f"{each.charge_point_id}/{each.connector_id}"
        )
        for each in income.chargers
    }
    busy = {view.relay.charger_id for view in last if view.state in UNDER_WAY}
    credits_micro = [
        each.credit_micro
        for each in income.chargers
        if charger_id_of(each.charge_point_id, each.connector_id) not in busy
    ]
    payable_micro = sum(micro for micro in credits_micro if micro >= LEAST_CREDIT_MICRO)
    return Earned(
        income=income,
        address=checksum_address(who),
        payable_micro=payable_micro + (0 if None in busy else income.claimable_micro),
        waits_micro=sum(micro for micro in credits_micro if micro < LEAST_CREDIT_MICRO),
        least_micro=LEAST_CREDIT_MICRO,
        payouts=_lines(last, names),
        is_under_way=bool(busy),
    )


def _lines(last: Sequence[RelayView], names: Mapping[ChargerId, str]) -> tuple[PayoutLine, ...]:
    return tuple(
        PayoutLine(
            charger=None if charger_id is None else names.get(charger_id, "0x" + charger_id.hex()),
            amount_micro=view.relay.amount_micro or 0,
            state=view.state,
            at=view.relay.created_at,
            transaction=None if view.transaction is None else "0x" + view.transaction.hex(),
            reason=view.reason,
        )
        for view in last[:PAYOUTS_SHOWN]
        for charger_id in [view.relay.charger_id]
    )
