"""Price rules that look at the tariff and at all flows (the auction has its own module)."""

from ledger.clearing.errors import PriceOutOfBounds
from ledger.clearing.types import PriceRule, Problem, Tariff


def mid_market_per_kwh(tariff: Tariff) -> int:
    """Half-way between the grid's two prices, less half the fee."""
    return (tariff.grid_export_per_kwh + tariff.price_max_per_kwh) // 2


def supply_demand_per_kwh(tariff: Tariff, *, supply_wh: int, demand_wh: int) -> int:
    """From `pmax` with nothing on offer down to the export price when supply meets demand."""
    if demand_wh == 0:
        return tariff.grid_export_per_kwh
    met_wh = min(supply_wh, demand_wh)
    unmet_wh = demand_wh - met_wh
    scarce = tariff.price_max_per_kwh * unmet_wh
    return (scarce + tariff.grid_export_per_kwh * met_wh) // demand_wh


def price_before_trade_per_kwh(problem: Problem, *, supply_wh: int, demand_wh: int) -> int:
    """The price of every rule that does not need to know who may trade."""
    if problem.price_rule is PriceRule.SUPPLY_DEMAND_RATIO:
        return supply_demand_per_kwh(problem.tariff, supply_wh=supply_wh, demand_wh=demand_wh)
    if problem.price_rule is PriceRule.FIXED:
        return _fixed_per_kwh(problem)
    return mid_market_per_kwh(problem.tariff)


def _fixed_per_kwh(problem: Problem) -> int:
    tariff = problem.tariff
    if problem.price_per_kwh is None:  # A problem refuses this; the type checker cannot know.
        raise PriceOutOfBounds(
            price_per_kwh=None,
            price_per_kwh_min=tariff.grid_export_per_kwh,
            price_per_kwh_max=tariff.price_max_per_kwh,
        )
    return problem.price_per_kwh
