"""Readings, terms and books refuse to exist when they are invalid."""

from datetime import datetime, timedelta, timezone

import pytest

from ledger.errors import OutOfRange
from ledger.units import REGISTER_WH_MAX, AccountId
from metering.errors import (
    BadTime,
    MeterNotValidAt,
    OverlappingTerms,
    RegisterOutOfRange,
    UnknownMeter,
)
from metering.meters import MeterBook
from metering.readings import MeterId, Reading
from tests.meter_worlds import HOUR, NOON, meter, reading, term


@pytest.mark.parametrize("register_wh", [-1, REGISTER_WH_MAX + 1, 2**64])
def test_a_register_out_of_range_is_refused(register_wh: int) -> None:
    with pytest.raises(RegisterOutOfRange):
        reading(NOON, register_wh)
    with pytest.raises(RegisterOutOfRange):
        reading(NOON, 0, register_wh)


@pytest.mark.parametrize(
    "taken_at",
    [
        NOON.replace(tzinfo=None),
        NOON.replace(microsecond=1),
        NOON.astimezone(timezone(timedelta(hours=2))),
        NOON.replace(year=1969),
    ],
    ids=["without offset", "fraction", "not UTC", "before 1970"],
)
def test_a_time_that_is_not_a_whole_utc_second_is_refused(taken_at: datetime) -> None:
    with pytest.raises(BadTime):
        reading(taken_at, 1)


@pytest.mark.parametrize("size", [0, 20, 31, 33])
def test_a_meter_id_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(OutOfRange):
        Reading(meter_id=MeterId(bytes(size)), taken_at=NOON, import_wh=0, export_wh=0)


@pytest.mark.parametrize("account", [-1, 0, 1, 2**32])
def test_a_meter_belongs_to_a_member_only(account: int) -> None:
    with pytest.raises(OutOfRange):
        term(account=account)


@pytest.mark.parametrize("limit_w", [0, 10**9 + 1])
def test_a_limit_that_no_connection_has_is_refused(limit_w: int) -> None:
    with pytest.raises(OutOfRange):
        term(limit_w=limit_w)


@pytest.mark.parametrize("valid_until", [NOON, NOON - HOUR])
def test_a_term_ends_after_it_begins(valid_until: datetime) -> None:
    with pytest.raises(OverlappingTerms):
        term(valid_from=NOON, valid_until=valid_until)


@pytest.mark.parametrize("valid_until", [None, NOON + timedelta(seconds=1)])
def test_terms_of_one_meter_do_not_overlap(valid_until: datetime | None) -> None:
    later = term(valid_from=NOON, account=3)
    with pytest.raises(OverlappingTerms):
        MeterBook([later, term(valid_until=valid_until)])


def test_the_term_at_an_instant_is_the_one_that_covers_it() -> None:
    first = term(account=2, valid_until=NOON)
    second = term(account=3, valid_from=NOON, valid_until=NOON + HOUR)
    book = MeterBook([second, first])
    assert book.term_at(meter(1), NOON - HOUR) is first
    assert book.term_at(meter(1), NOON) is second
    assert book.terms_accepting(meter(1), NOON) == (first, second)
    assert book.term_at(meter(1), NOON + HOUR) is second  # Its closing register.
    with pytest.raises(MeterNotValidAt):
        book.term_at(meter(1), NOON + 2 * HOUR)
    with pytest.raises(UnknownMeter):
        book.term_at(meter(2), NOON)


def test_a_term_accepts_its_closing_register_but_does_not_cover_it() -> None:
    ended = term(valid_from=NOON, valid_until=NOON + HOUR)
    assert [ended.covers(NOON + hours * HOUR) for hours in (-1, 0, 1, 2)] == [
        False,
        True,
        False,
        False,
    ]
    assert [ended.accepts(NOON + hours * HOUR) for hours in (-1, 0, 1, 2)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_book_lists_meters_and_accounts_in_order_whatever_order_the_terms_came_in() -> None:
    terms = [term(meter(3), account=2), term(meter(1), account=5), term(meter(2), account=2)]
    for book in (MeterBook(terms), MeterBook(reversed(terms))):
        assert book.meters() == (meter(1), meter(2), meter(3))
        assert book.accounts() == (2, 5)
        assert [each.meter_id for each in book.terms_of_account(AccountId(2))] == [
            meter(2),
            meter(3),
        ]
        assert book.terms_of_account(AccountId(9)) == ()
