"""Models of joining, names and meters."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field

from api.jobs.people.applications import (
    CONTACT_CHARS_MAX,
    NAME_CHARS_MAX,
    NOTE_CHARS_MAX,
    Application,
    ApplicationState,
    Person,
)
from api.jobs.people.pairings import Pairing, PairingState, PairingWish
from api.schemas.fields import (
    AddressIn,
    Hex,
    Instant,
    InstantIn,
    SignatureIn,
    Wire,
    address_text,
    hex_of,
    instant_if_any,
    instant_of,
)
from ledger.units import FIRST_MEMBER, AccountId
from metering.meters import LIMIT_W_MAX, MeterClass

LABEL_CHARS_MAX = 100
REASON_CHARS_MAX = 500


def _line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("one line of printable characters")
    if value != value.strip():
        raise ValueError("no space at its beginning or end")
    return value


def _text(value: str) -> str:
    if not value.replace("\n", "").isprintable():
        raise ValueError("printable characters and line ends (\\n)")
    return value


Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX), AfterValidator(_line)]
Contact = Annotated[str, Field(max_length=CONTACT_CHARS_MAX), AfterValidator(_line)]
Note = Annotated[str, Field(max_length=NOTE_CHARS_MAX), AfterValidator(_text)]
Label = Annotated[str, Field(min_length=1, max_length=LABEL_CHARS_MAX), AfterValidator(_line)]
Reason = Annotated[str, Field(max_length=REASON_CHARS_MAX), AfterValidator(_text)]


class JoinIn(Wire):
    """Who wants to join. Nothing of it goes on the chain."""

    name: Name = Field(examples=["Ada Weber"])
    contact: Contact = Field(default="", examples=["ada@example.org"])
    note: Note = Field(default="", examples=["Flat 4, a roof of 6 kW"])
    show_name: bool = Field(description="Whether other members may see the name.")

    def person(self) -> Person:
        """As a value."""
        return Person(
            name=self.name, contact=self.contact, note=self.note, show_name=self.show_name
        )


class RefuseIn(Wire):
    """Why somebody, or something, is refused."""

    reason: Reason = Field(default="", examples=["not in this street"])


class ApplicationOut(Wire):
    """A wish to join."""

    id: int
    address: Hex
    name: str = Field(examples=["Ada Weber"])
    contact: str
    note: str
    show_name: bool
    state: ApplicationState
    account: int | None = Field(description="Once the enrolment is confirmed.")
    reason: str = Field(description="Of a refusal.")
    created_at: Instant
    decided_at: Instant | None

    @classmethod
    def of(cls, application: Application) -> Self:
        """From an application."""
        person = application.person
        return cls(
            id=application.application_id,
            address=address_text(application.address),
            name=person.name,
            contact=person.contact,
            note=person.note,
            show_name=person.show_name,
            state=application.state,
            account=application.account,
            reason=application.reason,
            created_at=instant_of(application.created_at),
            decided_at=instant_if_any(application.decided_at),
        )


class ApplicationsOut(Wire):
    """A page of applications, newest first."""

    items: list[ApplicationOut]
    next: str | None


class NameIn(Wire):
    """What an account's owner is called."""

    name: Name = Field(examples=["Ada Weber"])
    contact: Contact = ""
    show_name: bool = Field(description="Whether other members may see the name.")


class NameOut(Wire):
    """What is known of an account's owner."""

    name: str | None = Field(examples=["Ada Weber"])
    contact: str
    show_name: bool

    @classmethod
    def of(cls, person: Person) -> Self:
        """From a person."""
        return cls(name=person.name or None, contact=person.contact, show_name=person.show_name)


class PairingIn(Wire):
    """A device to be a meter.

    `proof` is the device's signature (EIP-191) of the lines

        Wattledger: pair this meter
        Chain ID: 1337
        Registry: 0x… (EIP-55)
        Account: 2
        Owner: 0x… (EIP-55)
        Class: gateway
        Limit: 11000 W
        Issued At: 2026-11-25T12:00:00Z

    joined by line feeds; `issued_at` is the last line's, in the community's time.
    """

    account: int = Field(ge=FIRST_MEMBER, lt=2**32)
    label: Label = Field(examples=["Roof"])
    key: AddressIn
    meter_class: Literal["gateway", "certified"] = Field(alias="class")
    limit_w: int = Field(ge=1, le=LIMIT_W_MAX, examples=[11_000])
    issued_at: InstantIn
    proof: SignatureIn

    def wish(self) -> PairingWish:
        """As a value."""
        return PairingWish(
            account=AccountId(self.account),
            label=self.label,
            key=self.key,
            meter_class=MeterClass(self.meter_class),
            limit_w=self.limit_w,
        )


class PairingOut(Wire):
    """A device that asks to be a meter, or has become one."""

    id: Hex = Field(description="The meter's: random, and chosen here.")
    account: int
    label: str
    key: Hex
    meter_class: MeterClass = Field(serialization_alias="class")
    limit_w: int
    owner: Hex
    state: PairingState
    valid_from: Instant | None = Field(description="Since when its readings count.")
    reason: str = Field(description="Of a refusal.")
    created_at: Instant
    decided_at: Instant | None

    @classmethod
    def of(cls, pairing: Pairing) -> Self:
        """From a pairing."""
        wish = pairing.wish
        return cls(
            id=hex_of(pairing.meter_id),
            account=wish.account,
            label=wish.label,
            key=address_text(wish.key),
            meter_class=wish.meter_class,
            limit_w=wish.limit_w,
            owner=address_text(pairing.owner),
            state=pairing.state,
            valid_from=instant_if_any(pairing.valid_from),
            reason=pairing.reason,
            created_at=instant_of(pairing.created_at),
            decided_at=instant_if_any(pairing.decided_at),
        )


class PairingsOut(Wire):
    """A page of pairings, newest first."""

    items: list[PairingOut]
    next: str | None
