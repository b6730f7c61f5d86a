"""The communities that the market's machine plays in."""

from dataclasses import dataclass, replace
from pathlib import Path

from ledger.chain.embedded import EmbeddedChain
from ledger.chain.market_values import MarketConfig, MarketTariff
from ledger.clearing import PriceRule
from tests.market.actor import MarketActor
from tests.market.model import MarketModel
from tests.market.on_chain import (
    CONFIG,
    GRID,
    MEMBERS,
    OPERATOR,
    OWNER,
    PEOPLE,
    STRANGER,
    SUPPLIER,
    MarketOnChain,
    Template,
    allowance_micro,
)
from tests.market.state import Fixed, Prices

RICH_MICRO = 4 * 2**50 // 1_000
POOR = MEMBERS[-1]  # Has little, and the stranger nothing.
FUNDS_MICRO = {wallet.address: RICH_MICRO for wallet in PEOPLE} | {
    POOR.address: 700_000,
    STRANGER.address: 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A community, and what its members have at first."""

    config: MarketConfig
    members: int
    member_micro: int


_DEAR = replace(CONFIG.tariff, grid_import_per_kwh=10**8, fixed_per_kwh=100_000)
KINDS = {
    "disputed": Kind(config=CONFIG, members=3, member_micro=500_000),
    "at once": Kind(
        config=replace(
            CONFIG,
            dispute_period_s=0,
            finalize_within_s=0,
            price_rule=PriceRule.SUPPLY_DEMAND_RATIO,
        ),
        members=15,
        member_micro=500_000,
    ),
    # Caps bind nobody here, and balances come near 2^51.
    "large": Kind(
        config=replace(
            CONFIG,
            price_rule=PriceRule.FIXED,
            tariff=_DEAR,
            debit_max_wh=10**8,
            supplier_debit_max_nano=2**52,
        ),
        members=32,
        member_micro=2**50 // 1_000,
    ),
}


def begun(kind: Kind, directory: Path) -> tuple[Template, MarketModel]:
    """A community with members and money, and its model."""
    template = Template.build(directory, kind.config, FUNDS_MICRO)
    model = MarketModel(fixed_of(kind.config), owner=OWNER.address, operator=OPERATOR.address)
    model.wallets_micro = dict(FUNDS_MICRO)
    model.allowances_micro = {
        address: allowance_micro(micro) for address, micro in FUNDS_MICRO.items()
    }
    model.enrol(OPERATOR.address, 0, [SUPPLIER.address, GRID.address])
    with EmbeddedChain.open(directory) as chain:
        actor = MarketActor(MarketOnChain(chain, template.market, template.config), model)
        actor.enrol(None, 2, [MEMBERS[n % 3] for n in range(kind.members)])
        actor.deposit(SUPPLIER, 0, 10 * 500_000)
        for account in range(2, 6 if kind.members > 3 else 4):
            actor.deposit(None, account, kind.member_micro)
        if kind.members <= 15:  # Account 2 can pay more than the debit cap.
            actor.deposit(None, 2, 200_000)
        actor.pair.compare_all()
    return template, model


def fixed_of(config: MarketConfig) -> Fixed:
    schedule, tariff = config.schedule, config.tariff
    return Fixed(
        first_s=schedule.first_period_start_s,
        period_s=schedule.period_s,
        windows=schedule.period_windows,
        dispute_s=schedule.dispute_period_s,
        finalize_within_s=schedule.finalize_within_s,
        delay_s=config.withdrawal_delay_s,
        price_rule=config.price_rule.value,
        debit_max_wh=config.debit_max_wh,
        supplier_cap_nano=config.supplier_debit_max_nano,
        prices=prices_of(tariff),
    )


def prices_of(tariff: MarketTariff) -> Prices:
    return Prices(
        grid_import=tariff.grid_import_per_kwh,
        grid_export=tariff.grid_export_per_kwh,
        fee=tariff.local_fee_per_kwh,
        fixed=tariff.fixed_per_kwh,
    )
