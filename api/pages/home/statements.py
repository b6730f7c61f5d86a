"""The list of an account's statements, and one of them as a page that prints."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from api.jobs.market.desks import MarketDesks
from api.jobs.market.views import StatementLine
from api.pages.home.addresses import StatementAddress
from api.pages.home.answers import Sentence
from api.pages.home.wording import Wording
from api.pages.words import digits_of
from api.service import Service
from ledger.bills import window_bill
from ledger.keccak import checksum_address
from ledger.statement_reads_store import RunKey
from ledger.statements import Statement
from ledger.units import BPS, FIRST_MEMBER, AccountId, Address, from_unix_s, to_rfc3339
from ledger.words import StatementRow, WindowPrice

SHOWN: Final = 8
RUNS_SHOWN: Final = 100  # Of one period.


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementItem:
    """One statement in the list."""

    name: str
    hours: str
    line: StatementLine
    address: StatementAddress
    is_shown: bool = False  # On its own page.

    @property
    def id(self) -> str:
        """Its name in the page."""
        return f"{self.line.period_start_s}-{self.line.run}"

    @property
    def moved_nano(self) -> int:
        """What this run alone moved on the account."""
        line = self.line
        return line.amount_nano - line.applied_before_nano + line.shortfall_nano


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRowView:
    """One window of a statement."""

    label: str
    machine_time: str
    row: StatementRow
    price: WindowPrice
    amount_nano: int
    paid_nano: int  # To neighbours and the grid.


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who a statement is of and among whom: names, as far as their owners agreed."""

    owner: Address | None
    own: str | None
    others: tuple[str, ...]  # Who were in the market then.


@dataclass(frozen=True, slots=True, kw_only=True)
class Vat:
    """The VAT that is contained in what was paid."""

    rate_bps: int
    paid_nano: int
    contained_nano: int  # Rounded down.


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPage:
    """Everything that the template shows of one statement."""

    statement: Statement
    item: StatementItem
    answer: list[Sentence]
    owner: str
    owner_name: str | None
    neighbours: tuple[str, ...]
    start_at: datetime
    end_at: datetime
    runs: tuple[StatementItem, ...]
    rows: tuple[StatementRowView, ...]
    vat: Vat | None  # None where the market does not say.
    is_external: bool

    @property
    def market(self) -> str:
        """The contract that settled it."""
        return checksum_address(self.statement.market)

    @property
    def utc(self) -> str:
        """The period as files have it."""
        return f"{to_rfc3339(self.start_at)} – {to_rfc3339(self.end_at)}"

    @property
    def moved_nano(self) -> int:
        """What all runs of the period moved together."""
        return sum(each.moved_nano for each in self.runs)

    @property
    def digits(self) -> int:
        """Digits behind the point of all its amounts."""
        lines = [each.line for each in self.runs]
        parts = [
            (each.amount_nano, each.applied_before_nano, each.shortfall_nano) for each in lines
        ]
        return digits_of(
            [each.amount_nano for each in self.rows] + [nano for part in parts for nano in part]
        )

    @property
    def totals(self) -> dict[str, int]:
        """Sums of its rows."""
        names = ("import_wh", "export_wh", "bought_wh", "sold_wh")
        sums = {name: sum(getattr(each.row, name) for each in self.rows) for name in names}
        return {**sums, "amount_nano": sum(each.amount_nano for each in self.rows)}


def statements_of(
    desks: MarketDesks, account: AccountId, before: RunKey | None, wording: Wording
) -> tuple[tuple[StatementItem, ...], RunKey | None]:
    """A page of an account's statements, the latest first, and where the next page begins."""
    lines = desks.statements.list(account, SHOWN + 1, before)
    items = tuple(item_of(line, account, desks, wording) for line in lines[:SHOWN])
    last = items[-1].line if len(lines) > SHOWN else None
    return items, None if last is None else (last.period_start_s, last.run)


def item_of(
    line: StatementLine, account: AccountId, desks: MarketDesks, wording: Wording
) -> StatementItem:
    """A statement, with where it is."""
    end_s = desks.books.schedule.period_end(line.period_start_s)
    start_at, end_at = from_unix_s(line.period_start_s), from_unix_s(end_s)
    return StatementItem(
        name=wording.period_name(start_at, end_at),
        hours=wording.period_hours(start_at, end_at),
        line=line,
        address=StatementAddress(
            account=account,
            period_start_s=line.period_start_s,
            period_end_s=end_s,
            run=line.run,
        ),
    )


def statement_page(
    service: Service, account: AccountId, period_start_s: int, run: int | None, wording: Wording
) -> StatementPage:
    """The page of one statement, by default of the period's last run.

    Raises:
        NotFound: there is no such final run, or the account has no statement in it.
    """
    desks = service.books
    statement = desks.statements.statement(account, period_start_s, run)
    lines = _lines_of_period(desks, account, period_start_s)
    items = [item_of(line, account, desks, wording) for line in lines]
    item = next(each for each in items if each.line.run == statement.run)
    people = _people_of(service, statement)
    rows = tuple(_rows_of(statement, wording))
    return StatementPage(
        statement=statement,
        item=item,
        answer=_answer_of(item.moved_nano, wording),
        owner="" if people.owner is None else checksum_address(people.owner),
        owner_name=people.own,
        neighbours=people.others,
        start_at=from_unix_s(period_start_s),
        end_at=from_unix_s(desks.books.schedule.period_end(period_start_s)),
        runs=tuple(replace(each, is_shown=each is item) for each in items),
        rows=rows,
        vat=_vat_of(rows, service.community.config.tariff.vat_bps),
        is_external=statement.residual != "settled",
    )


def _people_of(service: Service, statement: Statement) -> People:
    """Whose a statement is, and who else was in the market then and agreed to be named."""
    names, account = service.people.names, statement.account
    key = (statement.period_start_s, statement.run)
    enrolled = service.books.books.ask(lambda told: told.market.enrolled_when_proposed(*key))
    shown = names.all_names(only_shown=True)
    others = (
        name for each, name in shown.items() if FIRST_MEMBER <= each < enrolled and each != account
    )
    return People(
        owner=service.market.owner_of(account), own=names.name(account), others=tuple(others)
    )


def _answer_of(moved_nano: int, wording: Wording) -> list[Sentence]:
    kind = "received" if moved_nano >= 0 else "paid"
    money = wording.words.money_nano(abs(moved_nano))
    return [(f"home.statement.answer.{kind}", {"money": money})]


def _vat_of(rows: Sequence[StatementRowView], vat_bps: int | None) -> Vat | None:
    if vat_bps is None:
        return None
    paid_nano = sum(row.paid_nano for row in rows)
    return Vat(
        rate_bps=vat_bps,
        paid_nano=paid_nano,
        contained_nano=paid_nano * vat_bps // (BPS + vat_bps),
    )


def _lines_of_period(
    desks: MarketDesks, account: AccountId, period_start_s: int
) -> list[StatementLine]:
    """All runs of a period, in order."""
    end_s = desks.books.schedule.period_end(period_start_s)
    lines = desks.statements.list(account, RUNS_SHOWN, (end_s, 0))
    own = [line for line in lines if line.period_start_s == period_start_s]
    return sorted(own, key=lambda line: line.run)


def _rows_of(statement: Statement, wording: Wording) -> Iterator[StatementRowView]:
    columns = zip(statement.rows, statement.prices, statement.totals, strict=True)
    for place, (row, price, total) in enumerate(columns):
        at = from_unix_s(statement.period_start_s + place * statement.window_s)
        bill = window_bill(statement.account, row, price, total, statement.residual)
        yield StatementRowView(
            label=wording.words.clock(at),
            machine_time=wording.machine_time(at),
            row=row,
            price=price,
            amount_nano=bill.amount_nano,
            paid_nano=bill.bought_nano + bill.from_grid_nano,
        )
