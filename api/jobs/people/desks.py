"""What people ask for, wired: desks for requests, errands for the loop behind."""

from collections.abc import Callable
from dataclasses import dataclass

from api.jobs.community import Community
from api.jobs.people.earnings import Earnings
from api.jobs.people.faucet import Faucet
from api.jobs.people.joining import Enrolments, Joining
from api.jobs.people.names import Names
from api.jobs.people.pairing import PairingDesk
from api.jobs.people.payouts import Payouts
from api.jobs.people.registrations import Registrations
from api.jobs.people.relay_book import RelayBook
from api.jobs.people.relay_desk import RelayDesk
from api.jobs.people.relaying import Errand


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The desks. Their methods wait for disk and chain: call them in a thread."""

    book: RelayBook
    relays: RelayDesk
    earnings: Earnings
    names: Names
    joining: Joining
    pairing: PairingDesk
    faucet: Faucet


def people_of(community: Community, wake: Callable[[], None]) -> People:
    """The desks of a community; `wake` tells the loop that something is owed."""
    book = RelayBook(community)
    return People(
        book=book,
        relays=RelayDesk(community, book, wake),
        earnings=Earnings(community, book, wake),
        names=Names(community),
        joining=Joining(community, wake),
        pairing=PairingDesk(community, wake),
        faucet=Faucet(community, book, wake),
    )


def errands_of(community: Community) -> list[Errand]:
    """What the loop does by itself."""
    book = RelayBook(community)
    return [Payouts(community, book), Enrolments(community), Registrations(community)]
