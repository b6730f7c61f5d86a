"""What a host's chargers took in: what was paid by charges, and what waits on the chain."""

from collections.abc import Iterable
from dataclasses import replace

from api.jobs.charging.chargers import Charger, ChargerBook
from charging.desk import ChargerIncome, HostIncome, SessionFilter
from charging.sessions import PaidCharge
from charging.store import ChargingStore
from ledger.chain.escrow import EscrowReader
from ledger.units import Address


def income_of(
    host: Address,
    where: SessionFilter,
    *,
    book: ChargerBook,
    store: ChargingStore,
    reader: EscrowReader,
) -> HostIncome:
    """What a host took in of the sessions looked for, at the chargers of now and of then."""
    mine = [charger for charger in book.chargers.values() if charger.host == host]
    charges = store.run(lambda connection: list(store.paid_to(connection, host, where)))
    return HostIncome(
        chargers=_by_charger(mine, charges, reader),
        claimable_micro=reader.claimable_micro_of(host),
    )


def _by_charger(
    mine: Iterable[Charger], charges: Iterable[PaidCharge], reader: EscrowReader
) -> tuple[ChargerIncome, ...]:
    found = {
        (charger.charge_point_id, charger.connector_id): _nothing(
            charger.charge_point_id,
            charger.connector_id,
            credit_micro=reader.charger_of(charger.charger_id).credit_micro,
        )
        for charger in mine
    }
    for charge in charges:
        place = (charge.charge_point_id, charge.connector_id)
        before = found.get(place) or _nothing(*place)
        found[place] = replace(
            before,
            sessions=before.sessions + 1,
            energy_wh=before.energy_wh + charge.energy_wh,
            paid_micro=before.paid_micro + charge.paid_micro,
        )
    return tuple(found[place] for place in sorted(found))


def _nothing(charge_point_id: str, connector_id: int, *, credit_micro: int = 0) -> ChargerIncome:
    return ChargerIncome(
        charge_point_id=charge_point_id,
        connector_id=connector_id,
        sessions=0,
        energy_wh=0,
        paid_micro=0,
        credit_micro=credit_micro,
    )
