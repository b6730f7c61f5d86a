"""Forgets people: what tells who they are at once, what tells how they live once nothing needs it.

What the chain holds it holds for good: net amounts, roots, addresses, orders and records of
charges. Leaves, salts and amounts of statements stay, too, so that everybody else's can be proved.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from api.errors import BadInput
from api.jobs.community import Community
from api.jobs.forgetting.erasures_store import Erasure, add_erasure
from api.jobs.forgetting.names import named_meters, rename_in_files, take_names_off
from api.jobs.forgetting.people_store import sign_out
from api.jobs.opening import system_now
from api.jobs.people.people_store import PeopleStore
from charging.erasing_store import erase_sessions, live_sessions
from ledger.erasing_store import erase_rows
from ledger.history import MarketHistory
from ledger.units import FIRST_MEMBER, NANO_PER_MICRO, AccountId, Address, from_unix_s, to_unix_s
from metering.erasing_store import erase_before, erase_between
from metering.meters import MeterBook, MeterTerm

DAY_S: Final = 86_400
ALL_TIME_S: Final = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was erased, in numbers; and why something was not."""

    names: int = 0
    labels: int = 0
    sign_ins: int = 0
    readings: int = 0
    statements: int = 0
    sessions: int = 0
    kept_because: tuple[str, ...] = ()


def forget_account(community: Community, account: AccountId) -> Forgotten:
    """Erases a member's names at once, and readings and rows if nothing is owed or measured.

    Raises:
        BadInput: there is no such member.
    """
    history, address = community.refresh(), _owner(community, account)
    reasons = tuple(_why_kept(community, history, account))
    named, book = named_meters(community, account), community.book()
    with community.engine.begin() as connection:
        names = PeopleStore().forget(connection, account=account, address=address)
        labels = take_names_off(connection, account, named)
        readings = statements = 0
        if not reasons:
            readings = sum(_erase_terms(connection, book, account))
            statements = erase_rows(connection, account, before_s=None)
        done = Forgotten(
            names=names,
            labels=len(labels),
            sign_ins=sign_out(connection, address),
            readings=readings,
            statements=statements,
            sessions=erase_sessions(connection, driver=address),
            kept_because=reasons,
        )
    rename_in_files(community, account, labels)
    return done


def forget_application(community: Community, application_id: int) -> Forgotten:
    """Erases what an applicant said of themselves.

    Raises:
        BadInput: there is no such application, or a member's.
    """
    store = PeopleStore()
    with community.engine.begin() as connection:
        found = store.find(connection, application_id)
        if found is None:
            raise BadInput(field="--application", rule="there is no such application")
        if found.account is not None:
            rule = f"it became account {found.account}: forget that"
            raise BadInput(field="--application", rule=rule)
        return Forgotten(
            names=store.forget(connection, account=None, address=found.address),
            sign_ins=sign_out(connection, found.address),
        )


def forget_driver(community: Community, driver: Address) -> Forgotten:
    """Erases a driver's sign-ins, and how their charges went that have ended."""
    with community.engine.begin() as connection:
        live = live_sessions(connection, driver)
        return Forgotten(
            names=PeopleStore().forget(connection, account=None, address=driver),
            sign_ins=sign_out(connection, driver),
            sessions=erase_sessions(connection, driver=driver),
            kept_because=(f"{live} charges are under way",) if live else (),
        )


def forget_older(community: Community, days: int) -> Forgotten:
    """Erases everybody's readings, rows and evidence that are older than so many days."""
    schedule = community.schedule
    horizon_s = community.now_s() - days * DAY_S
    settled_s = _settled_until_s(community, community.refresh())
    until_s = schedule.period_start_of(min(horizon_s, settled_s))
    with community.engine.begin() as connection:
        sessions = erase_sessions(connection, before_s=horizon_s)
        if until_s <= schedule.first_period_start_s:
            return Forgotten(sessions=sessions)
        readings = erase_before(connection, until_s)
        statements = erase_rows(connection, None, before_s=until_s)
        if readings or statements:
            _note(connection, None, 0, until_s)
    for path in community.directory.statements_path.glob("*.json"):
        if path.stem.split("-")[1] < from_unix_s(until_s).strftime("%Y%m%dT%H%M%SZ"):
            path.unlink()
    return Forgotten(readings=readings, statements=statements, sessions=sessions)


def _owner(community: Community, account: AccountId) -> Address:
    owners = community.refresh().owners
    if not FIRST_MEMBER <= account < len(owners):
        raise BadInput(field="ACCOUNT", rule=f"there is no member {account}")
    return owners[account]


def _why_kept(community: Community, history: MarketHistory, account: AccountId) -> Iterator[str]:
    """Why an account's readings are still needed."""
    terms = community.book().terms_of_account(account)
    open_terms = [term for term in terms if term.valid_until is None]
    if open_terms:
        yield f"meters that still run under it: {len(open_terms)}"
    balance_nano = history.balances_nano[account]
    if balance_nano >= NANO_PER_MICRO:  # What is less than the token's unit cannot be paid out.
        yield f"it has a balance of {balance_nano} nano"
    ends = [to_unix_s(term.valid_until) for term in terms if term.valid_until is not None]
    if ends and max(ends) > _settled_until_s(community, history):
        yield "its last period is not settled yet"
    last = dict(history.final_order)
    if any(history.runs[key].shortfalls_nano.get(account) for key in last.items()):
        yield "a shortfall of it is not collected"


def _settled_until_s(community: Community, history: MarketHistory) -> int:
    """The start of the first period that is not final."""
    schedule = community.schedule
    final = sum(run == 0 for _, run in history.final_order)
    return schedule.first_period_start_s + final * schedule.period_s


def _erase_terms(connection: Connection, book: MeterBook, account: AccountId) -> Iterator[int]:
    terms = book.terms_of_account(account)
    for term in terms:
        others = [each for each in book.terms_of_meter(term.meter_id) if each.account != account]
        first_s, last_s = _bounds(term, others)
        yield erase_between(connection, term.meter_id, first_s=first_s, last_s=last_s)
    if terms:
        from_s = min(to_unix_s(term.valid_from) for term in terms)
        until_s = max(to_unix_s(term.valid_until) for term in terms if term.valid_until)
        _note(connection, account, from_s, until_s)


def _bounds(term: MeterTerm, others: list[MeterTerm]) -> tuple[int, int]:
    """The term's first and last instant, less what the next or former account needs as well."""
    first_s = to_unix_s(term.valid_from)
    last_s = ALL_TIME_S if term.valid_until is None else to_unix_s(term.valid_until)
    if any(each.valid_until == term.valid_from for each in others):
        first_s += 1
    if any(each.valid_from == term.valid_until for each in others):
        last_s -= 1
    return first_s, last_s


def _note(connection: Connection, account: AccountId | None, from_s: int, until_s: int) -> None:
    erasure = Erasure(
        account=account,
        from_s=from_s,
        until_s=until_s,
        erased_at_s=to_unix_s(system_now()),
    )
    add_erasure(connection, erasure)
