"""Milliseconds a period: planned, made into a tree, committed; and the plain way in the same run.

`python -m tests.bench settlement`

The plain way: fractions and an object an account, leaves laid out by eth_abi, one database object
a row of a statement. It gets fewer accounts for the store, for it is slow; its time is scaled.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine
from sqlmodel import Field, Session, SQLModel

from ledger.assignment import Assignment
from ledger.clearing import Flow
from ledger.merkle import StandardTree
from ledger.settlement import SettlementPlan, plan
from ledger.settlement_store import SettlementStore
from ledger.store import open_engine
from ledger.units import Hash32
from tests.bench.bench_clearing import plain_proportional
from tests.bench.street import assignment_of, schedule_of

Result = TypeVar("Result")

ACCOUNTS = 1_000
WINDOWS = 96
PLAIN_STATEMENTS = 50
SECRET = b"only for measuring"
LEAF_TYPES = ("uint32", "uint64", "uint32", "bytes32", "int64", "bytes32")


class PlainRow(SQLModel, table=True):
    """One window of one statement, as an object."""

    __tablename__ = "plain_statement_row"

    account: int = Field(primary_key=True)
    window: int = Field(primary_key=True)
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int


def main(accounts: int = ACCOUNTS, windows: int = WINDOWS) -> None:
    """Prints the table."""
    assignment = assignment_of(accounts, schedule_of(windows))
    planned, plan_s = _timed(lambda: plan(assignment, SECRET))
    plain, plain_plan_s = _timed(lambda: _plain_bought_wh(assignment))
    bought_wh = [[row.bought_wh for row in each.rows] for each in planned.results[2:]]
    root, tree_s = _timed(lambda: planned.tree.root)
    plain_root, plain_tree_s = _timed(lambda: StandardTree(_plain_leaves(planned)).root)
    (_, proof_s) = _timed(lambda: [planned.tree.proof(account) for account in range(accounts)])
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{Path(directory) / 'ledger.sqlite'}")
        SQLModel.metadata.create_all(engine)
        _, store_s = _timed(lambda: _save(engine, planned))
        _, some_s = _timed(lambda: _save_row_by_row(engine, planned))
        engine.dispose()
    plain_store_s = some_s * accounts / min(PLAIN_STATEMENTS, accounts)
    rows = [
        ("plan: clear, price, net", plan_s, plain_plan_s),
        ("leaves and tree", tree_s, plain_tree_s),
        ("commit to SQLite", store_s, plain_store_s),
        ("all", plan_s + tree_s + store_s, plain_plan_s + plain_tree_s + plain_store_s),
    ]
    print(f"a period of {accounts:,} accounts and {windows} windows, milliseconds\n")
    print(f"{'':<28}{'ours':>10}{'plain':>10}{'ratio':>8}")
    for name, ours_s, theirs_s in rows:
        print(f"{name:<28}{ours_s * 1e3:>10,.0f}{theirs_s * 1e3:>10,.0f}{theirs_s / ours_s:>8.1f}")
    print(f"{'every proof':<28}{proof_s * 1e3:>10,.0f}")
    print(f"the same energy bought: {plain == bought_wh}, the same root: {plain_root == root}")


def _plain_bought_wh(assignment: Assignment) -> list[list[int]]:
    bought: list[list[int]] = [[] for _ in assignment.flows]
    for window in range(assignment.schedule.period_windows):
        flows = tuple(
            Flow(
                account=account,
                import_wh=cells[window].import_wh,
                export_wh=cells[window].export_wh,
            )
            for account, cells in assignment.flows.items()
        )
        for own, party in zip(bought, plain_proportional(flows), strict=True):
            own.append(party.bought_wh)
    return bought


def _plain_leaves(planned: SettlementPlan) -> list[Hash32]:
    from eth_abi.abi import encode  # noqa: PLC0415 (slow to import)
    from eth_abi.packed import encode_packed  # noqa: PLC0415
    from eth_utils.crypto import keccak  # noqa: PLC0415

    leaves = []
    for account, result in enumerate(planned.results):
        rows = keccak(encode_packed(["uint256[]"], [[row.word for row in result.rows]]))
        values = (
            account,
            planned.period_start_s,
            planned.run,
            rows,
            result.amount_nano,
            result.salt,
        )
        leaves.append(Hash32(keccak(keccak(encode(LEAF_TYPES, values)))))
    return leaves


def _save(engine: Engine, planned: SettlementPlan) -> None:
    with engine.begin() as connection:
        SettlementStore(engine).save_plan(connection, planned, attempt=0)


def _save_row_by_row(engine: Engine, planned: SettlementPlan) -> None:
    with Session(engine) as session:
        for account, result in enumerate(planned.results[:PLAIN_STATEMENTS]):
            for window, row in enumerate(result.rows):
                session.add(
                    PlainRow(
                        account=account,
                        window=window,
                        import_wh=row.import_wh,
                        export_wh=row.export_wh,
                        bought_wh=row.bought_wh,
                        sold_wh=row.sold_wh,
                    )
                )
        session.commit()


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    begun_s = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun_s


if __name__ == "__main__":
    main()
