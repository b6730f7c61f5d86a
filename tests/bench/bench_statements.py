"""What people wait for: a page of statements, a statement file, a year's sums, in a full store.

A thousand homes over a year of days, 24 windows each, and a million readings. The chain's part is
its events, folded as a service folds them; the database is a real one. The plain way reads every
run and everybody's rows to find one account's; it is measured on some periods and multiplied.

`python -m tests.bench.bench_statements [PERIODS] [READINGS]`
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, update
from sqlmodel import SQLModel

from api.config import config_of
from api.jobs.following import Told
from api.jobs.market.books import Books
from api.jobs.market.desks import MarketDesks, desks_of
from api.jobs.market.provisional import ProvisionalBooks
from api.jobs.statements import statement_text
from api.schemas.books import StatementLineOut, StatementsOut, WindowOut
from ledger.history import MarketEvent, MarketHistory
from ledger.merkle import StandardTree
from ledger.settlement import SettlementPlan, plan
from ledger.settlement_store import SettlementStore
from ledger.store import open_engine
from ledger.units import AccountId, Address, Hash32, from_unix_s
from metering.meters import MeterBook, MeterClass, MeterTerm
from metering.reading_rows_store import insert_rows, numbers_of
from metering.readings import MeterId
from metering.store import Meter, ReadingStore
from tests.bench.street import DAY_S, RULES, START_S, TARIFF, assignment_of, schedule_of

ACCOUNTS = 1_002
WINDOWS = 24
PERIODS = 365
READINGS = 1_000_000
PLAIN_PERIODS = 5
PAGE = 50
ACCOUNT = AccountId(500)
NOBODY = Address(bytes(20))
BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3_600
SCHEDULE = replace(schedule_of(WINDOWS), window_s=HOUR_S)
SECONDS = 3  # Of measuring each.
REPEATS_MIN = 5
TARIFF_WORDS = {
    "gridImportPerKwh": TARIFF.grid_import_per_kwh,
    "gridExportPerKwh": TARIFF.grid_export_per_kwh,
    "localFeePerKwh": TARIFF.local_fee_per_kwh,
    "fixedPerKwh": TARIFF.fixed_per_kwh,
}


def main(periods: int = PERIODS, readings: int = READINGS) -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{Path(directory) / 'wattledger.db'}")
        SQLModel.metadata.create_all(engine)
        planned = plan(assignment_of(ACCOUNTS, SCHEDULE), b"only for measuring")
        begun = time.perf_counter()
        _keep_statements(engine, periods, planned)
        _keep_readings(engine, periods, readings)
        spent_s = time.perf_counter() - begun
        print(
            f"{periods} periods of {ACCOUNTS - 2:,} homes, {readings:,} readings: {spent_s:.0f} s"
        )
        books = Books(_community(engine, periods, planned))
        try:
            _measure(desks_of(books), engine, periods)
        finally:
            books.close()
            engine.dispose()


def _measure(desks: MarketDesks, engine: Engine, periods: int) -> None:
    last_s = START_S + periods * DAY_S
    day, first = from_unix_s(last_s).date(), from_unix_s(START_S).date()
    plain_ms = _plain_ms(engine) * periods / PLAIN_PERIODS
    rows: list[tuple[str, Callable[[], Any]]] = [
        (f"a page of {PAGE} statements, as JSON", lambda: _page(desks)),
        ("a statement file with its proof", lambda: _file(desks, last_s - DAY_S)),
        ("a day of one home, summed", lambda: _day(desks, day)),
        ("a year of one home, by months", lambda: _year(desks, first, day)),
        ("a day of the community, as JSON", lambda: _windows(desks, last_s)),
        ("the day that runs, cleared anew", lambda: _provisional(desks.books, last_s)),
    ]
    print(f"\n{'milliseconds':<36}{'median':>10}{'worst':>10}{'CPU':>10}{'plain':>10}{'ratio':>9}")
    for name, work in rows:
        median_ms, worst_ms, cpu_ms = _timed(work)
        ratio = f"{plain_ms:>10,.0f}{plain_ms / cpu_ms:>9,.0f}" if "statement" in name else ""
        print(f"{name:<36}{median_ms:>10,.1f}{worst_ms:>10,.1f}{cpu_ms:>10,.1f}{ratio}")
    print(f"plain, CPU: every run's rows of everybody, from {PLAIN_PERIODS} periods × {periods}")


def _page(desks: MarketDesks) -> str:
    lines = desks.statements.list(ACCOUNT, PAGE + 1)
    return StatementsOut(
        items=[StatementLineOut.of(line) for line in lines[:PAGE]], next=None
    ).model_dump_json()


def _file(desks: MarketDesks, period_start_s: int) -> str:
    return statement_text(desks.statements.statement(ACCOUNT, period_start_s))


def _day(desks: MarketDesks, day: date) -> Any:
    return desks.statements.days(ACCOUNT, day - timedelta(days=1), day, BERLIN)


def _year(desks: MarketDesks, first: date, last: date) -> Any:
    return desks.statements.months(ACCOUNT, first, last, BERLIN)


def _windows(desks: MarketDesks, until_s: int) -> list[str]:
    found = desks.windows.windows(until_s - DAY_S, until_s)
    return [WindowOut.of(each, 3_600, sees_all=False).model_dump_json() for each in found]


def _provisional(books: Books, period_start_s: int) -> Any:
    return ProvisionalBooks(books).of([period_start_s])  # With nothing kept from before.


def _timed(work: Callable[[], Any]) -> tuple[float, float, float]:
    """Median and worst of several, and what one takes of the processor; milliseconds."""
    work()  # It warms up.
    spent_ms = []
    ends, cpu = time.perf_counter() + SECONDS, time.process_time()
    while len(spent_ms) < REPEATS_MIN or time.perf_counter() < ends:
        begun = time.perf_counter()
        work()
        spent_ms.append(1_000 * (time.perf_counter() - begun))
    cpu_ms = 1_000 * (time.process_time() - cpu) / len(spent_ms)
    return statistics.median(spent_ms), max(spent_ms), cpu_ms


def _plain_ms(engine: Engine) -> float:
    """Every run and everybody's rows, to find one account's, with its proof."""
    store = SettlementStore(engine)
    begun = time.process_time()
    for period in range(PLAIN_PERIODS):
        stored = store.statements(START_S + period * DAY_S, 0)
        tree = StandardTree([each.leaf for each in stored])
        [tree.proof(index) for index, each in enumerate(stored) if each.account == ACCOUNT]
    return 1_000 * (time.process_time() - begun)


# What a service would have.


def _community(engine: Engine, periods: int, planned: SettlementPlan) -> Any:
    """What desks ask of a community: its events as they were folded, its rules, its time."""
    told = Told(block_number=1, market=_history(periods, planned), _book=MeterBook(_terms()))
    return SimpleNamespace(
        engine=engine,
        schedule=SCHEDULE,
        rules=RULES,
        config=config_of({"market": {"first_period_start": from_unix_s(START_S)}}, "bench"),
        contracts=SimpleNamespace(market=NOBODY),
        ask=lambda question: question(told),
        now_s=lambda: START_S + periods * DAY_S + DAY_S // 2,
    )


def _history(periods: int, planned: SettlementPlan) -> MarketHistory:
    history = MarketHistory()
    history.extend(_events(periods, planned))
    return history


def _events(periods: int, planned: SettlementPlan) -> Iterator[MarketEvent]:
    at_s = START_S - DAY_S
    yield _event("TariffEnacted", at_s, startsAt=0, tariff=TARIFF_WORDS)
    for account in range(ACCOUNTS):
        yield _event("AccountEnrolled", at_s, owner=NOBODY)
        yield _event("Deposited", at_s, account=account, amountMicro=10**9)
    for period in range(periods):
        start_s = START_S + period * DAY_S
        facts = {"periodStart": start_s, "run": 0}
        yield _event(
            "Proposed",
            start_s + DAY_S,
            **facts,
            cutoffAt=start_s + DAY_S,
            statementsRoot=planned.tree.root,
            windowsHash=planned.windows_hash,
            deltasRoot=planned.deltas_root,
            deltas=planned.deltas,
            prices=tuple(price.word for price in planned.prices),
        )
        yield _event("Finalized", start_s + DAY_S, **facts)


def _event(name: str, at_s: int, **args: Any) -> MarketEvent:
    words = {part: args.pop(part, ()) for part in ("deltas", "prices")}
    return MarketEvent(
        name=name, args=args, timestamp_s=at_s, block_number=1, tx_hash=Hash32(bytes(32)), **words
    )


def _terms() -> Iterator[MeterTerm]:
    for account in range(2, ACCOUNTS):
        yield MeterTerm(
            meter_id=_meter(account),
            key=NOBODY,
            account=AccountId(account),
            meter_class=MeterClass.CERTIFIED,
            limit_w=30_000,
            valid_from=from_unix_s(START_S),
        )


def _meter(account: int) -> MeterId:
    return MeterId(account.to_bytes(32))


def _keep_statements(engine: Engine, periods: int, planned: SettlementPlan) -> None:
    """The same day over and over: what differs is where it lies."""
    store = SettlementStore(engine)
    with engine.begin() as connection:
        store.save_plan(connection, planned, attempt=0)
        final = {"state": "final", "final_tx": bytes(32)}
        connection.execute(update(SQLModel.metadata.tables["settlement_run"]).values(final))
        for table in ("settlement_run", "settlement_statement"):
            names = [each.name for each in SQLModel.metadata.tables[table].columns]
            others = ", ".join(name for name in names if name != "period_start_s")
            for period in range(1, periods):
                connection.exec_driver_sql(
                    f"INSERT INTO {table} (period_start_s, {others}) SELECT "
                    f"{START_S + period * DAY_S}, {others} FROM {table} "
                    f"WHERE period_start_s = {START_S}"
                )


def _keep_readings(engine: Engine, periods: int, readings: int) -> None:
    """Hours up to the middle of the day that runs, the same number of each meter."""
    meters = range(2, ACCOUNTS)
    ReadingStore(engine).add_meters(Meter(meter_id=_meter(account)) for account in meters)
    each, last_s = readings // len(meters), START_S + periods * DAY_S + DAY_S // 2
    with engine.begin() as connection:
        numbers = numbers_of(connection, None)
        for account in meters:
            number = numbers[_meter(account)]
            insert_rows(
                connection,
                [
                    (
                        number,
                        last_s - back * HOUR_S,
                        1,
                        10**6 - 300 * back,
                        10**6,
                        bytes(65),
                        last_s,
                    )
                    for back in range(each - 1, -1, -1)
                ],
            )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
