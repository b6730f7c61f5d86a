"""A made-up street: the same flows for the same size, in the range of real homes."""

import random

from ledger.assignment import AccountState, Assignment, FlowCell, Rules, Tariff
from ledger.clearing import PriceRule, Residual, VolumeRule
from ledger.periods import Schedule
from ledger.units import FIRST_MEMBER, AccountId

SEED = 20_160_601
WINDOW_S = 900
DAY_S = 86_400
START_S = 1_464_739_200  # 2016-06-01T00:00:00Z
SUPPLIER_NANO = 9 * 10**14
MEMBER_NANO = 10**11  # 100 tokens: more than a day's import.
TARIFF = Tariff(
    grid_import_per_kwh=300_000,
    grid_export_per_kwh=80_000,
    local_fee_per_kwh=20_000,
    fixed_per_kwh=0,
)
RULES = Rules(
    volume_rule=VolumeRule.PROPORTIONAL,
    price_rule=PriceRule.MID_MARKET,
    residual=Residual.SETTLED,
    auction_k_bps=5_000,
    keys={},
    priorities={},
    debit_max_wh=100_000,
    supplier_debit_max_nano=10**15,
    withdrawal_delay_s=10 * DAY_S,
)


def schedule_of(windows: int, *, dispute_period_s: int = 0) -> Schedule:
    """Periods of so many quarter hours."""
    return Schedule(
        first_period_start_s=START_S,
        window_s=WINDOW_S,
        period_windows=windows,
        grace_s=3 * DAY_S,
        dispute_period_s=dispute_period_s,
        finalize_within_s=dispute_period_s,
    )


def flows_of(accounts: int, windows: int) -> dict[AccountId, list[FlowCell]]:
    """Quarter hours of members, every second one with a roof; accounts 0 and 1 have no meter."""
    rng = random.Random(SEED)
    flows = {}
    for account in range(FIRST_MEMBER, accounts):
        roof_wh = rng.randrange(200, 1_200) if account % 2 else 0
        flows[AccountId(account)] = [
            FlowCell(
                import_wh=rng.randrange(20, 600),
                export_wh=rng.randrange(roof_wh) if roof_wh else 0,
                estimated=False,
            )
            for _ in range(windows)
        ]
    return flows


def assignment_of(accounts: int, schedule: Schedule, *, period: int = 0) -> Assignment:
    """Run 0 of a period in which everybody can pay."""
    start_s = schedule.first_period_start_s + period * schedule.period_s
    held_nano = [SUPPLIER_NANO if account == 0 else MEMBER_NANO for account in range(accounts)]
    return Assignment(
        schedule=schedule,
        rules=RULES,
        tariff=TARIFF,
        period_start_s=start_s,
        run=0,
        cutoff_at_s=start_s + schedule.period_s,
        accounts=[
            AccountState(applied_nano=0, available_nano=nano, balance_nano=nano, cover_nano=nano)
            for nano in held_nano
        ],
        flows=flows_of(accounts, schedule.period_windows),
    )
