"""What accounts' owners are called: to operator and auditor, and to others if they agreed."""

from collections.abc import Mapping

from sqlalchemy.exc import IntegrityError

from api.jobs.community import Community
from api.jobs.create import accounts_of
from api.jobs.people.applications import Person
from api.jobs.people.people_store import PeopleStore
from ledger.units import FIRST_MEMBER, AccountId, Address


class Names:
    """Names by account: as somebody said here, else as configured. Waits for the disk."""

    def __init__(self, community: Community) -> None:
        self._community = community
        self._store = PeopleStore()
        self._configured = {
            AccountId(account): Person(
                name=section.name, show_name=section.show_name or account < FIRST_MEMBER
            )
            for account, section in accounts_of(community.config)
        }

    def person(self, account: AccountId) -> Person:
        """What is known of an account's owner; empty if nothing is, or nothing any more."""
        with self._community.engine.begin() as connection:
            said = self._store.person_of(connection, account)
        return said or self._configured.get(account) or Person(name="")

    def name(self, account: AccountId) -> str | None:
        """An account's name, for its owner, the operator and the auditor."""
        return self.person(account).name or None

    def names_shown(self, account: AccountId) -> str | None:
        """An account's name for everybody else: only if its owner agreed."""
        person = self.person(account)
        return person.name or None if person.show_name else None

    def all_names(self, *, only_shown: bool) -> Mapping[AccountId, str]:
        """All names, or those for everybody; accounts without one are left out."""
        with self._community.engine.begin() as connection:
            persons = self._configured | self._store.persons(connection)
        return {
            account: person.name
            for account, person in sorted(persons.items())
            if person.name and (person.show_name or not only_shown)
        }

    def change(self, account: AccountId, *, name: str, contact: str, show_name: bool) -> Person:
        """Changes what an owner says of themselves."""
        try:
            return self._change(account, name, contact, show_name)
        except IntegrityError:  # Said twice at once, for the first time.
            return self._change(account, name, contact, show_name)

    def _change(self, account: AccountId, name: str, contact: str, show_name: bool) -> Person:  # noqa: FBT001
        with self._community.engine.begin() as connection:
            before = self._store.person_of(connection, account)
            note = before.note if before else ""
            person = Person(name=name, contact=contact, note=note, show_name=show_name)
            self._store.set_person(connection, account, person)
        return person

    def forget(self, address: Address, account: AccountId | None) -> int:
        """Forgets all that somebody said of themselves; how many entries that emptied."""
        with self._community.engine.begin() as connection:
            return self._store.forget(connection, account=account, address=address)
