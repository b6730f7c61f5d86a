"""What is due, what is held back, and what comes later."""

from pathlib import Path

import pytest

from api.jobs.community import Community
from api.jobs.settle import SettlementLoop
from ledger.chain import market_calls, registry
from ledger.outbox_states import IntentFailed
from ledger.units import from_unix_s
from tests.api.community_worlds import (
    BUYER,
    DAY_S,
    HOUR_S,
    SELLER,
    START_S,
    community_of,
    document,
    pay_in,
    settle_all,
    statements,
    take,
)

HOME = {"buyer": BUYER, "seller": SELLER}
TWO_DAYS = {label: [*profile, *profile] for label, profile in HOME.items()}
BIG_SELLER = [(0, 20_000)] * 24


def test_a_period_that_the_supplier_cannot_pay_stays_due_until_he_can(tmp_path: Path) -> None:
    config = document(["seller"], deposits={0: 1_000_000})
    with community_of(tmp_path / "data", config) as community:
        take(community, {"seller": BIG_SELLER})
        for _ in range(2):
            loop = SettlementLoop(community)
            assert list(loop.run()) == []
            assert loop.alarm is not None
            # 480 kWh at 0.08, less the one token that he has.
            assert str(24 * 20_000 * 80_000 - 1_000_000_000) in loop.alarm.detail
            assert community.settlements.runs() == []
        pay_in(community, 0, 37_399_999, nonce=1)
        loop = SettlementLoop(community)
        assert list(loop.run()) == []
        assert loop.alarm is not None
        pay_in(community, 0, 1, nonce=2)
        assert len(settle_all(community)) == 1
        found = statements(community)
        assert found[START_S, 0, 2].amount_nano == 24 * 20_000 * 80_000
        assert community.refresh().balances_nano[0] == 0


def test_an_alarm_does_not_keep_what_was_settled_from_being_revised(tmp_path: Path) -> None:
    config = document(["seller"], deposits={0: 39_000_000})
    with community_of(tmp_path / "data", config) as community:
        take(community, {"seller": BIG_SELLER})
        assert len(settle_all(community)) == 1
        less = [(0, 19_999), *BIG_SELLER[1:-1], (0, 20_001)]
        assert take(community, {"seller": [*less, *BIG_SELLER]}).accepted == 23 + 24
        loop = SettlementLoop(community)
        assert [(each.period_start_s, each.run) for each in loop.run()] == [(START_S, 1)]
        assert loop.alarm is not None
        statements(community)


def test_a_period_waits_for_its_meters_until_the_grace_is_over(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(list(HOME))) as community:
        take(community, {"buyer": BUYER})
        early = SettlementLoop(community, until_s=START_S + DAY_S + 3 * DAY_S - 1)
        assert list(early.run()) == []
        assert early.alarm is None
        in_time = SettlementLoop(community, until_s=START_S + DAY_S + 3 * DAY_S)
        assert [each.period_start_s for each in in_time.run()] == [START_S]
        assert community.chain.head().timestamp_s >= START_S + 4 * DAY_S
        found = statements(community)
        assert all(row.estimated for row in found[START_S, 0, 3].rows)
        # What comes later is settled by a later run.
        assert take(community, HOME).accepted == 25
        assert [each.run for each in settle_all(community)] == [1]
        assert sum(row.sold_wh for row in statements(community)[START_S, 1, 3].rows) > 0


def retire(community: Community, label: str, valid_until_s: int) -> None:
    (meter,) = [each for each in community.readings.meters() if each.label == label]
    data = registry.end(meter_id=meter.meter_id, valid_until_s=valid_until_s)
    contract = community.contracts.registry
    community.execute([community.intent(f"end:{label}", data, to=contract, role="registrar")])


def test_a_retired_meter_delays_nothing_and_takes_no_readings(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(list(HOME))) as community:
        retire(community, "seller", START_S + 12 * HOUR_S)
        report = take(community, TWO_DAYS)
        codes = {each.error.code for each in report.rejected}
        assert codes == {"meter_not_valid_at"}
        # Its closing register is the last one.
        assert (report.accepted, len(report.rejected)) == (49 + 13, 36)
        settled = settle_all(community)
        assert [each.period_start_s for each in settled] == [START_S, START_S + DAY_S]
        # Nobody waited three days for the meter that is gone.
        assert community.chain.head().timestamp_s < START_S + 3 * DAY_S
        found = statements(community)
    sold = [row.export_wh for row in found[START_S, 0, 3].rows]
    assert sum(sold) == sum(flow[1] for flow in SELLER[:12])
    assert not any(row.export_wh for row in found[START_S + DAY_S, 0, 3].rows)


def test_what_was_settled_cannot_be_taken_from_a_meter_afterwards(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(list(HOME))) as community:
        take(community, HOME)
        settle_all(community)
        with pytest.raises(IntentFailed, match="RewritesHistory"):
            retire(community, "seller", START_S + 12 * HOUR_S)
        statements(community)


def test_readings_that_change_nothing_make_no_further_run(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(list(HOME))) as community:
        take(community, HOME)
        assert len(settle_all(community)) == 1
        before = community.chain.head().number
        assert take(community, HOME).duplicates == 50
        assert settle_all(community) == []
        assert community.chain.head().number == before


def test_revisions_up_and_down_add_up_to_the_last_statement(tmp_path: Path) -> None:
    more = {**HOME, "buyer": [(BUYER[0][0] + 5, 0), *BUYER[1:]]}
    other = {**HOME, "buyer": [(BUYER[0][0] + 2, 0), *BUYER[1:]]}
    with community_of(tmp_path / "data", document(list(HOME))) as community:
        take(community, HOME)
        settle_all(community)
        first = list(community.refresh().balances_nano)
        take(community, more)
        assert [each.run for each in settle_all(community)] == [1]
        assert list(community.refresh().balances_nano) != first
        take(community, other)
        assert [each.run for each in settle_all(community)] == [2]
        found = statements(community)
        history = community.refresh()
    applied = [history.runs[START_S, run].deltas_nano[2] for run in range(3)]
    assert sum(applied) == found[START_S, 2, 2].amount_nano
    # The chain's rule: a revision at most once in a period's length.
    times_s = [history.runs[START_S, run].proposed_at_s for run in (1, 2)]
    assert times_s[1] - times_s[0] >= DAY_S


def test_cutoffs_of_runs_and_times_of_intake_never_meet(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(list(HOME))) as community:
        take(community, HOME)
        settle_all(community)
        cutoff_s = community.settlements.latest_cutoff_s()
        take(community, {**HOME, "buyer": [(BUYER[0][0] + 5, 0), *BUYER[1:]]})
        (late,) = community.readings.touched_since(from_unix_s(cutoff_s))
        assert (late.first_at, late.last_at) == (
            from_unix_s(START_S),
            from_unix_s(START_S + DAY_S),
        )


def begin_meter(community: Community, account: int, *, number: int = 7) -> None:
    """A meter that the registrar says has been an account's since the first period's start."""
    data = registry.begin(
        meter_id=bytes([number]) * 32,
        key=community.keys.wallet("importer").address,
        account=account,
        meter_class=registry.MeterClass.GATEWAY,
        limit_w=1_000,
        valid_from_s=START_S,
    )
    to = community.contracts.registry
    community.execute([community.intent(f"begin:{number}", data, to=to, role="registrar")])


def test_a_meter_of_an_account_that_nobody_has_counts_for_nothing(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(["buyer", "seller"])) as community:
        begin_meter(community, 9)
        take(community, {"buyer": BUYER, "seller": SELLER})
        assert len(settle_all(community)) == 1
        assert {account for _, _, account in statements(community)} == {0, 1, 2, 3}


def test_who_joins_later_is_in_no_run_from_before(tmp_path: Path) -> None:
    with community_of(tmp_path / "data", document(["buyer", "seller"])) as community:
        take(community, {"buyer": BUYER, "seller": SELLER})
        assert len(settle_all(community)) == 1
        before = {key: each.rows for key, each in statements(community).items()}
        market, owner = community.contracts.market, community.keys.wallet("importer").address
        enrol = market_calls.enrol(4, owner)
        community.execute([community.intent("enrol:late", enrol, to=market)])
        # Even of meters that begin in the past nothing was known when the run was proposed.
        begin_meter(community, 4)
        begin_meter(community, 3, number=8)
        assert {key: each.rows for key, each in statements(community).items()} == before
