"""What was charged where, for a host: a part of the page `/home`."""

from charging.desk import ChargingDesk, HostIncome
from ledger.units import Address


async def host_income(desk: ChargingDesk, host: Address) -> HostIncome | None:
    """What `partials/host_income.html` shows as `income`; None of somebody without chargers."""
    income = await desk.income_of(host)
    return income if income.chargers else None
