"""How many people wait for an answer."""

from dataclasses import dataclass

from api.jobs.community import Community
from api.jobs.people.applications import ApplicationState
from api.jobs.people.pairing_store import PairingStore
from api.jobs.people.pairings import PairingState
from api.jobs.people.people_store import PeopleStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Requests that nobody answered yet."""

    to_join: int
    to_pair: int


def waiting_in(community: Community) -> Waiting:
    """Counts them."""
    with community.engine.begin() as connection:
        return Waiting(
            to_join=len(PeopleStore().in_state(connection, ApplicationState.WAITING)),
            to_pair=len(PairingStore().in_state(connection, PairingState.WAITING)),
        )
