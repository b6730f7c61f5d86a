"""People in the database: what they say of themselves in one table, what became of it in another.

Only `person` holds personal data. What is to be forgotten is emptied there, and not removed: a name
that is not there would be looked for in the configuration.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    RowMapping,
    Select,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from api.jobs.people.applications import Application, ApplicationState, Person
from ledger.units import AccountId, Address, from_unix_s, to_unix_s

__all__ = ["Connection", "Engine", "PeopleStore"]

FORGOTTEN: Final = {"name": "", "contact": "", "note": "", "show_name": False}


class _PersonTable(SQLModel, table=True):
    __tablename__ = "person"

    person_id: int | None = Field(default=None, primary_key=True)
    account: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    name: str
    contact: str
    note: str = Field(sa_type=Text)
    show_name: bool


class _ApplicationTable(SQLModel, table=True):
    __tablename__ = "application"

    application_id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(unique=True)
    address: bytes = Field(index=True)
    open_address: bytes | None = Field(default=None, unique=True)  # While it is not decided.
    state: str = Field(index=True)
    account: int | None = Field(default=None, sa_type=BigInteger)
    reason: str
    created_s: int = Field(sa_type=BigInteger)
    decided_s: int | None = Field(default=None, sa_type=BigInteger)
    decided_by: bytes | None = None


PERSON: Final[Table] = _PersonTable.__table__  # type: ignore[attr-defined]
APPLICATION: Final[Table] = _ApplicationTable.__table__  # type: ignore[attr-defined]


class PeopleStore:
    """Every method works in the caller's transaction."""

    # Names.

    def person_of(self, connection: Connection, account: AccountId) -> Person | None:
        """Who an account's owner is, if anything was ever said here; empty once forgotten."""
        query = select(PERSON).where(PERSON.c.account == account)
        row = connection.execute(query).mappings().first()
        return None if row is None else _person(row)

    def persons(self, connection: Connection) -> dict[AccountId, Person]:
        """All owners of whom anything was ever said here."""
        rows = connection.execute(select(PERSON).where(PERSON.c.account.is_not(None))).mappings()
        return {AccountId(row["account"]): _person(row) for row in rows}

    def set_person(self, connection: Connection, account: AccountId, person: Person) -> None:
        """Says who an account's owner is.

        Raises:
            IntegrityError: another transaction was first.
        """
        values = _values(person)
        found = connection.execute(
            update(PERSON).where(PERSON.c.account == account).values(**values)
        )
        if found.rowcount == 0:
            connection.execute(insert(PERSON).values(**values, account=account))

    def forget(self, connection: Connection, *, account: AccountId | None, address: Address) -> int:
        """Empties all that somebody said of themselves; how many entries there were.

        What others said when they refused them is emptied, too.
        """
        refused = update(APPLICATION).where(APPLICATION.c.address == address)
        connection.execute(refused.values(reason=""))
        own = select(APPLICATION.c.person_id).where(APPLICATION.c.address == address)
        emptied = connection.execute(
            update(PERSON).where(PERSON.c.person_id.in_(own)).values(**FORGOTTEN)
        ).rowcount
        if account is not None and self.person_of(connection, account) is None:
            connection.execute(insert(PERSON).values(**FORGOTTEN, account=account))
        elif account is not None:
            of_account = update(PERSON).where(PERSON.c.account == account, PERSON.c.name != "")
            emptied += connection.execute(of_account.values(**FORGOTTEN)).rowcount
        return emptied

    # Applications.

    def apply(
        self, connection: Connection, address: Address, person: Person, *, at: datetime
    ) -> Application:
        """Keeps a new application.

        Raises:
            IntegrityError: the address has one that is not decided.
        """
        new_person = insert(PERSON).values(**_values(person)).returning(PERSON.c.person_id)
        added = connection.execute(
            insert(APPLICATION)
            .values(
                person_id=connection.execute(new_person).scalar_one(),
                address=address,
                open_address=address,
                state=ApplicationState.WAITING,
                reason="",
                created_s=to_unix_s(at),
            )
            .returning(APPLICATION.c.application_id)
        )
        return self.require(connection, added.scalar_one())

    def open_of(self, connection: Connection, address: Address) -> Application | None:
        """An address's application that is not decided."""
        query = _applications().where(APPLICATION.c.open_address == address)
        row = connection.execute(query).mappings().first()
        return None if row is None else _application(row)

    def find(self, connection: Connection, application_id: int) -> Application | None:
        """An application; until the transaction ends nobody else decides it."""
        lock = select(APPLICATION.c.application_id).where(
            APPLICATION.c.application_id == application_id
        )
        if connection.execute(lock.with_for_update()).first() is None:
            return None
        return self.require(connection, application_id)

    def require(self, connection: Connection, application_id: int) -> Application:
        """An application that is there."""
        query = _applications().where(APPLICATION.c.application_id == application_id)
        return _application(connection.execute(query).mappings().one())

    def decide(
        self,
        connection: Connection,
        application_id: int,
        state: ApplicationState,
        *,
        by: Address | None = None,
        at: datetime | None = None,
        reason: str = "",
        account: AccountId | None = None,
    ) -> Application:
        """Moves an application on; the account's name is the applicant's from then on."""
        is_open = state in (ApplicationState.WAITING, ApplicationState.ACCEPTING)
        values: dict[str, Any] = {"state": state, "reason": reason}
        values |= {} if is_open else {"open_address": None}
        values |= {} if by is None else {"decided_by": by}
        values |= {} if at is None else {"decided_s": to_unix_s(at)}
        values |= {} if account is None else {"account": account}
        own = APPLICATION.c.application_id == application_id
        connection.execute(update(APPLICATION).where(own).values(**values))
        if account is not None:
            person_id = select(APPLICATION.c.person_id).where(own).scalar_subquery()
            connection.execute(
                update(PERSON).where(PERSON.c.person_id == person_id).values(account=account)
            )
        return self.require(connection, application_id)

    def in_state(self, connection: Connection, state: ApplicationState) -> list[Application]:
        """All applications of a state, in order of arrival."""
        query = _applications().where(APPLICATION.c.state == state)
        rows = connection.execute(query.order_by(APPLICATION.c.application_id)).mappings()
        return [_application(row) for row in rows]

    def page(
        self,
        connection: Connection,
        *,
        address: Address | None = None,
        state: ApplicationState | None = None,
        limit: int,
        before: int | None,
    ) -> tuple[Sequence[Application], int | None]:
        """Applications, newest first, and where the next page begins."""
        query = _applications()
        if address is not None:
            query = query.where(APPLICATION.c.address == address)
        if state is not None:
            query = query.where(APPLICATION.c.state == state)
        if before is not None:
            query = query.where(APPLICATION.c.application_id < before)
        newest_first = query.order_by(APPLICATION.c.application_id.desc()).limit(limit + 1)
        rows = connection.execute(newest_first).mappings().all()
        page = [_application(row) for row in rows[:limit]]
        return page, page[-1].application_id if len(rows) > limit else None


def _applications() -> Select[Any]:
    shown = [PERSON.c.name, PERSON.c.contact, PERSON.c.note, PERSON.c.show_name]
    joined = APPLICATION.join(PERSON, APPLICATION.c.person_id == PERSON.c.person_id)
    return select(APPLICATION, *shown).select_from(joined)


def _values(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "contact": person.contact,
        "note": person.note,
        "show_name": person.show_name,
    }


def _person(row: RowMapping) -> Person:
    return Person(
        name=row["name"],
        contact=row["contact"],
        note=row["note"],
        show_name=bool(row["show_name"]),
    )


def _application(row: RowMapping) -> Application:
    account, decided_s = row["account"], row["decided_s"]
    return Application(
        application_id=row["application_id"],
        address=Address(bytes(row["address"])),
        person=_person(row),
        state=ApplicationState(row["state"]),
        account=None if account is None else AccountId(account),
        reason=row["reason"],
        created_at=from_unix_s(row["created_s"]),
        decided_at=None if decided_s is None else from_unix_s(decided_s),
    )
