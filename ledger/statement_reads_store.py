"""Reading what was settled, as people ask for it: one account, some periods, never everything.

A statement is found by its whole key, so a page costs the same in a store of thousands of periods.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sqlalchemy import BigInteger, Engine, Integer, RowMapping, column, select, text
from sqlmodel import SQLModel

from ledger.settlement_store import StoredRun, StoredStatement, stored_run, stored_statement
from ledger.units import Hash32

RunKey = tuple[int, int]  # Period and run.
KEYS_PER_QUERY: Final = 500
_RUN = SQLModel.metadata.tables["settlement_run"]
_STATEMENT = SQLModel.metadata.tables["settlement_statement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementAmounts:
    """A statement without its rows."""

    period_start_s: int
    run: int
    amount_nano: int
    applied_before_nano: int
    shortfall_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementClaim:
    """What a statement says of an account, as an audit is told it."""

    account: int
    salt: Hash32
    rows: bytes  # The words that were hashed.
    amount_nano: int


class StatementReads:
    """Runs and statements by their keys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def runs(self, keys: Iterable[RunKey]) -> dict[RunKey, StoredRun]:
        """These runs, as far as they are there."""
        found = (stored_run(row) for row in self._rows_of(_RUN, keys))
        return {(each.period_start_s, each.run): each for each in found}

    def statements(self, account: int, keys: Iterable[RunKey]) -> dict[RunKey, StoredStatement]:
        """One account's statements of these runs, as far as they are there with their rows."""
        found = (stored_statement(row) for row in self._rows_of(_STATEMENT, keys, account=account))
        return {(each.period_start_s, each.run): each for each in found if each.result.rows}

    def amounts(self, account: int, keys: Iterable[RunKey]) -> dict[RunKey, StatementAmounts]:
        """The same without rows, which are most of it."""
        names = ("period_start_s", "run", "amount_nano", "applied_before_nano", "shortfall_nano")
        rows = self._rows_of(_STATEMENT, keys, account=account, names=names)
        found = (StatementAmounts(**dict(row)) for row in rows)
        return {(each.period_start_s, each.run): each for each in found}

    def claims(self, key: RunKey) -> list[StatementClaim]:
        """What every account's statement of a run says, in account order."""
        names = ("account", "salt", "rows", "amount_nano")
        query = (
            select(*(_STATEMENT.c[name] for name in names))
            .where(_STATEMENT.c.period_start_s == key[0], _STATEMENT.c.run == key[1])
            .order_by(_STATEMENT.c.account)
        )
        with self._engine.begin() as connection:
            return [
                StatementClaim(
                    account=row[0],
                    salt=Hash32(bytes(row[1])),
                    rows=bytes(row[2]),
                    amount_nano=row[3],
                )
                for row in connection.execute(query)
            ]

    def leaves(self, key: RunKey) -> list[Hash32]:
        """A run's leaves in account order: what a proof is made of."""
        return [Hash32(bytes(leaf)) for leaf in self._column(key, "leaf")]

    def row_words(self, key: RunKey) -> list[bytes]:
        """All accounts' rows of a run, in the words that were hashed."""
        return [bytes(rows) for rows in self._column(key, "rows")]

    def _column(self, key: RunKey, name: str) -> Sequence[Any]:
        query = (
            select(_STATEMENT.c[name])
            .where(_STATEMENT.c.period_start_s == key[0], _STATEMENT.c.run == key[1])
            .order_by(_STATEMENT.c.account)
        )
        with self._engine.begin() as connection:
            return connection.execute(query).scalars().all()

    def _rows_of(
        self,
        table: Any,
        keys: Iterable[RunKey],
        *,
        account: int | None = None,
        names: Sequence[str] | None = None,
    ) -> Iterator[RowMapping]:
        wanted = iter(keys)
        columns = table.c if names is None else [table.c[name] for name in names]
        while chunk := list(islice(wanted, KEYS_PER_QUERY)):
            key = _as_table(chunk)
            query = select(*columns).join_from(
                key,
                table,
                (table.c.period_start_s == key.c.period_start_s) & (table.c.run == key.c.run),
            )
            if account is not None:
                query = query.where(table.c.account == account)
            with self._engine.begin() as connection:
                yield from connection.execute(query).mappings().all()


def _as_table(keys: Sequence[RunKey]) -> Any:
    columns = (column("period_start_s", BigInteger), column("run", Integer))
    # Integers of our own, written out: as parameters, or one expression each, hundreds of them cost
    # more than the query.
    rows = ", ".join(f"({period_start_s}, {run})" for period_start_s, run in keys)
    names = "column1 AS period_start_s, column2 AS run"
    query = f"SELECT {names} FROM (VALUES {rows}) AS listed"  # noqa: S608 (as above)
    return text(query).columns(*columns).cte("wanted")
