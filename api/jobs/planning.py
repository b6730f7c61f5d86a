"""What a run is planned from: flows known at a cutoff, and what the chain says."""

from collections.abc import Mapping, Sequence

from api.jobs.community import Community
from ledger.assignment import AccountState, Assignment, FlowCell, Tariff, flows_of_enrolled
from ledger.history import AccountLimits, MarketHistory
from ledger.periods import Schedule
from ledger.units import AccountId, from_unix_s
from metering.flows import flows_of
from metering.meters import MeterBook
from metering.readings import MeterId
from metering.series import Series, WindowGrid

NO_LIMITS = AccountLimits(effective_from_s=0)


def assign(
    community: Community,
    history: MarketHistory,
    book: MeterBook,
    *,
    period_start_s: int,
    run: int,
    at_s: int,
    cutoff_at_s: int,
) -> Assignment:
    """Gathers what a run that is proposed at `at_s` is planned from."""
    return assignment_of(
        community,
        history,
        flows_known(community, book, period_start_s, cutoff_at_s=cutoff_at_s),
        period_start_s=period_start_s,
        run=run,
        at_s=at_s,
        cutoff_at_s=cutoff_at_s,
    )


def assignment_of(
    community: Community,
    history: MarketHistory,
    flows: Mapping[AccountId, Sequence[FlowCell]],
    *,
    period_start_s: int,
    run: int,
    at_s: int,
    cutoff_at_s: int,
) -> Assignment:
    """The same, where the period's flows are there already."""
    tariff = history.tariff_at(period_start_s)
    return Assignment(
        schedule=community.schedule,
        rules=community.rules,
        tariff=Tariff(
            grid_import_per_kwh=tariff.grid_import_per_kwh,
            grid_export_per_kwh=tariff.grid_export_per_kwh,
            local_fee_per_kwh=tariff.local_fee_per_kwh,
            fixed_per_kwh=tariff.fixed_per_kwh,
        ),
        period_start_s=period_start_s,
        run=run,
        cutoff_at_s=cutoff_at_s,
        accounts=account_states(
            history,
            range(history.account_count),
            period_start_s=period_start_s,
            run=run,
            at_s=at_s,
            withdrawal_delay_s=community.rules.withdrawal_delay_s,
        ),
        flows=flows_of_enrolled(flows, history.account_count),
    )


def account_states(
    history: MarketHistory,
    accounts: range,
    *,
    period_start_s: int,
    run: int,
    at_s: int,
    withdrawal_delay_s: int,
) -> list[AccountState]:
    """What the chain says of each account, for a run that is proposed at `at_s`."""
    states = []
    for account in accounts:
        limits = history.limits_at(account, period_start_s) or NO_LIMITS
        states.append(
            AccountState(
                applied_nano=history.applied_nano(period_start_s, account, before_run=run),
                available_nano=history.available_nano(
                    account, at_s=at_s, withdrawal_delay_s=withdrawal_delay_s
                ),
                balance_nano=history.balances_nano[account],
                cover_nano=history.cover_nano(account, period_start_s),
                max_buy_per_kwh=limits.max_buy_per_kwh,
                min_sell_per_kwh=limits.min_sell_per_kwh,
            )
        )
    return states


def flows_known(
    community: Community, book: MeterBook, period_start_s: int, *, cutoff_at_s: int
) -> dict[AccountId, list[FlowCell]]:
    """Every metered account's flows of a period, as known at a cutoff."""
    grid = grid_of(community.schedule, period_start_s)
    series = community.readings.series(
        book.meters(),
        from_at=grid.start_at,
        until_at=grid.end_at,
        cutoff_at=from_unix_s(cutoff_at_s),
    )
    return flows_of_book(book, series, grid)


def grid_of(schedule: Schedule, period_start_s: int) -> WindowGrid:
    """A period's windows."""
    return WindowGrid(
        start_at=from_unix_s(period_start_s),
        window_s=schedule.window_s,
        count=schedule.period_windows,
    )


def flows_of_book(
    book: MeterBook, series: dict[MeterId, Series], grid: WindowGrid
) -> dict[AccountId, list[FlowCell]]:
    """Flows of every account that has meters."""
    return {
        account: [
            FlowCell(import_wh=flow.import_wh, export_wh=flow.export_wh, estimated=flow.estimated)
            for flow in flows_of(account, book.terms_of_account(account), series, grid)
        ]
        for account in book.accounts()
    }
