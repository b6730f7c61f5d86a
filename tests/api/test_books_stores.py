"""Reading single statements and meters from a store, on SQLite and PostgreSQL alike."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import SQLModel

from ledger.settlement import SettlementPlan, plan
from ledger.settlement_store import SettlementStore
from ledger.statement_reads_store import KEYS_PER_QUERY, StatementReads
from ledger.units import from_unix_s
from ledger.words import StatementRow, unpack
from metering.meter_reads_store import FIRST, MeterReads
from metering.reading_rows_store import insert_rows, numbers_of
from metering.readings import MeterId
from metering.store import Meter, ReadingStore
from tests.bench.street import DAY_S, START_S, assignment_of, schedule_of
from tests.engines import database_url, engine, postgres_server  # noqa: F401 (fixtures)

ACCOUNTS = 7
METERS = [MeterId(bytes([number]) * 32) for number in (1, 2, 3)]
HOUR_S = 3_600


@pytest.fixture
def planned() -> SettlementPlan:
    return plan(assignment_of(ACCOUNTS, schedule_of(4)), b"only for testing")


@pytest.fixture
def keys(engine: Engine, planned: SettlementPlan) -> Sequence[tuple[int, int]]:  # noqa: F811
    """A store with six periods, one of them revised."""
    SQLModel.metadata.create_all(engine)
    store = SettlementStore(engine)
    keys = [(START_S + day * DAY_S, 0) for day in range(6)] + [(START_S + 2 * DAY_S, 1)]
    with engine.begin() as connection:
        for period_start_s, run in keys:
            store.save_plan(
                connection, replace(planned, period_start_s=period_start_s, run=run), attempt=0
            )
    return sorted(keys)


def test_an_accounts_statements_are_found_by_their_keys(
    engine: Engine,  # noqa: F811
    keys: Sequence[tuple[int, int]],
) -> None:
    reads, store = StatementReads(engine), SettlementStore(engine)
    for account in (0, 3, ACCOUNTS - 1):
        found = reads.statements(account, keys)
        assert sorted(found) == keys
        for key, statement in found.items():
            assert statement == store.statements(*key)[account]
        amounts = reads.amounts(account, keys)
        for key, each in amounts.items():
            assert each.amount_nano == found[key].result.amount_nano
            assert each.shortfall_nano == found[key].result.shortfall_nano
    some = [keys[1], keys[4], (START_S + 99 * DAY_S, 0), (keys[0][0], 5)]
    assert sorted(reads.statements(3, some)) == [keys[1], keys[4]]
    assert reads.statements(ACCOUNTS, keys) == {}
    assert reads.statements(3, []) == {}
    assert sorted(reads.runs(keys)) == keys
    assert reads.runs(keys)[keys[0]] == store.require_run(*keys[0])


def test_more_keys_than_a_query_takes_are_found_too(
    engine: Engine,  # noqa: F811
    keys: Sequence[tuple[int, int]],
) -> None:
    many = [(START_S - day * DAY_S, 0) for day in range(1, 2 * KEYS_PER_QUERY)]
    assert sorted(StatementReads(engine).runs([*many, *keys])) == keys


def test_a_runs_leaves_rows_and_claims_are_in_account_order(
    engine: Engine,  # noqa: F811
    keys: Sequence[tuple[int, int]],
    planned: SettlementPlan,
) -> None:
    reads, key = StatementReads(engine), keys[2]
    expected = replace(planned, period_start_s=key[0], run=key[1])
    assert reads.leaves(key) == list(expected.leaves)
    rows = [
        tuple(StatementRow.of_word(word) for word in unpack(words))
        for words in reads.row_words(key)
    ]
    assert rows == [result.rows for result in planned.results]
    for account, claim in enumerate(reads.claims(key)):
        result = planned.results[account]
        assert (claim.account, claim.salt, claim.amount_nano) == (
            account,
            result.salt,
            result.amount_nano,
        )


@pytest.fixture
def meters(engine: Engine) -> MeterReads:  # noqa: F811
    """Two meters that are read every hour, one instant twice, and one that never was."""
    SQLModel.metadata.create_all(engine)
    ReadingStore(engine).add_meters(
        Meter(meter_id=meter_id, label=f"m{place}") for place, meter_id in enumerate(METERS)
    )
    with engine.begin() as connection:
        numbers = numbers_of(connection, None)
        for place, meter_id in enumerate(METERS[:2]):
            insert_rows(
                connection,
                [
                    (
                        numbers[meter_id],
                        START_S + hour * HOUR_S,
                        version,
                        hour,
                        place,
                        bytes(65),
                        at,
                    )
                    for hour in range(10)
                    for version, at in [(1, 100 + hour), *([(2, 500)] if hour == 4 else [])]
                ],
            )
    return MeterReads(engine)


def test_a_meters_readings_come_in_pages_within_the_intervals(meters: MeterReads) -> None:
    intervals = [(START_S, START_S + 4 * HOUR_S), (START_S + 8 * HOUR_S, START_S + 99 * HOUR_S)]
    found, after = [], FIRST
    while page := meters.page(METERS[0], intervals, after=after, limit=2):
        assert len(page) <= 2
        found += [(each.signed.reading.import_wh, each.version) for each in page]
        last_at = page[-1].signed.reading.taken_at
        after = (int(last_at.timestamp()), page[-1].version)
    assert found == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (4, 2), (8, 1), (9, 1)]
    assert meters.page(METERS[0], [], after=FIRST, limit=5) == []
    assert meters.page(METERS[2], intervals, after=FIRST, limit=5) == []


def test_a_meter_is_summed_up(meters: MeterReads) -> None:
    summaries = meters.summaries(METERS)
    assert summaries[METERS[0]].readings == 11
    assert summaries[METERS[0]].last_at == from_unix_s(START_S) + timedelta(hours=9)
    assert (summaries[METERS[2]].readings, summaries[METERS[2]].last_at) == (0, None)
    assert summaries[METERS[2]].label == "m2"
    assert meters.summaries([]) == {}


def test_whatever_is_accepted_is_noticed(
    meters: MeterReads,
    engine: Engine,  # noqa: F811
) -> None:
    assert meters.last_accepted() == (500, 2)
    with engine.begin() as connection:
        number = numbers_of(connection, None)[METERS[2]]
        insert_rows(connection, [(number, START_S, 1, 1, 1, bytes(65), 500)])
    assert meters.last_accepted() == (500, 3)


def test_around_a_stretch_is_what_was_known_of_it_and_a_neighbour_on_each_side(
    meters: MeterReads,
) -> None:
    half = HOUR_S // 2
    stretch = (START_S + 3 * HOUR_S + half, START_S + 5 * HOUR_S + half)
    (around, *_) = meters.around([(*stretch, 1_000)]).values()
    assert around == (START_S + 3 * HOUR_S, START_S + 6 * HOUR_S)
    # At an early cutoff the hours after the third were not known yet.
    (around, *_) = meters.around([(*stretch, 102)]).values()
    assert around == (START_S + 2 * HOUR_S, stretch[1])
    (both, *_) = meters.around([(*stretch, 102), (*stretch, 1_000)]).values()
    assert both == (START_S + 2 * HOUR_S, START_S + 6 * HOUR_S)
