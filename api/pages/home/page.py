"""The prosumer's page, put together from what the desks say."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from api.jobs.market.spans import begins_s, spans_of
from api.jobs.market.views import AccountView, WindowLine
from api.jobs.people.applications import Application, Person
from api.jobs.people.pairings import Pairing, PairingState
from api.pages.home.addresses import Address as Where
from api.pages.home.answers import (
    Sentence,
    answer_of,
    answer_of_newcomer,
    answer_of_office,
    caption_of,
    lede_of,
)
from api.pages.home.energy import Energy, energy_of_day, energy_of_spans, windows_of
from api.pages.home.money import Lasting, LimitsLine, Safe, lasting_of, limits_of, safe_of
from api.pages.home.statements import StatementItem, statements_of
from api.pages.home.stretches import Stretch, View, clamped
from api.pages.home.wording import Wording
from api.pages.words import Words
from api.service import Service
from ledger.history import GridTariff
from ledger.keccak import checksum_address
from ledger.statement_reads_store import RunKey
from ledger.units import FIRST_MEMBER, AccountId, Address, from_unix_s, to_unix_s

PAIRINGS_SHOWN: Final = 50
DAYS_LOOKED_BACK: Final = 31  # For the last day of which something is known.


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a reader chose, all of it in the address."""

    account: AccountId | None = None
    view: View = View.DAY
    day: date | None = None
    before: RunKey | None = None  # Where the list of statements begins.


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Somewhere to go."""

    name: str
    href: str
    is_current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePage:
    """Everything that the template shows."""

    accounts: tuple[Link, ...]
    account: AccountView
    address: Where
    is_member: bool  # Accounts 0 and 1 have neither meters nor limits.
    answer: list[Sentence]
    lede: list[Sentence]
    name: str  # Of the stretch that is shown.
    energy: Energy | None  # None where there is nothing yet, and of accounts 0 and 1.
    caption: list[Sentence]
    views: tuple[Link, ...]
    before: Link | None
    after: Link | None
    first_day: date
    last_day: date
    statements: tuple[StatementItem, ...]
    older: str | None
    latest: str | None  # Back to the first page of them.
    limits: list[LimitsLine]
    lasting: Lasting
    safe: Safe
    withdrawal_delay: str
    paid_at: datetime  # If a withdrawal were asked for now.
    next_period_at: datetime
    is_external: bool
    person: Person
    pairings: tuple[Pairing, ...]  # Devices that are not meters yet, or were refused.


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPage:
    """What somebody without an account sees."""

    address: str
    latest: Application | None


class HomeDesk:
    """Puts the page together. Its method waits: call it in a thread."""

    def __init__(self, service: Service, words: Words) -> None:
        community = service.community
        self._community = community
        self._desks = service.books
        self._people = service.people
        self._wording = Wording(words=words)
        self._now = community.clock.now()

    def page(self, asked: Asked, accounts: Sequence[AccountId]) -> HomePage:
        """The page of one of somebody's accounts, the first member's if none is asked for."""
        members = [account for account in accounts if account >= FIRST_MEMBER]
        number = asked.account if asked.account is not None else (members or accounts)[0]
        account = self._desks.accounts.account(number)
        address = Where(account=number)
        first_day, today = self._days()
        stretch = self._stretch(asked, number, today)
        statements, older = statements_of(self._desks, number, asked.before, self._wording)
        is_member = number >= FIRST_MEMBER
        has_energy = is_member and bool(account.meters or statements)
        energy = self._energy(number, stretch) if has_energy else None
        delay_s = self._community.rules.withdrawal_delay_s
        tariff = self._tariff()
        return HomePage(
            accounts=tuple(self._link(each, address, number) for each in accounts),
            account=account,
            address=address,
            is_member=is_member,
            answer=self._answer(number, energy),
            lede=lede_of(energy, self._wording) if energy else [],
            name=self._wording.name_of(stretch),
            energy=energy,
            caption=caption_of(energy, self._wording) if energy else [],
            views=tuple(self._view(view, stretch, address) for view in View),
            before=self._beside(stretch.before, address, first_day, today),
            after=self._beside(stretch.after, address, first_day, today),
            first_day=first_day,
            last_day=today,
            statements=statements,
            older=None if older is None else address.statements(older),
            latest=address.statements() if asked.before else None,
            limits=limits_of(account, self._desks.books.schedule, to_unix_s(self._now)),
            lasting=lasting_of(account),
            safe=safe_of(
                account,
                grid_export_per_kwh=tariff.grid_export_per_kwh,
                grid_import_per_kwh=tariff.grid_import_per_kwh,
            ),
            withdrawal_delay=self._wording.duration(delay_s),
            paid_at=self._now + timedelta(seconds=delay_s),
            next_period_at=self._next_period_at(),
            is_external=self._community.rules.residual.value == "external",
            person=self._people.names.person(number),
            pairings=self._pairings(account),
        )

    def join_page(self, address: Address) -> JoinPage:
        """The page of somebody who has no account."""
        found, _ = self._people.joining.page(address=address, limit=1, before=None)
        return JoinPage(address=checksum_address(address), latest=found[0] if found else None)

    def _pairings(self, account: AccountView) -> tuple[Pairing, ...]:
        found, _ = self._people.pairing.page(owner=account.owner, limit=PAIRINGS_SHOWN, before=None)
        return tuple(
            each
            for each in found
            if each.wish.account == account.account and each.state is not PairingState.REGISTERED
        )

    def _tariff(self) -> GridTariff:
        """Of the period that runs, without asking the chain again."""
        schedule, now_s = self._desks.books.schedule, to_unix_s(self._now)
        running_s = max(schedule.period_start_of(now_s), schedule.first_period_start_s)
        return self._desks.books.ask(lambda told: told.market.tariff_at(running_s))

    def _next_period_at(self) -> datetime:
        """From when on counts as cover what is paid in now."""
        schedule, now_s = self._desks.books.schedule, to_unix_s(self._now)
        running_s = max(schedule.period_start_of(now_s), schedule.first_period_start_s)
        return from_unix_s(schedule.period_end(running_s))

    def _answer(self, account: AccountId, energy: Energy | None) -> list[Sentence]:
        if energy is not None:
            return answer_of(energy, self._wording)
        return answer_of_newcomer(account) if account >= FIRST_MEMBER else answer_of_office(account)

    def _days(self) -> tuple[date, date]:
        """The first day that there can be something of, and today."""
        first_at = from_unix_s(self._desks.books.schedule.first_period_start_s)
        words = self._wording.words
        return words.local(first_at).date(), clamped(words.local(self._now).date())

    def _stretch(self, asked: Asked, account: AccountId, today: date) -> Stretch:
        day = self._last_known_day(account, today) if asked.day is None else clamped(asked.day)
        return Stretch.around(asked.view, day, self._zone)

    def _last_known_day(self, account: AccountId, today: date) -> date:
        """Today if something of it was measured, else the last day of which everything was."""
        from_day, until_day = today - timedelta(days=DAYS_LOOKED_BACK), today + timedelta(days=1)
        measured = Counter(
            self._wording.words.local(from_unix_s(line.start_s)).date()
            for line in self._known(account, from_day, until_day)
            if not line.row.estimated
        )
        whole = [day for day in measured if measured[day] == self._windows_of(day)]
        return today if measured[today] else max(whole, default=max(measured, default=today))

    def _windows_of(self, day: date) -> int:
        stretch = Stretch.around(View.DAY, day, self._zone)
        return len(windows_of(stretch, self._desks.books.schedule.window_s))

    def _known(self, account: AccountId, from_day: date, until_day: date) -> list[WindowLine]:
        """What is known of an account's windows; where nobody has measured, zeros would be lies."""
        lines = self._desks.statements.lines(
            account, begins_s(from_day, self._zone), begins_s(until_day, self._zone)
        )
        return [line for line in lines if line.is_known]

    def _energy(self, account: AccountId, stretch: Stretch) -> Energy:
        lines = self._known(account, stretch.first_day, stretch.end_day)
        if stretch.view is View.DAY:
            window_s = self._desks.books.schedule.window_s
            return energy_of_day(stretch, window_s, lines, self._wording)
        first_days = [part.first_day for part in stretch.parts()]
        spans = spans_of(lines, first_days, stretch.end_day, self._zone)
        return energy_of_spans(stretch, spans, self._wording)

    def _link(self, account: AccountId, address: Where, current: AccountId) -> Link:
        return Link(
            name=self._wording.words("home.account_name", account=str(account)),
            href=address.of(account),
            is_current=account == current,
        )

    def _view(self, view: View, stretch: Stretch, address: Where) -> Link:
        """The same time, seen from nearer or from farther."""
        wider = Stretch.around(view, stretch.first_day, self._zone)
        name = self._wording.words(f"home.view.{view}")
        return Link(name=name, href=address.to(wider), is_current=view is stretch.view)

    def _beside(
        self, stretch: Stretch, address: Where, first_day: date, last_day: date
    ) -> Link | None:
        """A stretch beside the one that is shown, if there can be something in it."""
        if stretch.end_day <= first_day or stretch.first_day > last_day:
            return None
        return Link(name=self._wording.name_of(stretch), href=address.to(stretch))

    @property
    def _zone(self) -> ZoneInfo:
        return self._wording.words.zone
