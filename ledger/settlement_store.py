"""What the service planned and published: runs, statements, salts, and the community's facts.

A statement's rows lie in one blob of the very words that are hashed, so a year of quarter hours of
a thousand members stays small, and what is stored is what was committed to.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    LargeBinary,
    RowMapping,
    delete,
    insert,
    select,
)
from sqlalchemy import update as sql_update
from sqlmodel import Field, SQLModel

from ledger.errors import LedgerError
from ledger.settlement import AccountResult, SettlementPlan
from ledger.units import AccountId, Hash32
from ledger.words import StatementRow, WindowPrice, WindowTotals, pack, unpack


@dataclass(eq=False, kw_only=True)
class UnknownRun(LedgerError):
    """No such run was ever planned."""

    code: ClassVar[str] = "not_found"
    period_start_s: int
    run: int


class _RunTable(SQLModel, table=True):
    __tablename__ = "settlement_run"

    period_start_s: int = Field(sa_column=Column(BigInteger, primary_key=True))
    run: int = Field(primary_key=True)
    state: str  # planned, proposed, final, given_up.
    cutoff_at_s: int = Field(sa_column=Column(BigInteger, nullable=False))
    prices: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    totals: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    totals_salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    deltas: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    shorts_json: str
    statements_root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    windows_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    deltas_root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    attempt: int = 0  # Rises when a plan is made again: it is part of the outbox keys.
    final_tx: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    gas_used: int | None = None  # Of the transaction that applied it.


class _StatementTable(SQLModel, table=True):
    __tablename__ = "settlement_statement"

    period_start_s: int = Field(sa_column=Column(BigInteger, primary_key=True))
    run: int = Field(primary_key=True)
    account: int = Field(primary_key=True)
    rows: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    amount_nano: int = Field(sa_column=Column(BigInteger, nullable=False))
    applied_before_nano: int = Field(sa_column=Column(BigInteger, nullable=False))
    shortfall_nano: int = Field(sa_column=Column(BigInteger, nullable=False))
    salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    leaf: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class _FactTable(SQLModel, table=True):
    __tablename__ = "community_fact"

    name: str = Field(primary_key=True)
    value: str


_RUN = SQLModel.metadata.tables["settlement_run"]
_STATEMENT = SQLModel.metadata.tables["settlement_statement"]
_FACT = SQLModel.metadata.tables["community_fact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """One run as it was planned, and how far it has come."""

    period_start_s: int
    run: int
    state: str
    cutoff_at_s: int
    prices: tuple[WindowPrice, ...]
    totals: tuple[WindowTotals, ...]
    totals_salt: Hash32
    deltas: tuple[int, ...]
    shorts: tuple[tuple[int, int], ...]
    statements_root: Hash32
    windows_hash: Hash32
    deltas_root: Hash32
    attempt: int
    final_tx: Hash32 | None
    gas_used: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStatement:
    """One account's part of a run."""

    period_start_s: int
    run: int
    account: AccountId
    result: AccountResult
    leaf: Hash32


class SettlementStore:
    """Runs and statements in the database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def save_plan(self, connection: Connection, plan: SettlementPlan, *, attempt: int) -> None:
        """Writes a plan, in the caller's transaction, over one that was given up."""
        self.drop_plan(connection, plan.period_start_s, plan.run)
        connection.execute(insert(_RUN).values(**_run_values(plan, attempt)))
        connection.execute(insert(_STATEMENT), list(_statement_values(plan)))

    def drop_plan(self, connection: Connection, period_start_s: int, run: int) -> None:
        """Removes a plan that is not final, with its statements."""
        for table in (_STATEMENT, _RUN):
            connection.execute(
                delete(table).where(table.c.period_start_s == period_start_s, table.c.run == run)
            )

    def set_state(
        self,
        connection: Connection,
        run: StoredRun,
        state: str,
        *,
        final_tx: Hash32 | None = None,
        gas_used: int | None = None,
    ) -> None:
        """Moves a run on, in the caller's transaction."""
        connection.execute(
            sql_update(_RUN)
            .where(_RUN.c.period_start_s == run.period_start_s, _RUN.c.run == run.run)
            .values(state=state, final_tx=final_tx, gas_used=gas_used)
        )

    def open_run(self) -> StoredRun | None:
        """The run that is planned or proposed and not final yet; there is at most one."""
        with self.engine.begin() as connection:
            query = select(_RUN).where(_RUN.c.state.in_(["planned", "proposed"]))
            row = connection.execute(query).mappings().first()
        return None if row is None else stored_run(row)

    def run(self, period_start_s: int, run: int) -> StoredRun | None:
        """One run."""
        where = (_RUN.c.period_start_s == period_start_s) & (_RUN.c.run == run)
        with self.engine.begin() as connection:
            row = connection.execute(select(_RUN).where(where)).mappings().first()
        return None if row is None else stored_run(row)

    def require_run(self, period_start_s: int, run: int) -> StoredRun:
        """One run that must be there.

        Raises:
            UnknownRun: it is not.
        """
        found = self.run(period_start_s, run)
        if found is None:
            raise UnknownRun(period_start_s=period_start_s, run=run)
        return found

    def runs(self) -> list[StoredRun]:
        """All runs by period and run."""
        query = select(_RUN).order_by(_RUN.c.period_start_s, _RUN.c.run)
        with self.engine.begin() as connection:
            return [stored_run(row) for row in connection.execute(query).mappings()]

    def gas_used(self) -> dict[tuple[int, int], int]:
        """Gas of each final run, by period and run."""
        query = select(_RUN.c.period_start_s, _RUN.c.run, _RUN.c.gas_used).where(
            _RUN.c.gas_used.is_not(None)
        )
        with self.engine.begin() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query)}

    def statements(self, period_start_s: int, run: int) -> list[StoredStatement]:
        """All statements of a run, by account."""
        query = (
            select(_STATEMENT)
            .where(_STATEMENT.c.period_start_s == period_start_s, _STATEMENT.c.run == run)
            .order_by(_STATEMENT.c.account)
        )
        with self.engine.begin() as connection:
            return [stored_statement(row) for row in connection.execute(query).mappings()]

    def latest_cutoff_s(self) -> int:
        """The latest cutoff that any run used; 0 if none has."""
        with self.engine.begin() as connection:
            cutoffs = connection.execute(select(_RUN.c.cutoff_at_s)).scalars()
            return max(cutoffs, default=0)

    def facts(self) -> dict[str, str]:
        """What is fixed for this community: addresses, clock, format."""
        with self.engine.begin() as connection:
            return {row.name: row.value for row in connection.execute(select(_FACT))}

    def set_facts(self, connection: Connection, facts: Iterable[tuple[str, str]]) -> None:
        """Writes facts over earlier ones."""
        for name, value in facts:
            connection.execute(delete(_FACT).where(_FACT.c.name == name))
            connection.execute(insert(_FACT).values(name=name, value=value))


def _run_values(plan: SettlementPlan, attempt: int) -> dict[str, object]:
    return {
        "period_start_s": plan.period_start_s,
        "run": plan.run,
        "state": "planned",
        "cutoff_at_s": plan.cutoff_at_s,
        "prices": pack(price.word for price in plan.prices),
        "totals": pack(word for total in plan.totals for word in total.words),
        "totals_salt": plan.totals_salt,
        "deltas": pack(plan.deltas),
        "shorts_json": json.dumps(plan.shorts),
        "statements_root": plan.tree.root,
        "windows_hash": plan.windows_hash,
        "deltas_root": plan.deltas_root,
        "attempt": attempt,
    }


def _statement_values(plan: SettlementPlan) -> Iterable[dict[str, object]]:
    for account, (result, leaf) in enumerate(zip(plan.results, plan.leaves, strict=True)):
        yield {
            "period_start_s": plan.period_start_s,
            "run": plan.run,
            "account": account,
            "rows": pack(row.word for row in result.rows),
            "amount_nano": result.amount_nano,
            "applied_before_nano": result.applied_before_nano,
            "shortfall_nano": result.shortfall_nano,
            "salt": result.salt,
            "leaf": leaf,
        }


def stored_run(row: RowMapping) -> StoredRun:
    """A run from its row."""
    totals: Sequence[int] = unpack(row["totals"])
    return StoredRun(
        period_start_s=row["period_start_s"],
        run=row["run"],
        state=row["state"],
        cutoff_at_s=row["cutoff_at_s"],
        prices=tuple(WindowPrice.of_word(word) for word in unpack(row["prices"])),
        totals=tuple(
            WindowTotals.of_words(first, second)
            for first, second in zip(totals[::2], totals[1::2], strict=True)
        ),
        totals_salt=Hash32(row["totals_salt"]),
        deltas=tuple(unpack(row["deltas"])),
        shorts=tuple((account, nano) for account, nano in json.loads(row["shorts_json"])),
        statements_root=Hash32(row["statements_root"]),
        windows_hash=Hash32(row["windows_hash"]),
        deltas_root=Hash32(row["deltas_root"]),
        attempt=row["attempt"],
        final_tx=None if row["final_tx"] is None else Hash32(row["final_tx"]),
        gas_used=row["gas_used"],
    )


def stored_statement(row: RowMapping) -> StoredStatement:
    """A statement from its row."""
    return StoredStatement(
        period_start_s=row["period_start_s"],
        run=row["run"],
        account=AccountId(row["account"]),
        result=AccountResult(
            rows=tuple(StatementRow.of_word(word) for word in unpack(row["rows"])),
            amount_nano=row["amount_nano"],
            applied_before_nano=row["applied_before_nano"],
            shortfall_nano=row["shortfall_nano"],
            salt=Hash32(row["salt"]),
        ),
        leaf=Hash32(row["leaf"]),
    )
