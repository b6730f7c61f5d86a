"""The desks in the states that a day has on its way to money, and what nobody may find out."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from api.jobs.community import Community
from api.jobs.create import account_key, meter_key
from api.jobs.intake import import_registers
from api.jobs.market.books import Books
from api.jobs.market.desks import MarketDesks, desks_of
from api.jobs.market.views import PeriodState, WindowView
from api.jobs.settle import SettlementLoop
from ledger.chain import market_calls, registry
from ledger.chain.embedded import EmbeddedChain
from ledger.keccak import domain_separator
from ledger.market_messages import Withdrawal
from ledger.units import from_unix_s, to_rfc3339
from tests.api.books_world import HOURS, LABELS, street
from tests.api.community_worlds import (
    BOTH,
    BUYER,
    DAY_S,
    DEPOSIT_MICRO,
    HEADER,
    HOUR_S,
    SELLER,
    START_S,
    community_of,
    document,
    set_limits,
    settle_all,
    take,
)

THIRD_S = START_S + 2 * DAY_S
PATIENCE_S = 30


@pytest.fixture
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with street(tmp_path_factory) as community:
        yield community


@pytest.fixture
def desks(community: Community) -> Iterator[MarketDesks]:
    books = Books(community)
    yield desks_of(books)
    books.close()


def pass_to(community: Community, at_s: int) -> None:
    chain = community.chain
    assert isinstance(chain, EmbeddedChain)
    chain.set_next_timestamp(from_unix_s(at_s))
    chain.mine()


def bring(community: Community, lines: list[str]) -> None:
    file = community.directory.path.with_name("more.csv")
    file.write_text(HEADER + "".join(lines))
    assert import_registers(community, file).accepted == len(lines)


def line(label: str, hour: int, import_wh: int, export_wh: int) -> str:
    taken_at = to_rfc3339(from_unix_s(START_S + hour * HOUR_S))
    kwh = [f"{wh // 1000}.{wh % 1000:03d}" for wh in (import_wh, export_wh)]
    return f"{label},{taken_at},{kwh[0]},{kwh[1]}\n"


def window_at(desks: MarketDesks, hour: int) -> WindowView:
    at_s = START_S + hour * HOUR_S
    (window,) = desks.windows.windows(at_s, at_s + HOUR_S)
    return window


# A day's way to money.


def test_a_day_is_open_due_proposed_and_then_final_or_lapsed(
    community: Community, desks: MarketDesks
) -> None:
    account = 2
    assert desks.periods.period(THIRD_S).state is PeriodState.OPEN
    pass_to(community, START_S + 3 * DAY_S)
    assert desks.periods.period(THIRD_S).state is PeriodState.OPEN  # Its readings are awaited.
    pass_to(community, START_S + 6 * DAY_S + HOUR_S)
    assert desks.periods.period(THIRD_S).state is PeriodState.DUE

    loop = SettlementLoop(community, may_move_time=False)
    assert loop.step() is None
    (run,) = desks.periods.period(THIRD_S).runs
    assert (run.state, run.final_at, run.gas_used) == (PeriodState.PROPOSED, None, None)
    stored = community.settlements.statements(THIRD_S, 0)
    pending_nano = desks.accounts.account(account).pending_nano
    assert pending_nano == stored[account].result.delta_nano != 0
    windows = desks.windows.windows(THIRD_S, THIRD_S + DAY_S)
    lines = desks.statements.lines(account, THIRD_S, THIRD_S + DAY_S)
    assert {each.state for each in (*windows, *lines)} == {PeriodState.PROPOSED}
    assert {each.run for each in (*windows, *lines)} == {0}
    assert [each.row for each in lines] == list(stored[account].result.rows)
    assert desks.statements.sums(lines).provisional == 24
    # What is not final is in no list and no table.
    assert desks.statements.list(account, 10)[0].period_start_s == START_S + DAY_S
    assert not desks.statements.lines(account, THIRD_S, THIRD_S + DAY_S, settled_only=True)

    schedule = community.schedule
    proposed_s = community.refresh().runs[THIRD_S, 0].proposed_at_s
    last_s = proposed_s + schedule.dispute_period_s + schedule.finalize_within_s
    pass_to(community, last_s)
    assert desks.periods.period(THIRD_S).state is PeriodState.PROPOSED
    pass_to(community, last_s + 1)
    assert desks.periods.period(THIRD_S).state is PeriodState.LAPSED
    windows = desks.windows.windows(THIRD_S, THIRD_S + DAY_S)
    assert {(each.run, each.state) for each in windows} == {(None, PeriodState.LAPSED)}

    list(SettlementLoop(community).run())
    assert desks.periods.period(THIRD_S).state is PeriodState.FINAL
    assert desks.statements.list(account, 10)[0].period_start_s == THIRD_S


def test_a_proposal_that_was_cancelled_is_shown_as_such_and_computed_anew(
    community: Community, desks: MarketDesks
) -> None:
    pass_to(community, START_S + 6 * DAY_S + HOUR_S)
    assert SettlementLoop(community, may_move_time=False).step() is None
    intent = community.intent("cancel", market_calls.cancel(), to=community.contracts.market)
    community.execute([intent])
    assert desks.periods.period(THIRD_S).state is PeriodState.CANCELLED
    assert desks.accounts.account(2).pending_nano == 0
    (window, *_) = desks.windows.windows(THIRD_S, THIRD_S + DAY_S)
    assert (window.run, window.state) == (None, PeriodState.CANCELLED)


# What nobody may find out.


def test_sums_of_a_window_that_some_were_not_heard_of_are_not_for_strangers(
    community: Community, desks: MarketDesks
) -> None:
    """Else whoever looks often sees how much each one adds who comes later."""
    registers = dict.fromkeys(LABELS, (60000, 60000))
    hour = HOURS + 1
    bring(
        community,
        [line(label, hour, *registers[label]) for label in LABELS[:-1]],
    )
    window = window_at(desks, HOURS)
    assert window.imported.energy_wh > 0
    assert (window.imported.is_open, window.is_complete) == (False, False)
    bring(community, [line(LABELS[-1], hour, *registers[LABELS[-1]])])
    ends = time.monotonic() + PATIENCE_S
    while not (window := window_at(desks, HOURS)).is_complete:  # It is computed anew in a moment.
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert (window.imported.is_open, window.is_complete) == (True, True)


def test_who_takes_a_meter_over_sees_nothing_from_before_and_who_gave_it_away_nothing_after(
    community: Community, desks: MarketDesks
) -> None:
    from_account, to_account, moves_hour = 2, 8, HOURS + 20
    (term,) = community.book().terms_of_account(from_account)
    data = registry.begin(
        meter_id=term.meter_id,
        key=community.keys.wallet(meter_key(LABELS[from_account - 2])).address,
        account=to_account,
        meter_class=registry.MeterClass.IMPORTED,
        limit_w=term.limit_w,
        valid_from_s=START_S + moves_hour * HOUR_S,
    )
    to = community.contracts.registry
    community.execute([community.intent("move", data, to=to, role="registrar")])
    bring(
        community,
        [line(LABELS[0], moves_hour + hours, 70_000 + 100 * hours, 60_000) for hours in (-2, 0, 2)],
    )
    owners = {
        account: community.keys.wallet(account_key(account)).address
        for account in (from_account, to_account, 3)
    }
    taken = {}
    for account, owner in owners.items():
        sight = desks.accounts.sight_of(term.meter_id, owner)
        kept = desks.accounts.readings(sight, from_s=0, until_s=2**40, after=(0, 0), limit=1_000)
        taken[account] = [each.signed.reading.taken_at for each in kept]
    moves_at = from_unix_s(START_S + moves_hour * HOUR_S)
    assert max(taken[from_account]) == min(taken[to_account]) == moves_at  # The one they share.
    assert len(taken[from_account]) == HOURS + 1 + 2
    assert taken[to_account] == [moves_at, moves_at + timedelta(hours=2)]
    assert taken[3] == []


# Rules of other markets, and accounts in other states.


def test_where_the_supplier_bills_the_rest_figures_are_of_what_was_traded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("external") / "data"
    config = document(["buyer", "seller", "both"], market={"residual": "external"})
    with community_of(path, config) as community:
        take(community, {"buyer": BUYER, "seller": SELLER, "both": BOTH})
        settle_all(community)
        books = Books(community)
        desks = desks_of(books)
        for account in range(5):
            statement = desks.statements.statement(account, START_S)
            sums = desks.statements.sums(desks.statements.lines(account, START_S, START_S + DAY_S))
            assert sums.amount_nano == statement.amount_nano
            assert (sums.from_grid_nano, sums.to_grid_nano) == (0, 0)
            if account >= 2:
                assert sums.saved_nano == 100_000 * (sums.bought_wh + sums.sold_wh)
        assert desks.statements.statement(0, START_S).amount_nano == 0
        books.close()


def test_limits_in_force_come_first_and_then_those_to_come(
    community: Community, desks: MarketDesks
) -> None:
    set_limits(community, 2, nonce=1, min_sell_per_kwh=100_000)
    set_limits(community, 2, nonce=2, valid_from_s=START_S + 9 * DAY_S, max_buy_per_kwh=1)
    set_limits(community, 2, nonce=3, valid_from_s=START_S + 5 * DAY_S, max_buy_per_kwh=2)
    pass_to(community, START_S + 4 * DAY_S)
    view = desks.accounts.account(2)
    assert [(each.max_buy_per_kwh, each.min_sell_per_kwh) for each in view.limits] == [
        (None, 100_000),
        (2, 0),  # Set last, it counts before the one that was to come later, and for good.
    ]
    assert view.limits[1].effective_from == from_unix_s(START_S + 5 * DAY_S)
    assert view.nonces == (4, 1)


def test_what_was_asked_to_be_paid_out_is_no_cover_and_when_it_can_be_had_is_told(
    community: Community, desks: MarketDesks
) -> None:
    before = desks.accounts.account(8)
    asked_micro = DEPOSIT_MICRO - 10_000_000
    market = community.contracts.market
    asked = Withdrawal(account=8, amount_micro=asked_micro, nonce=1)
    domain = domain_separator(community.config.chain.chain_id, market)
    signature = community.keys.wallet(account_key(8)).sign_digest(asked.digest(domain))
    data = market_calls.request_withdrawal_by_sig(
        account=8, amount_micro=asked_micro, nonce=1, signature=signature
    )
    community.execute([community.intent("ask", data, to=market)])
    pass_to(community, START_S + 3 * DAY_S + HOUR_S)
    view = desks.accounts.account(8)
    assert view.requested_micro == asked_micro
    assert view.cover_nano == before.cover_nano - asked_micro * 1_000
    assert view.requested_at is not None
    assert view.withdrawable_at == view.requested_at + timedelta(
        seconds=community.rules.withdrawal_delay_s
    )
    assert view.balance_nano == before.balance_nano
    assert (before.warning, view.warning) == (None, "cover_low")
