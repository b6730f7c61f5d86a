"""Meters and their terms: whose energy a meter counts, and which key speaks for it, and when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

from ledger.errors import OutOfRange
from ledger.units import FIRST_MEMBER, AccountId, Address
from metering.errors import MeterNotValidAt, OverlappingTerms, UnknownMeter
from metering.readings import MeterId, check_instant, check_meter_id

LIMIT_W_MAX: Final = 10**9
ADDRESS_BYTES: Final = 20


class MeterClass(StrEnum):
    """How a meter's readings come to be signed."""

    CERTIFIED = "certified"  # In its own hardware.
    GATEWAY = "gateway"  # By a device at home.
    IMPORTED = "imported"  # By whoever imported a file without signatures.


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterTerm:
    """One stretch of a meter's life, `[valid_from, valid_until)`."""

    meter_id: MeterId
    key: Address  # Signs the readings.
    account: AccountId  # Whose energy it is.
    meter_class: MeterClass
    limit_w: int  # The largest power that can flow.
    valid_from: datetime
    valid_until: datetime | None = None  # Exclusive; None while the term is open.

    def __post_init__(self) -> None:
        check_meter_id(self.meter_id)
        _check_range("len(key)", len(self.key), ADDRESS_BYTES, ADDRESS_BYTES)
        _check_range("account", self.account, FIRST_MEMBER, 2**32 - 1)
        _check_range("limit_w", self.limit_w, 1, LIMIT_W_MAX)
        check_instant(self.valid_from)
        if self.valid_until is not None:
            check_instant(self.valid_until)
            if self.valid_until <= self.valid_from:
                raise OverlappingTerms(meter=hex_of(self.meter_id), overlap_at=self.valid_until)

    def covers(self, instant_at: datetime) -> bool:
        """Whether the term is valid at the instant."""
        return self.valid_from <= instant_at and (
            self.valid_until is None or instant_at < self.valid_until
        )

    def accepts(self, instant_at: datetime) -> bool:
        """Whether a reading of that instant may be this term's: its closing register is, too."""
        return self.covers(instant_at) or instant_at == self.valid_until


class MeterBook:
    """All terms of all meters: what the registry says, as a value."""

    def __init__(self, terms: Iterable[MeterTerm]) -> None:
        by_meter: dict[MeterId, list[MeterTerm]] = {}
        for term in terms:
            by_meter.setdefault(term.meter_id, []).append(term)
        self._by_meter: Mapping[MeterId, tuple[MeterTerm, ...]] = {
            meter_id: _in_order(by_meter[meter_id]) for meter_id in sorted(by_meter)
        }
        by_account: dict[AccountId, list[MeterTerm]] = {}
        for meter_terms in self._by_meter.values():
            for term in meter_terms:
                by_account.setdefault(term.account, []).append(term)
        self._by_account: Mapping[AccountId, tuple[MeterTerm, ...]] = {
            account: tuple(by_account[account]) for account in sorted(by_account)
        }

    def meters(self) -> tuple[MeterId, ...]:
        """Every meter that ever had a term, in order of id."""
        return tuple(self._by_meter)

    def accounts(self) -> tuple[AccountId, ...]:
        """Every account that ever had a meter, ascending."""
        return tuple(self._by_account)

    def terms_of_meter(self, meter_id: MeterId) -> tuple[MeterTerm, ...]:
        """A meter's terms, oldest first; none if nobody registered it."""
        return self._by_meter.get(meter_id, ())

    def terms_of_account(self, account: AccountId) -> tuple[MeterTerm, ...]:
        """All terms under an account, by meter and then by time."""
        return self._by_account.get(account, ())

    def terms_accepting(self, meter_id: MeterId, instant_at: datetime) -> tuple[MeterTerm, ...]:
        """Terms that a reading of that instant may belong to.

        Two where one term ends as the next begins: either key may sign the register they share.

        Raises:
            UnknownMeter: nobody registered the meter.
            MeterNotValidAt: no term covers or ends at the instant.
        """
        terms = self._by_meter.get(meter_id)
        if terms is None:
            raise UnknownMeter(meter=hex_of(meter_id))
        accepting = tuple(term for term in terms if term.accepts(instant_at))
        if not accepting:
            raise MeterNotValidAt(meter=hex_of(meter_id), taken_at=instant_at)
        return accepting

    def term_at(self, meter_id: MeterId, instant_at: datetime) -> MeterTerm:
        """The term that covers the instant, else the one that ends there; raises as above."""
        return self.terms_accepting(meter_id, instant_at)[-1]


def hex_of(meter_id: MeterId) -> str:
    """A meter's id as files and HTTP write it."""
    return "0x" + meter_id.hex()


def _check_range(field: str, value: int, value_min: int, value_max: int) -> None:
    if not value_min <= value <= value_max:
        raise OutOfRange(field=field, value=value, value_min=value_min, value_max=value_max)


def _in_order(terms: Iterable[MeterTerm]) -> tuple[MeterTerm, ...]:
    ordered = tuple(sorted(terms, key=lambda term: term.valid_from))
    for earlier, later in pairwise(ordered):
        if earlier.valid_until is None or earlier.valid_until > later.valid_from:
            raise OverlappingTerms(meter=hex_of(later.meter_id), overlap_at=later.valid_from)
    return ordered
