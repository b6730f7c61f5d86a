"""Who wants to join, and what became of it: values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ledger.units import AccountId, Address

NAME_CHARS_MAX = 200
CONTACT_CHARS_MAX = 200
NOTE_CHARS_MAX = 1_000


class ApplicationState(StrEnum):
    """Where an application is."""

    WAITING = "waiting"  # For the operator.
    ACCEPTING = "accepting"  # The enrolment is on its way to the chain.
    ACCEPTED = "accepted"  # The account is there.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What somebody says of themselves. Nothing of it is on the chain, and all can be forgotten."""

    name: str
    contact: str = ""  # How the operator reaches them.
    note: str = ""
    show_name: bool = False  # Whether other members may see the name.


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Somebody's wish to join."""

    application_id: int
    address: Address
    person: Person
    state: ApplicationState
    account: AccountId | None  # Once it was accepted.
    reason: str  # Of a refusal.
    created_at: datetime  # In the community's time, as all times of people's acts.
    decided_at: datetime | None
